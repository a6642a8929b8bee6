"""Each limit of UpdateEndpoint, violated on purpose, and what is to be said of it, wherever the
options come from.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_UpdateEndpoint.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lambdas.core.rollout import Variant

BLUE_GREEN = "DeploymentConfig.BlueGreenUpdatePolicy"
ROUTING = f"{BLUE_GREEN}.TrafficRoutingConfiguration"
ROLLING = "DeploymentConfig.RollingUpdatePolicy"
AT_ONCE = {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}
ONE = (Variant("AllTraffic"),)


def fleet(count: int | None) -> tuple[Variant, ...]:
    """One variant of so many instances; None: serverless."""
    return (Variant("AllTraffic", count),)


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


@dataclass(frozen=True)
class Violation:
    """Options that break a limit of an update to a config of these variants, and how what is said
    begins."""

    options: dict[str, Any]
    said: str
    variants: tuple[Variant, ...] = ONE


ALARM = "DeploymentConfig.AutoRollbackConfiguration.Alarms"
SECONDS = "must be a whole number of seconds, 0 to 3600, not"
ONE_INSTANCE = (
    "of the instances of a variant, and variant 'AllTraffic' has only one, of which no part can "
    "be taken: give it two or more, or use ALL_AT_ONCE"
)
LIMITS = {
    "two policies": Violation(
        {"DeploymentConfig": {**blue_green()["DeploymentConfig"], "RollingUpdatePolicy": {
            "MaximumBatchSize": percent(10), "WaitIntervalInSeconds": 0}}},
        ("DeploymentConfig: has both BlueGreenUpdatePolicy and RollingUpdatePolicy; "
        "keep one of the two"),
    ),
    "wait too long": Violation(
        blue_green({"WaitIntervalInSeconds": 3601}),
        f"{ROUTING}.WaitIntervalInSeconds: {SECONDS} 3601",
    ),
    "wait negative": Violation(
        blue_green({"WaitIntervalInSeconds": -1}),
        f"{ROUTING}.WaitIntervalInSeconds: {SECONDS} -1",
    ),
    "wait of a batch": Violation(
        rolling(percent(10), WaitIntervalInSeconds=4000),
        f"{ROLLING}.WaitIntervalInSeconds: {SECONDS} 4000",
    ),
    "termination wait": Violation(
        blue_green(TerminationWaitInSeconds=3601),
        f"{BLUE_GREEN}.TerminationWaitInSeconds: {SECONDS} 3601",
    ),
    "execution too short": Violation(
        blue_green(MaximumExecutionTimeoutInSeconds=599),
        (f"{BLUE_GREEN}.MaximumExecutionTimeoutInSeconds: must be a whole number of seconds, "
        "600 to 28800, not 599"),
    ),
    "execution too long": Violation(
        rolling(percent(10), MaximumExecutionTimeoutInSeconds=28801),
        (f"{ROLLING}.MaximumExecutionTimeoutInSeconds: must be a whole number of seconds, "
        "600 to 28800, not 28801"),
    ),
    "execution shorter than the waits": Violation(
        blue_green(
            {"WaitIntervalInSeconds": 400},
            TerminationWaitInSeconds=300,
            MaximumExecutionTimeoutInSeconds=700,
        ),
        (f"{BLUE_GREEN}.MaximumExecutionTimeoutInSeconds: must be larger than all the waits "
        "together (400 s in 1 interval + 300 s before the old fleet goes), not 700"),
    ),
    "canary above half": Violation(
        canary(percent(51)),
        f"{ROUTING}.CanarySize.Value: must be at most 50 % of the variant's instances, not 51 %",
    ),
    "canary of one": Violation(canary(percent(50)), f"{ROUTING}.CanarySize: must be at most 50 % "),
    "linear below a tenth": Violation(
        linear(percent(9)),
        f"{ROUTING}.LinearStepSize.Value: must be 10 to 50 % of the variant's instances, not 9 %",
    ),
    "linear of one": Violation(
        linear(count(1)), f"{ROUTING}.LinearStepSize: must be 10 to 50 % {ONE_INSTANCE}"
    ),
    "batch below a twentieth": Violation(
        rolling(percent(4)),
        f"{ROLLING}.MaximumBatchSize.Value: must be 5 to 50 % of the variant's instances, not 4 %",
    ),
    "batch of one": Violation(
        rolling(count(1)), f"{ROLLING}.MaximumBatchSize: must be 5 to 50 % {ONE_INSTANCE}"
    ),
    "way back above all": Violation(
        rolling(percent(10), RollbackMaximumBatchSize=percent(101)),
        (f"{ROLLING}.RollbackMaximumBatchSize.Value: must be at most 100 % of the variant's "
        "instances, not 101 %"),
    ),
    "size of nothing": Violation(
        canary(count(0)),
        f"{ROUTING}.CanarySize.Value: must be a whole number, 1 to 2147483647, not 0",
    ),
    "size in what": Violation(
        canary({"Type": "PERCENT", "Value": 10}),
        f"{ROUTING}.CanarySize.Type: must be INSTANCE_COUNT or CAPACITY_PERCENT, not 'PERCENT'",
    ),
    "canary size without canary": Violation(
        blue_green({"CanarySize": percent(10)}),
        f"{ROUTING}.CanarySize: goes only with Type CANARY, not with ALL_AT_ONCE; remove it",
    ),
    "step size without steps": Violation(
        canary(percent(10), LinearStepSize=percent(10)),
        f"{ROUTING}.LinearStepSize: goes only with Type LINEAR, not with CANARY; remove it",
    ),
    "canary without a size": Violation(
        blue_green({"Type": "CANARY"}),
        f"{ROUTING}.CanarySize: is required where Type is CANARY",
    ),
    "routing of another type": Violation(
        blue_green({"Type": "CANARRY"}),
        (f"{ROUTING}.Type: must be ALL_AT_ONCE, CANARY or LINEAR, not 'CANARRY'; did you mean "
        "CANARY?"),
    ),
    "no alarm": Violation(alarms(), f"{ALARM}: must have 1 to 10 entries, not 0"),
    "too many alarms": Violation(
        alarms(*(f"alarm-{number}" for number in range(11))),
        f"{ALARM}: must have 1 to 10 entries, not 11",
    ),
    "alarm without a name": Violation(
        alarms(""),
        f"{ALARM}[0].AlarmName: must be 1 to 255 characters, not all of them blank, not ''",
    ),
    "name of an alarm too long": Violation(
        alarms("x" * 256),
        f"{ALARM}[0].AlarmName: must be 1 to 255 characters, not all of them blank, not ",
    ),
    "too many properties": Violation(
        {"RetainAllVariantProperties": True,
         "ExcludeRetainedVariantProperties": [{"VariantPropertyType": "DesiredWeight"}] * 4},
        "ExcludeRetainedVariantProperties: must have 0 to 3 entries, not 4",
    ),
    "properties excluded from nothing": Violation(
        {"ExcludeRetainedVariantProperties": [{"VariantPropertyType": "DesiredWeight"}]},
        ("ExcludeRetainedVariantProperties: has a meaning only where "
        "RetainAllVariantProperties is true: set that, or leave this out"),
    ),
    "a property of no kind": Violation(
        {"RetainAllVariantProperties": True,
         "ExcludeRetainedVariantProperties": [{"VariantPropertyType": "Weight"}]},
        ("ExcludeRetainedVariantProperties[0].VariantPropertyType: must be "
        "DesiredInstanceCount, DesiredWeight or DataCaptureConfig, not 'Weight'"),
    ),
    "two deployments": Violation(
        {**blue_green(), "RetainDeploymentConfig": True},
        ("RetainDeploymentConfig: reuses the last deployment configuration, so "
        "DeploymentConfig cannot be given with it; keep one of the two"),
    ),
    "a flag that is none": Violation(
        {"RetainAllVariantProperties": "yes"},
        "RetainAllVariantProperties: must be true or false, not 'yes'",
    ),
    "a key misspelt": Violation(
        {"RetainAllVariantProperty": True},
        "RetainAllVariantProperty: unknown key; did you mean 'RetainAllVariantProperties'?",
    ),
    "a key misspelt below": Violation(
        blue_green(TerminationWait=3),
        f"{BLUE_GREEN}.TerminationWait: unknown key; did you mean 'TerminationWaitInSeconds'?",
    ),
    "a part left out": Violation(
        {"DeploymentConfig": {"BlueGreenUpdatePolicy": {}}},
        f"{ROUTING}: is required",
    ),
    "linear above half": Violation(
        linear(percent(51)),
        f"{ROUTING}.LinearStepSize.Value: must be 10 to 50 % of the variant's instances, not 51 %",
    ),
    "batch above half": Violation(
        rolling(percent(51)),
        f"{ROLLING}.MaximumBatchSize.Value: must be 5 to 50 % of the variant's instances, not 51 %",
    ),
    "canary of too many": Violation(
        canary(count(3)),
        f"{ROUTING}.CanarySize.Value: must be at most 50 % of the 4 instances of variant "
        "'AllTraffic', which is 1 to 2, not 3",
        fleet(4),
    ),
    "linear of too few": Violation(
        linear(count(1)),
        f"{ROUTING}.LinearStepSize.Value: must be 10 to 50 % of the 20 instances of variant "
        "'AllTraffic', which is 2 to 10, not 1",
        fleet(20),
    ),
    "linear of too many": Violation(
        linear(count(11)),
        f"{ROUTING}.LinearStepSize.Value: must be 10 to 50 % of the 20 instances of variant "
        "'AllTraffic', which is 2 to 10, not 11",
        fleet(20),
    ),
    "half of an odd fleet": Violation(
        canary(count(2)),
        f"{ROUTING}.CanarySize.Value: must be at most 50 % of the 3 instances of variant "
        "'AllTraffic', which is 1, not 2",
        fleet(3),
    ),
    "a tenth of an odd fleet": Violation(
        linear(count(1)),
        f"{ROUTING}.LinearStepSize.Value: must be 10 to 50 % of the 15 instances of variant "
        "'AllTraffic', which is 2 to 7, not 1",
        fleet(15),
    ),
    "batch of too few": Violation(
        rolling(count(1)),
        f"{ROLLING}.MaximumBatchSize.Value: must be 5 to 50 % of the 40 instances of variant "
        "'AllTraffic', which is 2 to 20, not 1",
        fleet(40),
    ),
    "batch of too many": Violation(
        rolling(count(3)),
        f"{ROLLING}.MaximumBatchSize.Value: must be 5 to 50 % of the 4 instances of variant "
        "'AllTraffic', which is 1 to 2, not 3",
        fleet(4),
    ),
    "way back of too many": Violation(
        rolling(count(2), RollbackMaximumBatchSize=count(5)),
        f"{ROLLING}.RollbackMaximumBatchSize.Value: must be at most 100 % of the 4 instances of "
        "variant 'AllTraffic', which is 1 to 4, not 5",
        fleet(4),
    ),
    "execution of batches too short": Violation(
        rolling(count(1), MaximumExecutionTimeoutInSeconds=599),
        f"{ROLLING}.MaximumExecutionTimeoutInSeconds: must be a whole number of seconds, 600 to "
        "28800, not 599",
        fleet(4),
    ),
    "execution of steps too long": Violation(
        blue_green(MaximumExecutionTimeoutInSeconds=28801),
        f"{BLUE_GREEN}.MaximumExecutionTimeoutInSeconds: must be a whole number of seconds, 600 "
        "to 28800, not 28801",
    ),
    "execution shorter than the waits after all batches": Violation(
        rolling(count(1), WaitIntervalInSeconds=300, MaximumExecutionTimeoutInSeconds=1200),
        f"{ROLLING}.MaximumExecutionTimeoutInSeconds: must be larger than all the waits together "
        "(1200 s after 4 batches), not 1200",
        fleet(4),
    ),
    "execution shorter than the waits after batches of a third": Violation(
        rolling(percent(30), WaitIntervalInSeconds=300, MaximumExecutionTimeoutInSeconds=1200),
        f"{ROLLING}.MaximumExecutionTimeoutInSeconds: must be larger than all the waits together "
        "(1200 s after 4 batches), not 1200",
        fleet(10),
    ),
    "execution shorter than the waits after the rest of a fleet": Violation(
        rolling(count(3), WaitIntervalInSeconds=300, MaximumExecutionTimeoutInSeconds=900),
        f"{ROLLING}.MaximumExecutionTimeoutInSeconds: must be larger than all the waits together "
        "(900 s after 3 batches), not 900",
        fleet(8),
    ),
    "batches of what is serverless": Violation(
        rolling(percent(10)),
        f"{ROLLING}: cannot update serverless variants (AllTraffic); use BlueGreenUpdatePolicy",
        fleet(None),
    ),
    "batches of two variants": Violation(
        rolling(percent(50)),
        f"{ROLLING}: takes endpoints of one variant only, and this has 2; use "
        "BlueGreenUpdatePolicy",
        (Variant("A", 4), Variant("B", 4)),
    ),
    "linear without a size": Violation(
        blue_green({"Type": "LINEAR"}),
        f"{ROUTING}.LinearStepSize: is required where Type is LINEAR",
    ),
    "a size without a value": Violation(
        canary({"Type": "CAPACITY_PERCENT"}), f"{ROUTING}.CanarySize.Value: is required"
    ),
    "batches without a size": Violation(
        {"DeploymentConfig": {"RollingUpdatePolicy": {"WaitIntervalInSeconds": 0}}},
        f"{ROLLING}.MaximumBatchSize: is required",
    ),
    "seconds in parts": Violation(
        blue_green({"WaitIntervalInSeconds": 1.5}),
        f"{ROUTING}.WaitIntervalInSeconds: {SECONDS} 1.5",
    ),
}  # fmt: skip
