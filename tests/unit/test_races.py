"""What happens when two do the same at once, or when what comes after a write fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from lambdas.core.decision import decide
from lambdas.core.errors import (
    AwsRefused,
    Busy,
    Conflict,
    InvalidField,
    NameTaken,
    UnknownEndpoint,
)
from lambdas.core.hints import Cause, Hint
from lambdas.core.spec import Origin
from lambdas.core.state import Observed, Operation, Owner, State, Status, Step
from tests.fakes import OFFICE_HOURS, a_spec, by, clock
from tests.unit.interleaving import before, failing
from tests.world import World

ANN = by()


def test_two_adds_of_one_name_at_once_make_one_endpoint_and_both_are_paid(world: World) -> None:
    before(
        world.store,
        "declare",
        lambda: world.meter.add("mine", "cfg", 10, world.now, by("bob")),
    )
    answer = world.add("mine", "cfg", 5)
    assert answer.http_status == 200, "the other added it, this one renewed it"
    assert answer.document["LeaseExpiresAt"] == "2026-03-02T09:15:00Z"
    assert world.endpoints.made("create", "mine") == 1


def test_two_adds_with_different_configs_at_once_leave_one_with_a_conflict(world: World) -> None:
    before(
        world.store,
        "declare",
        lambda: world.meter.add("mine", "other", 10, world.now, by("bob")),
    )
    with pytest.raises(NameTaken):
        world.add("mine", "cfg", 5)


def test_names_that_differ_in_case_added_at_once_are_one_endpoint(world: World) -> None:
    before(
        world.store,
        "declare",
        lambda: world.meter.add("MINE", "cfg", 10, world.now, by("bob")),
    )
    with pytest.raises(NameTaken, match="only in case"):
        world.add("mine", "cfg", 5)


def test_stop_that_meets_a_renewal_is_decided_again_on_the_new_lease(world: World) -> None:
    world.renew("falcon", 10)
    before(world.store, "stop", lambda: world.meter.renew("falcon", 10, world.now, ANN))
    world.stop("falcon")
    assert world.get("falcon")["Wanted"] == "stopped"
    assert world.state("falcon").rev == 4, "sync, two renewals, one stop"


def test_schedules_set_twice_at_once_leave_the_last(world: World) -> None:
    world.add("mine", "cfg", 1)
    night = replace(OFFICE_HOURS, name="other")
    before(
        world.store,
        "replace_api_spec",
        lambda: world.meter.set_schedules("mine", [night], world.now, by("bob")),
    )
    spec = world.meter.set_schedules("mine", [OFFICE_HOURS], world.now, ANN)
    assert world.store.load("mine").spec == spec


def test_one_key_sent_twice_at_once_renews_once(world: World) -> None:
    body = {"minutes": 10}
    request = by().under("k", "POST", body)
    before(
        world.store, "renew", lambda: world.meter.renew("falcon", 10, world.now, request), times=1
    )
    answer = world.meter.renew("falcon", 10, world.now, request)
    assert answer.document["LeaseExpiresAt"] == "2026-03-02T09:10:00Z"
    assert world.state("falcon").expires_at == clock(9, 10)


@pytest.mark.parametrize(
    "use",
    [
        lambda world: world.meter.add("another", "cfg", 1, world.now, ANN),
        lambda world: world.meter.stop("mine", world.now, ANN, forget=False),
        lambda world: world.meter.set_schedules("mine", [], world.now, ANN),
    ],
    ids=["add", "stop", "set schedules"],
)
def test_endless_conflicts_end_in_busy(world: World, use: Callable[[World], object]) -> None:
    world.add("mine", "cfg", 1)
    for method in ("declare", "replace_api_spec", "stop"):
        setattr(world.store, method, failing(Conflict("always")))
    with pytest.raises(Busy):
        use(world)


def test_conflict_that_no_key_explains_is_busy(world: World) -> None:
    world.store.renew = failing(Conflict("odd"))  # type: ignore[method-assign]
    with pytest.raises(Busy):
        world.meter.renew("falcon", 1, world.now, ANN)


def test_renewal_is_accepted_though_hint_and_history_fail(world: World) -> None:
    refused = AwsRefused("ServiceUnavailable", "down")
    world.hints.send = failing(refused)  # type: ignore[method-assign]
    world.history.append = failing(refused)  # type: ignore[method-assign]
    answer = world.meter.renew("falcon", 10, world.now, ANN)
    assert answer.http_status == 200
    assert world.state("falcon").next_due == world.now, "the next tick finds it"


def test_endpoint_keeps_the_latest_sixty_keys(world: World) -> None:
    record = world.store.load("falcon")
    many = {
        f"k{number}": Operation(
            "b", world.now - timedelta(minutes=number), 200, Status.ABSENT, None, "", None
        )
        for number in range(60)
    }
    world.store.records["falcon"] = replace(record, operations=many)
    world.renew("falcon", 1, key="one more")
    kept = world.store.load("falcon").operations
    assert len(kept) == 60
    assert "k59" not in kept, "the oldest went"
    assert "k58" in kept


def test_reconcile_that_lost_its_lock_writes_nothing(world: World) -> None:
    world.meter.renew("falcon", 10, world.now, ANN)
    late = world.now + timedelta(seconds=50)
    before(
        world.endpoints,
        "describe",
        lambda: world.store.lock("falcon", "another run", late, late + timedelta(seconds=45)),
    )
    world.hints.queue.clear()
    outcome = world.reconciler().heed(Hint("falcon", Cause.TICK))
    assert outcome.word == "lock lost"
    assert not world.endpoints.calls


def test_reconcile_gives_up_for_now_when_every_round_meets_a_renewal(world: World) -> None:
    world.meter.renew("falcon", 10, world.now, ANN)
    before(
        world.endpoints,
        "describe",
        lambda: world.store.touch("falcon", world.now),
        times=100,
    )
    world.hints.queue.clear()
    outcome = world.reconciler().heed(Hint("falcon", Cause.TICK))
    assert outcome.word == "too many changes"
    record = world.store.load("falcon")
    assert record.lock_owner is None
    assert record.state is not None
    assert record.state.next_due == world.now, "still due"


def test_state_forgotten_before_the_lock_is_no_error(world: World) -> None:
    world.store.lock = failing(Conflict("no STATE"))  # type: ignore[method-assign]
    world.store.touch("falcon", world.now)
    assert world.reconciler().heed(Hint("falcon", Cause.TICK)).word == "unknown"


def test_create_that_finds_an_endpoint_not_quite_gone_waits_and_tries_again(world: World) -> None:
    world.endpoints.run_by_hand("falcon", "falcon-1", Owner.US)
    describe = world.endpoints.describe
    world.endpoints.describe = lambda _name: None  # type: ignore[assignment,method-assign]
    world.meter.renew("falcon", 30, world.now, ANN)
    world.settle()
    assert "already existing" in world.get("falcon")["Reason"]
    world.endpoints.describe = describe  # type: ignore[method-assign]
    world.endpoints.live.clear()
    world.advance(minutes=1)
    assert world.status("falcon") is Status.IN_SERVICE


def test_busy_endpoint_is_looked_at_again_soon(world: World) -> None:
    world.renew("falcon", 1)
    world.advance(seconds=55)
    world.endpoints.live["falcon"].status = Status.CREATING
    world.endpoints.live["falcon"].settles_at = clock(9, 1, 20)
    world.endpoints.live["falcon"].settles_as = Status.IN_SERVICE
    world.advance(minutes=1)
    assert world.status("falcon") is Status.ABSENT


def test_verdict_says_what_is_withdrawn_and_still_there(world: World) -> None:
    world.renew("falcon", 60)
    world.advance(minutes=1)
    world.store.withdraw("falcon")
    verdict = world.deploys.verdict({})
    assert verdict.unsettled == ["falcon: withdrawn, but InService"]
    world.endpoints.delete("falcon")
    assert world.deploys.verdict({}).unsettled == ["falcon: being deleted"]
    world.advance(minutes=1)
    assert world.deploys.verdict({}).settled


def test_verdict_leaves_endpoints_of_the_api_alone(world: World) -> None:
    world.add("mine", "cfg", 60)
    world.advance(minutes=1)
    assert world.deploys.verdict({"falcon": "falcon-1"}).settled


def test_wait_gives_up_after_ten_minutes_and_says_why(world: World) -> None:
    world.renew("falcon", 600)
    world.advance(minutes=1)
    world.endpoints.create_seconds = 3600
    world.deploy(a_spec("falcon", "falcon-2"))
    began = world.now
    verdict = world.deploys.wait({"falcon": "falcon-2"})
    assert verdict.unsettled[0].startswith("falcon: Updating on falcon-1, not falcon-2")
    assert timedelta(minutes=10) <= world.now - began < timedelta(minutes=11)


def test_wait_does_not_wait_for_what_was_rolled_back(world: World) -> None:
    world.renew("falcon", 600)
    world.advance(minutes=1)
    world.endpoints.rolling_back = "an alarm tripped"
    world.deploy(a_spec("falcon", "falcon-2"))
    began = world.now
    assert "an alarm tripped" in world.deploys.wait({"falcon": "falcon-2"}).unsettled[0]
    assert world.now - began < timedelta(minutes=1)


def test_sweep_has_what_a_lost_spec_left_forgotten(world: World) -> None:
    world.store.withdraw("falcon")
    world.sweeper.sweep()
    world.settle()
    assert "falcon" not in world.store.records


def test_sync_passes_over_what_was_forgotten_meanwhile(world: World) -> None:
    world.store.touch = failing(Conflict("gone"))  # type: ignore[method-assign]
    assert world.deploys.sync({"falcon": "falcon-1"}) == ["falcon"]


def test_events_of_an_endpoint_without_any_are_empty(world: World) -> None:
    assert world.meter.events("FALCON", 10) == []
    with pytest.raises(UnknownEndpoint):
        world.meter.events("nobody", 10)


@pytest.mark.parametrize(
    ("status", "step"),
    [
        (Status.UPDATE_ROLLBACK_FAILED, Step.GIVE_UP),
        (Status.OUT_OF_SERVICE, Step.DELETE),
        (Status.FAILED, Step.DELETE),
        (Status.SYSTEM_UPDATING, Step.WAIT),
        (Status.ROLLING_BACK, Step.WAIT),
        (Status.UNKNOWN, Step.WAIT),
    ],
)
def test_each_status_has_its_step_while_wanted(status: Status, step: Step) -> None:
    state = State(expires_at=clock(10), observed_status=status)
    decision = decide(a_spec("falcon"), state, Observed(status, "falcon-1"), clock(9))
    assert decision.step is step
    assert decision.reason


def test_foreign_endpoint_of_a_withdrawn_entry_is_forgotten_not_touched() -> None:
    seen = Observed(Status.IN_SERVICE, "theirs", owner=Owner.NOBODY)
    assert decide(None, State(), seen, clock(9)).step is Step.FORGET


def test_refused_update_waits_before_the_next_try(world: World) -> None:
    world.renew("falcon", 600)
    world.advance(minutes=1)
    refusal = AwsRefused("ResourceLimitExceeded", "quota")
    world.endpoints.refusals["update"] = [refusal, refusal]
    world.deploy(a_spec("falcon", "falcon-2"))
    assert "quota" in world.get("falcon")["Reason"]
    world.advance(minutes=2)
    assert world.get("falcon")["ServedConfigName"] == "falcon-2"
    assert world.state("falcon").attempts == 0


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"max_lease_minutes": 0}, "max_lease_minutes"),
        ({"initial_provision_minutes": -1}, "initial_provision_minutes"),
        ({"initial_provision_minutes": 43_201}, "initial_provision_minutes"),
        ({"schedules": (OFFICE_HOURS, OFFICE_HOURS)}, "schedules[1].name"),
        (
            {"schedules": tuple(replace(OFFICE_HOURS, name=str(n)) for n in range(101))},
            "schedules",
        ),
    ],
)
def test_impossible_specs_cannot_be_made(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidField) as refusal:
        a_spec("x", origin=Origin.API, **fields)
    assert refusal.value.field == field
