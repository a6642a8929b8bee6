"""Boundaries and windows, in hours when clocks change and in all other hours."""

from __future__ import annotations

import heapq
import time as stopwatch
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lambdas.core.days import DAYS, WEEKDAYS, Day
from lambdas.core.errors import InvalidField
from lambdas.core.meter import Meter
from lambdas.core.schedule import MAX_WINDOW_MINUTES, Schedule, Window, boundary

EVERY_DAY = frozenset(WEEKDAYS)
ZONES = (
    "UTC",
    "Australia/Melbourne",
    "Australia/Lord_Howe",  # half an hour of daylight saving
    "America/New_York",
    "America/St_Johns",
    "Europe/Dublin",  # negative daylight saving
    "Africa/Casablanca",  # clocks change around Ramadan
    "Asia/Kathmandu",
    "Pacific/Apia",  # skipped 30 December 2011
    "America/Goose_Bay",  # until 2011 fell back across midnight
)


def utc(*fields: int) -> datetime:
    return datetime(*fields, tzinfo=UTC)  # type: ignore[arg-type,misc]


def weekly(start: str, stop: str, zone: str = "UTC", days: frozenset[Day] = EVERY_DAY) -> Schedule:
    return Schedule(
        "s", time.fromisoformat(start), time.fromisoformat(stop), days=days, timezone=zone
    )


@pytest.mark.parametrize(
    ("zone", "day", "at", "expected"),
    [
        ("UTC", date(2026, 5, 1), time(9), utc(2026, 5, 1, 9)),
        ("Australia/Melbourne", date(2026, 1, 5), time(9), utc(2026, 1, 4, 22)),
        # 02:00-03:00 is skipped: a boundary in it is the instant at which the clock jumps.
        ("America/New_York", date(2026, 3, 8), time(2, 30), utc(2026, 3, 8, 7)),
        ("America/New_York", date(2026, 3, 8), time(3, 0), utc(2026, 3, 8, 7)),
        # 01:00-02:00 comes twice: the first one counts.
        ("America/New_York", date(2026, 11, 1), time(1, 30), utc(2026, 11, 1, 5, 30)),
        ("America/New_York", date(2026, 11, 1), time(2, 0), utc(2026, 11, 1, 7)),
        ("Australia/Lord_Howe", date(2026, 10, 4), time(2, 15), utc(2026, 10, 3, 15, 30)),
        # The zone skipped this day: a boundary on it is the start of the next day.
        ("Pacific/Apia", date(2011, 12, 30), time(12), utc(2011, 12, 30, 10)),
    ],
)
def test_boundary_is_the_first_instant_at_or_past_the_clock_time(
    zone: str, day: date, at: time, expected: datetime
) -> None:
    assert boundary(zone, day, at) == expected


