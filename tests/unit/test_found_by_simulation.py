"""What the simulation found: each story is the shortest form of a failing seed."""

from __future__ import annotations

from datetime import time

import pytest

from lambdas.core.hints import Cause, Hint
from lambdas.core.meter import Request
from lambdas.core.schedule import Schedule
from lambdas.core.state import Status
from tests.fakes import a_spec, clock
from tests.unit.test_races import before, failing
from tests.world import World

ROUND_THE_CLOCK = Schedule("always", time(0), time(0), days=frozenset(range(7)))


@pytest.fixture
def world() -> World:
    world = World()
    world.deploy(a_spec("falcon"))
    world.endpoints.configs.add("cfg")
    return world


def test_add_that_meets_a_forget_adds_the_endpoint_anew(world: World) -> None:
    world.add("mine", "cfg", 10)
    before(
        world.endpoints,
        "describe",
        lambda: world.meter.stop("mine", world.now, Request("bob"), forget=True),
    )

    answer = world.add("mine", "cfg", 5)

    assert answer.http_status == 201
    world.advance(minutes=1)
    assert world.status("mine") is Status.IN_SERVICE


def test_add_whose_state_is_forgotten_under_it_starts_over(world: World) -> None:
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


def test_deploy_that_ends_a_drain_wakes_endpoints_of_the_api_too(world: World) -> None:
    world.add("mine", "cfg", 600)
    world.advance(minutes=1)
    world.deploys.drain(60)

    world.deploy(a_spec("falcon"))

    world.advance(minutes=1)
    assert world.status("mine") is Status.IN_SERVICE


def test_hint_between_two_clocks_that_are_both_off_is_sent_again(world: World) -> None:
    world.renew("falcon", 10)
    world.advance_to(clock(9, 9))
    sent = len(world.hints.sent)

    outcome = world.reconciler().heed(Hint("falcon", Cause.TICK), clock(9, 9, 56))

    assert outcome.word == "early"
    assert world.hints.sent[sent].at == clock(9, 10)


def test_schedules_set_by_a_request_that_dies_open_with_the_next_tick(world: World) -> None:
    world.add("mine", "cfg", 1)
    world.advance(minutes=3)
    world.hints.send = failing(RuntimeError("killed"))  # type: ignore[method-assign]
    world.store.touch = failing(RuntimeError("killed"))  # type: ignore[method-assign]
    with pytest.raises(RuntimeError):
        world.meter.set_schedules("mine", [ROUND_THE_CLOCK], world.now, Request("ann"))
    del world.hints.send, world.store.touch

    world.advance(minutes=2)

    assert world.status("mine") is Status.IN_SERVICE


def test_forget_that_a_renewal_came_into_stops_the_endpoint_at_once(world: World) -> None:
    world.add("mine", "cfg", 60)
    world.advance(minutes=1)
    before(
        world.store,
        "delete_api_spec",
        lambda: world.add("mine", "cfg", 600),
    )

    world.stop("mine", forget=True)

    world.advance(seconds=10)
    assert world.status("mine") is Status.ABSENT
