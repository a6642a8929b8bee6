"""How an endpoint moves to another config: the options of UpdateEndpoint, and their limits.

Field names and limits are those of
https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_UpdateEndpoint.html.
botocore does not check the limits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from lambdas.core.errors import InvalidField
from lambdas.core.json_form import Choice, Each, Fields, Flag, Number, Text, below, refuse

_WAIT = Number(0, 3_600, "seconds")
_TIMEOUT = Number(600, 28_800, "seconds")
_SIZE = Fields(
    {"Type": Choice(("INSTANCE_COUNT", "CAPACITY_PERCENT")), "Value": Number(1)},
    frozenset({"Type", "Value"}),
)
_ROUTING = Fields(
    {
        "Type": Choice(("ALL_AT_ONCE", "CANARY", "LINEAR")),
        "WaitIntervalInSeconds": _WAIT,
        "CanarySize": _SIZE,
        "LinearStepSize": _SIZE,
    },
    frozenset({"Type", "WaitIntervalInSeconds"}),
)
_BLUE_GREEN = Fields(
    {
        "TrafficRoutingConfiguration": _ROUTING,
        "TerminationWaitInSeconds": _WAIT,
        "MaximumExecutionTimeoutInSeconds": _TIMEOUT,
    },
    frozenset({"TrafficRoutingConfiguration"}),
)
_ROLLING = Fields(
    {
        "MaximumBatchSize": _SIZE,
        "WaitIntervalInSeconds": _WAIT,
        "MaximumExecutionTimeoutInSeconds": _TIMEOUT,
        "RollbackMaximumBatchSize": _SIZE,
    },
    frozenset({"MaximumBatchSize", "WaitIntervalInSeconds"}),
)
_ALARM = Fields({"AlarmName": Text(1, 255)})
_PROPERTY = Fields(
    {"VariantPropertyType": Choice(("DesiredInstanceCount", "DesiredWeight", "DataCaptureConfig"))},
    frozenset({"VariantPropertyType"}),
)
OPTIONS = Fields(
    {
        "RetainAllVariantProperties": Flag(),
        "ExcludeRetainedVariantProperties": Each(_PROPERTY, 0, 3),
        "DeploymentConfig": Fields(
            {
                "BlueGreenUpdatePolicy": _BLUE_GREEN,
                "RollingUpdatePolicy": _ROLLING,
                "AutoRollbackConfiguration": Fields({"Alarms": Each(_ALARM, 1, 10)}),
            }
        ),
        "RetainDeploymentConfig": Flag(),
    }
)
_DEPLOYMENT = "DeploymentConfig"
_BLUE_GREEN_AT = f"{_DEPLOYMENT}.BlueGreenUpdatePolicy"
_ROUTING_AT = f"{_BLUE_GREEN_AT}.TrafficRoutingConfiguration"
_ROLLING_AT = f"{_DEPLOYMENT}.RollingUpdatePolicy"


@dataclass(frozen=True, slots=True)
class Variant:
    """What an update must know of a production variant. A serverless one has no instance count.
    `weight` is known for served variants only."""

    name: str
    instance_count: int | None = 1
    weight: float | None = None

    @property
    def serverless(self) -> bool:
        return self.instance_count is None


@dataclass(frozen=True, slots=True)
class UpdatePolicy:
    """Valid options of UpdateEndpoint."""

    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(
        cls,
        document: Mapping[str, Any],
        variants: Sequence[Variant] = (),
        served: Sequence[Variant] | None = None,
    ) -> UpdatePolicy:
        """Read the options of an update from the `served` variants to those of a new config. Raises
        InvalidField with all problems."""
        refuse(policy_problems(document, variants, served))
        return cls(document)

    def longest(self, retained: timedelta = timedelta()) -> timedelta:
        """How long an update may take. `retained`: with the DeploymentConfig of the last update,
        which RetainDeploymentConfig uses again."""
        deployment = self.options.get(_DEPLOYMENT)
        if not deployment and self.options.get("RetainDeploymentConfig"):
            return retained
        return duration_of(deployment or {})


def duration_of(deployment: Mapping[str, Any]) -> timedelta:
    """How long an update may take with this DeploymentConfig: its timeout if declared, else the sum
    of its waits."""
    policy = _policy(deployment)
    declared = policy.get("MaximumExecutionTimeoutInSeconds")
    return timedelta(seconds=declared or sum(_waits(policy, ()).values()))


def policy_problems(
    document: object, variants: Sequence[Variant] = (), served: Sequence[Variant] | None = None
) -> Iterator[InvalidField]:
    """All problems in the options of an update. `variants` are those of the new config (none: not
    known). `served` are those that the endpoint serves now."""
    wrong = list(OPTIONS.problems(document))
    yield from wrong
    if not isinstance(document, dict):
        return
    broken = [problem.field for problem in wrong]

    def sound(path: str) -> bool:
        return not any(f"{field}.".startswith(f"{path}.") for field in broken)

    yield from _retained(document, variants, served)
    deployment = document.get(_DEPLOYMENT)
    if not isinstance(deployment, dict):
        return
    if document.get("RetainDeploymentConfig") is True:
        yield InvalidField(
            "RetainDeploymentConfig",
            "reuses the last deployment configuration, so DeploymentConfig cannot be given with "
            "it; keep one of the two",
        )
    yield from _one_policy(deployment)
    if "BlueGreenUpdatePolicy" in deployment and sound(_BLUE_GREEN_AT):
        yield from _blue_green(deployment["BlueGreenUpdatePolicy"], variants)
    if "RollingUpdatePolicy" in deployment and sound(_ROLLING_AT):
        yield from _rolling(deployment["RollingUpdatePolicy"], variants)


def _retained(
    document: Mapping[str, Any], variants: Sequence[Variant], served: Sequence[Variant] | None
) -> Iterator[InvalidField]:
    retains = document.get("RetainAllVariantProperties") is True
    if document.get("ExcludeRetainedVariantProperties") and not retains:
        yield InvalidField(
            "ExcludeRetainedVariantProperties",
            "has a meaning only where RetainAllVariantProperties is true: set that, or leave "
            "this out",
        )
    old = sorted(variant.name for variant in served or ())
    new = sorted(variant.name for variant in variants)
    if retains and served is not None and variants and old != new:
        yield InvalidField(
            "RetainAllVariantProperties",
            "the names of the variants must stay the same where their properties are retained: "
            f"the endpoint serves {', '.join(old)}, the new config has {', '.join(new)}",
        )


def _one_policy(deployment: Mapping[str, Any]) -> Iterator[InvalidField]:
    """Without a policy SageMaker moves all traffic at once (blue/green)."""
    if {"BlueGreenUpdatePolicy", "RollingUpdatePolicy"} <= deployment.keys():
        yield InvalidField(
            _DEPLOYMENT,
            "has both BlueGreenUpdatePolicy and RollingUpdatePolicy; keep one of the two",
        )


def _blue_green(policy: Mapping[str, Any], variants: Sequence[Variant]) -> Iterator[InvalidField]:
    routing = policy["TrafficRoutingConfiguration"]
    for kind, name, least in (("CANARY", "CanarySize", 0), ("LINEAR", "LinearStepSize", 10)):
        path, chosen = below(_ROUTING_AT, name), routing["Type"] == kind
        if chosen and name not in routing:
            yield InvalidField(path, f"is required where Type is {kind}")
        elif not chosen and name in routing:
            yield InvalidField(
                path, f"goes only with Type {kind}, not with {routing['Type']}; remove it"
            )
        elif chosen:
            yield from _size(path, routing[name], least, 50, variants)
    yield from _timeout(_BLUE_GREEN_AT, policy, variants)


def _rolling(policy: Mapping[str, Any], variants: Sequence[Variant]) -> Iterator[InvalidField]:
    serverless = [variant.name for variant in variants if variant.serverless]
    if serverless:
        yield InvalidField(
            _ROLLING_AT,
            f"cannot update serverless variants ({', '.join(serverless)}); use "
            "BlueGreenUpdatePolicy",
        )
    if len(variants) > 1:
        yield InvalidField(
            _ROLLING_AT,
            f"takes endpoints of one variant only, and this has {len(variants)}; use "
            "BlueGreenUpdatePolicy",
        )
    yield from _size(
        below(_ROLLING_AT, "MaximumBatchSize"), policy["MaximumBatchSize"], 5, 50, variants
    )
    back = policy.get("RollbackMaximumBatchSize")
    if back:
        yield from _size(below(_ROLLING_AT, "RollbackMaximumBatchSize"), back, 0, 100, variants)
    yield from _timeout(_ROLLING_AT, policy, variants)


def _size(
    path: str, size: Mapping[str, Any], least: int, most: int, variants: Sequence[Variant]
) -> Iterator[InvalidField]:
    """Check a part of a fleet: it must be `least` to `most` percent of the instances of each
    variant."""
    limits = f"{least} to {most} %" if least else f"at most {most} %"
    counted = [v for v in variants if v.instance_count is not None]
    value, in_percent = size["Value"], size["Type"] == "CAPACITY_PERCENT"
    if in_percent and not least <= value <= most:
        yield InvalidField(
            below(path, "Value"), f"must be {limits} of the variant's instances, not {value} %"
        )
        return
    for variant in counted:
        count = variant.instance_count or 0
        whose = f"of the {count} instances of variant '{variant.name}'"
        fewest, largest = max(1, -(-count * least // 100)), count * most // 100
        if largest < fewest:
            yield InvalidField(
                path,
                f"must be {limits} of the instances of a variant, and variant '{variant.name}' "
                "has only one, of which no part can be taken: give it two or more, or use "
                "ALL_AT_ONCE",
            )
        elif not in_percent and not fewest <= value <= largest:
            yield InvalidField(
                below(path, "Value"),
                f"must be {limits} {whose}, which is {_span(fewest, largest)}, not {value}",
            )


def _span(least: int, most: int) -> str:
    return str(least) if least == most else f"{least} to {most}"


def _timeout(
    path: str, policy: Mapping[str, Any], variants: Sequence[Variant]
) -> Iterator[InvalidField]:
    waits = _waits(policy, variants)
    limit = policy.get("MaximumExecutionTimeoutInSeconds")
    if limit is not None and limit <= sum(waits.values()):
        parts = " + ".join(f"{seconds} s {what}" for what, seconds in waits.items() if seconds)
        yield InvalidField(
            below(path, "MaximumExecutionTimeoutInSeconds"),
            f"must be larger than all the waits together ({parts}), not {limit}",
        )


def _policy(deployment: Mapping[str, Any]) -> Mapping[str, Any]:
    policies = ("BlueGreenUpdatePolicy", "RollingUpdatePolicy")
    return next((deployment[name] for name in policies if name in deployment), {})


def _waits(policy: Mapping[str, Any], variants: Sequence[Variant]) -> Mapping[str, int]:
    """The waits of an update in seconds, by their descriptions."""
    routing = policy.get("TrafficRoutingConfiguration")
    if routing is None:
        batches = _parts(policy.get("MaximumBatchSize", {}), variants)
        each = policy.get("WaitIntervalInSeconds", 0)
        return {f"after {_times(batches, 'batch', 'batches')}": each * batches}
    intervals = max(_parts(routing.get("LinearStepSize", {}), variants) - 1, 1)
    return {
        f"in {_times(intervals, 'interval', 'intervals')}": (
            routing.get("WaitIntervalInSeconds", 0) * intervals
        ),
        "before the old fleet goes": policy.get("TerminationWaitInSeconds", 0),
    }


def _parts(size: Mapping[str, Any], variants: Sequence[Variant]) -> int:
    """The number of steps into which the size divides a fleet, at least one."""
    value = size.get("Value")
    if not value:
        return 1
    if size.get("Type") == "CAPACITY_PERCENT":
        return int(-(-100 // value))
    return max((-(-(v.instance_count or 1) // value) for v in variants), default=1)


def _times(count: int, one: str, more: str) -> str:
    return f"{count} {one if count == 1 else more}"
