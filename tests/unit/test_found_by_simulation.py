"""Bugs that the simulation found: each story is the shortest form of a failing seed."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, time, timedelta
from itertools import pairwise

import pytest

from lambdas.core.days import WEEKDAYS
from lambdas.core.decision import FIRST_BACKOFF, TURN
from lambdas.core.errors import AwsRefused, Throttled
from lambdas.core.hints import Cause, Hint
from lambdas.core.reconcile import THROTTLED
from lambdas.core.schedule import Schedule
from lambdas.core.state import Owner, Status, Step
from tests.fakes import a_spec, by, clock
from tests.unit.interleaving import before, failing
from tests.world import World

ROUND_THE_CLOCK = Schedule("always", time(0), time(0), days=frozenset(WEEKDAYS))


def test_add_during_a_forget_adds_the_endpoint_again(world: World) -> None:
    world.add("mine", "cfg", 10)
    before(
        world.endpoints,
        "describe",
        lambda: world.expiry.stop("mine", world.now, by("bob"), forget=True),
    )

    answer = world.add("mine", "cfg", 5)

    assert answer.http_status == 201
    world.advance(minutes=1)
    assert world.status("mine") is Status.IN_SERVICE


def test_add_starts_over_when_the_state_is_forgotten_meanwhile(world: World) -> None:
    world.add("mine", "cfg", 1)
    world.advance(minutes=3)
    before(
        world.store,
        "renew",
        lambda: world.stop("mine", forget=True),
    )

    answer = world.add("mine", "cfg", 5)

    assert answer.http_status == 201
    world.advance(minutes=1)
    assert world.status("mine") is Status.IN_SERVICE


def test_deploy_that_ends_a_drain_starts_endpoints_added_over_the_api_too(world: World) -> None:
    world.add("mine", "cfg", 600)
    world.advance(minutes=1)
    world.deploys.drain(60)

    world.deploy(a_spec("falcon"))

    world.advance(minutes=1)
    assert world.status("mine") is Status.IN_SERVICE


def test_hint_that_a_slow_clock_receives_early_is_sent_again(world: World) -> None:
    world.renew("falcon", 10)
    world.advance_to(clock(9, 9))
    sent = len(world.hints.sent)

    early = replace(world.reconciler(), clock=lambda: clock(9, 9, 56))
    outcome = early.handle(Hint("falcon", Cause.TICK))

    assert outcome.word == "early"
    assert world.hints.sent[sent].at == clock(9, 10)


def test_hint_for_an_instant_that_is_no_longer_due_is_not_sent_again(world: World) -> None:
    world.renew("falcon", 10)
    world.advance_to(clock(9, 9))
    sent = len(world.hints.sent)

    early = replace(world.reconciler(), clock=lambda: clock(9, 9, 56))
    outcome = early.handle(Hint("falcon", Cause.RETRY, at=clock(9, 9, 55)))

    assert outcome.word == "not due"
    assert len(world.hints.sent) == sent


def test_schedules_set_by_a_request_that_dies_take_effect_with_the_next_tick(world: World) -> None:
    world.add("mine", "cfg", 1)
    world.advance(minutes=3)
    world.hints.send = failing(RuntimeError("killed"))  # type: ignore[method-assign]
    world.store.touch = failing(RuntimeError("killed"))  # type: ignore[method-assign]
    with pytest.raises(RuntimeError):
        world.schedules.replace("mine", [ROUND_THE_CLOCK], world.now, by())
    del world.hints.send, world.store.touch

    world.advance(minutes=2)

    assert world.status("mine") is Status.IN_SERVICE


def test_forget_stops_the_endpoint_at_once_despite_a_concurrent_renewal(world: World) -> None:
    world.add("mine", "cfg", 60)
    world.advance(minutes=1)
    before(
        world.store,
        "stop",
        lambda: world.add("mine", "cfg", 600),
    )

    world.stop("mine", forget=True)

    world.advance(seconds=10)
    assert world.status("mine") is Status.ABSENT


def test_throttled_start_is_no_failed_attempt_and_its_wait_does_not_grow(world: World) -> None:
    refusals = [Throttled("ThrottlingException", "Rate exceeded") for _ in range(5)]
    world.endpoints.refusals["create"] = list[Exception](refusals)

    world.renew("falcon", 60)

    world.advance(seconds=20)
    assert world.status("falcon") is Status.IN_SERVICE
    assert world.state("falcon").attempts == 0
    assert world.history.kinds("falcon").count("create refused") == 1


def test_throttled_crowd_tries_again_in_turns(world: World) -> None:
    names = [f"model-{number}" for number in range(30)]
    world.deploy(*(a_spec(name) for name in names))
    refusals = [Throttled("ThrottlingException", "Rate exceeded") for _ in names]
    world.endpoints.refusals["create"] = list[Exception](refusals)
    for name in names:
        world.expiry.renew(name, 60, world.now, by())

    world.settle()

    places = sorted(due for name in names if (due := world.state(name).next_due))
    assert [late - early for early, late in pairwise(places)] == [TURN] * 29


def test_polls_of_a_start_use_the_starts_queue_and_become_rarer(world: World) -> None:
    world.endpoints.create_seconds = 600
    world.renew("falcon", 60)
    world.advance(minutes=5)
    polls = [hint for hint in world.hints.sent if hint.cause is Cause.RETRY]
    assert all(hint.start for hint in polls)
    assert 5 <= len(polls) <= 9


@pytest.mark.parametrize(
    "refusal",
    [Throttled("ThrottlingException", "Rate exceeded"), AwsRefused("InternalFailure", "no")],
    ids=["throttled", "refused"],
)
def test_refused_stop_is_not_sent_to_the_starts_queue(world: World, refusal: Exception) -> None:
    world.endpoints.create_seconds = 40
    world.endpoints.refusals["delete"] = [refusal]
    world.renew("falcon", 1)

    world.advance_to(clock(9, 1))

    assert world.get("falcon")["Reason"].startswith("delete ")
    assert not world.hints.sent[-1].start


def test_backoff_counts_from_the_refusal_not_from_the_start_of_the_reconcile(world: World) -> None:
    world.stop("falcon")
    create = world.endpoints.create

    def refuse_after_20_seconds(*_: object) -> None:
        world.endpoints.create = create  # type: ignore[method-assign]
        world.now += timedelta(seconds=20)
        raise AwsRefused("ResourceLimitExceeded", "quota")

    world.endpoints.create = refuse_after_20_seconds  # type: ignore[assignment,method-assign]
    world.renew("falcon", 60)

    assert world.state("falcon").next_due == world.now + FIRST_BACKOFF


def test_throttled_step_and_refused_step_have_different_outcomes(world: World) -> None:
    world.endpoints.refusals["create"] = [
        Throttled("ThrottlingException", "Rate exceeded"),
        AwsRefused("ResourceLimitExceeded", "quota"),
    ]
    world.renew("falcon", 60)
    # One for the endpoint, one for the canary of the tick.
    world.endpoints.refusals["describe"] = [Throttled("ThrottlingException", "Rate exceeded")] * 2
    world.advance(minutes=1)
    words = [
        outcome.word for outcome in world.outcomes if outcome.word not in ("settled", "heartbeat")
    ]
    assert words == [THROTTLED, THROTTLED, "refused", "acted"]


def test_stop_that_died_after_its_start_is_not_continued_in_the_starts_queue(world: World) -> None:
    world.endpoints.create_seconds = 40
    world.renew("falcon", 1)
    world.endpoints.delete = failing(KeyboardInterrupt())  # type: ignore[method-assign]

    with pytest.raises(KeyboardInterrupt):
        world.advance_to(clock(9, 1))

    assert world.state("falcon").intent
    assert world.state("falcon").next_step is Step.DELETE


def test_tick_repairs_what_the_sweep_found_when_its_hint_is_lost(world: World) -> None:
    world.renew("falcon", 120)
    world.advance(minutes=10)
    world.endpoints.delete("falcon")
    world.advance(minutes=5)

    world.sweeper.sweep()
    world.hints.sent.clear()
    assert world.state("falcon").next_step is Step.CREATE, "the tick's hint queues with the starts"
    world.advance(minutes=3)

    assert world.status("falcon") is Status.IN_SERVICE


def test_sweep_does_not_reset_next_due_of_an_overdue_endpoint(world: World) -> None:
    """The sweep reports an endpoint as late by the time since it became due."""
    world.renew("falcon", 120)
    world.advance(minutes=10)
    state = replace(world.state("falcon"), next_due=clock(8))
    world.store.records["falcon"] = replace(world.store.load("falcon"), state=state)

    assert world.sweeper.sweep().hinted == ["falcon"]

    assert world.state("falcon").next_due == clock(8)


def test_failure_to_make_one_endpoint_due_does_not_stop_the_others(world: World) -> None:
    world.deploy(a_spec("falcon"), a_spec("flan"))
    for name in ("falcon", "flan"):
        world.renew(name, 120)
    world.advance(minutes=10)
    for name in ("falcon", "flan"):
        world.endpoints.delete(name)
    world.advance(minutes=5)
    touch = world.store.touch

    def throttle_falcon(key: str, now: datetime, step: Step | None = None) -> None:
        if key == "falcon":
            raise Throttled("ThrottlingException", "slow down")
        touch(key, now, step)

    world.store.touch = throttle_falcon  # type: ignore[method-assign]
    assert sorted(world.sweeper.sweep().hinted) == ["falcon", "flan"]

    assert world.state("flan").next_due == world.now
    world.settle()
    world.advance(minutes=1)
    assert world.status("falcon") is Status.IN_SERVICE, "its hint is handled all the same"


def test_lease_that_ends_while_the_id_of_the_table_is_read_starts_nothing(world: World) -> None:
    def take_20_seconds() -> None:
        world.advance(seconds=20)

    world.expiry.renew_until("falcon", world.now + timedelta(seconds=10), world.now, by())
    before(world.store, "table_id", take_20_seconds)

    world.settle()

    assert world.endpoints.made("create", "falcon") == 0


def test_second_stop_by_a_clock_that_is_behind_leaves_the_name_of_the_first(world: World) -> None:
    world.deploy(a_spec("falcon", schedules=(ROUND_THE_CLOCK,)))
    world.renew("falcon", 5)
    world.advance(minutes=1)

    for skew in (2, -1):
        at = world.now + timedelta(seconds=skew)
        world.expiry.stop("falcon", at, by("bob"), forget=False)
    world.advance(minutes=1)

    assert world.get("falcon")["Reason"] == "stopped by hand at 2026-03-02T09:01:02Z (bob)"


def test_adoption_that_is_void_at_the_first_look_is_not_told_as_the_end_of_a_lease(
    world: World,
) -> None:
    world.add("mine", "cfg", 5)
    world.advance(minutes=10)
    world.endpoints.run_by_hand("mine", "cfg")
    world.expiry.add("mine", "cfg", 5, world.now, by(), adopt=True)
    world.endpoints.live["mine"].owner = Owner.ANOTHER_STACK

    world.advance(minutes=1)
    world.endpoints.delete("mine")
    world.advance(minutes=15)

    told = world.get("mine")["Reason"]
    assert told == "its schedules or its lease were changed after 2026-03-02T09:10:00Z"


@pytest.mark.parametrize("cut", ["a stop", "the end of the session"])
@pytest.mark.parametrize("write", ["renew", "renew_until", "pay_session", "change_running"])
def test_answer_tells_nothing_that_was_cut_before_its_write(
    world: World, write: str, cut: str
) -> None:
    world.renew("falcon", 2)
    world.pay_session("falcon", "job", 15, who="bob")

    def cuts() -> None:
        if cut == "a stop":
            world.expiry.stop("falcon", world.now, by("carl"), forget=False)
        else:
            world.sessions.end("falcon", "job", world.now, by("bob"))

    before(world.store, write, cuts)
    soon = world.now + timedelta(minutes=3)
    answer = {
        "renew": lambda: world.expiry.renew("falcon", 3, world.now, by()),
        "renew_until": lambda: world.expiry.renew_until("falcon", soon, world.now, by()),
        "pay_session": lambda: world.sessions.pay("falcon", "mine", 3, world.now, by()),
        "change_running": lambda: world.updates.update("falcon", "falcon-1", {}, world.now, by()),
    }[write]()

    told = ("LeaseExpiresAt", "Sessions", "EndpointExpiry", "Wanted")
    assert {key: answer.document[key] for key in told} == {
        key: world.get("falcon")[key] for key in told
    }


def test_update_rolled_back_in_an_earlier_life_that_nobody_saw_end_is_applied_in_the_next(
    world: World,
) -> None:
    world.renew("falcon", 60)
    world.advance(minutes=1)
    world.endpoints.rolling_back = "an alarm tripped"
    world.deploy(a_spec("falcon", "falcon-2"))
    world.advance(minutes=5)
    assert "rolled back" in world.get("falcon")["Reason"]
    world.endpoints.rolling_back = ""

    world.endpoints.run_by_hand("falcon", "falcon-1")
    world.expiry.add("falcon", "falcon-2", 5, world.now, by(), adopt=True)
    world.advance(minutes=2)

    assert world.get("falcon")["ServedConfigName"] == "falcon-2"


def test_update_that_ended_with_a_life_is_not_told_as_rolled_back_in_the_next(
    world: World,
) -> None:
    world.renew("falcon", 60)
    world.advance(minutes=1)
    world.deploy(a_spec("falcon", "falcon-2"))
    assert world.status("falcon") is Status.UPDATING

    world.endpoints.run_by_hand("falcon", "falcon-1")
    world.expiry.add("falcon", "falcon-2", 5, world.now, by(), adopt=True)
    world.advance(minutes=2)

    assert "rolled back" not in world.history.kinds("falcon")
    assert world.get("falcon")["ServedConfigName"] == "falcon-2"
