"""Calls that SageMaker refuses with an error that no retry changes."""

from __future__ import annotations

from datetime import time
from typing import Any

import pytest

from lambdas.aws.attribute_values import decode, encode
from lambdas.aws.items import lease_values, state_of, state_values
from lambdas.core.days import WEEKDAYS
from lambdas.core.errors import AwsRefused
from lambdas.core.schedule import Schedule
from lambdas.core.spec import Scaling
from lambdas.core.state import Owner, State, Status
from tests.fakes import a_spec, clock
from tests.world import World

INVALID = ("ValidationException", "1 validation error detected: Value at 'tags' is wrong")
UNREADABLE = ("SerializationException", "NUMBER_VALUE can not be converted to a String")
NEVER_SENT = ("ParamValidationError", "Parameter validation failed: unknown parameter")
TWICE = (
    Schedule("morning", time(9), time(10), days=frozenset(WEEKDAYS)),
    Schedule("noon", time(12), time(13), days=frozenset(WEEKDAYS)),
)
SCALING = (Scaling("AllTraffic", 1, 4, {"invocations": {"TargetValue": 70.0}}),)


@pytest.fixture
def world() -> World:
    world = World()
    world.deploy(a_spec("falcon"))
    return world


def refuse(world: World, operation: str, error: tuple[str, str], times: int = 100) -> None:
    world.endpoints.refusals[operation] = [AwsRefused(*error) for _ in range(times)]


def tries(world: World, operation: str, times: int = 100) -> int:
    return times - len(world.endpoints.refusals.get(operation, []))


@pytest.mark.parametrize(
    ("error", "most"), [(INVALID, 5), (UNREADABLE, 1), (NEVER_SENT, 1)], ids=str
)
def test_start_that_can_never_succeed_is_told_and_not_tried_again(
    world: World, error: tuple[str, str], most: int
) -> None:
    refuse(world, "create", error)
    world.renew("falcon", 24 * 60)

    world.advance(minutes=600)

    assert tries(world, "create") == most
    assert world.history.kinds("falcon").count("create refused") <= 2
    assert world.get("falcon")["Reason"] == (
        f"create refused: {error[0]}: {error[1]} (it is tried again once its entry is changed or "
        "it is paid for again)"
    )


def test_long_refusal_is_told_once_and_with_what_leads_to_another_try(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = world.store.save

    def save_as_stored(key: str, owner: str, state: State, *others: Any) -> None:
        values = {**state_values(state), **lease_values(state)}
        given = {name: value for name, value in values.items() if value is not None}
        save(key, owner, state_of(decode(encode(given))), *others)

    monkeypatch.setattr(world.store, "save", save_as_stored)
    refuse(world, "create", (INVALID[0], "wrong " * 200))
    world.renew("falcon", 24 * 60)

    world.advance(minutes=600)

    assert tries(world, "create") == 5
    assert world.history.kinds("falcon").count("create refused") == 2, "the first and the last try"
    assert world.get("falcon")["Reason"].endswith(
        " (it is tried again once its entry is changed or it is paid for again)"
    )


def test_invalid_request_that_succeeds_a_little_later_is_tried_until_then(world: World) -> None:
    refuse(world, "create", INVALID, times=4)
    world.renew("falcon", 60)

    world.advance(minutes=5)

    assert world.status("falcon") is Status.IN_SERVICE
    assert world.get("falcon")["Reason"].startswith("the lease is paid until")


def test_dropped_start_is_tried_again_when_it_is_paid_for_again(world: World) -> None:
    refuse(world, "create", UNREADABLE, times=1)
    world.renew("falcon", 60)
    world.advance(minutes=30)
    assert world.status("falcon") is Status.ABSENT

    world.renew("falcon", 1)

    world.advance(minutes=1)
    assert world.status("falcon") is Status.IN_SERVICE


def test_dropped_start_is_tried_again_when_a_deploy_changes_the_entry(world: World) -> None:
    refuse(world, "create", UNREADABLE, times=1)
    world.renew("falcon", 60)
    world.advance(minutes=30)

    world.deploy(a_spec("falcon", tags={"team": "nlp"}, spec_hash="2"))

    world.advance(minutes=1)
    assert world.status("falcon") is Status.IN_SERVICE


def test_dropped_start_is_tried_again_in_the_next_window(world: World) -> None:
    refuse(world, "create", UNREADABLE, times=1)
    world.deploy(a_spec("falcon", schedules=TWICE, spec_hash="2"))
    world.advance_to(clock(9, 59))
    assert tries(world, "create", times=1) == 1
    assert world.status("falcon") is Status.ABSENT

    world.advance_to(clock(12, 1))

    assert world.status("falcon") is Status.IN_SERVICE


def test_dropped_update_leaves_what_runs_with_its_scaling(world: World) -> None:
    world.deploy(a_spec("falcon", scaling=SCALING))
    world.renew("falcon", 24 * 60)
    world.advance(minutes=1)
    refuse(world, "update", UNREADABLE)

    world.deploy(a_spec("falcon", "new", scaling=SCALING, spec_hash="2"))
    world.advance(minutes=300)

    assert tries(world, "update") == 1
    assert world.get("falcon")["ServedConfigName"] == "falcon-1"
    assert world.get("falcon")["Reason"] == (
        "update refused: SerializationException: NUMBER_VALUE can not be converted to a String "
        "(it is tried again once its entry or its config is changed)"
    )
    assert world.endpoints.scaled == {"falcon": SCALING}


def test_dropped_scaling_keeps_the_endpoint_and_its_stop(world: World) -> None:
    refuse(world, "scale", INVALID)
    world.deploy(a_spec("falcon", scaling=SCALING))
    world.renew("falcon", 120)

    world.advance(minutes=100)

    assert tries(world, "scale") == 5
    assert world.status("falcon") is Status.IN_SERVICE
    assert world.get("falcon")["Reason"] == (
        f"restore refused: {INVALID[0]}: {INVALID[1]} (it is tried again once its entry is "
        "changed, or at the next start)"
    )
    world.advance(minutes=21)
    assert world.status("falcon") is Status.ABSENT


def test_scaling_and_update_that_are_both_dropped_end_the_tries(world: World) -> None:
    world.renew("falcon", 48 * 60)
    world.advance(minutes=1)
    refuse(world, "scale", INVALID)
    refuse(world, "update", INVALID)

    world.deploy(a_spec("falcon", "new", scaling=SCALING, spec_hash="2"))
    world.advance(minutes=1440)

    assert (tries(world, "update"), tries(world, "scale")) == (5, 5)


def test_adoption_that_can_never_be_tagged_is_void(world: World) -> None:
    world.endpoints.configs.add("theirs")
    world.endpoints.run_by_hand("solo", "theirs")
    refuse(world, "adopt", ("ValidationException", "the limit of 50 tags is reached"))
    world.add("solo", "theirs", 600, adopt=True)

    world.advance(minutes=60)

    assert tries(world, "adopt") == 5
    assert "adoption void" in world.history.kinds("solo")
    assert world.endpoints.live["solo"].owner is Owner.NOBODY


def test_stop_is_tried_again_whatever_its_refusal_says(world: World) -> None:
    world.renew("falcon", 1)
    world.advance(seconds=30)
    refuse(world, "delete", UNREADABLE, times=30)

    world.advance(minutes=60)

    assert world.status("falcon") is Status.ABSENT
