"""The rule of running, written a second time and as simply as possible: this tries minute after
minute what the core computes directly."""

from __future__ import annotations

from calendar import monthcalendar
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from lambdas.core.days import WEEKDAYS
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


def acts_on(schedule: Schedule, day: date) -> bool:
    """Whether the schedule names this date of its time zone."""
    if day in schedule.except_dates:
        return False
    if schedule.on_date:
        return day == schedule.on_date
    weekday = day.weekday()
    column = [week[weekday] for week in monthcalendar(day.year, day.month) if week[weekday]]
    name = WEEKDAYS[weekday]
    if name in schedule.days or day.day in schedule.days:
        return True
    words = zip(("first", "second", "third", "fourth", "fifth"), column, strict=False)
    named = {number for word, number in words if f"{word} {name}" in schedule.days}
    named |= {column[-1]} if f"last {name}" in schedule.days else set()
    return day.day in named


@lru_cache(maxsize=4096)
def windows(schedule: Schedule, first: date, last: date) -> tuple[tuple[datetime, datetime], ...]:
    """The windows that start on these dates of the time zone, as the schedule has them."""
    found = []
    for day in _dates(first, last):
        if schedule.start_time is None or not acts_on(schedule, day):
            continue
        start = boundary(schedule.timezone, day, schedule.start_time)
        if schedule.stop_time is None:
            stop = start + timedelta(minutes=schedule.minutes or 0)
        else:
            over_night = schedule.stop_time <= schedule.start_time
            stop_day = day + _DAY if over_night else day
            stop = boundary(schedule.timezone, stop_day, schedule.stop_time)
        if start < stop:
            found.append((start, stop))
    return tuple(found)


def stops(schedules: Sequence[Schedule], first: date, last: date) -> Iterator[tuple[datetime, str]]:
    """The lone stops on these dates, with the names of their schedules."""
    for schedule in schedules:
        if schedule.start_time is None and schedule.stop_time is not None:
            for day in _dates(first, last):
                if acts_on(schedule, day):
                    yield boundary(schedule.timezone, day, schedule.stop_time), schedule.name


def stopped_at(schedules: Sequence[Schedule], instant: datetime) -> set[str]:
    """The names of the schedules with a lone stop at that instant."""
    day = instant.date()
    return {name for at, name in stops(schedules, day - _DAY, day + _DAY) if at == instant}


def lease_end(
    schedules: Sequence[Schedule], until: datetime | None, paid_at: datetime | None
) -> datetime | None:
    """When a lease ends that was last paid then: also at the first lone stop after that."""
    if until is None or paid_at is None:
        return until
    first, last = paid_at.date() - _DAY, until.date() + _DAY
    cuts = [at for at, _ in stops(schedules, first, last) if at > paid_at]
    return min([until, *cuts])


def open_windows(
    schedules: Sequence[Schedule], held_since: datetime | None, now: datetime
) -> Iterator[tuple[datetime, datetime, str]]:
    """The windows from some days before `now` and the names of their schedules: cut at lone stops,
    without those that a hold covers."""
    first, last = now.date() - 10 * _DAY, now.date() + 10 * _DAY
    cuts = [at for at, _ in stops(schedules, first, last + _DAY)]
    for schedule in schedules:
        for start, stop in windows(schedule, first, last):
            end = min([stop, *(at for at in cuts if at > start)])
            if held_since is None or not start <= held_since < end:
                yield start, end, schedule.name


def wanted(
    schedules: Sequence[Schedule],
    expires_at: datetime | None,
    held_since: datetime | None,
    now: datetime,
) -> bool:
    """`expires_at` is the `lease_end`."""
    if expires_at is not None and expires_at > now:
        return True
    return any(start <= now < stop for start, stop, _ in open_windows(schedules, held_since, now))


def next_look(
    schedules: Sequence[Schedule],
    expires_at: datetime | None,
    held_since: datetime | None,
    now: datetime,
) -> datetime | None:
    """The next instant at which `wanted` may change."""
    instants = [expires_at] if expires_at is not None and expires_at > now else []
    for start, stop, _ in open_windows(schedules, held_since, now):
        instants += [instant for instant in (start, stop) if instant > now]
    return min(instants, default=None)


def _dates(first: date, last: date) -> Iterator[date]:
    while first <= last:
        yield first
        first += _DAY
