"""Deliberate bugs with which sessions, and calls that extend a lease, cost somebody's minutes or
give some away. See `mutants`."""

from __future__ import annotations

from tests.simulation.mutants import AWS, CORE, Mutant

SESSION_MUTANTS = (
    Mutant(
        "the end of a session ends all sessions",
        f"{CORE}.sessions",
        "after = replace(state, sessions={**state.sessions, **ended})",
        "after = replace(state, sessions=dict.fromkeys(state.sessions, now))",
        "session: ends beside another",
    ),
    Mutant(
        "the end of a session ends the shared lease",
        f"{CORE}.sessions",
        "after = replace(state, sessions={**state.sessions, **ended})",
        "after = replace(state, expires_at=now, sessions={**state.sessions, **ended})",
        "session: ends beside a lease",
    ),
    Mutant(
        "a session of another caller with the same name is the same",
        f"{CORE}.sessions",
        "text = json.dumps([request.identity, session])",
        "text = json.dumps([session])",
        "session: two callers, one name",
    ),
    Mutant(
        "a payment adds to what the session has",
        f"{CORE}.sessions",
        "self.store.pay_session(record.key, session_id, end, now, keyed, over)",
        "later = end + (state.sessions.get(session_id, now) - now)\n"
        "            self.store.pay_session(record.key, session_id, later, now, keyed, over)",
        "session: paid again",
    ),
    Mutant(
        "a payment for a session moves the shared end",
        f"{AWS}.state_store",
        'update.set(place, ":session_end", session_end=epoch(end))',
        'update.set("expires_at", ":end", end=epoch(end)).set(place, ":end")',
        "session: paid again",
    ),
    Mutant(
        "the lease ends with the shared end though a session is paid",
        f"{CORE}.decision",
        "return Meter.paid(state.lease_end, state.paid_at, spec.schedules, state.held_since)",
        "return Meter.paid(state.expires_at, state.paid_at, spec.schedules, state.held_since)",
        "session: absent",
    ),
    Mutant(
        "a stop by hand leaves the sessions",
        f"{CORE}.expiry",
        "sessions={**state.sessions, **ended_sessions},",
        "sessions=state.sessions,",
        "stop: in a session",
    ),
    Mutant(
        "a retried end of a session has a second effect",
        f"{CORE}.sessions",
        "self.store.stop(record.key, after, now, keyed_with(record, request, operation))",
        "self.store.stop(record.key, after, now, None)",
        "session: ends again with its key",
    ),
    Mutant(
        "until shortens a lease",
        f"{AWS}.state_store",
        'update.when("attribute_not_exists({expires_at}) OR {expires_at} < :until")',
        'update.when("attribute_exists({pk})")',
        "renew: until an earlier instant",
    ),
    Mutant(
        "a call extends what was stopped",
        f"{CORE}.waking",
        "if ends is None or will_end is None or ends <= now:",
        "if ends is None or will_end is None:",
        "extend: being deleted",
    ),
    Mutant(
        "a call extends whatever was written meanwhile",
        f"{AWS}.state_store",
        'self._update(key, update.when("{rev} = :rev", rev=state.rev))',
        "self._update(key, update)",
        "extend: running against a stop",
    ),
    Mutant(
        "a call shortens a lease",
        f"{CORE}.waking",
        "return longer if will_end - ends >= LEAST_EXTENSION else None",
        "return longer",
        "extend: paid for longer",
    ),
    Mutant(
        "each call writes",
        f"{CORE}.waking",
        "return longer if will_end - ends >= LEAST_EXTENSION else None",
        "return longer if will_end > ends else None",
        "extend: in the minute of another call",
    ),
)
