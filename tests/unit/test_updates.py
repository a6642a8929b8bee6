"""Changes of the config or the weights while the endpoint runs, by a deploy and by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from lambdas.core.deploys import DESCRIBES_A_SECOND, NotSettled
from lambdas.core.errors import (
    AwsDenied,
    AwsRefused,
    Draining,
    IdempotencyConflict,
    InvalidField,
    NameTaken,
    NotInService,
    Throttled,
    Unanswered,
    UnknownEndpoint,
    UnknownEndpointConfig,
)
from lambdas.core.hints import Cause, Hint
from lambdas.core.ports import RecordPage
from lambdas.core.rollout import Variant
from lambdas.core.schedule import Schedule
from lambdas.core.spec import OutsideUpdates, Scaling
from lambdas.core.state import Owner, Status
from tests.fakes import a_spec, by
from tests.world import World

ROUTING = {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}
TWO = (Variant("A", 1), Variant("B", 1))


def options_with_timeout(seconds: int) -> dict[str, Any]:
    """Options of an update that may take up to `seconds`."""
    policy = {
        "TrafficRoutingConfiguration": ROUTING,
        "MaximumExecutionTimeoutInSeconds": seconds,
    }
    return {"DeploymentConfig": {"BlueGreenUpdatePolicy": policy}}


@pytest.fixture
def world() -> World:
    """Falcon runs on a lease of an hour; falcon-2 and falcon-3 have one variant, `two` has two."""
    world = World()
    world.deploy(a_spec("falcon"))
    world.endpoints.configs |= {"falcon-2", "falcon-3", "two"}
    world.endpoints.variants["two"] = TWO
    world.renew("falcon", 60)
    world.advance(seconds=30)
    assert world.status("falcon") is Status.IN_SERVICE
    return world


def served(world: World, name: str = "falcon") -> Any:
    return world.get(name)["ServedConfigName"]


def test_update_by_hand_starts_at_once_and_keeps_the_lease(world: World) -> None:
    before = world.get("falcon")["ExpiresAt"]
    answer = world.update("falcon", "falcon-2", **options_with_timeout(600))
    assert answer.http_status == 202
    assert answer.document["EndpointConfigName"] == "falcon-2"
    assert world.status("falcon") is Status.UPDATING
    assert world.endpoints.options["falcon"] == options_with_timeout(600)
    world.advance(seconds=30)
    assert served(world) == "falcon-2"
    assert world.get("falcon")["ExpiresAt"] == before
    assert {"update asked", "update", "InService"} == set(world.history.kinds("falcon")[-3:])


def test_update_by_hand_survives_a_stop_until_a_deploy_changes_the_entry(world: World) -> None:
    world.update("falcon", "falcon-2")
    world.advance(seconds=30)
    world.stop("falcon")
    world.advance(seconds=30)
    world.renew("falcon", 60)
    world.advance(seconds=30)
    assert served(world) == "falcon-2"
    world.deploy(a_spec("falcon"))
    world.advance(seconds=60)
    assert served(world) == "falcon-2", "the deploy left the entry as it was"
    world.deploy(a_spec("falcon", "falcon-3"))
    world.advance(seconds=60)
    assert served(world) == "falcon-3"
    assert world.get("falcon")["EndpointConfigName"] == "falcon-3"


def test_a_stopped_endpoint_is_started_with_the_config_set_by_hand(world: World) -> None:
    world.stop("falcon")
    world.advance(seconds=30)
    assert world.update("falcon", "falcon-2").http_status == 202
    assert world.status("falcon") is Status.ABSENT
    world.renew("falcon", 10)
    world.advance(seconds=30)
    assert served(world) == "falcon-2"


def test_endpoint_added_over_the_api_keeps_its_update_when_its_schedules_change(
    world: World,
) -> None:
    world.add("mine", "falcon-2", 60)
    world.advance(seconds=30)
    world.update("mine", "falcon-3")
    world.advance(seconds=30)
    document = {"name": "s", "start_time": "10:00", "stop_time": "11:00", "days": ["mon"]}
    world.schedules.replace("mine", [Schedule.parse(document)], world.now, by())
    world.settle()
    world.advance(seconds=60)
    assert world.get("mine")["ServedConfigName"] == "falcon-3"
    assert world.add("mine", "falcon-3", 10).http_status == 200
    with pytest.raises(NameTaken, match="with config 'falcon-3'"):
        world.add("mine", "falcon-2", 10)
    world.stop("mine", forget=True)
    world.add("mine", "falcon-2", 10)
    world.advance(seconds=60)
    assert world.get("mine")["ServedConfigName"] == "falcon-2", "another life"


def test_update_by_hand_that_is_rolled_back_is_reported_and_not_tried_again(world: World) -> None:
    world.endpoints.rolling_back = "an alarm tripped"
    world.update("falcon", "falcon-2")
    world.advance(minutes=5)
    assert served(world) == "falcon-1"
    shown = world.get("falcon")
    assert shown["Reason"] == "the update to falcon-2 was rolled back: an alarm tripped"
    assert shown["EndpointConfigName"] == "falcon-1"
    assert world.endpoints.made("update", "falcon") == 1
    world.endpoints.rolling_back = ""
    world.stop("falcon")
    world.advance(seconds=30)
    world.renew("falcon", 10)
    world.advance(seconds=30)
    assert served(world) == "falcon-1", "the config that was served stays"
    assert "rolled back" not in world.get("falcon")["Reason"]


def test_update_that_was_rolled_back_can_be_requested_again(world: World) -> None:
    world.update("falcon", "falcon-2")
    world.advance(seconds=30)
    world.endpoints.rolling_back = "an alarm tripped"
    world.update("falcon", "falcon-3")
    world.advance(minutes=1)
    assert served(world) == "falcon-2", "the update before stays"
    world.endpoints.rolling_back = ""
    world.update("falcon", "falcon-3")
    world.advance(minutes=1)
    assert served(world) == "falcon-3"


def test_update_of_a_deploy_that_was_rolled_back_is_tried_again_only_by_hand(world: World) -> None:
    world.endpoints.rolling_back = "an alarm tripped"
    world.deploy(a_spec("falcon", "falcon-2", update=options_with_timeout(900)))
    world.advance(minutes=5)
    assert world.endpoints.options["falcon"] == options_with_timeout(900)
    assert world.endpoints.made("update", "falcon") == 1
    world.endpoints.rolling_back = ""
    world.advance(minutes=5)
    assert served(world) == "falcon-1"
    world.update("falcon", "falcon-2")
    world.advance(seconds=30)
    assert served(world) == "falcon-2"
    assert "rolled back" not in world.get("falcon")["Reason"]


def test_rollback_reason_that_sagemaker_shows_only_during_the_rollback_is_kept(
    world: World,
) -> None:
    world.endpoints.rolling_back = "too many errors"
    world.update("falcon", "falcon-2")
    live = world.endpoints.live["falcon"]
    live.status, live.failure_reason = Status.ROLLING_BACK, "too many errors"
    world.advance(seconds=1)
    world.reconciler().handle(Hint("falcon", Cause.SWEEP))
    world.endpoints.rolling_back = ""
    live.status, live.failure_reason, live.settles_at = Status.IN_SERVICE, "", None
    world.advance(seconds=30)
    assert world.get("falcon")["Reason"] == (
        "the update to falcon-2 was rolled back: too many errors"
    )


def test_unanswered_update_counts_as_started(world: World) -> None:
    update = world.endpoints.update

    def update_without_an_answer(name: str, config_name: str, options: Mapping[str, Any]) -> None:
        update(name, config_name, options)
        raise Unanswered("ReadTimeout", "no answer")

    world.endpoints.rolling_back = "an alarm tripped"
    world.endpoints.create_seconds = 40
    world.endpoints.update = update_without_an_answer  # type: ignore[method-assign]
    world.update("falcon", "falcon-2")
    world.endpoints.update = update  # type: ignore[method-assign]
    world.advance(minutes=5)
    assert world.endpoints.made("update", "falcon") == 1
    assert "was rolled back" in world.get("falcon")["Reason"]


def test_update_that_may_take_longer_than_the_endpoint_is_wanted_is_not_started(
    world: World,
) -> None:
    world.deploy(a_spec("falcon", "falcon-2", update=options_with_timeout(2 * 3600)))
    world.advance(seconds=60)
    assert world.endpoints.made("update", "falcon") == 0
    assert "may take longer than the endpoint is wanted" in world.get("falcon")["Reason"]
    verdict = world.deploys.wait({"falcon": "falcon-2"})
    assert not verdict.settled
    assert "it is applied at the next start" in verdict.unsettled[0]
    world.stop("falcon")
    world.advance(seconds=30)
    world.renew("falcon", 10)
    world.advance(seconds=30)
    assert served(world) == "falcon-2"


def test_update_that_had_too_little_time_starts_when_there_is_enough(world: World) -> None:
    world.update("falcon", "falcon-2", **options_with_timeout(2 * 3600))
    world.advance(seconds=60)
    assert world.endpoints.made("update", "falcon") == 0
    world.renew("falcon", 120)
    world.advance(seconds=30)
    assert served(world) == "falcon-2"


def test_duration_of_a_retained_policy_is_taken_into_account(world: World) -> None:
    world.renew("falcon", 600)
    world.update("falcon", "falcon-2", **options_with_timeout(2 * 3600))
    world.advance(hours=9)
    world.endpoints.last_deployment = options_with_timeout(2 * 3600)["DeploymentConfig"]
    world.stop("falcon")
    world.advance(seconds=30)
    world.renew("falcon", 60)
    world.advance(seconds=30)
    world.update("falcon", "falcon-3", RetainDeploymentConfig=True)
    world.advance(seconds=30)
    assert served(world) == "falcon-2"
    postponed = "the update to falcon-3 may take longer than the endpoint is wanted: "
    assert world.get("falcon")["Reason"].startswith(postponed)
    world.renew("falcon", 120)
    world.advance(seconds=30)
    assert served(world) == "falcon-3"


def test_alarms_alone_are_a_deployment_config(world: World) -> None:
    alarms = {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "errors"}]}}
    world.update("falcon", "falcon-2", DeploymentConfig=alarms)
    world.advance(minutes=2)
    assert served(world) == "falcon-2"


def test_wrong_updates_are_refused_and_change_nothing(world: World) -> None:
    with pytest.raises(UnknownEndpoint):
        world.update("nobody", "falcon-2")
    with pytest.raises(UnknownEndpointConfig):
        world.update("falcon", "no-such")
    with pytest.raises(InvalidField, match=r"EndpointConfigName: must be 1 to 63"):
        world.update("falcon", "no such")
    with pytest.raises(InvalidField, match="the endpoint serves all, the new config has A, B"):
        world.update("falcon", "two", RetainAllVariantProperties=True)
    with pytest.raises(InvalidField, match=r"did you mean .*; DeploymentConfig\.X: unknown"):
        world.update("falcon", "two", DeploymentConfig={"X": 1}, RetainAllVariantPropertie=1)
    assert world.endpoints.made("update", "falcon") == 0
    assert world.state("falcon").override is None


def test_idempotency_key_makes_an_update_safe_to_repeat(world: World) -> None:
    first = world.update("falcon", "falcon-2", key="k")
    world.advance(seconds=30)
    assert world.update("falcon", "falcon-2", key="k") == first
    with pytest.raises(IdempotencyConflict):
        world.update("falcon", "falcon-3", key="k")
    world.update("falcon", "falcon-3")
    world.advance(seconds=30)
    assert world.update("falcon", "falcon-2", key="k") == first
    world.advance(seconds=30)
    assert served(world) == "falcon-3"


def test_weights_are_set_on_the_variants_that_are_served(world: World) -> None:
    world.update("falcon", "two")
    world.advance(seconds=30)
    desired = [
        {"VariantName": "A", "DesiredWeight": 0.25},
        {"VariantName": "B", "DesiredWeight": 3, "DesiredInstanceCount": 2},
    ]
    answer = world.reweigh("falcon", *desired)
    assert answer.http_status == 202
    assert world.endpoints.weights["falcon"] == desired
    assert world.status("falcon") is Status.UPDATING
    world.advance(minutes=5)
    assert world.endpoints.made("reweigh", "falcon") == 1
    assert world.status("falcon") is Status.IN_SERVICE
    asked = next(e for e in world.history.newest("falcon", 9) if e.kind == "weights asked")
    assert asked.reason.endswith("A weight 0.25, B weight 3 and instances 2")
    assert asked.actor == "ann"


def test_weights_are_set_in_spite_of_throttles_and_lost_answers(world: World) -> None:
    world.endpoints.refusals["reweigh"] = [
        Throttled("ThrottlingException", "Rate exceeded"),
        Unanswered("ReadTimeout", "no answer"),
        AwsRefused("InternalFailure", "try later"),
    ]
    world.reweigh("falcon", {"VariantName": "all", "DesiredWeight": 1})
    world.advance(minutes=5)
    assert world.endpoints.weights["falcon"] == [{"VariantName": "all", "DesiredWeight": 1}]
    assert world.state("falcon").reweighing is None


def test_weights_that_are_rolled_back_are_reported_and_not_set_again(world: World) -> None:
    world.endpoints.rolling_back = "no capacity"
    world.reweigh("falcon", {"VariantName": "all", "DesiredInstanceCount": 4})
    world.advance(minutes=5)
    reason = "the weights and capacities set by hand were rolled back: no capacity"
    assert world.get("falcon")["Reason"] == reason
    assert world.history.kinds("falcon").count("rolled back") == 1
    assert world.endpoints.made("reweigh", "falcon") == 1

    world.endpoints.rolling_back = ""
    world.reweigh("falcon", {"VariantName": "all", "DesiredInstanceCount": 3})
    world.advance(minutes=5)
    assert world.endpoints.made("reweigh", "falcon") == 2
    assert world.state("falcon").reweighing is None
    assert world.get("falcon")["Reason"].startswith("the lease is paid until")


def test_rolled_back_weights_are_forgotten_with_the_next_update(world: World) -> None:
    world.endpoints.rolling_back = "no capacity"
    world.reweigh("falcon", {"VariantName": "all", "DesiredWeight": 4})
    world.advance(minutes=5)
    world.endpoints.rolling_back = ""

    world.update("falcon", "falcon-2")
    world.advance(minutes=5)

    assert served(world) == "falcon-2"
    assert world.state("falcon").reweighing is None


def test_instance_count_of_a_scaled_variant_may_differ_from_the_request(world: World) -> None:
    world.deploy(a_spec("falcon", scaling=(Scaling("all", 1, 9, {}),)))
    world.advance(minutes=5)
    world.reweigh("falcon", {"VariantName": "all", "DesiredWeight": 2, "DesiredInstanceCount": 2})
    world.endpoints.live["falcon"].weights = {
        "all": {"DesiredWeight": 2.0000001, "DesiredInstanceCount": 7}
    }
    world.advance(minutes=5)
    assert world.state("falcon").reweighing is None
    assert "rolled back" not in world.history.kinds("falcon")


def test_weights_that_sagemaker_refuses_are_given_up(world: World) -> None:
    world.endpoints.refusals["reweigh"] = [AwsRefused("ValidationException", "no such variant")]
    world.reweigh("falcon", {"VariantName": "all", "DesiredWeight": 1})
    world.advance(minutes=5)
    assert "falcon" not in world.endpoints.weights
    assert world.history.kinds("falcon").count("reweigh refused") == 1
    assert world.get("falcon")["Reason"].startswith("the lease is paid")


def test_weights_do_not_survive_a_stop(world: World) -> None:
    world.endpoints.refusals["reweigh"] = [Throttled("ThrottlingException", "Rate exceeded")]
    world.reweigh("falcon", {"VariantName": "all", "DesiredWeight": 1})
    world.stop("falcon")
    world.advance(seconds=30)
    world.renew("falcon", 10)
    world.advance(minutes=5)
    assert "falcon" not in world.endpoints.weights


@pytest.mark.parametrize(
    ("desired", "expected"),
    [
        ([], r"DesiredWeightsAndCapacities: must have 1 or more entries, not 0"),
        (
            [{"VariantName": "C", "DesiredWeight": 1}],
            r"\[0\].VariantName: the endpoint serves no variant 'C'; it serves A, B",
        ),
        (
            [{"VariantName": "A", "DesiredWeight": 1}, {"VariantName": "A", "DesiredWeight": 2}],
            r"\[1\].VariantName: 'A' stands here twice",
        ),
        ([{"VariantName": "A", "DesiredWeight": -1}], "must be a number, 0 to 3.4e\\+38, not -1"),
        ([{"VariantName": "A", "DesiredWeight": float("inf")}], "must be a number, 0 to 3.4e"),
        ([{"VariantName": "A", "DesiredWeight": float("nan")}], "must be a number, 0 to 3.4e"),
        (
            [{"VariantName": "A", "DesiredInstanceCount": 2**31}],
            "must be a whole number, 0 to 2147",
        ),
        ([{"VariantName": "A", "DesiredWeigth": 1}], "did you mean 'DesiredWeight'?"),
        ([{"VariantName": "A"}], r"\[0\]: says nothing to change"),
        (
            [{"VariantName": "B", "DesiredInstanceCount": 2}],
            r"\[0\].DesiredInstanceCount: variant 'B' is serverless",
        ),
        (
            [{"VariantName": "A", "ServerlessUpdateConfig": {"MaxConcurrency": 2}}],
            r"\[0\].ServerlessUpdateConfig: variant 'A' is not serverless",
        ),
        (
            [{"VariantName": "B", "ServerlessUpdateConfig": {"MaxConcurrency": 201}}],
            "must be a whole number, 1 to 200, not 201",
        ),
    ],
)
def test_weights_that_do_not_fit_the_variants_are_refused(
    world: World, desired: list[dict[str, Any]], expected: str
) -> None:
    world.endpoints.variants["two"] = (Variant("A", 1), Variant("B", None))
    world.update("falcon", "two")
    world.advance(seconds=30)
    with pytest.raises(InvalidField, match=expected):
        world.reweigh("falcon", *desired)


def test_concurrency_of_a_serverless_variant_is_set(world: World) -> None:
    world.endpoints.variants["two"] = (Variant("A", 1), Variant("B", None))
    world.update("falcon", "two")
    world.advance(seconds=30)
    desired = {"VariantName": "B", "ServerlessUpdateConfig": {"MaxConcurrency": 200}}
    world.reweigh("falcon", desired)
    world.advance(seconds=1)
    assert world.endpoints.weights["falcon"] == [desired]


def test_weights_need_an_endpoint_of_ours_in_service(world: World) -> None:
    weight = {"VariantName": "all", "DesiredWeight": 1}
    world.update("falcon", "falcon-2")
    with pytest.raises(NotInService, match="'falcon' is Updating"):
        world.reweigh("falcon", weight)
    world.stop("falcon")
    world.advance(seconds=30)
    with pytest.raises(NotInService, match="'falcon' is Absent"):
        world.reweigh("falcon", weight)
    world.endpoints.run_by_hand("falcon", "falcon-2")
    with pytest.raises(NameTaken, match="was not made by this stack"):
        world.reweigh("falcon", weight)


def test_nothing_is_changed_while_the_stack_is_destroyed(world: World) -> None:
    world.store.set_drain(world.now.replace(hour=23))
    with pytest.raises(Draining):
        world.update("falcon", "falcon-2")
    with pytest.raises(Draining):
        world.reweigh("falcon", {"VariantName": "all", "DesiredWeight": 1})


def test_a_deploy_accepts_a_config_set_by_hand(world: World) -> None:
    world.update("falcon", "falcon-2")
    world.advance(seconds=30)
    assert world.deploys.verdict({"falcon": "falcon-1"}).settled


def test_the_declared_config_replaces_a_config_set_by_hand_that_was_deleted(world: World) -> None:
    world.update("falcon", "falcon-2")
    world.advance(seconds=30)
    world.stop("falcon")
    world.advance(seconds=30)
    missing = AwsRefused("ValidationException", "Could not find endpoint configuration falcon-2.")
    world.endpoints.refusals["create"] = [missing] * 5
    world.renew("falcon", 60)
    world.advance(minutes=3)
    assert world.get("falcon")["EndpointConfigName"] == "falcon-2", "it may not be seen yet"
    world.advance(minutes=6)
    seen = world.endpoints.describe("falcon")
    assert seen is not None
    assert (seen.status, seen.config_name) == (Status.IN_SERVICE, "falcon-1")


def test_a_deploy_fails_if_it_would_remove_a_config_set_by_hand_that_is_served(
    world: World,
) -> None:
    world.update("falcon", "falcon-2")
    world.advance(seconds=30)
    world.endpoints.config_owners["falcon-2"] = Owner.US
    manifest = {"falcon": "falcon-1"}
    verdict = world.deploys.wait(manifest)
    assert verdict.unsettled == [
        (
            "falcon: serves falcon-2, set by hand, which no entry declares any more: move it with "
            "POST /endpoint-update, or stop it"
        )
    ]
    assert world.deploys.verdict({**manifest, "other": "falcon-2"}).settled, (
        "another entry declares it"
    )
    world.stop("falcon")
    world.advance(seconds=30)
    assert world.deploys.verdict(manifest).settled


def test_withdrawn_entry_leaves_the_endpoint_to_the_spec_of_the_api(world: World) -> None:
    world.endpoints.configs.add("cfg")
    world.add("mine", "cfg", 600)
    world.advance(minutes=1)
    world.deploy(a_spec("falcon"), a_spec("mine", "mine-1"))
    world.advance(minutes=1)
    assert served(world, "mine") == "mine-1"
    world.endpoints.config_owners["mine-1"] = Owner.US

    world.deploy(a_spec("falcon"))

    manifest = {"falcon": "falcon-1"}
    unsettled = world.deploys.verdict(manifest).unsettled
    assert len(unsettled) == 1, "otherwise mine-1 would be deleted while it is served"
    assert unsettled[0].startswith("mine: Updating on mine-1, not cfg")
    assert world.deploys.wait(manifest).settled
    world.advance(seconds=30)
    assert served(world, "mine") == "cfg"


def test_update_of_an_endpoint_added_over_the_api_does_not_delay_a_deploy(world: World) -> None:
    world.endpoints.configs.add("cfg")
    world.add("mine", "cfg", 600)
    world.advance(minutes=1)
    world.update("mine", "falcon-3")
    assert world.deploys.verdict({"falcon": "falcon-1"}).settled


NO_ANSWERS = pytest.mark.parametrize(
    "error",
    [
        Throttled("ThrottlingException", "Rate exceeded"),
        Unanswered("ReadTimeoutError", "no answer"),
    ],
    ids=lambda error: type(error).__name__,
)


@NO_ANSWERS
def test_wait_goes_on_when_aws_does_not_answer(world: World, error: AwsRefused) -> None:
    world.endpoints.create_seconds = 90
    world.deploy(a_spec("falcon", "falcon-2"))
    world.endpoints.refusals["describe"] = [error]
    assert world.deploys.wait({"falcon": "falcon-2"}).settled


@NO_ANSWERS
def test_verdict_names_the_endpoint_of_which_aws_says_nothing(
    world: World, error: AwsRefused
) -> None:
    world.endpoints.refusals["describe"] = [error]
    verdict = world.deploys.verdict({"falcon": "falcon-1"})
    assert not verdict.settled
    assert verdict.unsettled == [f"falcon: AWS did not say how it is ({error})"]


@NO_ANSWERS
def test_last_check_of_a_deploy_asks_again(world: World, error: AwsRefused) -> None:
    world.endpoints.refusals["describe"] = [error, error]
    world.deploys.settle({"falcon": "falcon-1"})


@NO_ANSWERS
def test_last_check_of_a_deploy_does_not_pass_without_answers(
    world: World, error: AwsRefused
) -> None:
    world.endpoints.refusals["describe"] = [error] * 1_000
    before = world.now
    with pytest.raises(NotSettled, match="AWS did not say how it is"):
        world.deploys.settle({"falcon": "falcon-1"})
    assert world.now - before < timedelta(minutes=2)


def test_other_errors_of_aws_still_end_the_wait(world: World) -> None:
    world.endpoints.refusals["describe"] = [AwsDenied("AccessDeniedException", "not you")]
    with pytest.raises(AwsDenied):
        world.deploys.wait({"falcon": "falcon-1"})


def test_wait_goes_on_when_the_state_table_does_not_answer(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed, throttles = world.store.list, [Throttled("ThrottlingException", "Rate exceeded")]

    def busy(limit: int | None = None, after: str | None = None) -> RecordPage:
        if throttles:
            raise throttles.pop()
        return listed(limit, after)

    monkeypatch.setattr(world.store, "list", busy)
    assert world.deploys.wait({"falcon": "falcon-1"}).settled
    assert not throttles


def test_a_look_leaves_room_for_other_describes(world: World) -> None:
    names = ["falcon", *(f"other-{number}" for number in range(2 * DESCRIBES_A_SECOND))]
    world.deploy(*(a_spec(name) for name in names))
    before = world.now
    assert world.deploys.verdict(dict.fromkeys(names, "falcon-1")).settled
    assert world.now - before >= timedelta(seconds=2)


def test_wait_reports_the_endpoints_that_it_waits_for(world: World) -> None:
    reports: list[Any] = []
    deploys = replace(world.deploys, report=reports.append)
    world.endpoints.create_seconds = 90
    world.deploy(a_spec("falcon", "falcon-2"))
    assert deploys.wait({"falcon": "falcon-2"}).settled
    assert "falcon: Updating on falcon-1, not falcon-2" in reports[0][0]
    assert 3 <= len(reports) <= 6
    assert reports[-1] == []


def updated_outside(world: World) -> list[str]:
    events = reversed(world.history.newest("falcon", 100))
    return [event.reason for event in events if event.kind == "updated outside"]


def test_update_from_outside_is_told_and_reverted(world: World) -> None:
    world.renew("falcon", 60)
    world.advance(seconds=10)
    world.endpoints.update("Falcon", "theirs", {})
    world.advance(minutes=15)
    world.sweeper.sweep()
    world.advance(minutes=1)
    assert updated_outside(world) == ["somebody outside moved it from falcon-1 to theirs"]
    (update,) = [e.reason for e in world.history.newest("falcon", 100) if e.kind == "update"]
    assert update == "somebody outside moved it to theirs; it is to run falcon-1"
    assert world.get("falcon")["ServedConfigName"] == "falcon-1"


def test_update_from_outside_is_kept_until_a_deploy_changes_the_entry(world: World) -> None:
    keeps = a_spec("falcon", outside_updates=OutsideUpdates.KEEP)
    world.deploy(keeps)
    world.renew("falcon", 60)
    world.advance(seconds=10)
    world.endpoints.update("falcon", "theirs", {})
    world.advance(minutes=15)
    world.sweeper.sweep()
    world.advance(minutes=1)
    told = "somebody outside moved it from falcon-1 to theirs: it is kept until a deploy changes"
    (reason,) = updated_outside(world)
    assert reason.startswith(told)
    shown = world.get("falcon")
    assert shown["EndpointConfigName"] == shown["ServedConfigName"] == "theirs"
    world.deploy(replace(keeps, endpoint_config_name="falcon-2"))
    world.advance(minutes=1)
    assert world.get("falcon")["ServedConfigName"] == "falcon-2"
    assert len(updated_outside(world)) == 1


def moved_back_outside(world: World, outside_updates: OutsideUpdates) -> None:
    """An override runs, and somebody outside moves the endpoint to the declared config."""
    world.deploy(a_spec("falcon", outside_updates=outside_updates))
    world.endpoints.configs.add("cfg-b")
    world.renew("falcon", 60)
    world.advance(seconds=10)
    world.update("falcon", "cfg-b")
    world.advance(minutes=1)
    world.endpoints.update("falcon", "falcon-1", {})
    world.advance(minutes=15)
    world.sweeper.sweep()
    world.advance(minutes=1)


def test_update_from_outside_to_the_declared_config_is_told_and_an_override_put_back(
    world: World,
) -> None:
    moved_back_outside(world, OutsideUpdates.REVERT)
    assert updated_outside(world) == ["somebody outside moved it from cfg-b to falcon-1"]
    assert world.get("falcon")["ServedConfigName"] == "cfg-b"


def test_update_from_outside_to_the_declared_config_is_kept(world: World) -> None:
    moved_back_outside(world, OutsideUpdates.KEEP)
    assert len(updated_outside(world)) == 1
    shown = world.get("falcon")
    assert shown["EndpointConfigName"] == shown["ServedConfigName"] == "falcon-1"


def test_endpoint_in_service_is_not_told_to_be_updating(world: World) -> None:
    world.renew("falcon", 60)
    world.advance(seconds=10)
    world.endpoints.update("falcon", "theirs", {})
    world.sweeper.sweep()
    world.advance(minutes=1)
    reasons = [e.reason for e in world.history.newest("falcon", 9) if e.kind == "InService"]
    assert not [reason for reason in reasons if "updating" in reason]


def test_what_the_meter_did_itself_is_never_told_to_come_from_outside(world: World) -> None:
    world.renew("falcon", 600)
    world.advance(minutes=1)
    world.deploy(a_spec("falcon", "falcon-2"))
    world.advance(minutes=1)
    world.endpoints.configs.add("cfg-b")
    world.update("falcon", "cfg-b")
    world.advance(minutes=1)
    world.endpoints.rolling_back = "an alarm tripped"
    world.deploy(a_spec("falcon", "falcon-3"))
    world.advance(minutes=1)
    world.endpoints.rolling_back = ""
    world.endpoints.live["falcon"].status = Status.SYSTEM_UPDATING
    world.sweeper.sweep()
    world.advance(minutes=1)
    world.endpoints.live["falcon"].status = Status.IN_SERVICE
    world.endpoints.live["falcon"].modified_at = world.now
    world.advance(minutes=16)
    assert updated_outside(world) == []


def test_update_that_somebody_outside_overtakes_is_not_told_to_be_rolled_back(world: World) -> None:
    world.renew("falcon", 60)
    world.advance(seconds=10)
    world.deploy(a_spec("falcon", "falcon-2"))
    world.endpoints.live["falcon"].next_config = "theirs"
    world.advance(minutes=1)
    assert updated_outside(world) == ["somebody outside moved it to theirs"]
    assert "rolled back" not in world.history.kinds("falcon")
    assert world.get("falcon")["ServedConfigName"] == "falcon-2"


def test_endpoint_that_is_being_updated_is_not_settled_whatever_it_serves(world: World) -> None:
    world.update("falcon", "falcon-2")
    (unsettled,) = world.deploys.verdict({"falcon": "falcon-1"}).unsettled
    assert unsettled.startswith("falcon: Updating on falcon-1")


def test_wait_goes_on_during_an_update_that_began_in_time(world: World) -> None:
    """At its end less time is left than the update was allowed to take."""
    world.advance(minutes=25)
    world.endpoints.create_seconds = 9 * 60
    world.deploy(a_spec("falcon", "falcon-2", update=options_with_timeout(30 * 60)))
    world.advance(minutes=6)
    assert world.deploys.wait({"falcon": "falcon-2"}).settled


def test_a_deploy_accepts_a_fallback_of_the_entry_set_by_hand(world: World) -> None:
    world.deploy(a_spec("falcon", fallback_configs=("falcon-2",)))
    world.update("falcon", "falcon-2")
    world.advance(seconds=30)
    assert served(world) == "falcon-2"
    world.endpoints.config_owners["falcon-2"] = Owner.US
    assert world.deploys.verdict({"falcon": "falcon-1"}).settled
