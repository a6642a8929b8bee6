"""The rule of running, written a second time and as simply as possible: this tries minute after
minute what the core computes directly."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from lambdas.core.schedule import Schedule

_DAY = timedelta(days=1)
_MINUTE = timedelta(minutes=1)


@lru_cache(maxsize=65536)
def boundary(timezone: str, day: date, at: time) -> datetime:
    """The first UTC minute at which the clock of the time zone reads (day, at) or later."""
    zone = ZoneInfo(timezone)
    wall = datetime.combine(day, at)
    around = datetime.combine(day, time(12), UTC)
    offsets = [(around + _DAY * n).astimezone(zone).utcoffset() or timedelta() for n in (-2, 0, 2)]
    instant = wall.replace(tzinfo=UTC) - max(offsets)
    while instant.astimezone(zone).replace(tzinfo=None) < wall:
        instant += _MINUTE
    return instant


@lru_cache(maxsize=4096)
def windows(schedule: Schedule, first: date, last: date) -> tuple[tuple[datetime, datetime], ...]:
    """The windows that start on these dates of the time zone."""
    found = []
    day = first
    while day <= last:
        matches = schedule.on_date == day if schedule.on_date else day.weekday() in schedule.days
        if matches and day not in schedule.except_dates:
            start = boundary(schedule.timezone, day, schedule.start_time)
            over_night = schedule.stop_time <= schedule.start_time
            stop = boundary(
                schedule.timezone, day + _DAY if over_night else day, schedule.stop_time
            )
            if start < stop:
                found.append((start, stop))
        day += _DAY
    return tuple(found)


def open_windows(
    schedules: Sequence[Schedule], held_since: datetime | None, now: datetime
) -> Iterator[tuple[datetime, datetime]]:
    """The windows from some days before `now`, without those that a hold covers."""
    first, last = now.date() - 3 * _DAY, now.date() + 10 * _DAY
    for schedule in schedules:
        for start, stop in windows(schedule, first, last):
            if held_since is None or not start <= held_since < stop:
                yield start, stop


def wanted(
    schedules: Sequence[Schedule],
    expires_at: datetime | None,
    held_since: datetime | None,
    now: datetime,
) -> bool:
    if expires_at is not None and expires_at > now:
        return True
    return any(start <= now < stop for start, stop in open_windows(schedules, held_since, now))


def next_look(
    schedules: Sequence[Schedule],
    expires_at: datetime | None,
    held_since: datetime | None,
    now: datetime,
) -> datetime | None:
    """The next instant at which `wanted` may change."""
    instants = [expires_at] if expires_at is not None and expires_at > now else []
    for start, stop in open_windows(schedules, held_since, now):
        instants += [instant for instant in (start, stop) if instant > now]
    return min(instants, default=None)
