"""Waking: a call of the model starts a stopped endpoint."""

from __future__ import annotations

from datetime import timedelta

import pytest

from lambdas.core.errors import Conflict, Draining, EndpointStopped, NotOurs, UnknownEndpoint
from lambdas.core.ports import WakeShare
from lambdas.core.schedule import Schedule
from lambdas.core.serving import OVERDUE_SECONDS, STARTING_SECONDS, not_serving
from lambdas.core.state import Record, Status
from lambdas.core.waking import TooManyWakes, Waking
from tests.fakes import a_spec, clock
from tests.world import MINUTE, World

SHARE = WakeShare("token-1", 2)
WORKDAY = Schedule.parse(
    {"name": "w", "start_time": "09:00", "stop_time": "17:00", "days": ["mon"]}
)


@pytest.fixture
def world() -> World:
    world = World()
    world.deploy(a_spec("Falcon"))
    return world


def wake(world: World, name: str = "Falcon", share: WakeShare = SHARE) -> Record:
    waking = Waking(world.store, world.hints, world.history, 10)
    return waking.wake(name, world.now, "ann", share)


def test_a_stopped_endpoint_gets_one_lease_and_starts(world: World) -> None:
    record = wake(world)
    world.settle()
    assert record.state is not None
    assert record.state.expires_at == world.state("falcon").expires_at == clock(9, 10)
    assert world.status("falcon") is Status.CREATING
    assert set(world.history.kinds("falcon")) == {"woken", "create"}


def test_an_endpoint_that_is_wanted_is_left_alone(world: World) -> None:
    for _ in range(50):
        wake(world)
    assert world.state("falcon").expires_at == clock(9, 10)
    assert world.history.kinds("falcon").count("woken") == 1


def test_concurrent_callers_of_a_stopped_endpoint_grant_one_lease(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = world.store.load("falcon")
    wake(world)
    answers = iter([before])  # what a caller read before the other caller wrote
    load = world.store.load
    monkeypatch.setattr(world.store, "load", lambda key: next(answers, None) or load(key))
    record = wake(world)
    assert record.state == world.state("falcon")
    assert world.state("falcon").expires_at == clock(9, 10)
    assert sum(world.store.wakes.values()) == 1


def test_wakes_are_limited_per_token_and_hour(world: World) -> None:
    for _ in range(2):
        wake(world)
        world.advance(minutes=20)
    assert world.now == clock(9, 40)
    with pytest.raises(TooManyWakes, match="2 times an hour") as refused:
        wake(world)
    assert refused.value.retry_after_seconds == 20 * 60 + 1
    last = world.state("falcon").last_wanted
    assert last is not None
    assert not last.running
    wake(world, share=WakeShare("token-2", 2))
    world.advance(minutes=20)
    wake(world)
    assert world.state("falcon").expires_at == clock(10, 10)


def test_waking_does_not_end_a_hold(world: World) -> None:
    world.deploy(a_spec("Falcon", schedules=(WORKDAY,)))
    world.stop("Falcon")
    with pytest.raises(EndpointStopped):
        wake(world)
    assert world.state("falcon").expires_at is None
    world.advance_to(clock(17, 30))
    wake(world)  # the window has closed, so the hold has ended
    assert world.state("falcon").expires_at == clock(17, 40)


def test_nothing_is_woken_while_the_stack_is_destroyed(world: World) -> None:
    world.store.set_drain(world.now + MINUTE)
    with pytest.raises(Draining):
        wake(world)


def test_unknown_endpoint_is_not_woken(world: World) -> None:
    with pytest.raises(UnknownEndpoint):
        wake(world, "other")


def test_call_after_a_stranger_was_deleted_lets_the_next_call_wake(world: World) -> None:
    world.endpoints.run_by_hand("falcon", "their-cfg")
    world.sweeper.sweep()
    world.advance(minutes=2)
    world.endpoints.live.clear()
    with pytest.raises(NotOurs):
        wake(world)
    world.settle()
    wake(world)
    assert world.state("falcon").expires_at == world.now + 10 * MINUTE


def test_a_lease_by_waking_is_cut_to_the_maximum(world: World) -> None:
    world.deploy(a_spec("Falcon", max_lease_minutes=3))
    wake(world)
    assert world.state("falcon").expires_at == clock(9, 3)


def test_retry_after_of_a_starting_endpoint_is_estimated_from_its_last_start(world: World) -> None:
    world.endpoints.create_seconds = 240
    record = wake(world)
    assert not_serving(record, world.now).retry_after_seconds == STARTING_SECONDS
    world.settle()
    # SageMaker says that it went into service four minutes after it was created.
    falcon = world.endpoints.live["falcon"]
    falcon.modified_at = falcon.created_at + timedelta(minutes=4)
    world.advance(minutes=12)
    assert world.state("falcon").start_seconds == 240
    world.advance(minutes=20)
    record = wake(world)
    assert not_serving(record, world.now).retry_after_seconds == 240
    world.settle()
    world.advance(seconds=60.5)
    record = world.store.load("falcon")
    assert not_serving(record, world.now).retry_after_seconds == 180
    assert not_serving(record, world.now + 4 * MINUTE).retry_after_seconds == OVERDUE_SECONDS


def test_retry_after_of_a_failed_start_is_the_time_until_it_is_tried_again(world: World) -> None:
    world.endpoints.failing = "no reason"
    wake(world)
    world.settle()
    world.advance(seconds=20)
    record = world.store.load("falcon")
    assert record.state is not None
    assert record.state.retry_at is not None
    left = (record.state.retry_at - world.now).total_seconds()
    assert 0 < left <= not_serving(record, world.now).retry_after_seconds < left + 1


def test_wake_with_another_revision_is_a_conflict_not_a_used_up_share(world: World) -> None:
    with pytest.raises(Conflict):
        world.store.wake("falcon", 99, world.now, world.now, SHARE)


@pytest.mark.parametrize("stopped", [False, True])
def test_endpoint_with_unreadable_schedules_is_woken_unless_somebody_stopped_it(
    world: World, stopped: bool
) -> None:
    world.deploy(a_spec("Falcon", unreadable="window 1"))
    if stopped:
        world.stop("Falcon")
        with pytest.raises(EndpointStopped):
            wake(world)
        return
    record = wake(world)
    assert record.state is not None
    assert record.state.expires_at == clock(9, 10)
