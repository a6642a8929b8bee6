"""Schedules and the windows in which they keep an endpoint open.

A boundary is the first UTC instant at which the clock of the time zone reads (date, time) or later.
This covers all clock changes. Windows are half-open, [start, stop).
"""

from __future__ import annotations

import zoneinfo
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache, lru_cache
from typing import Any

from lambdas.core.errors import InvalidField

# Lambda images and laptops have old time-zone data or none. The pinned package `tzdata` is the only
# source, so that all machines compute the same instants.
zoneinfo.reset_tzpath(())

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
FIRST_YEAR, LAST_YEAR = 1970, 2999
MAX_EXCEPT_DATES = 400
_ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """One open stretch of a schedule, [start, stop), both aware and in UTC."""

    start: datetime
    stop: datetime

    def contains(self, instant: datetime) -> bool:
        return self.start <= instant < self.stop


@dataclass(frozen=True, slots=True)
class Schedule:
    """An interval schedule (`days`, 0 is Monday) or a date schedule (`on_date`), never both.

    A stop at or before the start is on the next day; equal times mean 24 hours. A window is left
    out if it starts on one of the `except_dates`.
    """

    name: str
    start_time: time
    stop_time: time
    days: frozenset[int] = frozenset()
    on_date: date | None = None
    timezone: str = "UTC"
    except_dates: frozenset[date] = frozenset()

    def __post_init__(self) -> None:
        if len(self.except_dates) > MAX_EXCEPT_DATES:
            raise InvalidField("except_dates", f"at most {MAX_EXCEPT_DATES} dates a schedule")
        if not self.name.strip() or len(self.name) > 100:
            raise InvalidField("name", "must be 1 to 100 characters, such as 'workdays'")
        if bool(self.days) == (self.on_date is not None):
            raise InvalidField("days", "give either `days` or `date`, not both and not neither")

    def never_opens(self, now: datetime) -> str | None:
        """A sentence for people, if no window of it is open at `now` or later. Else None."""
        if self.on_date is None or next(self.windows_from(now), None) is not None:
            return None
        if self.on_date in self.except_dates:
            why = "is one of its except_dates"
        elif self.window_on(self.on_date) is None:
            why = "has no such time: the clocks skip it"
        else:
            why = "is in the past"
        return f"schedule '{self.name}' never opens: {self.on_date:%d/%m/%Y} {why}."

    @property
    def pattern(self) -> tuple[object, ...]:
        """All fields but the name. Schedules with the same pattern have the same windows."""
        return (
            self.start_time,
            self.stop_time,
            self.days,
            self.on_date,
            self.timezone,
            self.except_dates,
        )

    def starts_on(self, day: date) -> bool:
        """Whether a window of this schedule starts on `day`, a date in its time zone."""
        matches = day == self.on_date if self.on_date else day.weekday() in self.days
        return matches and day not in self.except_dates

    def never_closes(self, instant: datetime) -> bool:
        """Whether the schedule is open without a gap from before `instant`, for ever."""
        round_the_clock = len(self.days) == len(WEEKDAYS) and self.start_time == self.stop_time
        return round_the_clock and all(
            day < _local_date(self.timezone, instant) - _ONE_DAY for day in self.except_dates
        )

    def window_on(self, day: date) -> Window | None:
        """The window that starts on `day`. None if a clock change skips all of it."""
        start = boundary(self.timezone, day, self.start_time)
        stop_day = day if self.stop_time > self.start_time else day + _ONE_DAY
        stop = boundary(self.timezone, stop_day, self.stop_time)
        return Window(start, stop) if start < stop else None

    def windows_from(self, instant: datetime) -> Iterator[Window]:
        """The windows that end after `instant`, by start. Endless for interval schedules."""
        if self.on_date:
            days: Iterator[date] = iter((self.on_date,))
        else:
            # Begin a day early: a window of yesterday may still be open. And if a clock change
            # turns back over midnight, the window of tomorrow may be open already.
            days = _days_from(_local_date(self.timezone, instant) - _ONE_DAY)
        for day in days:
            if self.starts_on(day):
                window = self.window_on(day)
                if window and window.stop > instant:
                    yield window

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Schedule:
        """Build a schedule from its JSON object. Raises InvalidField with the key."""
        unknown = sorted(set(document) - SCHEDULE_KEYS)
        if unknown:
            raise InvalidField(
                unknown[0], f"unknown key; known are {', '.join(sorted(SCHEDULE_KEYS))}"
            )
        for key in ("name", "start_time", "stop_time"):
            if not isinstance(document.get(key), str):
                raise InvalidField(key, "is required and must be a string")
        return cls(
            name=document["name"],
            start_time=parse_time(document["start_time"], "start_time"),
            stop_time=parse_time(document["stop_time"], "stop_time"),
            days=parse_days(document["days"], "days") if "days" in document else frozenset(),
            on_date=parse_date(document["date"], "date") if "date" in document else None,
            timezone=parse_timezone(document.get("timezone", "UTC"), "timezone"),
            except_dates=_parse_dates(document.get("except_dates", []), "except_dates"),
        )

    def document(self) -> dict[str, Any]:
        """The JSON object that `parse` reads."""
        shape: dict[str, Any] = {
            "name": self.name,
            "start_time": f"{self.start_time:%H:%M}",
            "stop_time": f"{self.stop_time:%H:%M}",
            "timezone": self.timezone,
        }
        if self.on_date:
            shape["date"] = f"{self.on_date:%d/%m/%Y}"
        else:
            shape["days"] = [WEEKDAYS[day] for day in sorted(self.days)]
        if self.except_dates:
            shape["except_dates"] = [f"{day:%d/%m/%Y}" for day in sorted(self.except_dates)]
        return shape