@settings(max_examples=300, deadline=None)
@given(
    zone=st.sampled_from(ZONES),
    day=st.dates(date(2005, 1, 2), date(2035, 12, 30)),
    minute=st.integers(0, 1439),
)
def test_boundary_agrees_with_a_minute_by_minute_search(zone: str, day: date, minute: int) -> None:
    """Compare with a slow, obvious search: minute by minute until the clock shows that time."""
    at = time(minute // 60, minute % 60)
    wall = datetime.combine(day, at)
    instant = datetime.combine(day, at, UTC) - timedelta(hours=15)
    info = ZoneInfo(zone)
    while instant.astimezone(info).replace(tzinfo=None) < wall:
        instant += timedelta(minutes=1)
    assert boundary(zone, day, at) == instant


def test_stop_before_start_crosses_midnight_and_belongs_to_its_first_day() -> None:
    night = weekly("22:00", "06:00", days=frozenset({"fri"}))
    meter = Meter(schedules=[night])
    friday = utc(2026, 3, 6, 23)
    assert meter.wanted(friday)
    assert meter.wanted(friday + timedelta(hours=6))
    assert not meter.wanted(friday + timedelta(hours=7))
    assert not meter.wanted(utc(2026, 3, 6, 1)), "Thursday's night has no window"


def test_start_equal_to_stop_means_24_hours() -> None:
    window = weekly("09:00", "09:00", days=frozenset({"mon"})).window_on(date(2026, 3, 2))
    assert window == Window(utc(2026, 3, 2, 9), utc(2026, 3, 3, 9))


def test_window_of_24_hours_ends_at_the_same_clock_time_when_clocks_change() -> None:
    window = weekly("09:00", "09:00", "America/New_York").window_on(date(2026, 3, 7))
    assert window is not None
    assert window.stop - window.start == timedelta(hours=23)


def test_window_inside_an_hour_that_the_clocks_skip_is_empty() -> None:
    schedule = weekly("02:15", "02:45", "America/New_York")
    assert schedule.window_on(date(2026, 3, 8)) is None
    assert schedule.window_on(date(2026, 3, 9)) is not None


def test_window_in_an_hour_that_comes_twice_opens_once() -> None:
    """On the night when the clocks go back, 01:15-01:45 is one window of half an hour."""
    meter = Meter(schedules=[weekly("01:15", "01:45", "America/New_York")])
    start = utc(2026, 11, 1, 5, 15)
    assert meter.next_transition(utc(2026, 11, 1, 4)) == start
    assert meter.next_transition(start) == start + timedelta(minutes=30)
    following = meter.next_transition(start + timedelta(minutes=30))
    assert following == utc(2026, 11, 2, 6, 15)


def test_window_of_tomorrow_is_open_while_the_clock_still_reads_today() -> None:
    """In Goose Bay the clocks went back from 00:01 to 23:01. The window opened at 00:00 and stays
    open."""
    fell_back = utc(2010, 11, 7, 3, 1)
    meter = Meter(schedules=[weekly("00:00", "01:00", "America/Goose_Bay")])
    reading = fell_back.astimezone(ZoneInfo("America/Goose_Bay"))
    assert reading.date() == date(2010, 11, 6)
    assert meter.wanted(fell_back)


def test_leap_day_opens_its_window() -> None:
    leap = Schedule("leap", time(9), time(17), on_date=date(2028, 2, 29))
    meter = Meter(schedules=[leap])
    assert meter.next_transition(utc(2027, 3, 1)) == utc(2028, 2, 29, 9)


def test_except_dates_subtract_the_windows_that_start_on_them() -> None:
    night = Schedule(
        "night",
        time(22),
        time(6),
        days=EVERY_DAY,
        except_dates=frozenset({date(2026, 12, 24)}),
    )
    meter = Meter(schedules=[night])
    assert meter.wanted(utc(2026, 12, 24, 3)), "the window of the 23rd is not cut"
    assert not meter.wanted(utc(2026, 12, 24, 23))
    assert meter.next_transition(utc(2026, 12, 24, 6)) == utc(2026, 12, 25, 22)


def test_touching_windows_of_several_schedules_are_one() -> None:
    meter = Meter(schedules=[weekly("09:00", "12:00"), weekly("12:00", "17:00")])
    assert meter.wanted_until(utc(2026, 3, 2, 10)) == utc(2026, 3, 2, 17)


def test_lease_and_windows_merge_into_one_end() -> None:
    meter = Meter(utc(2026, 3, 2, 9, 30), [weekly("09:00", "17:00")])
    assert meter.wanted_until(utc(2026, 3, 2, 8)) == utc(2026, 3, 2, 17)
    assert Meter(utc(2026, 3, 2, 8, 30), meter.schedules).wanted_until(utc(2026, 3, 2, 8)) == utc(
        2026, 3, 2, 8, 30
    )


def test_lease_is_half_open() -> None:
    meter = Meter(utc(2026, 3, 2, 9))
    assert meter.wanted(utc(2026, 3, 2, 9) - timedelta(microseconds=1))
    assert not meter.wanted(utc(2026, 3, 2, 9))


@pytest.mark.parametrize(
    "schedules",
    [
        [weekly("00:00", "00:00")],
        [weekly("08:00", "20:00", "Asia/Tokyo"), weekly("20:00", "08:00", "Asia/Tokyo")],
        [weekly("00:00", "00:00", "UTC"), weekly("09:00", "10:00", "America/New_York")],
    ],
)
def test_schedules_without_a_gap_are_open_for_ever(schedules: list[Schedule]) -> None:
    meter = Meter(schedules=schedules)
    assert meter.wanted_until(utc(2026, 3, 2, 9)) is None
    assert meter.next_transition(utc(2026, 3, 2, 9)) is None


def almost_always_open(zones: Sequence[str]) -> st.SearchStrategy[list[Schedule]]:
    """Sets of schedules that leave few gaps, or none."""
    halves = st.sampled_from(
        [
            ("00:00", "00:00"),
            ("00:00", "12:00"),
            ("12:00", "00:00"),
            ("06:00", "07:00"),
            ("23:00", "13:00"),
        ]
    )
    dates = st.frozensets(st.dates(date(2026, 3, 1), date(2027, 12, 31)), max_size=3)
    days = st.sampled_from(
        [EVERY_DAY, EVERY_DAY - {"sun"}, frozenset({"sun"}), frozenset({"wed", "sun"})]
    )
    one = st.builds(
        lambda half, zone, days, except_dates: replace(
            weekly(half[0], half[1], zone, days), except_dates=except_dates
        ),
        halves,
        st.sampled_from(zones),
        days,
        dates,
    )
    return st.lists(one, min_size=1, max_size=5)


@settings(max_examples=120, deadline=None)
@given(
    schedules=almost_always_open(["UTC", "Europe/Berlin", "America/New_York"]),
    day=st.integers(0, 500),
)
def test_end_of_long_open_periods_agrees_with_a_walk_window_by_window(
    schedules: list[Schedule], day: int
) -> None:
    """Compare with a slow, obvious search: follow the windows for three years."""
    instant = utc(2026, 3, 1, 12) + timedelta(days=day)
    limit = instant + timedelta(days=1100)
    end = instant
    for window in heapq.merge(*(s.windows_from(instant) for s in schedules)):
        if window.start > end or end > limit:
            break
        end = max(end, window.stop)
    assert Meter(schedules=schedules).wanted_until(instant) == (None if end > limit else end)


def test_gap_is_found_a_week_later_if_a_clock_change_removes_it_once() -> None:
    """Open except on Sundays 02:00-03:00 in New York. On 8 March 2026 that hour does not exist."""
    sunday, others = frozenset({"sun"}), frozenset(WEEKDAYS[:6])
    meter = Meter(
        schedules=[
            weekly("00:00", "00:00", "America/New_York", others),
            Schedule("a", time(0), time(2), days=sunday, timezone="America/New_York"),
            Schedule("b", time(3), time(0), days=sunday, timezone="America/New_York"),
        ]
    )
    assert meter.wanted_until(utc(2026, 3, 4)) == utc(2026, 3, 15, 6)


def test_hold_covers_only_the_windows_that_contain_it() -> None:
    meter = Meter(schedules=[weekly("09:00", "17:00")], held_since=utc(2026, 3, 2, 10))
    assert not meter.wanted(utc(2026, 3, 2, 11))
    assert meter.next_transition(utc(2026, 3, 2, 11)) == utc(2026, 3, 3, 9)
    assert meter.wanted(utc(2026, 3, 3, 9))


def schedules_of_any_kind() -> st.SearchStrategy[Schedule]:
    minutes = st.integers(0, 1439).map(lambda m: time(m // 60, m % 60))
    some_dates = st.dates(date(2026, 2, 20), date(2026, 4, 10))
    days = st.frozensets(st.sampled_from(WEEKDAYS), min_size=1)
    interval = st.builds(
        Schedule,
        st.just("i"),
        minutes,
        minutes,
        days=days | st.frozensets(st.sampled_from(DAYS), min_size=1),
        timezone=st.sampled_from(ZONES),
        except_dates=st.frozensets(some_dates, max_size=4),
    )
    dated = st.builds(
        Schedule,
        st.just("d"),
        minutes,
        minutes,
        on_date=some_dates,
        timezone=st.sampled_from(ZONES),
    )
    whole = interval | dated
    lengths = st.integers(1, MAX_WINDOW_MINUTES)
    for_minutes = st.builds(lambda s, n: replace(s, stop_time=None, minutes=n), whole, lengths)
    stop_alone = whole.map(lambda s: replace(s, start_time=None))
    return whole | for_minutes | stop_alone


@settings(max_examples=150, deadline=None)
@given(
    schedules=st.lists(schedules_of_any_kind(), min_size=1, max_size=4),
    lease=st.none() | st.datetimes(datetime(2026, 3, 1), datetime(2026, 3, 20)),  # noqa: DTZ001
    held=st.none() | st.integers(0, 10 * 1440),
    start=st.integers(0, 20 * 1440),
)
def test_next_transition_agrees_with_a_walk_minute_by_minute(
    schedules: list[Schedule], lease: datetime | None, held: int | None, start: int
) -> None:
    begin = utc(2026, 3, 1)
    instant = begin + timedelta(minutes=start)
    meter = Meter(
        lease.replace(second=0, microsecond=0, tzinfo=UTC) if lease else None,
        schedules,
        begin + timedelta(minutes=held) if held is not None and held <= start else None,
    )
    promised = meter.next_transition(instant)
    now_wanted = meter.wanted(instant)
    end = min(promised or utc(2026, 12, 1), instant + timedelta(days=9))
    walk = instant
    while walk < end:
        assert meter.wanted(walk) == now_wanted, f"changed at {walk} before {promised}"
        walk += timedelta(minutes=1)
    if promised and promised == end:
        assert meter.wanted(promised) != now_wanted


@settings(max_examples=200, deadline=None)
@given(schedules_of_any_kind())
def test_schedule_is_equal_after_writing_and_parsing_its_document(schedule: Schedule) -> None:
    assert Schedule.parse(schedule.document()) == schedule


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"start_time": "9:00"}, "start_time"),
        ({"start_time": "24:00"}, "start_time"),
        ({"stop_time": None}, "stop_time"),
        ({"days": []}, "days"),
        ({"days": ["mon", "Tue"]}, "days[1]"),
        ({"days": ["mon", "mon"]}, "days[1]"),
        ({"days": "mon"}, "days"),
        ({"date": "31/12/2026"}, "days"),
        ({"days": None, "date": "2026-12-31"}, "date"),
        ({"days": None, "date": "30/02/2026"}, "date"),
        ({"days": None, "date": "01/01/0001"}, "date"),
        ({"timezone": "Melbourne"}, "timezone"),
        ({"timezone": "../etc/passwd"}, "timezone"),
        ({"timezone": "America"}, "timezone"),
        ({"except_dates": ["1/1/2026"]}, "except_dates[0]"),
        ({"except_dates": "01/01/2026"}, "except_dates"),
        ({"name": " "}, "name"),
        ({"stopp_time": "17:00"}, "stopp_time"),
    ],
)
def test_bad_schedule_is_refused_by_field(change: dict[str, object], field: str) -> None:
    document: dict[str, object] = {
        "name": "s",
        "start_time": "09:00",
        "stop_time": "17:00",
        "days": ["mon"],
    }
    document.update(change)
    if change.get("days", "") is None:
        del document["days"]
    with pytest.raises(InvalidField) as refusal:
        Schedule.parse(document)
    assert refusal.value.field == field


