"""Deliberate bugs of lone stops, days of the month and the time of a payment. See `mutants`."""

from __future__ import annotations

from tests.simulation.mutants import AWS, CORE, Mutant
from tests.simulation.trials import LIVES

LONE_STOP_MUTANTS = (
    Mutant(
        "a lone stop does not end the lease",
        f"{CORE}.meter",
        "stop = first_stop(schedules, paid_at) if until and paid_at else None",
        "stop = None",
        "lone stop: of a lease",
    ),
    Mutant(
        "a lone stop does not cut an open window",
        f"{CORE}.meter",
        "cut = Window(window.start, stop) if stop and stop < window.stop else window",
        "cut = window",
        "lone stop: in a window",
    ),
    Mutant(
        "a payment brings back what a lone stop cut",
        f"{CORE}.use_cases",
        "if stop and state.paid_at < stop < state.lease_end:",
        "if False:",
        "renew: after a lone stop",
    ),
    Mutant(
        "a cut leaves the sessions",
        f"{CORE}.state",
        "sessions={session: min(end, stop) for session, end in state.sessions.items()},",
        "sessions=state.sessions,",
        "renew: after a lone stop of a session",
    ),
    Mutant(
        "a renewal does not say when it was paid",
        f"{AWS}.state_store",
        '.assign({"attempts": 0, "paid_at": epoch(paid_at)})',
        '.assign({"attempts": 0})',
        "renew: after a lone stop",
    ),
    Mutant(
        "the last weekday of a month is any",
        f"{CORE}.days",
        "if day.day + len(WEEKDAYS) > monthrange(day.year, day.month)[1]:",
        "if day.day:",
        "lone stop: on the last Monday, which this is not",
    ),
    Mutant(
        "a window of some minutes ends with its day",
        f"{CORE}.schedule",
        "return Window(start, start + timedelta(minutes=self.minutes))",
        "return Window(start, start + timedelta(minutes=min(self.minutes, 60)))",
        LIVES,
    ),
    Mutant(
        "a stop that a lone stop caused has the wrong cause",
        f"{CORE}.meter",
        "if next(schedule.stops_after(just_before), None) == instant:",
        "if False:",
        "lone stop: of a lease",
    ),
)
