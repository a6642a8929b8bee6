"""The sweep on single endpoints: what it hints, reports, takes over and drops."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from lambdas.core.errors import AwsRefused, Conflict
from lambdas.core.hints import Cause, Hint
from lambdas.core.name_patterns import NamePatterns
from lambdas.core.spec import Spec
from lambdas.core.state import Forgotten, Owner, Record, State, Status, Step, Wanted
from lambdas.core.sweep import Policy, Swept, Unmanaged
from tests.fakes import OFFICE_HOURS, a_spec, clock
from tests.unit.interleaving import failing
from tests.world import World

NOW = clock(9)
MINUTE = timedelta(minutes=1)
METER = Policy(Unmanaged.METER, timedelta(hours=1), timedelta(minutes=30))


def swept(world: World, policy: Policy = METER) -> Swept:
    return world.sweep_with(policy).sweep()


def with_state(world: World, spec: Spec | None = None, **fields: Any) -> None:
    """Falcon has this state, and this spec instead of its own."""
    record = world.store.load("falcon")
    state = replace(State(set_up_at=clock(1)), **fields)
    world.store.records["falcon"] = replace(
        record, state=state, config_spec=spec or record.config_spec
    )


def running(world: World) -> datetime:
    """Falcon runs, and has been there for an hour."""
    world.endpoints.run_by_hand("falcon", "falcon-1", Owner.US)
    seen = world.endpoints.describe("falcon")
    assert seen is not None
    assert seen.created_at is not None
    return seen.created_at


# --- what disagrees ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "hinted"),
    [
        ({}, False),
        ({"next_due": NOW + MINUTE}, False),
        ({"next_due": NOW}, False),
        ({"next_due": NOW - 5 * MINUTE}, False),
        ({"next_due": NOW - 5 * MINUTE - timedelta(seconds=1)}, True),
        ({"observed_status": Status.IN_SERVICE}, True),
        ({"expires_at": clock(10)}, True),
        ({"expires_at": clock(10), "next_due": NOW + 15 * MINUTE}, False),
        ({"expires_at": clock(10), "next_due": NOW + 16 * MINUTE}, True),
    ],
    ids=[
        "stopped",
        "due soon",
        "due now",
        "just due",
        "due for long",
        "gone though it was seen",
        "wanted and nothing is planned",
        "wanted and its try is near",
        "wanted and its try is far",
    ],
)
def test_stopped_endpoint_is_hinted_if_something_is_wrong_and_no_hint_is_on_its_way(
    world: World, fields: dict[str, Any], hinted: bool
) -> None:
    with_state(world, **fields)
    world.hints.sent.clear()

    assert swept(world).hinted == (["falcon"] if hinted else [])
    starts = [Hint("falcon", Cause.SWEEP, start=True)] if hinted else []
    assert world.hints.sent == starts, "what does not exist needs no stop"


def test_running_endpoint_is_hinted_if_it_was_changed_or_should_not_run(world: World) -> None:
    created = running(world)
    paid: dict[str, Any] = {
        "expires_at": clock(10),
        "next_due": clock(10),
        "observed_status": Status.IN_SERVICE,
        "observed_modified": created,
    }
    for changes, hinted in (
        ({}, False),
        ({"observed_modified": created - MINUTE}, True),
        ({"next_due": clock(10) + MINUTE}, True),
        ({"next_due": None}, True),
        ({"expires_at": None, "next_due": None}, True),
        ({"observed_status": Status.CREATING}, True),
    ):
        with_state(world, **{**paid, **changes})
        world.hints.sent.clear()
        assert swept(world).hinted == (["falcon"] if hinted else []), changes
        assert world.hints.sent == ([Hint("falcon", Cause.SWEEP)] if hinted else [])


def test_due_time_of_what_is_hinted_is_kept_if_it_is_over(world: World) -> None:
    over = NOW - 10 * MINUTE
    with_state(world, next_due=over)
    swept(world)
    assert world.state("falcon").next_due == over

    with_state(world, observed_status=Status.IN_SERVICE)
    swept(world)
    assert world.state("falcon").next_due == NOW
    assert world.state("falcon").next_step is Step.CREATE


def test_endpoint_that_cannot_be_made_due_is_hinted_all_the_same(world: World) -> None:
    for error in (Conflict("forgotten"), AwsRefused("Boom", "no")):
        with_state(world, observed_status=Status.IN_SERVICE)
        world.store.touch = failing(error)  # type: ignore[method-assign]
        assert swept(world).hinted == ["falcon"]


# --- what is late -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "late"),
    [
        ({"expires_at": clock(10), "last_wanted": Wanted(True, NOW - 30 * MINUTE)}, True),
        ({"expires_at": clock(10), "last_wanted": Wanted(True, NOW - 29 * MINUTE)}, False),
        ({"expires_at": clock(10), "next_due": NOW - 30 * MINUTE}, True),
        ({"expires_at": clock(10), "next_due": NOW - 29 * MINUTE}, False),
        ({"expires_at": clock(10)}, False),
        ({"last_wanted": Wanted(False, NOW - 90 * MINUTE)}, False),
        (
            {
                "expires_at": clock(10),
                "last_wanted": Wanted(False, NOW - 90 * MINUTE),
                "next_due": NOW - 30 * MINUTE,
            },
            True,
        ),
    ],
)
def test_start_that_is_overdue_is_late(world: World, fields: dict[str, Any], late: bool) -> None:
    with_state(world, **fields)

    assert swept(world).late == (["falcon"] if late else [])


def test_stop_that_is_overdue_is_late_unless_its_owner_wants_it_ignored(world: World) -> None:
    running(world)
    unwanted: dict[str, Any] = {
        "last_wanted": Wanted(False, NOW - 31 * MINUTE),
        "next_due": NOW + MINUTE,
    }
    with_state(world, **unwanted)
    assert swept(world).late == ["falcon"]

    world.endpoints.live["falcon"].owner = Owner.IGNORED
    assert swept(world).late == []
    world.endpoints.owner = failing(AwsRefused("Boom", "no"))  # type: ignore[method-assign]
    assert swept(world).late == ["falcon"], "a false alarm is better than none"

    world.store.set_drain(NOW + MINUTE)
    assert swept(world).late == [], "the destroy waits for it"


def test_endpoint_that_serves_while_it_is_updated_is_not_late(world: World) -> None:
    running(world)
    for status, late in ((Status.UPDATING, False), (Status.CREATING, True)):
        world.endpoints.live["falcon"].status = status
        with_state(world, expires_at=clock(10), last_wanted=Wanted(True, NOW - 31 * MINUTE))
        assert swept(world).late == (["falcon"] if late else [])


def test_endpoint_with_unreadable_schedules_is_neither_late_nor_hinted_for_running(
    world: World,
) -> None:
    created = running(world)
    with_state(
        world,
        a_spec("falcon", unreadable="window 1"),
        observed_status=Status.IN_SERVICE,
        observed_modified=created,
        next_due=NOW + MINUTE,
        last_wanted=Wanted(False, NOW - 90 * MINUTE),
    )

    found = swept(world)

    assert (found.late, found.hinted) == ([], [])


# --- strangers --------------------------------------------------------------------------------


def test_orphan_is_told_once_and_deleted_an_hour_later(world: World) -> None:
    world.endpoints.run_by_hand("Stray", "cfg", Owner.US)

    assert swept(world).orphans == ["Stray"]
    text = "it carries our tag, but nobody declared it; it is deleted at 2026-03-02T10:00:00Z"
    assert world.notices == [f"Orphaned endpoint Stray: Stray: {text}"]
    (event,) = world.history.newest("stray", 9)
    assert (event.kind, event.reason) == ("orphan", text)
    state = world.state("stray")
    assert (state.next_due, state.orphaned_at) == (clock(10), NOW)
    assert swept(world).orphans == ["stray"]
    assert len(world.notices) == 1


@pytest.mark.parametrize(
    ("policy", "reported", "adopted"),
    [
        (replace(METER, unmanaged=Unmanaged.IGNORE), False, False),
        (replace(METER, unmanaged=Unmanaged.REPORT), True, False),
        (METER, True, True),
        (replace(METER, adoptable=NamePatterns(("other-*",))), True, False),
    ],
)
def test_unmanaged_endpoint_is_treated_as_the_policy_says(
    world: World, policy: Policy, reported: bool, adopted: bool
) -> None:
    world.endpoints.run_by_hand("theirs", "cfg")

    found = swept(world, replace(policy, max_lease_minutes=600))

    assert found.unmanaged == (["theirs"] if reported else [])
    assert ("theirs" in world.store.records) is adopted
    if adopted:
        record = world.store.load("theirs")
        assert record.api_spec is not None
        assert record.api_spec.max_lease_minutes == 600
        assert world.state("theirs").expires_at == clock(10)
        text = "nobody had it on a meter; it stops at 2026-03-02T10:00:00Z unless it is renewed"
        assert world.notices == [f"Endpoint theirs is on the meter now: theirs: {text}"]
        assert Hint("theirs", Cause.SWEEP) in world.hints.sent
        (event,) = world.history.newest("theirs", 9)
        assert (event.kind, event.reason) == ("adopted", text)


@pytest.mark.parametrize("hindrance", ["draining", "restored", "starting", "without a config"])
def test_unmanaged_endpoint_is_only_reported_while_it_cannot_be_adopted(
    world: World, hindrance: str
) -> None:
    world.endpoints.run_by_hand("theirs", "cfg")
    match hindrance:
        case "draining":
            world.store.set_drain(NOW + MINUTE)
        case "restored":
            world.store.id = "table-2"
        case "starting":
            world.endpoints.live["theirs"].status = Status.CREATING
        case _:
            world.endpoints.live["theirs"].config_name = None  # type: ignore[assignment]

    found = swept(world)

    assert found.unmanaged == ["theirs"]
    assert found.restored is (hindrance == "restored")
    assert "theirs" not in world.store.records


def test_endpoints_of_others_are_not_mentioned(world: World) -> None:
    world.endpoints.run_by_hand("a", "cfg", Owner.ANOTHER_STACK)
    world.endpoints.run_by_hand("b", "cfg", Owner.IGNORED)

    found = swept(world)

    assert (found.unmanaged, found.orphans, found.endpoints) == ([], [], 1)


def test_failure_with_one_stranger_stops_no_other(world: World) -> None:
    for name in ("a", "b"):
        world.endpoints.run_by_hand(name, "cfg")
    real = world.endpoints.owner

    def owner(arn: str) -> Owner:
        if arn == "arn:a":
            raise AwsRefused("Boom", "no")
        return real(arn)

    world.endpoints.owner = owner  # type: ignore[method-assign]
    assert swept(world).unmanaged == ["b"]


# --- the rest ---------------------------------------------------------------------------------


def test_what_is_kept_of_a_forgotten_endpoint_is_dropped_after_a_day(world: World) -> None:
    dropped: list[str] = []

    def drop(key: str, at: datetime) -> None:
        dropped.append(key)
        if key == "old":
            raise AwsRefused("Boom", "no")

    world.store.drop_forgotten = drop  # type: ignore[method-assign]
    day = timedelta(hours=24)
    for key, at in (("old", NOW - day), ("older", NOW - 2 * day), ("young", NOW - day + MINUTE)):
        left = Forgotten(a_spec(key), {}, at)
        world.store.records[key] = Record(key, forgotten=left)

    swept(world)

    assert sorted(dropped) == ["old", "older"]


def test_declared_endpoint_gets_its_state_and_the_sweep_its_beat(world: World) -> None:
    world.store.deploy(a_spec("flan", initial_provision_minutes=30))

    swept(world)

    assert world.state("flan").expires_at == NOW + 30 * MINUTE
    assert world.store.control().last_sweep == NOW


def test_opening_of_a_window_that_nothing_is_planned_for_is_hinted(world: World) -> None:
    with_state(world, a_spec("falcon", schedules=(OFFICE_HOURS,)), next_due=clock(10) + MINUTE)
    assert swept(world).hinted == ["falcon"]

    with_state(world, next_due=clock(10))
    assert swept(world).hinted == []


@pytest.mark.parametrize(
    ("recorded", "actual", "accepted"),
    [("table-1", "table-2", True), ("table-1", "table-1", False), (None, "table-2", False)],
)
def test_restored_table_is_accepted_once(
    world: World, recorded: str | None, actual: str, accepted: bool
) -> None:
    world.store.id = actual
    world.store.control_item = replace(world.store.control_item, table_id=recorded)

    assert world.sweeper.accept_restored_table() is accepted
    assert world.store.control().table_id == actual
    assert not world.sweeper.accept_restored_table()
    world.store.id = None
    assert not world.sweeper.accept_restored_table()
