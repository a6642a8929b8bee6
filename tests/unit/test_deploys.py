"""What Terraform waits for, and when it goes on: sync, wait, verdict, drain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from lambdas.core.deploys import DESCRIBES_A_SECOND, DrainIncomplete, NotSettled, NotSynced
from lambdas.core.errors import AwsDenied, AwsRefused, Throttled, Unanswered, Unavailable
from lambdas.core.hints import Cause
from lambdas.core.state import Intent, Owner, Status, Step
from tests.fakes import a_spec
from tests.unit.interleaving import before, failing
from tests.world import World

HALF_AN_HOUR = {"MaximumExecutionTimeoutInSeconds": 1800}
SLOW = {"DeploymentConfig": {"BlueGreenUpdatePolicy": HALF_AN_HOUR}}


@pytest.fixture
def world(world: World) -> World:
    """Falcon runs."""
    world.endpoints.configs |= {"falcon-2", "falcon-3"}
    world.renew("falcon", 600)
    world.advance(minutes=1)
    return world


A_LOOK = timedelta(seconds=1 / DESCRIBES_A_SECOND)


def seconds_since(world: World, act: str) -> list[float]:
    """A list that gets the seconds from now until each call of a method of the hints."""
    began, instants = world.now, list[float]()
    before(world.hints, act, lambda: instants.append((world.now - began).total_seconds()), 1000)
    return instants


# --- sync -------------------------------------------------------------------------------------


def test_deploy_is_noted_and_hints_only_what_it_concerns(world: World) -> None:
    world.add("mine", "cfg", 600)
    world.advance(minutes=1)

    assert world.deploys.sync({"falcon": "falcon-1"}) == ["falcon"]
    assert world.store.control().last_deploy == world.now


def test_deploy_hints_added_endpoints_only_if_they_should_run_and_do_not(world: World) -> None:
    world.add("spent", "cfg", 10)
    world.add("missed", "cfg", 600)
    world.advance(minutes=20)
    del world.endpoints.live["missed"]
    state = world.state("missed")
    seen = replace(state, observed_status=Status.ABSENT, observed_config=None)
    world.store.records["missed"] = replace(world.store.load("missed"), state=seen)
    bare = replace(world.store.load("spent"), key="bare", state=None)
    world.store.records["bare"] = bare

    assert world.deploys.sync({}) == ["falcon", "missed"]


def test_id_of_a_table_that_is_not_known_is_not_recorded(world: World) -> None:
    world.store.id = None
    world.store.control_item = replace(world.store.control_item, table_id=None)
    world.store.set_table_id = failing(AssertionError())  # type: ignore[method-assign]

    world.deploys.sync({})


MAY_PASS = (Throttled, Unanswered, Unavailable)


@pytest.mark.parametrize("refusal", MAY_PASS)
@pytest.mark.parametrize(
    ("port", "call"),
    [
        ("store", "set_drain"),
        ("store", "table_id"),
        ("store", "control"),
        ("store", "set_table_id"),
        ("store", "beat"),
        ("store", "list"),
        ("store", "load"),
        ("store", "create_state"),
        ("store", "touch"),
        ("hints", "send"),
    ],
)
def test_sync_goes_on_where_aws_does_not_answer_once(
    world: World, port: str, call: str, refusal: type[AwsRefused]
) -> None:
    world.store.control_item = replace(world.store.control_item, table_id=None)
    world.store.set_drain(world.now + timedelta(hours=1))
    for name in ("a", "b"):
        world.store.deploy(a_spec(name, "falcon-1", initial_provision_minutes=60))
    before(getattr(world, port), call, failing(refusal("Error", "try again")))

    assert world.deploys.sync({"a": "falcon-1", "b": "falcon-1"}) == ["a", "b", "falcon"]

    assert not world.store.control().draining(world.now)
    world.advance(minutes=2)
    assert [world.status(name) for name in ("a", "b")] == [Status.IN_SERVICE] * 2


@pytest.mark.parametrize("refusal", MAY_PASS)
def test_sync_that_got_no_answer_until_its_end_says_what_is_left_and_did_the_rest(
    world: World, refusal: type[AwsRefused]
) -> None:
    for name in ("a", "b", "c"):
        world.store.deploy(a_spec(name, "falcon-1", initial_provision_minutes=60))
    real, began = world.store.touch, world.now

    def touch(key: str, *args: Any) -> None:
        if key == "b":
            raise refusal("Error", "try again")
        real(key, *args)

    world.store.touch = touch  # type: ignore[assignment, method-assign]

    with pytest.raises(NotSynced) as refused:
        world.deploys.sync(dict.fromkeys(("a", "b", "c"), "falcon-1"))

    assert str(refused.value).startswith(
        "the meter was not told of changes of b, because of AWS (Error: try again)."
    )
    assert timedelta(minutes=2) <= world.now - began < timedelta(minutes=2, seconds=3)
    assert world.status("c") is Status.IN_SERVICE


def test_sync_that_cannot_even_begin_names_what_is_declared(world: World) -> None:
    world.store.list = failing(Throttled("Error", "slow down"))  # type: ignore[method-assign]

    with pytest.raises(NotSynced, match=r"changes of falcon, because of AWS \(Error: slow down\)"):
        world.deploys.sync({"falcon": "falcon-1"})
    with pytest.raises(NotSynced, match="changes of any endpoint, because"):
        world.deploys.sync({})


def test_refusal_that_does_not_pass_ends_the_sync_at_once(world: World) -> None:
    before(world.store, "touch", failing(AwsDenied("AccessDeniedException", "no")))
    began = world.now

    with pytest.raises(AwsDenied):
        world.deploys.sync({"falcon": "falcon-1"})

    assert world.now == began


# --- wait -------------------------------------------------------------------------------------


def test_wait_tells_what_it_waits_for_every_half_minute_and_at_once_what_changes(
    world: World,
) -> None:
    world.endpoints.create_seconds = 65
    world.deploy(a_spec("falcon", "falcon-2"))
    began, reports, pauses = world.now, list[tuple[int, int]](), list[float]()

    def report(unsettled: Sequence[str]) -> None:
        reports.append((int((world.now - began).total_seconds()), len(unsettled)))

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        world.advance(seconds=seconds)

    deploys = replace(world.deploys, report=report, sleep=sleep)
    assert deploys.wait({"falcon": "falcon-2"}).settled
    (first, half_a_minute_later, a_minute_later, settled) = (at for at, _ in reports)
    assert first == 0
    assert 30 <= half_a_minute_later <= 32
    assert 30 <= a_minute_later - half_a_minute_later <= 32
    assert 65 <= settled <= 67
    assert [waiting for _, waiting in reports] == [1, 1, 1, 0]
    assert set(pauses) == {2.0, A_LOOK.total_seconds()}


@pytest.mark.parametrize("refusal", MAY_PASS)
@pytest.mark.parametrize(
    ("port", "call"), [("store", "control"), ("store", "list"), ("endpoints", "describe")]
)
def test_wait_goes_on_where_aws_does_not_answer_for_a_while(
    world: World, port: str, call: str, refusal: type[AwsRefused]
) -> None:
    world.endpoints.create_seconds = 60
    world.deploy(a_spec("falcon", "falcon-2"))
    before(getattr(world, port), call, failing(refusal("Error", "try again")), times=1)

    assert world.deploys.wait({"falcon": "falcon-2"}).settled


def test_wait_gives_up_after_ten_minutes(world: World) -> None:
    world.endpoints.create_seconds = 3600
    world.deploy(a_spec("falcon", "falcon-2"))
    began = world.now

    assert not world.deploys.wait({"falcon": "falcon-2"}).settled
    assert timedelta(0) <= world.now - began - timedelta(minutes=10) < timedelta(seconds=2)


def test_wait_lasts_until_a_withdrawn_endpoint_is_gone(world: World) -> None:
    world.endpoints.delete_seconds = 40
    world.store.withdraw("falcon")
    world.deploys.sync({})

    assert world.deploys.wait({}).settled
    assert world.status("falcon") is Status.ABSENT


def test_wait_ends_at_once_if_only_people_can_mend_it(world: World) -> None:
    world.update("falcon", "falcon-2")
    world.advance(seconds=30)
    world.endpoints.config_owners["falcon-2"] = Owner.US
    began = world.now

    assert not world.deploys.wait({"falcon": "falcon-1"}).settled
    assert world.now - began <= A_LOOK


def test_wait_ends_at_once_for_an_update_that_the_endpoint_has_no_time_for(world: World) -> None:
    world.stop("falcon")
    world.advance(minutes=1)
    world.renew("falcon", 20)
    world.advance(minutes=1)
    world.deploy(a_spec("falcon", "falcon-2", update=SLOW))
    began = world.now

    (unsettled,) = world.deploys.wait({"falcon": "falcon-2"}).unsettled

    assert world.now - began <= A_LOOK
    assert unsettled == (
        "falcon: InService on falcon-1, not falcon-2 (the update to falcon-2 may take longer than "
        "the endpoint is wanted: it is applied at the next start, or once there is time enough)"
    )


def test_wait_ends_at_once_for_an_endpoint_that_somebody_else_made_again(world: World) -> None:
    world.endpoints.run_by_hand("falcon", "theirs")
    began = world.now

    (unsettled,) = world.deploys.wait({"falcon": "falcon-1"}).unsettled

    assert world.now - began <= A_LOOK
    assert unsettled.startswith("falcon: InService on theirs, not falcon-1 (")


def test_wait_goes_on_for_an_endpoint_that_the_meter_has_not_seen_yet(world: World) -> None:
    world.endpoints.run_by_hand("flan", "old")
    world.store.deploy(a_spec("flan"))
    began = world.now

    (unsettled,) = world.deploys.wait({"falcon": "falcon-1", "flan": "falcon-1"}).unsettled

    assert unsettled.startswith("flan: InService on old, not falcon-1 (")
    assert timedelta(0) <= world.now - began - timedelta(minutes=10) < timedelta(seconds=2)


# --- verdict ----------------------------------------------------------------------------------


def test_settle_says_of_each_endpoint_why_no_config_was_taken_away(world: World) -> None:
    world.store.withdraw("falcon")

    with pytest.raises(NotSettled) as refused:
        world.deploys.settle({})

    assert str(refused.value).startswith(
        "not settled, so no endpoint config was taken away: falcon: withdrawn, but InService."
    )


def test_state_table_that_does_not_answer_is_asked_again_for_a_minute(world: World) -> None:
    real = world.store.list
    busy = Throttled("ThrottlingException", "slow down")
    world.store.list = failing(busy)  # type: ignore[method-assign]
    began = world.now

    def sleep(seconds: float) -> None:
        world._move(world.now + timedelta(seconds=seconds))

    with pytest.raises(NotSettled, match="the state table did not answer"):
        replace(world.deploys, sleep=sleep).settle({"falcon": "falcon-1"})

    assert world.now - began == timedelta(minutes=1)
    world.store.list = real  # type: ignore[method-assign]
    world.deploys.settle({"falcon": "falcon-1"})


def test_manifest_counts_before_the_spec_is_there(world: World) -> None:
    (unsettled,) = world.deploys.verdict({"falcon": "falcon-2"}).unsettled

    assert unsettled.startswith("falcon: InService on falcon-1, not falcon-2 (")


def test_endpoint_that_moves_is_told_with_what_sagemaker_does(world: World) -> None:
    """Though less time is left than the update may take."""
    world.endpoints.create_seconds = 3600
    world.deploy(a_spec("falcon", "falcon-2", update=SLOW))
    record = world.store.load("falcon")
    assert record.state is not None
    soon = replace(record.state, expires_at=world.now + timedelta(minutes=5))
    world.store.records["falcon"] = replace(record, state=soon)

    (unsettled,) = world.deploys.verdict({"falcon": "falcon-2"}).unsettled

    assert unsettled.startswith("falcon: Updating on falcon-1, not falcon-2 (")
    assert "may take longer" not in unsettled


def test_added_endpoint_that_an_entry_declares_now_has_to_serve_its_config(world: World) -> None:
    world.add("mine", "cfg", 600)
    world.advance(minutes=1)
    world.endpoints.create_seconds = 60
    manifest = {"falcon": "falcon-1", "mine": "mine-1"}
    world.deploy(a_spec("falcon"), a_spec("mine", "mine-1"))

    (unsettled,) = world.deploys.verdict(manifest).unsettled

    assert unsettled.startswith("mine: Updating on cfg, not mine-1")


def test_added_endpoint_hides_no_other_from_the_verdict(world: World) -> None:
    world.stop("falcon")
    world.store.records.pop("falcon")
    world.add("added", "cfg", 600)
    world.deploy(a_spec("flan"))
    world.renew("flan", 600)
    world.advance(minutes=1)
    world.endpoints.create_seconds = 60
    world.endpoints.configs.add("flan-2")
    world.deploy(a_spec("flan", "flan-2"))
    assert list(world.store.records) == ["added", "flan"]

    assert len(world.deploys.verdict({"flan": "flan-2"}).unsettled) == 1


def test_endpoint_that_is_being_deleted_with_a_config_set_by_hand_is_settled(world: World) -> None:
    world.update("falcon", "falcon-2")
    world.advance(seconds=30)
    world.endpoints.config_owners["falcon-2"] = Owner.US
    world.endpoints.delete_seconds = 60
    world.stop("falcon")
    assert world.status("falcon") is Status.DELETING

    assert world.deploys.verdict({"falcon": "falcon-1"}).settled


def test_verdict_asks_for_the_owner_of_no_config_that_nobody_set_by_hand(world: World) -> None:
    world.endpoints.config_owner = failing(AssertionError())  # type: ignore[method-assign]

    assert world.deploys.verdict({"falcon": "falcon-1"}).settled


def test_verdict_needs_neither_the_spec_nor_the_state_of_what_a_manifest_names(
    world: World,
) -> None:
    """A deploy that was cut off may have written only one of them."""
    world.update("falcon", "falcon-2")
    world.advance(seconds=30)
    world.store.withdraw("falcon")
    world.endpoints.run_by_hand("flan", "flan-1")
    world.store.deploy(a_spec("flan", "flan-1"))

    assert world.deploys.verdict({"falcon": "falcon-2", "flan": "flan-1"}).settled


def test_added_endpoint_on_a_config_of_the_stack_that_it_should_serve_is_settled(
    world: World,
) -> None:
    world.endpoints.configs.add("old-1")
    world.endpoints.config_owners["old-1"] = Owner.US
    world.add("mine", "old-1", 600)
    world.advance(minutes=1)

    assert world.deploys.verdict({"falcon": "falcon-1"}).settled


def test_withdrawn_config_that_another_entry_declares_may_be_served_on(world: World) -> None:
    world.add("mine", "cfg", 600)
    world.advance(minutes=1)
    world.deploy(a_spec("falcon"), a_spec("mine", "mine-1"))
    world.advance(minutes=1)
    world.endpoints.config_owners["mine-1"] = Owner.US
    world.store.withdraw("mine")

    assert not world.deploys.verdict({"falcon": "falcon-1"}).settled
    assert world.deploys.verdict({"falcon": "falcon-1", "other": "mine-1"}).settled


# --- drain ------------------------------------------------------------------------------------


def test_destroy_hints_what_is_left_every_half_minute(world: World) -> None:
    world.endpoints.delete_seconds = 100
    instants = seconds_since(world, "send")
    sent = len(world.hints.sent)

    world.deploys.drain(600)

    swept = [hint for hint in world.hints.sent[sent:] if hint.cause is Cause.SWEEP]
    assert {hint.endpoint for hint in swept} == {"falcon"}
    assert len(swept) == 4
    assert {0.0, 30.0, 60.0, 90.0} <= set(instants)


def test_drain_lasts_as_long_as_the_destroy_waits(world: World) -> None:
    world.endpoints.delete_seconds = 45 * 60
    instants = seconds_since(world, "send")

    world.deploys.drain(3600)

    assert instants[-1] > 44 * 60
    left = world.store.control().drain_until
    assert left is not None
    assert timedelta(minutes=29) < left - world.now <= timedelta(minutes=30)


def test_destroy_gives_up_after_exactly_its_wait_and_names_what_is_left(world: World) -> None:
    world.endpoints.delete_seconds = 3600
    began = world.now

    with pytest.raises(DrainIncomplete) as refused:
        world.deploys.drain(60)

    assert world.now - began == timedelta(seconds=60)
    assert str(refused.value).startswith(
        "still there after the wait: falcon. Nothing was destroyed."
    )


@pytest.mark.parametrize("refusal", MAY_PASS)
@pytest.mark.parametrize(
    ("port", "call"),
    [
        ("store", "set_drain"),
        ("store", "list"),
        ("endpoints", "list"),
        ("endpoints", "owner"),
        ("hints", "send"),
    ],
)
def test_destroy_goes_on_waiting_where_aws_does_not_answer_once(
    world: World, port: str, call: str, refusal: type[AwsRefused]
) -> None:
    world.endpoints.delete_seconds = 10
    world.endpoints.run_by_hand("stray", "cfg", Owner.US)
    world.endpoints.delete("stray")
    refused = refusal("Error", "try again")
    before(getattr(world, port), call, failing(refused))

    world.deploys.drain(60)

    assert world.store.control().draining(world.now)
    assert not world.endpoints.live


def test_destroy_that_got_no_answer_until_its_end_says_so(world: World) -> None:
    world.endpoints.list = failing(Throttled("ThrottlingException", "slow down"))  # type: ignore[method-assign]

    with pytest.raises(DrainIncomplete, match="unknown, because AWS did not say") as refused:
        world.deploys.drain(60)

    assert "Nothing was destroyed" in str(refused.value)


def test_destroy_that_lost_the_answers_still_names_what_was_left_at_the_last_look(
    world: World,
) -> None:
    world.endpoints.delete_seconds = 3600
    broken = failing(Unavailable("InternalFailure", "out of order"))
    before(world.endpoints, "list", lambda: setattr(world.endpoints, "list", broken))

    with pytest.raises(DrainIncomplete, match="falcon, more is unknown, because AWS did not say"):
        world.deploys.drain(60)


def test_destroy_names_each_endpoint_that_is_left_whoever_has_it_on_record(world: World) -> None:
    """Also one that only its tag shows, and one that the state does not show as seen yet."""
    unseen = replace(world.state("falcon"), observed_status=Status.ABSENT, intent=None)
    world.store.records["falcon"] = replace(world.store.load("falcon"), state=unseen)
    world.endpoints.run_by_hand("stray", "cfg", Owner.US)
    world.endpoints.run_by_hand("theirs", "cfg")

    with pytest.raises(DrainIncomplete) as refused:
        world.deploys.drain(0)

    assert "still there after the wait: falcon, stray." in str(refused.value)


def test_destroy_reads_the_tags_of_what_it_does_not_know_and_only_once(world: World) -> None:
    asked: list[str] = []
    owner = world.endpoints.owner
    world.endpoints.owner = lambda arn: asked.append(arn) or owner(arn)  # type: ignore[method-assign, func-returns-value]
    world.endpoints.run_by_hand("stray", "cfg", Owner.US)

    with pytest.raises(DrainIncomplete):
        replace(
            world.deploys, sleep=lambda seconds: world._move(world.now + timedelta(seconds=seconds))
        ).drain(20)

    assert asked == ["arn:stray"]


def test_destroy_does_not_wait_for_an_endpoint_of_somebody_else(world: World) -> None:
    world.deploys.drain(60)
    world.endpoints.run_by_hand("falcon", "theirs")
    world.advance(minutes=20)
    began = world.now

    world.deploys.drain(60)

    assert world.now == began


def test_destroy_waits_while_a_reconcile_may_be_about_to_create(world: World) -> None:
    world.deploys.drain(60)
    world.store.lock("falcon", "a slow run", world.now, world.now + timedelta(seconds=10))
    began = world.now

    world.deploys.drain(60)

    assert world.now - began == timedelta(seconds=10)


def test_destroy_waits_for_a_create_that_may_have_worked_and_for_no_other_call(
    world: World,
) -> None:
    world.deploys.drain(60)
    for step, waits in ((Step.UPDATE, False), (Step.CREATE, True)):
        state = replace(world.state("falcon"), intent=Intent(step, "falcon-1", world.now))
        world.store.records["falcon"] = replace(world.store.load("falcon"), state=state)
        began = world.now
        world.deploys.drain(600)
        assert (world.now - began >= timedelta(minutes=2)) is waits


def test_destroy_needs_no_state_of_an_endpoint(world: World) -> None:
    world.deploys.drain(60)
    world.store.records["falcon"] = replace(world.store.load("falcon"), state=None)

    world.deploys.drain(0)
