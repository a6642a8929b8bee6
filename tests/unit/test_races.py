"""Concurrent requests, and failures of what comes after a write."""

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


def test_concurrent_adds_of_one_name_make_one_endpoint_and_add_up_their_minutes(
    world: World,
) -> None:
    before(
        world.store,
        "declare",
        lambda: world.expiry.add("mine", "cfg", 10, world.now, by("bob")),
    )
    answer = world.add("mine", "cfg", 5)
    assert answer.http_status == 200, "the other request added it, this one renewed it"
    assert answer.document["LeaseExpiresAt"] == "2026-03-02T09:15:00Z"
    assert world.endpoints.made("create", "mine") == 1


def test_one_of_two_concurrent_adds_with_different_configs_is_refused(world: World) -> None:
    before(
        world.store,
        "declare",
        lambda: world.expiry.add("mine", "other", 10, world.now, by("bob")),
    )
    with pytest.raises(NameTaken):
        world.add("mine", "cfg", 5)


def test_one_of_two_concurrent_adds_of_names_that_differ_in_case_is_refused(world: World) -> None:
    before(
        world.store,
        "declare",
        lambda: world.expiry.add("MINE", "cfg", 10, world.now, by("bob")),
    )
    with pytest.raises(NameTaken, match="only in case"):
        world.add("mine", "cfg", 5)


def test_stop_with_a_concurrent_renewal_is_decided_again_on_the_new_lease(world: World) -> None:
    world.renew("falcon", 10)
    before(world.store, "stop", lambda: world.expiry.renew("falcon", 10, world.now, ANN))
    world.stop("falcon")
    assert world.get("falcon")["Wanted"] == "stopped"
    assert world.state("falcon").rev == 4, "sync, two renewals, one stop"


def test_last_of_two_concurrent_schedule_changes_wins(world: World) -> None:
    world.add("mine", "cfg", 1)
    night = replace(OFFICE_HOURS, name="other")
    before(
        world.store,
        "replace_api_spec",
        lambda: world.schedules.replace("mine", [night], world.now, by("bob")),
    )
    spec = world.schedules.replace("mine", [OFFICE_HOURS], world.now, ANN)
    assert world.store.load("mine").spec == spec


def test_concurrent_requests_with_one_idempotency_key_renew_once(world: World) -> None:
    body = {"minutes": 10}
    request = by().under("k", "POST", body)
    before(
        world.store, "renew", lambda: world.expiry.renew("falcon", 10, world.now, request), times=1
    )
    answer = world.expiry.renew("falcon", 10, world.now, request)
    assert answer.document["LeaseExpiresAt"] == "2026-03-02T09:10:00Z"
    assert world.state("falcon").expires_at == clock(9, 10)


