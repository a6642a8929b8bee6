"""Schedules with one end: a lone stop ends what was paid or opened before it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdas.core.days import DAYS, ORDINALS, WEEKDAYS, Day, every_day, names_of
from lambdas.core.errors import InvalidField
from lambdas.core.meter import Meter
from lambdas.core.ports import Declaration, WakeShare
from lambdas.core.schedule import Schedule, fixed_offset
from lambdas.core.spec import MAX_MONTHLY_SCHEDULES
from lambdas.core.state import State, Status
from lambdas.core.waking import Waking
from tests.fakes import a_spec, clock
from tests.world import World

DAILY = frozenset(WEEKDAYS)
CLOSING = Schedule("closing", None, time(18), DAILY)
LATE = Schedule("late", time(12), time(23), DAILY)


def leased(minutes: int, *schedules: Schedule) -> World:
    world = World(clock(17))
    world.deploy(a_spec("falcon", schedules=schedules))
    world.renew("falcon", minutes)
    return world


def test_lone_stop_ends_the_lease_that_was_paid_before_it() -> None:
    world = leased(300, CLOSING)
    shown = world.get("falcon")
    assert shown["Reason"].endswith(
        "the lease is paid, until 'closing' stops it at 2026-03-02T18:00:00Z"
    )
    assert shown["LeaseExpiresAt"] == shown["ExpiresAt"] == "2026-03-02T18:00:00Z"

    world.advance_to(clock(18, 5))

    assert world.status("falcon") is Status.ABSENT
    assert world.get("falcon")["Reason"] == (
        "the schedule 'closing' stopped it at 2026-03-02T18:00:00Z"
    )
    assert [e.reason for e in world.history.newest("falcon", 100) if e.kind == "delete"] == [
        "the schedule 'closing' stopped it at 2026-03-02T18:00:00Z"
    ]


def test_renewal_after_the_stop_begins_from_now_and_brings_nothing_back() -> None:
    world = leased(300, CLOSING)
    world.pay_session("falcon", "job", 15)
    world.advance_to(clock(18, 30))

    paid = world.renew("falcon", 10).document

    assert paid["LeaseExpiresAt"] == "2026-03-02T18:40:00Z"
    world.advance_to(clock(18, 45))
    assert world.get("falcon")["Wanted"] == "stopped"
    assert world.get("falcon")["Reason"] == "the lease ended at 2026-03-02T18:40:00Z"


def test_session_after_the_stop_does_not_bring_back_the_lease() -> None:
    world = leased(300, CLOSING)
    world.advance_to(clock(18, 30))
    world.pay_session("falcon", "job", 5)
    world.advance_to(clock(18, 36))
    assert world.get("falcon")["Wanted"] == "stopped"


def test_call_of_the_model_after_the_stop_wakes_for_its_own_minutes_only() -> None:
    world = leased(300, CLOSING)
    world.advance_to(clock(18, 30))
    waking = Waking(world.store, world.hints, world.history, 10)
    woken = waking.wake("falcon", world.now, "ann", WakeShare("ann", 5))
    assert woken.state is not None
    assert woken.state.lease_end == clock(18, 40)


def test_window_that_contains_a_stop_ends_there_and_names_it() -> None:
    world = World(clock(11))
    world.deploy(a_spec("falcon", schedules=(LATE, CLOSING)))
    world.advance_to(clock(13))
    assert world.get("falcon")["Reason"] == (
        "the window 'late' is open, until 'closing' stops it at 2026-03-02T18:00:00Z"
    )
    world.advance_to(clock(19))
    assert world.get("falcon")["Reason"] == (
        "the schedule 'closing' stopped it at 2026-03-02T18:00:00Z"
    )


def test_what_begins_at_the_very_stop_is_not_stopped_by_it() -> None:
    evening = Schedule("evening", time(18), time(20), DAILY)
    meter = Meter.paid(clock(20), clock(18), (evening, CLOSING), None)
    assert meter.expires_at == clock(20)
    assert Meter(schedules=(evening, CLOSING)).wanted_until(clock(18, 30)) == clock(20)


def test_stop_of_a_moment_without_anything_running_ends_nothing() -> None:
    world = leased(30, CLOSING)
    world.advance_to(clock(19))
    assert world.get("falcon")["Reason"] == "the lease ended at 2026-03-02T17:30:00Z"


def test_lease_that_older_code_recorded_is_not_cut() -> None:
    meter = Meter.paid(clock(23), None, (CLOSING,), None)
    assert meter.expires_at == clock(23)


def test_payment_by_a_clock_that_is_behind_does_not_move_the_time_of_payment_back() -> None:
    world = leased(10, CLOSING)
    world.store.renew("falcon", 10, clock(16, 59), 1000, None)
    assert world.state("falcon").paid_at == clock(17)


def test_start_with_minutes_is_a_window_of_that_length() -> None:
    night = Schedule("night", time(22), None, frozenset({"mon"}), minutes=600)
    meter = Meter(schedules=(night,))
    assert meter.next_transition(clock(9)) == clock(22)
    assert meter.wanted_until(clock(23)) == clock(8) + timedelta(days=1)


def test_windows_of_a_week_without_a_gap_are_open_for_ever() -> None:
    twelve = replace(CLOSING, start_time=time(0), stop_time=None, minutes=12 * 60)
    rest = replace(twelve, start_time=time(12))
    assert Meter(schedules=(twelve, rest)).wanted_until(clock(9)) is None
    assert Meter(schedules=(twelve, rest, CLOSING)).wanted_until(clock(9)) == clock(18)


@pytest.mark.parametrize(
    ("days", "opens"),
    [
        ({"first thu"}, (5, 12)),
        ({"last fri"}, (27, 12)),
        ({"second mon", 20}, (9, 12)),
        ({31}, (31, 12)),
        ({"fifth sun"}, (29, 12)),
    ],
    ids=["first", "last", "second or 20th", "31st", "fifth"],
)
def test_days_of_the_month_open_their_windows(days: set[str | int], opens: tuple[int, int]) -> None:
    noon = Schedule("noon", time(12), time(13), frozenset(days))
    meter = Meter(schedules=(noon,))
    assert meter.next_transition(clock(9)) == clock(9).replace(day=opens[0], hour=opens[1])


def test_days_of_the_month_that_leave_no_gap_are_open_for_ever() -> None:
    most: set[str | int] = set(range(1, 29))
    last: set[str | int] = {29, 30, "last mon", 31}
    whole_days = [
        Schedule(str(n), time(0), time(0), frozenset(d)) for n, d in enumerate((most, last))
    ]
    assert Meter(schedules=whole_days).wanted_until(clock(9)) is None
    gap = Schedule("no 30th", time(0), time(0), frozenset({29, 31}))
    assert Meter(schedules=[whole_days[0], gap]).wanted_until(clock(9)) == datetime(
        2026, 3, 30, tzinfo=clock(9).tzinfo
    )


@pytest.mark.parametrize(
    ("left_out", "whole"),
    [(set(), True), ({"fifth mon"}, True), ({"last mon"}, True), ({"second tue"}, False)],
)
def test_whether_weeks_of_the_month_name_every_day(left_out: set[str], whole: bool) -> None:
    named = {f"{ordinal} {weekday}" for ordinal in ORDINALS for weekday in WEEKDAYS}
    assert every_day(frozenset(named - left_out)) is whole


@given(st.frozensets(st.sampled_from(DAYS), min_size=20))
def test_every_day_is_named_if_each_of_forty_years_is(days: frozenset[Day]) -> None:
    start = clock(9).date()
    walked = all(not days.isdisjoint(names_of(start + timedelta(n))) for n in range(40 * 366))
    assert every_day(days) is walked


def test_most_of_the_schedules_of_an_endpoint_are_weekly() -> None:
    mondays = [
        Schedule(f"s{n}", time(9), time(10), frozenset({"first mon"}))
        for n in range(MAX_MONTHLY_SCHEDULES + 1)
    ]
    assert a_spec("falcon", schedules=mondays[1:]).schedules
    with pytest.raises(InvalidField, match="at most 10 of an endpoint may name days of the month"):
        a_spec("falcon", schedules=mondays)


def test_sessions_that_a_lone_stop_ended_are_not_counted() -> None:
    world = World(clock(17))
    world.deploy(a_spec("falcon", schedules=(CLOSING,)))
    world.advance_to(clock(17, 55))
    world.pay_session("falcon", "job", 15)
    assert world.get("falcon")["Sessions"] == 1
    world.advance_to(clock(18, 1))
    assert world.get("falcon")["Sessions"] == 0


def test_each_day_has_its_names() -> None:
    assert names_of(clock(9).date().replace(day=26)) == {"thu", "fourth thu", "last thu", 26}
    assert names_of(clock(9).date().replace(day=24)) == {"tue", "fourth tue", 24}
    assert names_of(clock(9).date().replace(day=31)) == {"tue", "fifth tue", "last tue", 31}


@pytest.mark.parametrize(
    ("zone", "words"),
    [
        ("EST", "5 hours behind UTC"),
        ("Etc/GMT-3", "3 hours ahead of UTC"),
        ("UTC", None),
        ("Asia/Kolkata", None),
        ("America/New_York", None),
    ],
)
def test_zone_whose_name_is_an_offset_is_told(zone: str, words: str | None) -> None:
    assert fixed_offset(zone, clock(9)) == words


def test_add_by_a_clock_that_is_behind_that_of_the_last_payment_moves_no_payment_back() -> None:
    """A lone stop before that payment would cut it."""
    paid = State(paid_at=clock(18, 0, 2), expires_at=clock(19))
    added = Declaration(a_spec(), clock(20), over=paid).state(clock(17, 59, 59))
    assert added.paid_at == clock(18, 0, 2)