def fifty() -> list[Schedule]:
    return [
        Schedule(
            f"s{number}",
            time(number % 24),
            time((number + 8) % 24, 30),
            days=frozenset({WEEKDAYS[number % 7]}),
            timezone=ZONES[number % len(ZONES)],
        )
        for number in range(50)
    ]


def fifty_that_never_close() -> list[Schedule]:
    """Open all the time, in two zones, except on one date far in the future."""
    far = frozenset({date(2999, 12, 31)})
    halves = [("00:00", "13:00", "Europe/Berlin"), ("12:00", "01:00", "America/New_York")]
    return [replace(weekly(*halves[n % 2]), name=str(n), except_dates=far) for n in range(50)]


def fifty_a_year_away() -> list[Schedule]:
    return [
        Schedule(
            f"d{n}", time(9), time(17), on_date=date(2027, 3, 1 + n % 28), timezone=ZONES[n % 9]
        )
        for n in range(50)
    ]


@pytest.mark.timing
@pytest.mark.parametrize("schedules", [fifty(), fifty_a_year_away(), fifty_that_never_close()])
def test_next_transition_of_fifty_schedules_costs_no_more_than_a_few_thousand_additions(
    schedules: list[Schedule],
) -> None:
    """Half a millisecond on a laptop, told as a ratio: machines differ, and are busy."""
    meter = Meter(schedules=schedules)
    instants = [utc(2026, 3, 2) + timedelta(hours=hour) for hour in range(50)]
    meter.next_transition(instants[0])

    def each() -> float:
        began = stopwatch.perf_counter()
        for instant in instants:
            meter.next_transition(instant)
        return (stopwatch.perf_counter() - began) / len(instants)

    def thousand_additions() -> float:
        began, instant = stopwatch.perf_counter(), instants[0]
        for _ in range(1000):
            instant += timedelta(minutes=1)
        return stopwatch.perf_counter() - began

    best = min(each() for _ in range(5))  # slower runs show other load on the machine
    ratio = best / min(thousand_additions() for _ in range(20))
    assert ratio < 25, f"as long as {ratio:.1f} thousand additions"
