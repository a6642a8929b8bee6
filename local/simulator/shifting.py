"""When an update shifts which share of the traffic, according to its DeploymentConfig.


https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails.html
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import ceil
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True)
class Shift:
    """From `after` the start of the update, the new fleet answers this share (0 to 1)."""

    after: timedelta
    share: float


@dataclass(frozen=True)
class Plan:
    """The shifts of an update, and the time from its start to its end. If it is `too_long`, that
    is the time until it is rolled back."""

    shifts: tuple[Shift, ...]
    over_after: timedelta
    too_long: bool = False


def plan(policy: Json | None, provisioning_seconds: float, counts: Sequence[int | None]) -> Plan:
    """The plan of an update whose new instances are ready after `provisioning_seconds`.

    `counts` are the instances of each new variant (None: serverless). Without a policy, all traffic
    shifts at the end.
    """
    given = policy or {}
    rolling, blue_green = given.get("RollingUpdatePolicy"), given.get("BlueGreenUpdatePolicy")
    if rolling:
        whole = _steps(
            provisioning_seconds,
            _part(rolling["MaximumBatchSize"], counts),
            rolling["WaitIntervalInSeconds"],
            last_wait_seconds=rolling["WaitIntervalInSeconds"],
        )
        return _limited(whole, rolling)
    if not blue_green:
        return Plan((), timedelta(seconds=provisioning_seconds))
    routing = blue_green["TrafficRoutingConfiguration"]
    wait, termination = (
        routing["WaitIntervalInSeconds"],
        blue_green.get("TerminationWaitInSeconds", 0),
    )
    match routing["Type"]:
        case "CANARY":
            part = _part(routing["CanarySize"], counts)
            whole = _steps(provisioning_seconds, part, wait, termination, most=2)
        case "LINEAR":
            part = _part(routing["LinearStepSize"], counts)
            whole = _steps(provisioning_seconds, part, wait, termination)
        case _:
            whole = _steps(provisioning_seconds, 1.0, wait, wait + termination)
    return _limited(whole, blue_green)


def _part(size: Json, counts: Sequence[int | None]) -> float:
    """The share of the fleet that a size means. With several variants, the largest one counts."""
    value = float(size["Value"])
    if size["Type"] == "CAPACITY_PERCENT":
        return min(value / 100, 1.0)
    return min(value / max((count or 1 for count in counts), default=1), 1.0)


def _steps(
    first_seconds: float,
    part: float,
    wait_seconds: float,
    last_wait_seconds: float,
    most: int | None = None,
) -> Plan:
    """Equal steps of `part`. With `most`, there are so many steps, and the last takes the rest."""
    count = most or ceil(round(1 / part, 6))
    shifts = tuple(
        Shift(
            timedelta(seconds=first_seconds + number * wait_seconds),
            1.0 if number == count - 1 else part * (number + 1),
        )
        for number in range(count)
    )
    return Plan(shifts, shifts[-1].after + timedelta(seconds=last_wait_seconds))


def _limited(whole: Plan, policy: Json) -> Plan:
    limit = policy.get("MaximumExecutionTimeoutInSeconds")
    if limit is None or timedelta(seconds=limit) >= whole.over_after:
        return whole
    return Plan(whole.shifts, timedelta(seconds=limit), too_long=True)