SCHEDULE_KEYS = frozenset(
    {"name", "start_time", "stop_time", "days", "date", "timezone", "except_dates"}
)


@cache
def _zone(timezone: str) -> zoneinfo.ZoneInfo:
    """Parse each zone once: `zoneinfo` caches only eight."""
    return zoneinfo.ZoneInfo(timezone)


@lru_cache(maxsize=16384)
def boundary(timezone: str, day: date, at: time) -> datetime:
    """The first UTC instant at which the clock of the time zone reads (day, at) or later."""
    zone = _zone(timezone)
    local = datetime.combine(day, at, zone)
    offset, other = local.utcoffset(), local.replace(fold=1).utcoffset()
    assert offset is not None
    assert other is not None
    naive = datetime.combine(day, at, UTC)
    if offset >= other:  # the time exists once, or twice: then fold=0 is the first one
        return naive - offset
    # The time is skipped: the clock change lies between these two instants.
    before, after = naive - other, naive - offset
    wall = datetime.combine(day, at)
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=(after - before) // timedelta(seconds=2))
        if middle.astimezone(zone).replace(tzinfo=None) >= wall:
            after = middle
        else:
            before = middle
    return after


@lru_cache(maxsize=1024)
def clock_changes(timezone: str, year: int) -> tuple[datetime, ...]:
    """The days of a year (as UTC midnights) on which the offset of the zone differs from that of
    the day before."""
    zone, first = _zone(timezone), datetime(year, 1, 1, tzinfo=UTC)
    days = [first + timedelta(days=number) for number in range(-1, 367)]
    offsets = [day.astimezone(zone).utcoffset() for day in days]
    return tuple(
        day
        for day, offset, before in zip(days[1:], offsets[1:], offsets, strict=False)
        if offset != before
    )


def parse_time(text: object, field: str) -> time:
    """`hh:mm`, 00:00 to 23:59. Raises InvalidField."""
    if isinstance(text, str) and len(text) == 5 and text[2] == ":" and text.isascii():
        hour, minute = text[:2], text[3:]
        if hour.isdigit() and minute.isdigit() and int(hour) < 24 and int(minute) < 60:
            return time(int(hour), int(minute))
    raise InvalidField(field, "must be a time 'hh:mm' from 00:00 to 23:59, such as '09:00'")


def parse_date(text: object, field: str) -> date:
    """`dd/mm/yyyy`. Raises InvalidField."""
    if isinstance(text, str) and len(text) == 10 and text.isascii():
        day, month, year = text[:2], text[3:5], text[6:]
        if text[2] == text[5] == "/" and (day + month + year).isdigit():
            try:
                parsed = date(int(year), int(month), int(day))
            except ValueError as error:
                raise InvalidField(field, f"'{text}' is no day of the calendar") from error
            if FIRST_YEAR <= parsed.year <= LAST_YEAR:
                return parsed
    raise InvalidField(field, "must be a date 'dd/mm/yyyy', such as '31/12/2027'")


def parse_days(value: object, field: str) -> frozenset[int]:
    """A non-empty array of `mon` … `sun`. Raises InvalidField."""
    if not isinstance(value, Sequence) or isinstance(value, str) or not value:
        raise InvalidField(field, "must be a non-empty array such as ['mon', 'fri']")
    numbers = set()
    for index, day in enumerate(value):
        if day not in WEEKDAYS:
            raise InvalidField(f"{field}[{index}]", f"must be one of {', '.join(WEEKDAYS)}")
        if WEEKDAYS.index(day) in numbers:
            raise InvalidField(f"{field}[{index}]", f"'{day}' is listed twice")
        numbers.add(WEEKDAYS.index(day))
    return frozenset(numbers)


def parse_timezone(text: object, field: str) -> str:
    """A TZ identifier that the pinned tzdata knows. Raises InvalidField."""
    if isinstance(text, str) and text.isascii() and text.isprintable():
        try:
            _zone(text)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            pass
        else:
            return text
    raise InvalidField(field, "must be a TZ identifier such as 'Australia/Melbourne' or 'UTC'")


def _parse_dates(value: object, field: str) -> frozenset[date]:
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise InvalidField(field, "must be an array of dates 'dd/mm/yyyy'")
    return frozenset(parse_date(text, f"{field}[{i}]") for i, text in enumerate(value))


def _local_date(timezone: str, instant: datetime) -> date:
    return instant.astimezone(_zone(timezone)).date()


def _days_from(day: date) -> Iterator[date]:
    while True:
        yield day
        day += _ONE_DAY
