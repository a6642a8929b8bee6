"""Why an endpoint is wanted or not, at the instant of the question: pure. What ended a running time
is a fact: it is stored once, and a later edit of the schedules does not change it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from lambdas.core.meter import Meter
from lambdas.core.schedule import Schedule
from lambdas.core.state import Ended, EndedBy, State, Wanted

_A_WEEK_BACK = timedelta(days=8)
"""A schedule of days of the week opens once a week at least, apart from its `except_dates`."""
_FOR_EVER = datetime.max.replace(tzinfo=UTC)
_MONTHS_BACK = timedelta(days=140)
"""Fifth weekdays are the rarest: at most 14 weeks lie between two, and a window may take one."""


def why_running(meter: Meter, now: datetime) -> str:
    """What keeps a wanted endpoint running for the longest time: its lease, or an open window with
    those of the same schedule that follow it without a gap. Of equal ones the lease."""
    ends = {f"the window '{name}' is open": end for end, name in _open(meter, now)}
    if meter.leased(now):
        ends["the lease is paid"] = meter.expires_at
    what = max(reversed(ends), key=lambda each: ends[each] or _FOR_EVER)
    end = ends[what]
    if end is None:
        return f"{what} for ever"
    if stopper := meter.stopped_by(end):
        return f"{what}, until '{stopper}' stops it at {_iso(end)}"
    return f"{what} until {_iso(end)}"


def _open(meter: Meter, now: datetime) -> Iterator[tuple[datetime | None, str]]:
    """The schedules with an open window, with when each would close on its own. None: never."""
    stops = [schedule for schedule in meter.schedules if schedule.stops_only]
    open_now = {name for _, name in meter.open_windows(now)}
    for schedule in meter.schedules:
        if schedule.name in open_now:
            alone = Meter(None, [schedule, *stops], meter.held_since)
            yield alone.wanted_until(now), schedule.name


def why_stopped(ended: Ended | None) -> str:
    """Why an endpoint is not wanted, by what ended the last time in which it was."""
    if ended is None:
        return "no lease was paid and no window has opened yet"
    at = _iso(ended.at)
    match ended.cause:
        case EndedBy.HAND:
            return f"stopped by hand at {at}" + (f" ({ended.detail})" if ended.detail else "")
        case EndedBy.LEASE:
            return f"the lease ended at {at}"
        case EndedBy.WINDOW:
            return f"the window '{ended.detail}' closed at {at}"
        case EndedBy.SCHEDULE:
            return f"the schedule '{ended.detail}' stopped it at {at}"
        case EndedBy.DRAIN:
            return f"it was stopped at {at}, as the stack was being destroyed"
        case EndedBy.CHANGE:
            return f"its schedules or its lease were changed after {at}"


def with_wanted(meter: Meter, state: State, now: datetime, *, draining: bool) -> State:
    """The state with whether the endpoint is wanted at `now`. If it no longer is: with the cause.
    While `draining`, the meter wants nothing."""
    last = state.last_wanted
    if last and last.seen:
        now = max(now, last.seen)  # a clock that is behind that of the last look knows less
    wanted = meter.wanted(now)
    since = last.since if last and last.running is wanted else now
    ended = state.ended if wanted else last_end(meter, state, now, draining=draining)
    return replace(state, ended=ended, last_wanted=Wanted(wanted, since, now))


def ended_now(state: State, now: datetime, ended: Ended) -> State:
    """The state after a write that ended the time in which the endpoint was wanted. The clock of
    whoever writes may differ from the reconciler's: so the cause is part of the write. If it was
    stopped before, by a clock that is ahead, that stop stays the cause."""
    known, last = state.ended, state.last_wanted
    if known and known.cause is ended.cause is EndedBy.HAND and last and not last.running:
        ended = max(known, ended, key=lambda each: each.at)
    return replace(state, ended=ended, last_wanted=Wanted(running=False, since=now, seen=now))


def ended_at(state: State, now: datetime) -> bool:
    """Whether it is the state after a write of `now` that found the endpoint not wanted."""
    last = state.last_wanted
    return last is not None and not last.running and last.seen == now


def last_end(meter: Meter, state: State, now: datetime, *, draining: bool = False) -> Ended | None:
    """What ended the last time in which an endpoint was wanted that is not wanted now. None: it
    never was.

    Known is what is stored. What happened after the last look is computed. If the endpoint was
    wanted then and nothing has ended since, somebody changed its meter.
    """
    last, known = state.last_wanted, state.ended
    looked = last.seen if last else None
    ends = (end for end in _ends(meter, state.set_up_at, now) if end.at <= now)
    later = [end for end in ends if looked is None or end.at > looked]
    if last and looked and not last.running:
        # A window that opened since would have been due. If it was not seen, it is a new one.
        later = [end for end in later if end.cause is not EndedBy.WINDOW]
    later = [_cut(meter, end) for end in later]
    newest = max([*([known] if known else []), *later], key=lambda e: e.at, default=None)
    if last and last.running and (newest is None or newest.at < last.since):
        if draining:
            return Ended(EndedBy.DRAIN, now.replace(microsecond=0))
        return Ended(EndedBy.CHANGE, (last.seen or last.since).replace(microsecond=0))
    return newest


def _ends(meter: Meter, set_up_at: datetime | None, now: datetime) -> Iterator[Ended]:
    # Of two causes at one instant the first one counts. A stop by hand ends the lease, too.
    if meter.held_since:
        yield Ended(EndedBy.HAND, meter.held_since.replace(microsecond=0))
    if meter.expires_at:
        yield Ended(EndedBy.LEASE, meter.expires_at)
    for schedule in meter.schedules:
        stop = _last_close(schedule, meter, now)
        if stop and (set_up_at is None or stop > set_up_at):
            yield Ended(EndedBy.WINDOW, stop, schedule.name)


def _cut(meter: Meter, ended: Ended) -> Ended:
    """The end of a lease or window, by the lone stop that cut it if one did."""
    stopper = None if ended.cause is EndedBy.HAND else meter.stopped_by(ended.at)
    return Ended(EndedBy.SCHEDULE, ended.at, stopper) if stopper else ended


def _last_close(schedule: Schedule, meter: Meter, now: datetime) -> datetime | None:
    """When a window of the schedule closed last, apart from windows that are held."""
    last = None
    back = now - (_A_WEEK_BACK if schedule.is_weekly else _MONTHS_BACK) - schedule.longest
    begin = datetime.min.replace(tzinfo=UTC) if schedule.on_date else back
    for window in meter.windows_of(schedule, begin):
        if window.start > now:
            break
        if window.stop <= now:
            last = max(last or window.stop, window.stop)
    return last


def _iso(instant: datetime | None) -> str:
    return f"{instant:%Y-%m-%dT%H:%M:%SZ}"
