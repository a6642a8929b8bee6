"""`Reason` is true at the instant at which it is shown, and events name what caused them."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdas.core.days import WEEKDAYS
from lambdas.core.decision import meter_of
from lambdas.core.documents import endpoint_document
from lambdas.core.errors import AwsRefused, Draining, NotInService, NotOurs
from lambdas.core.idempotency import Answer, Request
from lambdas.core.in_the_way import call_mark
from lambdas.core.reasons import with_wanted
from lambdas.core.schedule import Schedule
from lambdas.core.state import (
    Ended,
    EndedBy,
    Owner,
    Record,
    Reweighing,
    Rollback,
    State,
    Status,
    Step,
    Trouble,
    Wanted,
)
from lambdas.core.wanted_config import rollback_mark
from tests.fakes import a_spec, by, clock
from tests.world import World

DAYS = frozenset(WEEKDAYS)
MORNING = Schedule("morning", time(8), time(12), days=DAYS)
NIGHT = Schedule("night", time(22), time(2), days=DAYS)
ALWAYS = Schedule("always", time(0), time(0), days=DAYS)
WORKDAYS = Schedule("workdays", time(0), time(0), days=frozenset(WEEKDAYS[:5]))
NOON = Schedule("noon", None, time(12), days=DAYS)
OFFICE = Schedule("office", time(9), time(17), days=frozenset(WEEKDAYS[:5]))
ONCE = Schedule("once", time(10), time(11), on_date=clock(0).date())


def instant(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


instants = st.integers(0, 4 * 24 * 60).map(lambda m: clock(0) + timedelta(minutes=m))
maybe = st.none() | instants
states = st.builds(
    State,
    expires_at=maybe,
    held_since=maybe,
    set_up_at=st.just(clock(0)),
    observed_status=st.sampled_from([Status.ABSENT, Status.IN_SERVICE]),
)
schedules = st.lists(st.sampled_from([MORNING, NIGHT, OFFICE, ONCE]), max_size=3, unique=True)


@given(states, schedules, instants)
def test_reason_shown_at_an_instant_is_true_at_it(
    state: State, windows: list[Schedule], now: datetime
) -> None:
    spec = a_spec("falcon", schedules=tuple(windows))
    meter = meter_of(spec, state)
    said = endpoint_document(Record("falcon", config_spec=spec, state=state), now)["Reason"]
    by_name = {schedule.name: schedule for schedule in windows}
    if found := re.fullmatch(r"the lease is paid until (\S+)", said):
        assert state.expires_at == instant(found[1]) > now
    elif found := re.fullmatch(r"the window '(\w+)' is open until (\S+)", said):
        open_now = meter.open_windows(now)
        stops = {window.stop for window, name in open_now if name == found[1]}
        assert instant(found[2]) in stops
        assert instant(found[2]) > now
    elif found := re.fullmatch(r"stopped by hand at (\S+)", said):
        assert instant(found[1]) == state.held_since
        assert instant(found[1]) <= now
    elif found := re.fullmatch(r"the lease ended at (\S+)", said):
        assert state.expires_at == instant(found[1]) <= now
    elif found := re.fullmatch(r"the window '(\w+)' closed at (\S+)", said):
        closed = instant(found[2])
        assert closed <= now
        before = closed - timedelta(minutes=1)
        assert any(w.contains(before) for w in by_name[found[1]].windows_from(before))
    else:
        assert said == "no lease was paid and no window has opened yet"
        assert not meter.wanted(now)
    assert meter.wanted(now) == ("is paid" in said or "is open" in said)


@given(states, schedules, instants)
def test_expiry_is_null_only_if_the_endpoint_is_open_for_ever(
    state: State, windows: list[Schedule], now: datetime
) -> None:
    spec = a_spec("falcon", schedules=tuple(windows))
    document = endpoint_document(Record("falcon", config_spec=spec, state=state), now)
    wanted = document["Wanted"] == "running"
    assert document["Expires"] == ("at" if wanted else "stopped")
    assert document["ExpiresAt"] is not None
    if not wanted:
        ended = datetime.fromisoformat(document["ExpiresAt"])
        assert ended <= now
        assert not meter_of(spec, state).wanted(ended)


def test_lease_that_ends_inside_a_window_leaves_the_window_as_the_reason() -> None:
    world = World()
    world.deploy(a_spec("falcon", schedules=(MORNING,)))
    world.renew("falcon", 1)
    reason = "the window 'morning' is open until 2026-03-02T12:00:00Z"
    assert world.get("falcon")["Reason"] == f"being created: {reason}"
    world.advance(minutes=10)
    assert world.get("falcon")["Reason"] == reason


@pytest.mark.parametrize(
    ("schedules", "minutes", "reason"),
    [
        ((MORNING,), 60, "the window 'morning' is open until 2026-03-02T12:00:00Z"),
        ((MORNING,), 240, "the lease is paid until 2026-03-02T13:00:00Z"),
        ((MORNING, OFFICE), 240, "the window 'office' is open until 2026-03-02T17:00:00Z"),
        ((ALWAYS,), 240, "the window 'always' is open for ever"),
        ((WORKDAYS,), 240, "the window 'workdays' is open until 2026-03-07T00:00:00Z"),
        (
            (WORKDAYS, NOON),
            60,
            "the window 'workdays' is open, until 'noon' stops it at 2026-03-02T12:00:00Z",
        ),
    ],
)
def test_reason_of_what_runs_names_what_keeps_it_running_for_the_longest_time(
    schedules: tuple[Schedule, ...], minutes: int, reason: str
) -> None:
    world = World()
    world.deploy(a_spec("falcon", schedules=schedules))
    world.renew("falcon", minutes)
    world.advance(minutes=1)
    assert world.get("falcon")["Reason"] == reason


def test_cause_stands_before_its_effect_in_the_history_of_one_instant() -> None:
    world = World()
    world.deploy(a_spec("falcon", schedules=(ALWAYS,)))
    world.advance(minutes=1)
    world.endpoints.configs.add("theirs")
    world.endpoints.update("falcon", "theirs", {})
    world.advance(minutes=15)
    world.sweeper.sweep()
    world.advance(minutes=1)
    kinds = world.history.kinds("falcon")
    assert kinds.index("updated outside") < kinds.index("update")


def test_stop_at_the_end_of_a_window_names_the_window() -> None:
    world = World()
    world.deploy(a_spec("falcon", schedules=(MORNING,)))
    world.renew("falcon", 1)
    world.advance(hours=4)
    (stopped,) = [e for e in world.history.newest("falcon", 100) if e.kind == "delete"]
    assert stopped.reason == "the window 'morning' closed at 2026-03-02T12:00:00Z"


def test_stop_by_hand_is_not_blamed_for_what_a_later_window_does() -> None:
    world = World()
    world.deploy(a_spec("falcon", schedules=(MORNING, NIGHT)))
    world.advance(minutes=1)
    world.stop("falcon")
    assert world.get("falcon")["Reason"].endswith("stopped by hand at 2026-03-02T09:01:00Z (ann)")
    world.advance(hours=18)
    deletes = [e.reason for e in world.history.newest("falcon", 100) if e.kind == "delete"]
    assert deletes[0] == "the window 'night' closed at 2026-03-03T02:00:00Z"
    assert deletes[-1] == "stopped by hand at 2026-03-02T09:01:00Z (ann)"
    assert world.get("falcon")["Reason"] == deletes[0]


WEIGHTS = [{"VariantName": "all", "DesiredWeight": 2.0}]
WRITES: dict[str, Callable[[World, Request], Answer]] = {
    "renew": lambda w, r: w.expiry.renew("falcon", 5, w.now, r),
    "until": lambda w, r: w.expiry.renew_until("falcon", w.now + timedelta(hours=1), w.now, r),
    "again": lambda w, r: w.expiry.add("falcon", "falcon-1", 5, w.now, r),
    "pay": lambda w, r: w.sessions.pay("falcon", "s1", 5, w.now, r),
    "end": lambda w, r: w.sessions.end("falcon", "s1", w.now, r),
    "stop": lambda w, r: w.expiry.stop("falcon", w.now, r, forget=False),
    "update": lambda w, r: w.updates.update("falcon", "cfg-b", {}, w.now, r),
    "weigh": lambda w, r: w.updates.reweigh("falcon", WEIGHTS, w.now, r),
}
ENDS = st.builds(
    Ended, st.sampled_from(EndedBy), st.just(clock(0)), st.sampled_from(["", "night", "ann"])
)
recorded = st.builds(
    State,
    expires_at=maybe,
    held_since=maybe,
    sessions=st.dictionaries(st.sampled_from("ab"), instants),
    set_up_at=st.just(clock(0)),
    observed_status=st.sampled_from(
        [Status.ABSENT, Status.IN_SERVICE, Status.CREATING, Status.DELETING, Status.FAILED]
    ),
    observed_config=st.sampled_from([None, "falcon-1", "cfg-b"]),
    troubles=st.dictionaries(
        st.sampled_from(Step),
        st.builds(
            Trouble,
            st.sampled_from([call_mark(a_spec("falcon"), None, step, "falcon-1") for step in Step]),
            st.just("it was refused"),
            tries=st.integers(0, 2),
            waits=st.booleans(),
        ),
    ),
    rolled_back=st.none()
    | st.just(Rollback(rollback_mark(a_spec("falcon"), "falcon-1"), "an alarm")),
    reweighing=st.none() | st.just(Reweighing(WEIGHTS, clock(0), undone="an alarm")),
    deletion=st.none() | st.just("the lease ended at 2026-03-01T12:00:00Z"),
    attempts=st.integers(0, 2),
    retry_at=maybe,
    ended=st.none() | ENDS,
    last_wanted=st.none()
    | st.builds(
        Wanted, st.booleans(), st.just(clock(0)), st.just(clock(0)) | st.just(clock(0, 30))
    ),
)


@given(recorded, schedules, instants, st.sampled_from(sorted(WRITES)), st.booleans())
def test_every_answer_and_its_repetition_are_what_get_says_at_that_instant(
    state: State, windows: list[Schedule], now: datetime, write: str, draining: bool
) -> None:
    world = World(now)
    world.endpoints.configs.add("cfg-b")
    world.store.deploy(a_spec("falcon", schedules=tuple(windows)))
    world.store.create_state("falcon", state)
    if state.observed_status is not Status.ABSENT:
        world.endpoints.run_by_hand("falcon", state.observed_config or "falcon-1", Owner.US)
    if draining:
        world.store.set_drain(now + timedelta(minutes=30))
    request = by().under("k", write, {})
    try:
        answer = WRITES[write](world, request)
    except (NotInService, Draining):
        return
    assert answer.document == world.get("falcon")
    world.advance(minutes=7)
    world.store.set_drain(None)
    assert WRITES[write](world, request) == answer


def test_answer_of_a_renewal_that_ends_a_hold_says_what_runs_it() -> None:
    world = World()
    world.deploy(a_spec("falcon", schedules=(MORNING,)))
    world.advance(minutes=1)
    assert world.stop("falcon").document["Wanted"] == "stopped"
    document = world.renew("falcon", 1).document
    assert document["Wanted"] == "running"
    assert document["ExpiresAt"] == "2026-03-02T12:00:00Z", "the window counts again"


def test_answer_of_a_stop_says_that_the_meter_cannot_act() -> None:
    world = World()
    world.deploy(a_spec("falcon"))
    world.endpoints.run_by_hand("falcon", "their-cfg")
    world.sweeper.sweep()
    world.settle()
    shown = world.get("falcon")["Reason"]
    assert shown.startswith("the meter cannot act: ")
    assert world.stop("falcon").document["Reason"] == shown


@pytest.mark.parametrize("owner", [Owner.NOBODY, Owner.ANOTHER_STACK, Owner.IGNORED])
def test_readers_learn_neither_the_owner_nor_the_config_of_a_stranger(owner: Owner) -> None:
    world = World()
    world.deploy(a_spec("falcon"))
    world.endpoints.run_by_hand("falcon", "their-cfg", owner)
    world.sweeper.sweep()
    world.settle()
    shown = world.get("falcon")
    assert shown["Status"] == "InService"
    assert shown["ServedConfigName"] is None
    advice = str(NotOurs("falcon"))
    assert shown["Reason"] == f"the meter cannot act: {advice[0].lower()}{advice[1:]}"
    told = [event.reason for event in world.history.newest("falcon", 9)]
    assert not any("their-cfg" in reason for reason in told)


def test_creation_that_is_no_longer_wanted_is_told_to_be_deleted_after_it() -> None:
    world = World()
    world.deploy(a_spec("falcon"))
    world.renew("falcon", 60)
    world.stop("falcon")
    reason = "being created, and deleted after that: stopped by hand at 2026-03-02T09:00:00Z (ann)"
    assert world.get("falcon")["Reason"] == reason


def test_forgotten_endpoint_is_not_told_to_have_been_in_the_config() -> None:
    world = World()
    world.endpoints.configs.add("cfg")
    world.add("mine", "cfg", 60)
    world.advance(minutes=1)
    world.stop("mine", forget=True)
    (deleted,) = [e.reason for e in world.history.newest("mine", 9) if e.kind == "delete"]
    assert deleted == "it was taken off the meter"


def test_endpoint_that_was_never_wanted_says_so_and_when_it_was_set_up() -> None:
    world = World()
    world.deploy(a_spec("falcon"))
    world.advance(hours=2)
    document = world.get("falcon")
    assert document["Reason"] == "no lease was paid and no window has opened yet"
    assert (document["Expires"], document["ExpiresAt"]) == ("stopped", "2026-03-02T09:00:00Z")
    assert document["TimeLeft"] == "0:00:00"


def reason_without_schedules(world: World, *schedules: Schedule) -> str:
    world.deploy(a_spec("falcon", schedules=schedules, spec_hash=f"hash {schedules}"))
    world.advance(minutes=1)
    return str(world.get("falcon")["Reason"])


def test_edit_of_the_schedules_does_not_rewrite_what_ended_the_last_run() -> None:
    world = World()
    world.deploy(a_spec("falcon", schedules=(MORNING,)))
    world.advance(hours=4)
    closed = "the window 'morning' closed at 2026-03-02T12:00:00Z"
    assert reason_without_schedules(world) == closed
    afternoon = Schedule("afternoon", time(12, 30), time(13), days=DAYS)
    world.advance(hours=2)
    assert reason_without_schedules(world, afternoon) == closed


def test_window_that_is_taken_away_while_it_is_open_did_not_close() -> None:
    world = World()
    world.deploy(a_spec("falcon", schedules=(MORNING,)))
    world.advance(minutes=30)
    reason = reason_without_schedules(world)
    assert re.fullmatch(r"its schedules or its lease were changed after 2026-03-02T09:\S+", reason)
    assert world.status("falcon") is Status.ABSENT


def test_window_that_closed_before_it_was_declared_is_not_named() -> None:
    world = World(clock(15))
    world.deploy(a_spec("falcon"))
    never = "no lease was paid and no window has opened yet"
    assert reason_without_schedules(world, MORNING) == never


def test_session_that_ends_itself_ended_the_lease_also_if_clocks_differ() -> None:
    world = World()
    world.deploy(a_spec("falcon"))
    world.sessions.pay("falcon", "notebook", 10, world.now, by())
    world.settle()
    world.advance(seconds=30)
    late = world.now - timedelta(seconds=2)
    world.advance_to(world.now)
    world.sweeper.sweep()
    world.settle()
    world.sessions.end("falcon", "notebook", late, by())
    world.advance(minutes=1)
    ended = "the lease ended at 2026-03-02T09:00:28Z"
    assert world.get("falcon")["Reason"] == ended
    assert [e.reason for e in world.history.newest("falcon", 9) if e.kind == "delete"] == [ended]


def test_failed_start_says_how_many_tries_failed_and_when_the_next_one_is() -> None:
    world = World()
    world.endpoints.failing = "the image cannot be pulled"
    world.deploy(a_spec("falcon"))
    world.renew("falcon", 60)
    world.advance(seconds=25)
    failed, again = "Failed: the image cannot be pulled (tries that failed: ", "2; the next one at "
    reason = ""
    while again not in reason:
        world.advance(seconds=1)
        reason = world.get("falcon")["Reason"]
    next_try = instant(reason.removeprefix(failed + again).removesuffix(")"))
    world.advance_to(next_try + timedelta(seconds=1))
    assert world.get("falcon")["Reason"] == f"{failed}2; the next one is under way)"
    assert world.endpoints.live["falcon"].created_at - next_try < timedelta(seconds=1)


def test_clock_that_is_behind_that_of_the_last_look_ends_no_run() -> None:
    meter = meter_of(a_spec("falcon", schedules=(MORNING,)), State())
    opened = with_wanted(meter, State(), clock(8), draining=False)
    behind = with_wanted(meter, opened, clock(7, 59, 58), draining=False)
    assert behind == opened
    closed = with_wanted(meter, behind, clock(12), draining=False)
    assert closed.ended == Ended(EndedBy.WINDOW, clock(12), "morning")


def test_renewal_after_a_stop_by_a_clock_that_is_ahead_begins_a_run() -> None:
    stopped = State(last_wanted=Wanted(running=False, since=clock(8, 1), seen=clock(8, 1)))
    meter = meter_of(a_spec("falcon", schedules=(MORNING,)), State())
    renewed = with_wanted(meter, stopped, clock(8, 0, 58), draining=False)
    closed = with_wanted(meter, renewed, clock(12), draining=False)
    assert closed.ended == Ended(EndedBy.WINDOW, clock(12), "morning")


def test_no_try_is_promised_for_a_time_at_which_the_endpoint_is_not_wanted() -> None:
    world = World()
    world.endpoints.failing = "the image cannot be pulled"
    world.deploy(a_spec("falcon"))
    world.renew("falcon", 4)
    world.advance(minutes=3)
    told = "Failed: the image cannot be pulled (tries that failed: 4; the next one "
    later = f"{told}would be at 2026-03-02T09:04:45Z, and it is not wanted until then)"
    assert world.get("falcon")["Reason"] == later
    world.renew("falcon", 60)
    world.advance(seconds=20)
    assert "(tries that failed: 1; the next one at " in world.get("falcon")["Reason"]


def test_no_try_is_promised_after_a_stop_by_hand() -> None:
    world = World()
    world.endpoints.failing = "the image cannot be pulled"
    world.deploy(a_spec("falcon"))
    world.renew("falcon", 60)
    world.advance(minutes=3)
    assert "the next one at" in world.get("falcon")["Reason"]
    world.expiry.stop("falcon", world.now, by(), forget=False)
    assert "the next one at" not in world.get("falcon")["Reason"], "nothing has looked at it yet"
    world.settle()
    assert world.get("falcon")["Reason"] == "stopped by hand at 2026-03-02T09:03:00Z (ann)"


def test_refused_stop_says_when_it_is_tried_again() -> None:
    world = World()
    world.endpoints.failing = "the image cannot be pulled"
    world.deploy(a_spec("falcon"))
    world.renew("falcon", 60)
    world.advance(minutes=9)
    world.endpoints.refusals["delete"] = [AwsRefused("Denied", "not now")]
    world.advance(seconds=20)
    state = world.state("falcon")
    assert state.retry_at
    assert state.retry_at > world.now + timedelta(minutes=5), "the next start is far away"
    told = "delete refused: Denied: not now (tries that failed: 1; the next one at "
    again = instant(world.get("falcon")["Reason"].removeprefix(told).removesuffix(")"))
    world.advance_to(again - timedelta(seconds=1))
    assert world.status("falcon") is Status.FAILED
    world.advance_to(again)
    assert world.status("falcon") is Status.DELETING
