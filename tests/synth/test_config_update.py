"""Each limit of UpdateEndpoint, violated on purpose, has an error of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import main
from constructs_lib.config_file import parse
from constructs_lib.config_problems import InvalidConfig
from tests.synth.stacks import FLAN, config_with, synthesize

AT = "jumpstart_models[0].update"
BLUE_GREEN = f"{AT}.DeploymentConfig.BlueGreenUpdatePolicy"
ROUTING = f"{BLUE_GREEN}.TrafficRoutingConfiguration"
ROLLING = f"{AT}.DeploymentConfig.RollingUpdatePolicy"
AT_ONCE = {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}


def count(number: int) -> dict[str, Any]:
    return {"Type": "INSTANCE_COUNT", "Value": number}


def percent(number: int) -> dict[str, Any]:
    return {"Type": "CAPACITY_PERCENT", "Value": number}


def blue_green(routing: dict[str, Any] | None = None, **policy: Any) -> dict[str, Any]:
    routed = {**AT_ONCE, **(routing or {})}
    whole = {"TrafficRoutingConfiguration": routed, **policy}
    return {"DeploymentConfig": {"BlueGreenUpdatePolicy": whole}}


def canary(size: dict[str, Any], **routing: Any) -> dict[str, Any]:
    return blue_green({"Type": "CANARY", "CanarySize": size, **routing})


def linear(size: dict[str, Any], **routing: Any) -> dict[str, Any]:
    return blue_green({"Type": "LINEAR", "LinearStepSize": size, **routing})


def rolling(size: dict[str, Any], **policy: Any) -> dict[str, Any]:
    whole = {"MaximumBatchSize": size, "WaitIntervalInSeconds": 0, **policy}
    return {"DeploymentConfig": {"RollingUpdatePolicy": whole}}


def alarms(*names: str) -> dict[str, Any]:
    update = blue_green()
    update["DeploymentConfig"]["AutoRollbackConfiguration"] = {
        "Alarms": [{"AlarmName": name} for name in names]
    }
    return update


def refused(update: object, **entry: Any) -> list[str]:
    with pytest.raises(InvalidConfig) as caught:
        parse(config_with({**FLAN, **entry, "update": update}))
    return [str(problem) for problem in caught.value.problems]


ALARM = f"{AT}.DeploymentConfig.AutoRollbackConfiguration.Alarms"
SECONDS = "must be a whole number of seconds, 0 to 3600, not"
ONE_INSTANCE = (
    "of the instances of a variant, and variant 'AllTraffic' has only one, of which no part can "
    "be taken: give it two or more, or use ALL_AT_ONCE"
)
LIMITS = {
    "two policies": (
        {"DeploymentConfig": {**blue_green()["DeploymentConfig"], "RollingUpdatePolicy": {
            "MaximumBatchSize": percent(10), "WaitIntervalInSeconds": 0}}},
        (f"{AT}.DeploymentConfig: must have exactly one of BlueGreenUpdatePolicy and "
        "RollingUpdatePolicy; both were given"),
    ),
    "no policy": (
        {"DeploymentConfig": {}},
        (f"{AT}.DeploymentConfig: must have exactly one of BlueGreenUpdatePolicy and "
        "RollingUpdatePolicy; neither was given"),
    ),
    "wait too long": (
        blue_green({"WaitIntervalInSeconds": 3601}),
        f"{ROUTING}.WaitIntervalInSeconds: {SECONDS} 3601",
    ),
    "wait negative": (
        blue_green({"WaitIntervalInSeconds": -1}),
        f"{ROUTING}.WaitIntervalInSeconds: {SECONDS} -1",
    ),
    "wait of a batch": (
        rolling(percent(10), WaitIntervalInSeconds=4000),
        f"{ROLLING}.WaitIntervalInSeconds: {SECONDS} 4000",
    ),
    "termination wait": (
        blue_green(TerminationWaitInSeconds=3601),
        f"{BLUE_GREEN}.TerminationWaitInSeconds: {SECONDS} 3601",
    ),
    "execution too short": (
        blue_green(MaximumExecutionTimeoutInSeconds=599),
        (f"{BLUE_GREEN}.MaximumExecutionTimeoutInSeconds: must be a whole number of seconds, "
        "600 to 28800, not 599"),
    ),
    "execution too long": (
        rolling(percent(10), MaximumExecutionTimeoutInSeconds=28801),
        (f"{ROLLING}.MaximumExecutionTimeoutInSeconds: must be a whole number of seconds, "
        "600 to 28800, not 28801"),
    ),
    "execution shorter than the waits": (
        blue_green(
            {"WaitIntervalInSeconds": 400},
            TerminationWaitInSeconds=300,
            MaximumExecutionTimeoutInSeconds=700,
        ),
        (f"{BLUE_GREEN}.MaximumExecutionTimeoutInSeconds: must be larger than all the waits "
        "together (400 s in 1 interval + 300 s before the old fleet goes), not 700"),
    ),
    "canary above half": (
        canary(percent(51)),
        f"{ROUTING}.CanarySize.Value: must be at most 50 % of the variant's instances, not 51 %",
    ),
    "canary of one": (canary(percent(50)), f"{ROUTING}.CanarySize: must be at most 50 % "),
    "linear below a tenth": (
        linear(percent(9)),
        f"{ROUTING}.LinearStepSize.Value: must be 10 to 50 % of the variant's instances, not 9 %",
    ),
    "linear of one": (
        linear(count(1)), f"{ROUTING}.LinearStepSize: must be 10 to 50 % {ONE_INSTANCE}"
    ),
    "batch below a twentieth": (
        rolling(percent(4)),
        f"{ROLLING}.MaximumBatchSize.Value: must be 5 to 50 % of the variant's instances, not 4 %",
    ),
    "batch of one": (
        rolling(count(1)), f"{ROLLING}.MaximumBatchSize: must be 5 to 50 % {ONE_INSTANCE}"
    ),
    "way back above all": (
        rolling(percent(10), RollbackMaximumBatchSize=percent(101)),
        (f"{ROLLING}.RollbackMaximumBatchSize.Value: must be at most 100 % of the variant's "
        "instances, not 101 %"),
    ),
    "size of nothing": (
        canary(count(0)),
        f"{ROUTING}.CanarySize.Value: must be a whole number, 1 or more, not 0",
    ),
    "size in what": (
        canary({"Type": "PERCENT", "Value": 10}),
        f"{ROUTING}.CanarySize.Type: must be INSTANCE_COUNT or CAPACITY_PERCENT, not 'PERCENT'",
    ),
    "canary size without canary": (
        blue_green({"CanarySize": percent(10)}),
        f"{ROUTING}.CanarySize: goes only with Type CANARY, not with ALL_AT_ONCE; remove it",
    ),
    "step size without steps": (
        canary(percent(10), LinearStepSize=percent(10)),
        f"{ROUTING}.LinearStepSize: goes only with Type LINEAR, not with CANARY; remove it",
    ),
    "canary without a size": (
        blue_green({"Type": "CANARY"}),
        f"{ROUTING}.CanarySize: is required where Type is CANARY",
    ),
    "routing of another type": (
        blue_green({"Type": "CANARRY"}),
        (f"{ROUTING}.Type: must be ALL_AT_ONCE, CANARY or LINEAR, not 'CANARRY'; did you mean "
        "CANARY?"),
    ),
    "no alarm": (alarms(), f"{ALARM}: must have 1 to 10 entries, not 0"),
    "too many alarms": (
        alarms(*(f"alarm-{number}" for number in range(11))),
        f"{ALARM}: must have 1 to 10 entries, not 11",
    ),
    "alarm without a name": (
        alarms(""),
        f"{ALARM}[0].AlarmName: must be 1 to 255 characters, not all of them blank, not ''",
    ),
    "name of an alarm too long": (
        alarms("x" * 256),
        f"{ALARM}[0].AlarmName: must be 1 to 255 characters, not all of them blank, not ",
    ),
    "too many properties": (
        {"RetainAllVariantProperties": True,
         "ExcludeRetainedVariantProperties": [{"VariantPropertyType": "DesiredWeight"}] * 4},
        f"{AT}.ExcludeRetainedVariantProperties: must have 0 to 3 entries, not 4",
    ),
    "properties excluded from nothing": (
        {"ExcludeRetainedVariantProperties": [{"VariantPropertyType": "DesiredWeight"}]},
        (f"{AT}.ExcludeRetainedVariantProperties: has a meaning only where "
        "RetainAllVariantProperties is true: set that, or leave this out"),
    ),
    "a property of no kind": (
        {"RetainAllVariantProperties": True,
         "ExcludeRetainedVariantProperties": [{"VariantPropertyType": "Weight"}]},
        (f"{AT}.ExcludeRetainedVariantProperties[0].VariantPropertyType: must be "
        "DesiredInstanceCount, DesiredWeight or DataCaptureConfig, not 'Weight'"),
    ),
    "two deployments": (
        {**blue_green(), "RetainDeploymentConfig": True},
        (f"{AT}.RetainDeploymentConfig: reuses the last deployment configuration, so "
        "DeploymentConfig cannot be given with it; keep one of the two"),
    ),
    "a flag that is none": (
        {"RetainAllVariantProperties": "yes"},
        f"{AT}.RetainAllVariantProperties: must be true or false, not 'yes'",
    ),
    "a key misspelt": (
        {"RetainAllVariantProperty": True},
        f"{AT}.RetainAllVariantProperty: unknown key; did you mean 'RetainAllVariantProperties'?",
    ),
    "a key misspelt below": (
        blue_green(TerminationWait=3),
        f"{BLUE_GREEN}.TerminationWait: unknown key; did you mean 'TerminationWaitInSeconds'?",
    ),
    "a part left out": (
        {"DeploymentConfig": {"BlueGreenUpdatePolicy": {}}},
        f"{ROUTING}: is required",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("update", "expected"), LIMITS.values(), ids=LIMITS)
def test_violating_a_limit_says_which(update: dict[str, Any], expected: str) -> None:
    assert any(problem.startswith(expected) for problem in refused(update)), refused(update)


def test_all_that_is_wrong_is_said_at_once() -> None:
    update = {
        **canary(percent(60), WaitIntervalInSeconds=4000),
        "RetainDeploymentConfig": 1,
        "Typo": True,
    }
    assert len(refused(update)) == 3
    assert len(refused(canary(percent(60)), shedule=[])) == 2


@pytest.mark.parametrize(
    "update",
    [
        canary(percent(25), WaitIntervalInSeconds=300),
        canary(count(2)),
        linear(percent(10), WaitIntervalInSeconds=3600),
        linear(count(1)),
        rolling(count(2), RollbackMaximumBatchSize=count(4), MaximumExecutionTimeoutInSeconds=600),
        {**alarms("one", "two"), "RetainAllVariantProperties": True},
        {"RetainDeploymentConfig": True},
        {},
    ],
    ids=str,
)
def test_what_keeps_the_limits_is_taken(update: dict[str, Any]) -> None:
    (entry,) = parse(
        config_with({**FLAN, "inference_instance_count": 4, "update": update})
    ).jumpstart_models
    assert entry.update == update


def test_waits_of_all_steps_count() -> None:
    slow = linear(percent(10), WaitIntervalInSeconds=3600)
    policy = slow["DeploymentConfig"]["BlueGreenUpdatePolicy"]
    policy["MaximumExecutionTimeoutInSeconds"] = 28800
    assert refused(slow, inference_instance_count=10) == [
        (
            f"{BLUE_GREEN}.MaximumExecutionTimeoutInSeconds: must be larger than all the waits "
            "together (32400 s in 9 intervals), not 28800"
        )
    ]


def test_sizes_are_measured_against_the_instances_of_each_variant() -> None:
    two = [{"name": "Big", "instance_count": 10}, {"name": "Small", "instance_count": 4}]
    found = refused(canary(count(3)), variants=two)
    assert (
        f"{ROUTING}.CanarySize.Value: must be at most 50 % of the 4 instances of variant 'Small', "
        "which is 1 to 2, not 3"
    ) in found
    assert not any("'Big'" in problem for problem in found)


def test_rolling_takes_one_variant_with_instances() -> None:
    found = refused(rolling(percent(10)), variants=[{"name": "A", "serverless": {}}, {"name": "B"}])
    assert (f"{ROLLING}: cannot update serverless variants (A); use BlueGreenUpdatePolicy") in found
    assert (
        f"{ROLLING}: takes endpoints of one variant only, and this has 2; use BlueGreenUpdatePolicy"
    ) in found


def test_something_else_than_an_object_is_said_to_be_so() -> None:
    assert refused([]) == [f"{AT}: must be an object {{...}}"]


def test_the_policy_stands_in_the_spec(tmp_path: Path) -> None:
    example = main.PROJECT / "configs/examples/falcon-all-settings.json"
    (item,) = synthesize(example, tmp_path).all("aws_dynamodb_table_item").values()
    written = json.loads(json.loads(item["item"])["update"]["S"])
    assert written == json.loads(example.read_text())["jumpstart_models"][0]["update"]
