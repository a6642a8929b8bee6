"""Many starts due at the same instant: they are spread over turns and delay nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from lambdas.core.decision import TURN
from lambdas.core.hints import Cause
from lambdas.core.state import State, Step
from lambdas.core.sweep import JUST_DUE
from lambdas.core.tick import CLAIM, CROWD, tick
from tests.fakes import a_spec, clock
from tests.world import World

NINE = clock(9)
SIZE = 100


@pytest.fixture
def world() -> World:
    return World(NINE - timedelta(minutes=1))


def make_endpoints_due(
    world: World, size: int, step: Step = Step.CREATE, minutes: int = 60
) -> None:
    ends = NINE + timedelta(minutes=minutes)
    for number in range(size):
        spec = a_spec(f"model-{number}")
        world.store.deploy(spec)
        world.endpoints.configs.add(spec.endpoint_config_name)
        world.store.create_state(spec.key, State(expires_at=ends, next_due=NINE, next_step=step))


def arrivals(world: World) -> list[timedelta]:
    """When hints for endpoints arrive, counted from nine o'clock."""
    return sorted(hint.at - NINE for hint in world.hints.sent if hint.endpoint and hint.at)


def test_crowd_of_starts_is_spread_over_turns(world: World) -> None:
    make_endpoints_due(world, SIZE)
    tick(world.store, world.hints, world.now)
    assert arrivals(world) == [TURN * number for number in range(SIZE)]


def test_few_starts_and_any_number_of_stops_are_not_delayed(world: World) -> None:
    make_endpoints_due(world, CROWD)
    tick(world.store, world.hints, world.now)
    assert set(arrivals(world)) == {timedelta()}
    assert not world.store.lines, "no turn is taken if nobody waits"

    stopping = World(world.now)
    make_endpoints_due(stopping, SIZE, Step.DELETE, minutes=0)
    tick(stopping.store, stopping.hints, stopping.now)
    assert set(arrivals(stopping)) == {timedelta()}


def test_second_crowd_waits_behind_the_first(world: World) -> None:
    make_endpoints_due(world, SIZE)
    tick(world.store, world.hints, world.now)
    world.hints.sent.clear()
    world.store.claims.clear()
    tick(world.store, world.hints, world.now)
    assert arrivals(world)[0] == TURN * SIZE


def test_crowd_gets_another_hint_only_after_its_turn(world: World) -> None:
    make_endpoints_due(world, 1000)
    tick(world.store, world.hints, world.now)
    overdue = NINE + CLAIM + timedelta(seconds=1)
    again = tick(world.store, world.hints, overdue).hinted
    assert again == timedelta(seconds=1) // TURN + 1, "those whose turn was a minute ago"


def test_sweep_sends_no_hint_to_a_crowd_that_waits_for_its_turn(world: World) -> None:
    make_endpoints_due(world, SIZE)
    world.now = NINE + timedelta(minutes=1)
    assert world.sweeper.sweep().hinted == []

    world.now = NINE + JUST_DUE + timedelta(seconds=1)
    world.sweeper.sweep()
    hints = [hint for hint in world.hints.sent if hint.cause is Cause.SWEEP]
    assert len(hints) == SIZE
    assert all(hint.start for hint in hints), "they use the starts queue, so stops need not wait"


def test_sweep_sends_no_hint_to_throttled_endpoints_that_wait_for_their_turn(world: World) -> None:
    make_endpoints_due(world, SIZE)
    for key, record in world.store.records.items():
        state = record.state
        assert state is not None
        waiting = replace(state, next_due=NINE + timedelta(minutes=14))
        world.store.records[key] = replace(record, state=waiting)
    world.now = NINE + JUST_DUE
    assert world.sweeper.sweep().hinted == []
