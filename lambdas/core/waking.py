"""Waking: a call of a model starts its stopped endpoint, and grants a lease.

Concurrent callers get one lease together. The same write limits how many endpoints a token may wake
per hour. Where the config says so, later calls move the end of the lease on.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from lambdas.core.decision import meter_of
from lambdas.core.errors import (
    Busy,
    Conflict,
    Draining,
    EndpointStarting,
    MeterError,
    UnknownEndpoint,
)
from lambdas.core.hints import Cause, Hint
from lambdas.core.history import Event
from lambdas.core.meter import Meter
from lambdas.core.ports import Hints, History, StateStore, WakeShare
from lambdas.core.reconcile import load_or_create
from lambdas.core.serving import not_serving, refuse_stranger
from lambdas.core.spec import Spec
from lambdas.core.state import Record, State, last_paid, paid_second
from lambdas.core.use_cases import TRIES, known_key, make_known, send_hint, settle, write_down

HOUR = timedelta(hours=1)
LEAST_EXTENSION = timedelta(minutes=1)
"""A lease is moved on by so much or not at all: so calls write once a minute at most."""


class TooManyWakes(MeterError):
    """The token has used up its wakes of this hour."""

    advice = (
        'Start it with POST /endpoint-expiry {"EndpointName": "$name", "minutes": 60}, or call '
        "again after Retry-After."
    )

    def __init__(self, name: str, share: WakeShare, now: datetime) -> None:
        super().__init__(
            f"This token may wake endpoints {share.most_an_hour} times an hour, and has.",
            name=name,
        )
        left = now.replace(minute=0, second=0, microsecond=0) + HOUR - now
        self.retry_after_seconds = int(left.total_seconds()) + 1


class EndpointWaking(EndpointStarting):
    """The endpoint is being started because its model was called."""


@dataclass(frozen=True, slots=True)
class Waking:
    """The use case. It grants `minutes`, at most the maximum of the spec."""

    store: StateStore
    hints: Hints
    history: History
    minutes: int

    def wake(self, name: str, now: datetime, actor: str, share: WakeShare) -> Record:
        """Make an endpoint wanted. Returns its record afterwards.

        Raises UnknownEndpoint, Draining, TooManyWakes and Busy. Raises EndpointStopped if a person
        stopped it in an open window: a call of the model must not undo that. Raises NotOurs if
        a live endpoint of that name is not this stack's.
        """
        key = known_key(name)
        if self.store.control().draining(now):
            raise Draining
        for _ in range(TRIES):
            record = load_or_create(self.store, key, now)
            spec, state = record.spec, record.state
            if spec is None or state is None:
                raise UnknownEndpoint(name)
            if state.stranger:  # its owner may have deleted it since: let the reconciler look
                send_hint(self.hints, Hint(key, Cause.EVENT))
            refuse_stranger(record)
            if meter_of(spec, state).wanted(now):
                return record
            if _held(spec, state, now):
                raise not_serving(record, now)
            minutes = self._minutes(spec)
            until = paid_second(now) + timedelta(minutes=minutes)
            try:
                settle(self.store, record, now)
                self.store.wake(key, state.rev, until, now, share)
            except Conflict:
                again = self.store.load(key).state
                if again is not None and again.rev == state.rev:
                    # Nobody wrote to the endpoint, so the share is used up.
                    raise TooManyWakes(spec.name, share, now) from None
                continue
            event = Event(key, now, "woken", f"{minutes} minutes, by a call of its model", actor)
            write_down(self.history, event)
            make_known(self.hints, key, state)
            paid_at = paid_second(now)
            woken = replace(state, expires_at=until, paid_at=paid_at, rev=state.rev + 1)
            return replace(record, state=woken)
        raise Busy

    def extend(self, name: str, now: datetime) -> None:
        """Let a lease that runs now end `minutes` from now, if it would end a minute or more
        before. This shortens nothing and ends no hold, and what was stopped stays stopped.

        Raises Busy.
        """
        key = known_key(name)
        for _ in range(TRIES):
            record = self.store.load(key)
            longer = self._longer(record, now)
            if longer is None or self.store.control().draining(now):
                return
            with suppress(Conflict):
                self.store.extend(key, longer, now)
                return
        raise Busy

    def _longer(self, record: Record, now: datetime) -> State | None:
        """The state with the lease moved on, if that is to be done."""
        spec, state = record.spec, record.state
        if spec is None or state is None or state.stranger or state.adopting:
            return None
        until = paid_second(now) + timedelta(minutes=self._minutes(spec))
        longer = replace(state, expires_at=until, paid_at=last_paid(state, now))
        # Sessions may last longer, and a lone stop may end both.
        ends, will_end = meter_of(spec, state).expires_at, meter_of(spec, longer).expires_at
        if ends is None or will_end is None or ends <= now:
            return None
        return longer if will_end - ends >= LEAST_EXTENSION else None

    def _minutes(self, spec: Spec) -> int:
        return min(self.minutes, spec.max_lease_minutes)


def _held(spec: Spec, state: State, now: datetime) -> bool:
    """Whether an unwanted endpoint would be wanted without a stop by hand. If its windows cannot be
    read, a stop in one of them counts as a hold."""
    if spec.unreadable:
        return state.held_since is not None
    return Meter(schedules=spec.schedules).window_open(now)