@pytest.mark.parametrize(
    "use",
    [
        lambda world: world.expiry.add("another", "cfg", 1, world.now, ANN),
        lambda world: world.expiry.stop("mine", world.now, ANN, forget=False),
        lambda world: world.schedules.replace("mine", [], world.now, ANN),
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
        world.expiry.renew("falcon", 1, world.now, ANN)


def test_renewal_is_accepted_though_hint_and_history_fail(world: World) -> None:
    refused = AwsRefused("ServiceUnavailable", "down")
    world.hints.send = failing(refused)  # type: ignore[method-assign]
    world.history.append = failing(refused)  # type: ignore[method-assign]
    answer = world.expiry.renew("falcon", 10, world.now, ANN)
    assert answer.http_status == 200
    assert world.state("falcon").next_due == world.now, "the next tick finds it"


def test_endpoint_keeps_its_latest_48_keys(world: World) -> None:
    record = world.store.load("falcon")
    many = {
        f"k{number}": Operation(
            "b", world.now - timedelta(minutes=number), 200, Status.ABSENT, None, "", None
        )
        for number in range(48)
    }
    world.store.records["falcon"] = replace(record, operations=many)
    world.renew("falcon", 1, key="one more")
    kept = world.store.load("falcon").operations
    assert len(kept) == 48
    assert "k47" not in kept, "the oldest went"
    assert "k46" in kept


def test_reconcile_that_lost_its_lock_writes_nothing(world: World) -> None:
    world.expiry.renew("falcon", 10, world.now, ANN)
    late = world.now + timedelta(seconds=50)
    before(
        world.endpoints,
        "describe",
        lambda: world.store.lock("falcon", "another run", late, late + timedelta(seconds=45)),
    )
    world.hints.queue.clear()
    outcome = world.reconciler().handle(Hint("falcon", Cause.TICK))
    assert outcome.word == "lock lost"
    assert not world.endpoints.calls


def test_reconcile_gives_up_for_now_if_the_state_changes_in_every_round(world: World) -> None:
    world.expiry.renew("falcon", 10, world.now, ANN)
    before(
        world.endpoints,
        "describe",
        lambda: world.store.touch("falcon", world.now),
        times=100,
    )
    world.hints.queue.clear()
    outcome = world.reconciler().handle(Hint("falcon", Cause.TICK))
    assert outcome.word == "too many changes"
    record = world.store.load("falcon")
    assert record.lock_owner is None
    assert record.state is not None
    assert record.state.next_due == world.now, "still due"


def test_state_forgotten_before_the_lock_is_no_error(world: World) -> None:
    world.store.lock = failing(Conflict("no STATE"))  # type: ignore[method-assign]
    world.store.touch("falcon", world.now)
    assert world.reconciler().handle(Hint("falcon", Cause.TICK)).word == "unknown"


def test_create_is_tried_again_while_the_old_endpoint_is_not_gone_yet(world: World) -> None:
    world.endpoints.run_by_hand("falcon", "falcon-1", Owner.US)
    describe = world.endpoints.describe
    world.endpoints.describe = lambda _name: None  # type: ignore[assignment,method-assign]
    world.expiry.renew("falcon", 30, world.now, ANN)
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


def test_verdict_names_withdrawn_endpoints_that_still_exist(world: World) -> None:
    world.renew("falcon", 60)
    world.advance(minutes=1)
    world.store.withdraw("falcon")
    verdict = world.deploys.verdict({})
    assert verdict.unsettled == ["falcon: withdrawn, but InService"]
    world.endpoints.delete("falcon")
    assert world.deploys.verdict({}).unsettled == ["falcon: being deleted"]
    world.advance(minutes=1)
    assert world.deploys.verdict({}).settled


def test_verdict_ignores_endpoints_added_over_the_api(world: World) -> None:
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


def test_wait_ends_at_once_after_a_rollback(world: World) -> None:
    world.renew("falcon", 600)
    world.advance(minutes=1)
    world.endpoints.rolling_back = "an alarm tripped"
    world.deploy(a_spec("falcon", "falcon-2"))
    began = world.now
    assert "an alarm tripped" in world.deploys.wait({"falcon": "falcon-2"}).unsettled[0]
    assert world.now - began < timedelta(minutes=1)


def test_sweep_forgets_a_state_whose_spec_is_gone(world: World) -> None:
    world.store.withdraw("falcon")
    world.sweeper.sweep()
    world.settle()
    assert "falcon" not in world.store.records


def test_sync_skips_an_endpoint_that_was_forgotten_meanwhile(world: World) -> None:
    world.store.touch = failing(Conflict("gone"))  # type: ignore[method-assign]
    assert world.deploys.sync({"falcon": "falcon-1"}) == ["falcon"]


def test_events_of_an_endpoint_without_any_are_empty(world: World) -> None:
    assert world.events.newest("FALCON", 10) == []
    with pytest.raises(UnknownEndpoint):
        world.events.newest("nobody", 10)


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


def test_foreign_endpoint_under_the_name_of_a_withdrawn_entry_is_only_forgotten() -> None:
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
def test_invalid_specs_cannot_be_constructed(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidField) as refusal:
        a_spec("x", origin=Origin.API, **fields)
    assert refusal.value.field == field


def test_observation_is_told_once_even_if_a_renewal_comes_before_it_is_saved(world: World) -> None:
    world.renew("falcon", 1)
    world.advance_to(clock(9, 1))
    assert world.status("falcon") is Status.DELETING
    before(world.store, "begin", lambda: world.expiry.renew("falcon", 5, world.now, ANN))
    world.expiry.renew("falcon", 1, world.now, ANN)
    world.advance(minutes=1)
    kinds = [kind for kind in world.history.kinds("falcon") if kind != "renewed"]
    assert kinds == ["create", "InService", "delete", "Absent", "create", "InService"]


def test_endpoint_that_is_gone_before_its_delete_is_told_to_be_absent(world: World) -> None:
    world.renew("falcon", 1)
    world.advance(seconds=50)
    before(world.endpoints, "delete", world.endpoints.live.clear)
    world.advance(minutes=1)
    assert world.history.kinds("falcon")[-2:] == ["delete", "Absent"]
