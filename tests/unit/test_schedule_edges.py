"""Schedules and meters at their edges, each with the instant written out. That they agree with a
walk through time is tested in `test_schedule.py`."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest

from lambdas.core.days import WEEKDAYS, Day, parse_days
from lambdas.core.errors import InvalidField
from lambdas.core.meter import Meter
from lambdas.core.schedule import (
    Schedule,
    Window,
    boundary,
    clock_changes,
    parse_date,
    parse_time,
    parse_timezone,
)
from tests.fakes import clock

DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEK: dict[str, Any] = {"name": "w", "start_time": "09:00", "stop_time": "17:00", "days": ["mon"]}
ALWAYS = Schedule("always", time(0), time(0), days=frozenset(WEEKDAYS))


def on(day: int, hour: int = 0, minute: int = 0, month: int = 3) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=UTC)


# --- documents --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "document",
    [
        {**WEEK, "timezone": "UTC"},
        {**WEEK, "days": ["mon", "sun"], "timezone": "Europe/Berlin"},
        {**WEEK, "timezone": "UTC", "except_dates": ["06/04/2026", "25/12/2026"]},
        {
            "name": "once",
            "start_time": "22:30",
            "stop_time": "06:05",
            "timezone": "UTC",
            "date": "24/12/2026",
        },
    ],
)
def test_schedule_comes_back_from_its_document(document: dict[str, Any]) -> None:
    assert Schedule.parse(document).document() == document


@pytest.mark.parametrize(
    ("changes", "field", "told"),
    [
        ({"planet": 1}, "planet", "unknown key; known are date, days, except_dates, minutes,"),
        ({"name": 5}, "name", "is required and must be a string"),
        ({"start_time": None}, "start_time", "must be a time 'hh:mm'"),
        ({"stop_time": 9}, "stop_time", "must be a time 'hh:mm'"),
        ({"minutes": 60}, "minutes", "in place of `stop_time`"),
        ({"minutes": True}, "minutes", "must be an integer from 1 to 10080"),
        ({"minutes": 0}, "minutes", "must be an integer from 1 to 10080"),
        ({"minutes": 10_081}, "minutes", "must be an integer from 1 to 10080"),
        ({"name": "  "}, "name", "must be 1 to 100 characters"),
        ({"name": "x" * 101}, "name", "must be 1 to 100 characters"),
        ({"start_time": "24:00"}, "start_time", "must be a time 'hh:mm'"),
        ({"stop_time": "9:00"}, "stop_time", "must be a time 'hh:mm'"),
        ({"days": []}, "days", "must be a non-empty array"),
        ({"days": "mon"}, "days", "must be a non-empty array"),
        ({"days": ["mon", "today"]}, "days[1]", "must be one of mon, tue, wed"),
        ({"days": ["mon", "mon"]}, "days[1]", "'mon' is listed twice"),
        ({"date": "01/01/2026"}, "days", "give either `days` or `date`"),
        ({"timezone": "Mars/Base"}, "timezone", "must be a TZ identifier"),
        ({"timezone": None}, "timezone", "must be a TZ identifier"),
        ({"except_dates": "01/01/2026"}, "except_dates", "must be an array of dates"),
        ({"except_dates": ["1/1/2026"]}, "except_dates[0]", "must be a date 'dd/mm/yyyy'"),
    ],
)
def test_wrong_schedule_names_the_key_and_what_is_right(
    changes: dict[str, Any], field: str, told: str
) -> None:
    with pytest.raises(InvalidField) as refused:
        Schedule.parse({**WEEK, **changes})

    assert refused.value.field == field
    assert told in refused.value.sentence


def test_name_of_a_hundred_letters_and_four_hundred_except_dates_are_taken() -> None:
    dates = frozenset(date(2026, 1, 1) + timedelta(days=number) for number in range(401))
    most = frozenset(sorted(dates)[:400])

    longest = Schedule("x" * 100, time(9), time(10), frozenset({"mon"}), except_dates=most)
    assert len(longest.except_dates) == 400
    with pytest.raises(InvalidField) as refused:
        Schedule("x", time(9), time(10), frozenset({"mon"}), except_dates=dates)
    assert refused.value.field == "except_dates"


@pytest.mark.parametrize(("text", "read"), [("00:00", time(0)), ("23:59", time(23, 59))])
def test_times_of_a_day_are_read(text: str, read: time) -> None:
    assert parse_time(text, "t") == read


@pytest.mark.parametrize(
    "text", ["24:00", "23:60", "9:00", "09.00", "0900", "\u0660\u0669:\u0660\u0660", "-1:00", 900]
)
def test_what_is_no_time_of_a_day_is_refused(text: object) -> None:
    with pytest.raises(InvalidField):
        parse_time(text, "t")


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("01/01/1970", date(1970, 1, 1)),
        ("31/12/2999", date(2999, 12, 31)),
        ("29/02/2028", date(2028, 2, 29)),
    ],
)
def test_dates_of_the_calendar_are_read(text: str, read: date) -> None:
    assert parse_date(text, "d") == read


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("29/02/2026", "'29/02/2026' is no day of the calendar"),
        ("31/12/1969", "must be a date"),
        ("01/01/3000", "must be a date"),
        ("01-01-2026", "must be a date"),
        ("01/01-2026", "must be a date"),
        ("01-01/2026", "must be a date"),
        ("1/1/2026", "must be a date"),
        ("aa/01/2026", "must be a date"),
        ("\u0660\u0661/\u0660\u0661/\u0662\u0660\u0662\u0666", "must be a date"),
        (20260101, "must be a date"),
    ],
)
def test_what_is_no_date_is_refused(text: object, told: str) -> None:
    with pytest.raises(InvalidField, match=told):
        parse_date(text, "d")


def test_days_are_names_of_days_and_numbers_in_the_month() -> None:
    assert parse_days(DAYS, "days") == frozenset(WEEKDAYS)
    assert parse_days(("sun", "first mon", 31), "days") == {"sun", "first mon", 31}


@pytest.mark.parametrize("text", ["Mars/Base", "", "Europe/Berlin\n", "Zürich", "../etc", 5, None])
def test_what_is_no_time_zone_is_refused(text: object) -> None:
    with pytest.raises(InvalidField):
        parse_timezone(text, "timezone")


# --- windows ----------------------------------------------------------------------------------


def test_window_contains_its_start_and_not_its_stop() -> None:
    window = Window(on(2, 9), on(2, 17))

    assert [window.contains(on(2, hour)) for hour in (8, 9, 16, 17)] == [False, True, True, False]


def test_windows_of_days_begin_with_the_one_that_is_still_open() -> None:
    night = Schedule("n", time(22), time(6), days=frozenset({"mon", "wed"}))
    windows = night.windows_from(on(3, 5))

    assert next(windows) == Window(on(2, 22), on(3, 6))
    assert next(windows) == Window(on(4, 22), on(5, 6))
    assert next(night.windows_from(on(3, 6))) == Window(on(4, 22), on(5, 6))


def test_equal_times_are_a_whole_day_and_a_date_opens_once() -> None:
    day = Schedule("d", time(9), time(9), on_date=date(2026, 3, 4))

    assert list(day.windows_from(on(2))) == [Window(on(4, 9), on(5, 9))]
    assert list(day.windows_from(on(5, 9))) == []
    skipped = Schedule(
        "d", time(9), time(9), on_date=date(2026, 3, 4), except_dates=frozenset({date(2026, 3, 4)})
    )
    assert list(skipped.windows_from(on(2))) == []


@pytest.mark.parametrize(
    ("day", "at", "instant"),
    [
        (date(2026, 3, 28), time(2, 30), on(28, 1, 30)),
        (date(2026, 3, 29), time(2, 30), on(29, 1)),
        (date(2026, 3, 29), time(3, 0), on(29, 1)),
        (date(2026, 3, 29), time(3, 30), on(29, 1, 30)),
        (date(2026, 10, 25), time(2, 30), on(25, 0, 30, month=10)),
        (date(2026, 10, 25), time(3, 0), on(25, 2, month=10)),
    ],
    ids=["before", "skipped", "the first that exists", "after", "twice: the first", "after that"],
)
def test_boundary_is_the_first_instant_at_which_the_clock_reads_the_time(
    day: date, at: time, instant: datetime
) -> None:
    assert boundary("Europe/Berlin", day, at) == instant


def test_days_on_which_the_clocks_change_are_known() -> None:
    assert clock_changes("Europe/Berlin", 2026) == (on(30), on(26, month=10))
    assert clock_changes("UTC", 2026) == ()
    assert clock_changes("Australia/Melbourne", 2026) == (on(5, month=4), on(4, month=10))


def test_window_that_the_clocks_skip_never_opens() -> None:
    def why(**fields: Any) -> str | None:
        start, stop = fields.pop("start", time(2)), fields.pop("stop", time(3))
        return Schedule("s", start, stop, timezone="Europe/Berlin", **fields).without_effect(on(2))

    day = date(2026, 3, 29)
    assert why(on_date=day) == (
        "schedule 's' never opens: 29/03/2026 has no such time: the clocks skip it."
    )
    assert why(on_date=day, except_dates=frozenset({day})) == (
        "schedule 's' never opens: 29/03/2026 is one of its except_dates."
    )
    assert why(on_date=date(2026, 3, 1)) == "schedule 's' never opens: 01/03/2026 is in the past."
    assert why(on_date=day, stop=time(4)) is None
    assert why(days=frozenset({"sun"})) is None


def test_schedules_that_differ_in_their_names_only_have_one_pattern() -> None:
    one, other = (Schedule(name, time(9), time(10), frozenset({"mon"})) for name in "ab")

    assert one.pattern == other.pattern
    for changes in (
        {"start_time": "08:00"},
        {"stop_time": "18:00"},
        {"days": ["tue"]},
        {"timezone": "Europe/Berlin"},
        {"except_dates": ["06/04/2026"]},
    ):
        assert Schedule.parse({**WEEK, **changes}).pattern != Schedule.parse(WEEK).pattern


def test_round_the_clock_never_closes_once_its_last_except_date_is_past() -> None:
    def never(
        *dates: date, days: frozenset[Day] = frozenset(WEEKDAYS), stop: time = time(0)
    ) -> bool:
        return Schedule("s", time(0), stop, days, except_dates=frozenset(dates)).never_closes(
            on(10)
        )

    assert never()
    assert never(date(2026, 3, 8))
    assert not never(date(2026, 3, 9))
    assert not never(date(2026, 4, 1))
    assert not never(days=frozenset(WEEKDAYS[:6]))
    assert not never(stop=time(23))


# --- the meter --------------------------------------------------------------------------------


def test_lease_wants_it_until_its_end_and_not_at_it() -> None:
    meter = Meter(clock(10))

    assert [meter.wanted(clock(9, 59, 59)), meter.wanted(clock(10))] == [True, False]
    assert meter.next_transition(clock(9)) == clock(10)
    assert meter.next_transition(clock(10)) is None
    assert meter.wanted_until(clock(9)) == clock(10)


def test_lease_and_windows_that_touch_or_overlap_are_one_stretch() -> None:
    office = Schedule("o", time(9), time(17), frozenset({"mon"}))
    evening = Schedule("e", time(17), time(20), frozenset({"mon"}))
    later = Schedule("l", time(21), time(22), frozenset({"mon"}))

    assert Meter(None, (office, evening, later)).wanted_until(on(2, 10)) == on(2, 20)
    assert Meter(on(2, 21), (office, evening, later)).wanted_until(on(2, 10)) == on(2, 22)
    assert Meter(on(2, 8, 59), (office,)).next_transition(on(2, 8)) == on(2, 8, 59)
    assert Meter(on(2, 9), (office,)).next_transition(on(2, 8)) == on(2, 17)
    assert Meter(on(2, 12), (office,)).next_transition(on(2, 8)) == on(2, 17)
    assert Meter(None, (office,)).next_transition(on(2, 8)) == on(2, 9)
    assert Meter(None, (office,)).next_transition(on(2, 17)) == on(9, 9)


def test_hold_closes_the_windows_around_it_and_no_others() -> None:
    office = Schedule("o", time(9), time(17), frozenset({"mon", "tue"}))
    held = Meter(None, (office,), on(2, 12))

    assert not held.window_open(on(2, 13))
    assert held.next_transition(on(2, 13)) == on(3, 9)
    assert list(held.open_windows(on(2, 13))) == []
    assert list(held.open_windows(on(3, 9))) == [(Window(on(3, 9), on(3, 17)), "o")]
    assert Meter(None, (office,), on(2, 17)).window_open(on(2, 13))


def test_lease_in_a_held_window_without_end_stops_with_the_lease() -> None:
    held = Meter(on(2, 10), (ALWAYS,), on(2, 9))

    assert held.wanted_until(on(2, 9, 30)) == on(2, 10)
    assert held.next_transition(on(2, 10)) == on(3)
    assert held.wanted_until(on(3)) is None
    assert Meter(None, (ALWAYS,)).wanted_until(on(2)) is None


def test_except_date_far_ahead_closes_what_is_open_round_the_clock() -> None:
    far = date(2026, 12, 24)
    holiday = Schedule("h", time(0), time(0), frozenset(WEEKDAYS), except_dates=frozenset({far}))
    filler = Schedule("f", time(0), time(0), on_date=far)

    assert Meter(None, (holiday,)).wanted_until(on(2)) == on(24, month=12)
    assert Meter(None, (holiday, filler)).wanted_until(on(2)) is None
    soon = Schedule(
        "s", time(0), time(0), frozenset(WEEKDAYS), except_dates=frozenset({date(2026, 3, 20)})
    )
    assert Meter(None, (soon,)).wanted_until(on(2)) == on(20)
    assert Meter(None, (soon,)).wanted_until(on(21)) is None


def test_clock_change_of_one_zone_opens_a_gap_between_two() -> None:
    """In winter the day of Berlin is 05:00 to 17:00 UTC, in summer 04:00 to 16:00."""
    day = Schedule("d", time(6), time(18), frozenset(WEEKDAYS), timezone="Europe/Berlin")
    night = Schedule("n", time(17), time(5), frozenset(WEEKDAYS))

    assert Meter(None, (day, night)).wanted_until(on(2, 12)) == on(29, 16)
