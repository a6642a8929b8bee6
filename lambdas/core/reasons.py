"""Why an endpoint is wanted or not, at the instant of the question: pure, and never stored."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from lambdas.core.meter import Meter
from lambdas.core.schedule import Schedule
from lambdas.core.state import State

_LOOK_BACK = timedelta(days=8)
"""A schedule of days opens once a week at least, apart from its `except_dates`."""


def why_running(meter: Meter, now: datetime) -> str:
    """What keeps a wanted endpoint running: its lease, or else the open window that closes last."""
    if meter.leased(now):
        return f"the lease is paid until {_iso(meter.expires_at)}"
    stop, name = max((window.stop, name) for window, name in meter.open_windows(now))
    return f"the window '{name}' is open until {_iso(stop)}"


class Stop(NamedTuple):
    at: datetime
    cause: str


def why_stopped(stop: Stop | None) -> str:
    """Why an endpoint is not wanted, by its last stop."""
    return stop.cause if stop else "no lease was paid and no window has opened yet"


def last_stop(meter: Meter, state: State, now: datetime) -> Stop | None:
    """When an endpoint that is not wanted was last wanted, and what ended that. None: never."""
    stops = [stop for stop in _stops(meter, state, now) if stop.at <= now]
    return max(stops, key=lambda stop: stop.at, default=None)


def _stops(meter: Meter, state: State, now: datetime) -> Iterator[Stop]:
    # A stop by hand ends the lease, too. Of two causes at one instant the first one counts.
    by_hand = state.stopped_at or state.held_since
    if by_hand:
        yield Stop(by_hand.replace(microsecond=0), f"stopped by hand at {_iso(by_hand)}")
    if state.lease_end:
        yield Stop(state.lease_end, f"the lease ended at {_iso(state.lease_end)}")
    for schedule in meter.schedules:
        stop = _last_close(schedule, meter, now)
        if stop and (state.set_up_at is None or stop > state.set_up_at):
            yield Stop(stop, f"the window '{schedule.name}' closed at {_iso(stop)}")


def _last_close(schedule: Schedule, meter: Meter, now: datetime) -> datetime | None:
    """When a window of the schedule closed last, apart from windows that are held."""
    last = None
    begin = datetime.min.replace(tzinfo=UTC) if schedule.on_date else now - _LOOK_BACK
    for window in schedule.windows_from(begin):
        if window.stop > now:
            break
        if not meter.is_held(window):
            last = window.stop
    return last


def _iso(instant: datetime | None) -> str:
    return f"{instant:%Y-%m-%dT%H:%M:%SZ}"
