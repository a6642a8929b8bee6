"""Asynchronous calls of endpoints that are added over the API: `async_api`."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lambdas.core.errors import ConfigOwned, LeaseTooLong, MeterError, ScopeMissing, SpecUnreadable
from lambdas.core.schedule import Schedule
from lambdas.core.schedule_changes import ScheduleUseCases
from lambdas.core.spec import AsyncMode
from tests.fakes import a_spec, by
from tests.unit.interleaving import before
from tests.world import World

NIGHT = Schedule.parse(
    {"name": "night", "start_time": "20:00", "stop_time": "06:00", "days": ["mon"]}
)


@pytest.fixture
def world() -> World:
    """Falcon is in the config; `mine` was added and runs."""
    world = World()
    world.endpoints.configs |= {"cfg"}
    world.deploy(a_spec("falcon", async_api=AsyncMode.DIRECT))
    world.add("mine", "cfg", 60)
    world.advance(minutes=10)
    return world


def mode(world: World, name: str) -> AsyncMode:
    spec = world.store.load(name).spec
    assert spec is not None
    return spec.async_api


@pytest.mark.parametrize(
    ("options", "takes"), [({}, False), ({"async_api": False}, False), ({"async_api": True}, True)]
)
def test_an_added_endpoint_takes_asynchronous_calls_if_the_request_says_so(
    world: World, options: dict[str, bool], takes: bool
) -> None:
    answer = world.add("other", "cfg", 10, **options)
    assert (answer.http_status, answer.document["AsyncApi"]) == (201, takes)
    assert world.get("other")["AsyncApi"] is takes


def test_adding_again_changes_it_and_an_absent_field_does_not(world: World) -> None:
    for options, takes in (({"async_api": True}, True), ({}, True), ({"async_api": False}, False)):
        answer = world.add("mine", "cfg", 10, **options)
        assert (answer.http_status, answer.document["AsyncApi"]) == (200, takes)
        assert world.get("mine")["AsyncApi"] is takes
    assert world.get("mine")["SecondsLeft"] == (50 + 3 * 10) * 60, "each has renewed it once"


def test_changing_it_is_an_event(world: World) -> None:
    world.add("mine", "cfg", 10, async_api=True)
    world.advance(seconds=1)
    world.add("mine", "cfg", 10, async_api=False)

    told = [e.reason for e in world.history.newest("mine", 9) if e.kind == "async api set"]
    assert told == ["it takes no asynchronous calls", "it takes asynchronous calls"]


def test_choice_for_an_endpoint_whose_spec_cannot_be_read_is_refused(world: World) -> None:
    record = world.store.load("mine")
    assert record.api_spec is not None
    spec = replace(record.api_spec, unreadable="window 1")
    world.store.records["mine"] = replace(record, api_spec=spec)
    with pytest.raises(SpecUnreadable):
        world.add("mine", "cfg", 10, async_api=True)
    assert mode(world, "mine") is AsyncMode.OFF


def test_repeated_request_is_answered_as_the_first_time_after_it_was_changed(world: World) -> None:
    request = by().under("key", "POST", {"async_api": True})
    first = world.expiry.add("mine", "cfg", 10, world.now, request, async_api=True)
    assert first.document["AsyncApi"] is True
    world.add("mine", "cfg", 10, async_api=False)
    assert world.expiry.add("mine", "cfg", 10, world.now, request, async_api=True) == first
    world.stop("mine", forget=True)
    world.advance(minutes=1)
    assert world.expiry.add("mine", "cfg", 10, world.now, request, async_api=True) == first


def test_adopting_with_it_needs_the_scope_add_too(world: World) -> None:
    world.endpoints.run_by_hand("theirs", "cfg")
    adopter = by("adopter", "manage")
    with pytest.raises(ScopeMissing, match="add"):
        world.expiry.add("theirs", "cfg", 10, world.now, adopter, adopt=True, async_api=True)
    assert world.store.load("theirs").spec is None
    answer = world.expiry.add("theirs", "cfg", 10, world.now, adopter, adopt=True)
    assert (answer.http_status, answer.document["AsyncApi"]) == (201, False)


def test_changing_it_needs_the_scope_add(world: World) -> None:
    renewer = by("renewer", "renew")
    with pytest.raises(ScopeMissing, match="add"):
        world.expiry.add("mine", "cfg", 10, world.now, renewer, async_api=True)
    assert mode(world, "mine") is AsyncMode.OFF
    assert world.get("mine")["SecondsLeft"] == 50 * 60
    renewed = world.expiry.add("mine", "cfg", 10, world.now, renewer, async_api=False)
    assert renewed.http_status == 200, "it is so already"


def test_of_an_entry_the_config_decides(world: World) -> None:
    with pytest.raises(ConfigOwned):
        world.add("falcon", "falcon-1", 10, async_api=False)
    assert world.add("falcon", "falcon-1", 10, async_api=True).document["AsyncApi"] is True


@pytest.mark.parametrize(
    ("minutes", "config", "refusal"),
    [(50_000, "cfg", LeaseTooLong), (10, "another", MeterError)],
)
def test_a_refused_renewal_does_not_change_it(
    world: World, minutes: int, config: str, refusal: type[MeterError]
) -> None:
    with pytest.raises(refusal):
        world.add("mine", config, minutes, async_api=True)
    assert mode(world, "mine") is AsyncMode.OFF


def test_schedules_that_are_set_meanwhile_are_kept(world: World) -> None:
    schedules = ScheduleUseCases.over(world.expiry)
    before(
        world.store,
        "replace_api_spec",
        lambda: schedules.replace("mine", [NIGHT], world.now, by()),
    )
    assert world.add("mine", "cfg", 10, async_api=True).document["AsyncApi"] is True
    spec = world.store.load("mine").spec
    assert spec is not None
    assert (spec.async_api, spec.schedules) == (AsyncMode.DIRECT, (NIGHT,))


def test_it_is_forgotten_with_the_endpoint(world: World) -> None:
    world.add("mine", "cfg", 10, async_api=True)
    world.stop("mine", forget=True)
    world.advance(minutes=10)
    assert world.add("mine", "cfg", 10).document["AsyncApi"] is False
