"""Schedules: the windows in which they keep an endpoint open, and the instants at which they stop
it.

A boundary is the first UTC instant at which the clock of the time zone reads (date, time) or later.
This covers all clock changes. Windows are half-open, [start, stop).
"""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache, lru_cache
from typing import Any, TypeVar

from lambdas.core.days import Day, every_day, in_order, names_of, parse_days, weekly
from lambdas.core.errors import InvalidField

# Lambda images and laptops have old time-zone data or none. The pinned package `tzdata` is the only
# source, so that all machines compute the same instants.
zoneinfo.reset_tzpath(())

FIRST_YEAR, LAST_YEAR = 1970, 2999
MAX_EXCEPT_DATES = 400
MAX_WINDOW_MINUTES = 7 * 24 * 60
_ONE_DAY = timedelta(days=1)
_A_DAY = 24 * 60
_OFFSET_BY_NAME = re.compile(r"EST|MST|HST|(Etc/)?GMT[+-][1-9][0-9]?")
_Parsed = TypeVar("_Parsed")


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """One open stretch of a schedule, [start, stop), both aware and in UTC."""

    start: datetime
    stop: datetime

    def contains(self, instant: datetime) -> bool:
        return self.start <= instant < self.stop


@dataclass(frozen=True, slots=True)
class Schedule:
    """An interval schedule (`days`) or a date schedule (`on_date`), never both.

    With a start and a stop it has windows. A stop at or before the start is on the next day; equal
    times mean 24 hours. With a start and `minutes`, its windows are that long. With a stop alone it
    has no windows: what runs is stopped then. A window or stop is left out if it would be on one of
    the `except_dates`.
    """

    name: str
    start_time: time | None
    stop_time: time | None
    days: frozenset[Day] = frozenset()
    on_date: date | None = None
    timezone: str = "UTC"
    except_dates: frozenset[date] = frozenset()
    minutes: int | None = None

    def __post_init__(self) -> None:
        if len(self.except_dates) > MAX_EXCEPT_DATES:
            raise InvalidField("except_dates", f"at most {MAX_EXCEPT_DATES} dates a schedule")
        if not self.name.strip() or len(self.name) > 100:
            raise InvalidField("name", "must be 1 to 100 characters, such as 'workdays'")
        if bool(self.days) == (self.on_date is not None):
            raise InvalidField("days", "give either `days` or `date`, not both and not neither")
        if self.start_time is None and self.stop_time is None and self.minutes is not None:
            raise InvalidField("start_time", "is required with `minutes`: when do windows begin?")
        if self.start_time is None and self.stop_time is None:
            raise InvalidField("stop_time", "give a `start_time`, a `stop_time` or both")
        if self.minutes is not None and (self.start_time is None or self.stop_time is not None):
            raise InvalidField("minutes", "goes with a `start_time`, and in place of `stop_time`")
        if self.stop_time is None and self.minutes is None:
            raise InvalidField("stop_time", "give it, or `minutes`: when does the window end?")

    @property
    def stops_only(self) -> bool:
        """Whether it has no windows, but instants at which what runs is stopped."""
        return self.start_time is None

    @property
    def is_weekly(self) -> bool:
        """Whether each week is like the one before, apart from `except_dates`."""
        return weekly(self.days)

    @property
    def longest(self) -> timedelta:
        """No window of it is longer, apart from clock changes: in whole days."""
        return timedelta(days=1 + (self.minutes or 0) // _A_DAY)

    def without_effect(self, now: datetime) -> str | None:
        """A sentence for people, if it opens no window and stops nothing at `now` or later. Else
        None."""
        coming = self.stops_after(now) if self.stops_only else self.windows_from(now)
        if self.on_date is None or next(coming, None) is not None:
            return None
        if self.on_date in self.except_dates:
            why = "is one of its except_dates"
        elif not self.stops_only and self.window_on(self.on_date) is None:
            why = "has no such time: the clocks skip it"
        else:
            why = "is in the past"
        does = "stops anything" if self.stops_only else "opens"
        return f"schedule '{self.name}' never {does}: {self.on_date:%d/%m/%Y} {why}."

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
            self.minutes,
        )

    def acts_on(self, day: date) -> bool:
        """Whether a window starts, or a lone stop is, on `day`, a date in its time zone."""
        named = day == self.on_date if self.on_date else not self.days.isdisjoint(names_of(day))
        return named and day not in self.except_dates

    def never_closes(self, instant: datetime) -> bool:
        """Whether the schedule is open without a gap from before `instant`, for ever."""
        # A clock change makes a day longer than 24 hours.
        long = self.minutes >= 2 * _A_DAY if self.minutes else self.start_time == self.stop_time
        before = _local_date(self.timezone, instant) - self.longest
        return long and every_day(self.days) and all(day < before for day in self.except_dates)

    def window_on(self, day: date) -> Window | None:
        """The window that starts on `day`. None if a clock change skips all of it."""
        assert self.start_time is not None, "a lone stop has no windows"
        start = boundary(self.timezone, day, self.start_time)
        if self.minutes:
            return Window(start, start + timedelta(minutes=self.minutes))
        assert self.stop_time is not None
        stop_day = day if self.stop_time > self.start_time else day + _ONE_DAY
        stop = boundary(self.timezone, stop_day, self.stop_time)
        return Window(start, stop) if start < stop else None

    def windows_from(self, instant: datetime) -> Iterator[Window]:
        """The windows that end after `instant`, by start. Endless for interval schedules."""
        if self.stops_only:
            return
        # A window of yesterday may still be open. And if a clock change turns back over midnight,
        # the window of tomorrow may be open already.
        for day in self._days_from(instant, self.longest):
            window = self.window_on(day)
            if window and window.stop > instant:
                yield window

    def stops_after(self, instant: datetime) -> Iterator[datetime]:
        """The instants after `instant` at which a lone stop stops what runs. Endless for interval
        schedules."""
        if self.start_time is not None or self.stop_time is None:
            return
        for day in self._days_from(instant, _ONE_DAY):
            stop = boundary(self.timezone, day, self.stop_time)
            if stop > instant:
                yield stop

    def last_stop(self, now: datetime) -> datetime | None:
        """The last instant at or before `now` at which a lone stop stopped what ran."""
        if self.start_time is not None or self.stop_time is None:
            return None
        first = date(FIRST_YEAR, 1, 1)
        day = self.on_date or _local_date(self.timezone, now) + _ONE_DAY
        while day >= first:
            if self.acts_on(day):
                stop = boundary(self.timezone, day, self.stop_time)
                if stop <= now:
                    return stop
            if self.on_date:
                return None
            day -= _ONE_DAY
        return None

    def _days_from(self, instant: datetime, back: timedelta) -> Iterator[date]:
        """The days on which it acts. Those of an interval schedule: from so long before `instant`
        on."""
        if self.on_date:
            days: Iterator[date] = iter((self.on_date,))
        else:
            days = _days_from(_local_date(self.timezone, instant) - back)
        return (day for day in days if self.acts_on(day))

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Schedule:
        """Build a schedule from its JSON object. Raises InvalidField with the key."""
        unknown = sorted(set(document) - SCHEDULE_KEYS)
        if unknown:
            raise InvalidField(
                unknown[0], f"unknown key; known are {', '.join(sorted(SCHEDULE_KEYS))}"
            )
        if not isinstance(document.get("name"), str):
            raise InvalidField("name", "is required and must be a string")
        return cls(
            name=document["name"],
            start_time=_if_given(document, "start_time", parse_time),
            stop_time=_if_given(document, "stop_time", parse_time),
            minutes=_if_given(document, "minutes", parse_minutes),
            days=parse_days(document["days"], "days") if "days" in document else frozenset(),
            on_date=parse_date(document["date"], "date") if "date" in document else None,
            timezone=parse_timezone(document.get("timezone", "UTC"), "timezone"),
            except_dates=_parse_dates(document.get("except_dates", []), "except_dates"),
        )

    def document(self) -> dict[str, Any]:
        """The JSON object that `parse` reads."""
        shape: dict[str, Any] = {
            "name": self.name,
            **({"start_time": f"{self.start_time:%H:%M}"} if self.start_time else {}),
            **({"stop_time": f"{self.stop_time:%H:%M}"} if self.stop_time else {}),
            **({"minutes": self.minutes} if self.minutes else {}),
            "timezone": self.timezone,
        }
        if self.on_date:
            shape["date"] = f"{self.on_date:%d/%m/%Y}"
        else:
            shape["days"] = in_order(self.days)
        if self.except_dates:
            shape["except_dates"] = [f"{day:%d/%m/%Y}" for day in sorted(self.except_dates)]
        return shape


