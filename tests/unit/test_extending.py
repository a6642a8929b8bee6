"""Calls of the model move the end of a lease on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lambdas.core.decision import meter_of
from lambdas.core.errors import EndpointStopped
from lambdas.core.meter import first_stop
from lambdas.core.ports import WakeShare
from lambdas.core.schedule import Schedule
from lambdas.core.state import Owner, State, Status
from lambdas.core.waking import LEAST_EXTENSION, Waking
from tests.fakes import a_spec, clock
from tests.unit.interleaving import before
from tests.world import MINUTE, World

MINUTES = 10
SECOND = timedelta(seconds=1)  # leases are paid in whole ones
DAY = {"days": ["mon"]}
STOP_AT_HALF_PAST = Schedule.parse({"name": "stop", "stop_time": "09:30", **DAY})
MORNING = Schedule.parse({"name": "w", "start_time": "09:15", "stop_time": "09:45", **DAY})


@pytest.fixture
def world() -> World:
    world = World()
    world.deploy(a_spec("falcon"))
    return world


def waking(world: World) -> Waking:
    return Waking(world.store, world.hints, world.history, MINUTES)


def call(world: World) -> None:
    """A call of the model, as the function before it sees it."""
    waking(world).extend("falcon", world.now)


def wake(world: World) -> None:
    waking(world).wake("falcon", world.now, "ann", WakeShare("ann", 1_000))
    world.settle()


def test_call_moves_the_end_of_the_lease_on(world: World) -> None:
    wake(world)
    for minutes in (4, 9, 9, 9):
        world.advance(minutes=minutes)
        call(world)
        assert world.state("falcon").expires_at == world.now + 10 * MINUTE
        assert world.status("falcon") is Status.IN_SERVICE
    world.advance(minutes=10)
    assert world.status("falcon") is Status.DELETING
    assert world.history.kinds("falcon").count("woken") == 1


def test_calls_write_once_a_minute(world: World) -> None:
    wake(world)
    written = []
    for _ in range(600):
        world.advance(seconds=1)
        rev = world.state("falcon").rev
        for _ in range(3):
            call(world)
        written += [world.now] if world.state("falcon").rev > rev else []
        assert world.state("falcon").rev <= rev + 1
    assert written == [clock(9) + minute * MINUTE for minute in range(1, 11)]


def test_time_that_others_paid_is_not_shortened(world: World) -> None:
    world.renew("falcon", 60)
    world.pay_session("falcon", "job", 15)
    paid = world.state("falcon")
    call(world)
    assert world.state("falcon") == paid
    world.advance_to(clock(9, 55))
    call(world)
    assert world.state("falcon").expires_at == clock(10, 5)
    assert world.state("falcon").sessions == paid.sessions


def test_session_that_is_paid_for_longer_is_enough(world: World) -> None:
    wake(world)
    world.advance(minutes=5)
    world.pay_session("falcon", "job", 15)
    call(world)
    assert world.state("falcon").expires_at == clock(9, 10)


@pytest.mark.parametrize("schedules", [(), (MORNING,)])
def test_call_never_restarts_what_was_stopped(
    world: World, schedules: tuple[Schedule, ...]
) -> None:
    world.deploy(a_spec("falcon", schedules=schedules))
    world.advance_to(clock(9, 20))
    world.renew("falcon", 30)
    world.stop("falcon")
    stopped = world.state("falcon")
    call(world)  # it is being deleted, and serves still
    assert world.state("falcon") == stopped
    if schedules:
        assert stopped.held_since == clock(9, 20)
        with pytest.raises(EndpointStopped):
            wake(world)


def test_stop_while_a_call_is_on_its_way_stays(world: World) -> None:
    wake(world)
    world.advance(minutes=5)
    before(world.store, "extend", lambda: world.stop("falcon"))
    call(world)
    assert world.state("falcon").expires_at == clock(9, 5)
    assert world.status("falcon") is Status.DELETING


def test_renewal_while_a_call_is_on_its_way_stays(world: World) -> None:
    wake(world)
    world.advance(minutes=5)
    before(world.store, "extend", lambda: world.renew("falcon", 20))
    call(world)
    assert world.state("falcon").expires_at == clock(9, 30)


def test_window_alone_is_no_lease(world: World) -> None:
    world.deploy(a_spec("falcon", schedules=(MORNING,)))
    world.advance_to(clock(9, 40))
    assert world.status("falcon") is Status.IN_SERVICE
    call(world)
    assert world.state("falcon").expires_at is None


def test_lone_stop_ends_what_calls_paid(world: World) -> None:
    world.deploy(a_spec("falcon", schedules=(STOP_AT_HALF_PAST,)))
    world.advance_to(clock(9, 18))
    wake(world)
    for _ in range(10):
        world.advance(minutes=1)
        call(world)
    assert world.state("falcon").expires_at == clock(9, 30), "later calls would change nothing"
    world.advance_to(clock(9, 30))
    assert world.status("falcon") is Status.DELETING


def test_nothing_is_extended_beyond_the_maximum_or_while_the_stack_is_destroyed(
    world: World,
) -> None:
    world.deploy(a_spec("falcon", max_lease_minutes=3))
    wake(world)
    world.advance(minutes=2)
    call(world)
    assert world.state("falcon").expires_at == clock(9, 5)
    world.advance(minutes=2)
    world.store.set_drain(world.now + MINUTE)
    call(world)
    assert world.state("falcon").expires_at == clock(9, 5)


@pytest.mark.parametrize("key", ["falcon", "nobody"])
def test_endpoint_that_is_not_ours_or_unknown_is_left_alone(world: World, key: str) -> None:
    paid = State(expires_at=world.now + 2 * MINUTE, stranger=Owner.ANOTHER_STACK)
    world.store.records.clear()
    world.store.deploy(a_spec("falcon"))
    world.store.create_state("falcon", paid)
    waking(world).extend(key, world.now)
    assert world.state("falcon") == paid


ACTS: dict[str, Callable[[World], object]] = {
    "call": call,
    "wake": lambda world: _attempt(lambda: wake(world)),
    "renew": lambda world: world.renew("falcon", 7),
    "renew long": lambda world: world.renew("falcon", 45),
    "pay session": lambda world: world.pay_session("falcon", "job", 3),
    "end session": lambda world: world.end_session("falcon", "job"),
    "stop": lambda world: world.stop("falcon"),
}
STEPS = st.lists(
    st.tuples(
        st.sampled_from([*ACTS, *["call"] * 8]), st.sampled_from([0.4, 1, 20, 59.7, 60, 61, 400])
    ),
    max_size=40,
)


def _attempt(act: Callable[[], object]) -> None:
    try:
        act()
    except EndpointStopped:
        return


@settings(max_examples=300)
@given(
    steps=STEPS,
    schedules=st.sampled_from([(), (MORNING,), (STOP_AT_HALF_PAST,), (MORNING, STOP_AT_HALF_PAST)]),
)
def test_calls_shorten_nothing_start_nothing_and_write_once_a_minute(
    steps: list[tuple[str, float]], schedules: tuple[Schedule, ...]
) -> None:
    world = World()
    world.deploy(a_spec("falcon", schedules=schedules))
    written: datetime | None = None
    for act, seconds in steps:
        world.advance(seconds=seconds)
        old, now = world.state("falcon"), world.now
        ACTS[act](world)
        if act != "call":
            continue
        new, spec = world.state("falcon"), world.store.load("falcon").spec
        assert spec is not None
        ended, ends = meter_of(spec, old).expires_at, meter_of(spec, new).expires_at
        if new == old:
            stop = first_stop(schedules, now)
            due = min(now + MINUTES * MINUTE, stop or clock(23))
            assert ended is None or ended <= now or ended > due - LEAST_EXTENSION - SECOND
            continue
        assert ended is not None
        assert ends is not None
        assert now < ended <= ends - LEAST_EXTENSION
        assert ends <= now + MINUTES * MINUTE
        assert (new.sessions, new.held_since) == (old.sessions, old.held_since)
        assert new.rev == old.rev + 1
        assert written is None or now - written > MINUTE - SECOND
        written = now
