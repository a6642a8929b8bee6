"""Which days of the calendar a schedule names: days of the week, of the month, or such as the first
Thursday of the month."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Collection, Sequence
from datetime import date
from functools import lru_cache

from lambdas.core.errors import InvalidField

Day = str | int
"""`mon`, `first mon`, `last mon`, or the number of a day of the month."""

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
ORDINALS = ("first", "second", "third", "fourth", "fifth", "last")
NUMBERS = tuple(range(1, 32))
DAYS: tuple[Day, ...] = (
    *WEEKDAYS,
    *(f"{ordinal} {weekday}" for ordinal in ORDINALS for weekday in WEEKDAYS),
    *NUMBERS,
)


@lru_cache(maxsize=4096)
def names_of(day: date) -> frozenset[Day]:
    """All members of DAYS that name this day."""
    weekday = WEEKDAYS[day.weekday()]
    names: set[Day] = {weekday, f"{ORDINALS[(day.day - 1) // 7]} {weekday}", day.day}
    if day.day + len(WEEKDAYS) > monthrange(day.year, day.month)[1]:
        names.add(f"last {weekday}")
    return frozenset(names)


def weekly(days: Collection[Day]) -> bool:
    """Whether each week has the same days."""
    return all(day in WEEKDAYS for day in days)


@lru_cache(maxsize=256)
def every_day(days: frozenset[Day]) -> bool:
    """Whether they name every day there is."""
    return all(
        number in days
        or weekday in days
        or f"{ORDINALS[(number - 1) // 7]} {weekday}" in days
        # From the 25th on it is the last of its month, whichever month that is.
        or (number > NUMBERS[-1] - len(WEEKDAYS) and f"last {weekday}" in days)
        for number in NUMBERS
        for weekday in WEEKDAYS
    )


def in_order(days: Collection[Day]) -> list[Day]:
    return sorted(days, key=DAYS.index)


def parse_day(value: object, field: str) -> Day:
    """A member of DAYS. Raises InvalidField."""
    if not isinstance(value, str | int) or isinstance(value, bool) or value not in DAYS:
        raise InvalidField(
            field,
            f"must be one of {', '.join(WEEKDAYS)}, one of them after {', '.join(ORDINALS)} "
            "(such as 'first mon'), or a day of the month from 1 to 31",
        )
    return value


def parse_days(value: object, field: str) -> frozenset[Day]:
    """A non-empty array of members of DAYS. Raises InvalidField."""
    if not isinstance(value, Sequence) or isinstance(value, str) or not value:
        raise InvalidField(field, "must be a non-empty array such as ['mon', 'fri']")
    days: set[Day] = set()
    for index, each in enumerate(value):
        day = parse_day(each, f"{field}[{index}]")
        if day in days:
            raise InvalidField(f"{field}[{index}]", f"'{day}' is listed twice")
        days.add(day)
    return frozenset(days)