SCHEDULE_KEYS = frozenset(
    {"name", "start_time", "stop_time", "minutes", "days", "date", "timezone", "except_dates"}
)


@cache
def _zone(timezone: str) -> zoneinfo.ZoneInfo:
    """Parse each zone once: `zoneinfo` caches only eight."""
    return zoneinfo.ZoneInfo(timezone)


def fixed_offset(timezone: str, instant: datetime) -> str | None:
    """If the name of the zone means an offset, not a place: how its clock differs from UTC, in
    words. Else None."""
    if not _OFFSET_BY_NAME.fullmatch(timezone):
        return None
    offset = instant.astimezone(_zone(timezone)).utcoffset() or timedelta()
    hours = abs(offset) / timedelta(hours=1)
    side = "behind" if offset < timedelta() else "ahead of"
    return f"{hours:g} hours {side} UTC"


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


def parse_minutes(value: object, field: str) -> int:
    """The length of a window in minutes. Raises InvalidField."""
    if type(value) is not int or not 0 < value <= MAX_WINDOW_MINUTES:
        raise InvalidField(field, f"must be an integer from 1 to {MAX_WINDOW_MINUTES} (a week)")
    return value


def _if_given(
    document: Mapping[str, Any], key: str, parse: Callable[[object, str], _Parsed]
) -> _Parsed | None:
    return parse(document[key], key) if key in document else None


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
