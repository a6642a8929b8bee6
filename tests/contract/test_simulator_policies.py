"""Updates take the time and shift the traffic as their DeploymentConfig says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tests.contract.simulated import DURATIONS, Simulated, simulated
from tests.update_limits import blue_green, canary, count, linear, percent, rolling

NEW = DURATIONS.update_seconds
"""Seconds until the new instances are ready."""


@pytest.fixture
def here() -> Iterator[Simulated]:
    """Falcon is served by four instances of the variant `Old`."""
    with simulated() as served:
        served.has_config("first", VariantName="Old", InitialInstanceCount=4)
        served.has_config("next", VariantName="New", InitialInstanceCount=4)
        served.sagemaker.create_endpoint(EndpointName="Falcon", EndpointConfigName="first")
        served.clock.pass_seconds(DURATIONS.create_seconds)
        yield served


def update(here: Simulated, options: dict[str, Any]) -> None:
    here.sagemaker.update_endpoint(EndpointName="Falcon", EndpointConfigName="next", **options)


def new_share(here: Simulated) -> float:
    """The share of twenty invocations that the new variant answers; none may fail."""
    answers = [
        here.runtime.invoke_endpoint(EndpointName="Falcon", Body=b"")["InvokedProductionVariant"]
        for _ in range(20)
    ]
    return Counter(answers)["New"] / len(answers)


def observed_after(here: Simulated, *seconds: float) -> list[tuple[str, float]]:
    """Status and share of the new variant, now and after each of these periods."""
    seen = [(here.status(), new_share(here))]
    for passing in seconds:
        here.clock.pass_seconds(passing)
        seen.append((here.status(), new_share(here)))
    return seen


def test_without_a_policy_all_traffic_shifts_at_the_end(here: Simulated) -> None:
    update(here, {})
    assert observed_after(here, NEW - 1, 1) == [("Updating", 0), ("Updating", 0), ("InService", 1)]


def test_alarms_alone_are_a_deployment_config(here: Simulated) -> None:
    alarms = {"Alarms": [{"AlarmName": "errors"}]}
    update(here, {"DeploymentConfig": {"AutoRollbackConfiguration": alarms}})
    assert observed_after(here, NEW - 1, 1) == [("Updating", 0), ("Updating", 0), ("InService", 1)]


def test_all_at_once_bakes_and_then_keeps_the_old_fleet_for_a_while(here: Simulated) -> None:
    update(here, blue_green({"WaitIntervalInSeconds": 60}, TerminationWaitInSeconds=30))
    assert observed_after(here, NEW, 89, 1) == [
        ("Updating", 0),
        ("Updating", 1),
        ("Updating", 1),
        ("InService", 1),
    ]


def test_canary_shifts_its_share_first_and_then_the_rest(here: Simulated) -> None:
    update(here, canary(percent(25), WaitIntervalInSeconds=60))
    assert observed_after(here, NEW, 59, 1) == [
        ("Updating", 0),
        ("Updating", 0.25),
        ("Updating", 0.25),
        ("InService", 1),
    ]


def test_linear_goes_step_by_step(here: Simulated) -> None:
    update(here, linear(count(1), WaitIntervalInSeconds=60))
    assert observed_after(here, NEW, 60, 60, 60) == [
        ("Updating", 0),
        ("Updating", 0.25),
        ("Updating", 0.5),
        ("Updating", 0.75),
        ("InService", 1),
    ]


def test_rolling_bakes_after_each_batch(here: Simulated) -> None:
    update(here, rolling(percent(50), WaitIntervalInSeconds=60))
    assert observed_after(here, NEW, 60, 60) == [
        ("Updating", 0),
        ("Updating", 0.5),
        ("Updating", 1),
        ("InService", 1),
    ]


def test_update_that_exceeds_its_timeout_is_rolled_back(here: Simulated) -> None:
    update(here, canary(percent(25), WaitIntervalInSeconds=550))
    here.clock.pass_seconds(NEW + 550)
    assert here.status() == "InService"
    slow = canary(percent(25), WaitIntervalInSeconds=550)
    policy = slow["DeploymentConfig"]["BlueGreenUpdatePolicy"]
    policy["MaximumExecutionTimeoutInSeconds"] = 600
    here.sagemaker.update_endpoint(EndpointName="Falcon", EndpointConfigName="first", **slow)
    assert observed_after(here, NEW, 400, 600) == [
        ("Updating", 1),
        ("Updating", 0.75),
        ("RollingBack", 1),
        ("InService", 1),
    ]


def test_a_rollback_gives_all_traffic_back(here: Simulated) -> None:
    here.fault("UpdateEndpoint", "Rollback")
    update(here, canary(percent(50), WaitIntervalInSeconds=300))
    assert observed_after(here, NEW, 50, 250) == [
        ("Updating", 0),
        ("Updating", 0.5),
        ("RollingBack", 0),
        ("InService", 0),
    ]


def test_a_retained_policy_applies_to_the_next_update(here: Simulated) -> None:
    update(here, canary(percent(25), WaitIntervalInSeconds=60))
    here.clock.pass_seconds(NEW + 60)
    here.sagemaker.update_endpoint(
        EndpointName="Falcon", EndpointConfigName="first", RetainDeploymentConfig=True
    )
    assert observed_after(here, NEW, 60) == [("Updating", 1), ("Updating", 0.75), ("InService", 0)]
