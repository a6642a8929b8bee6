"""Scaling of endpoints: `scale` of the adapter, on Application Auto Scaling of the simulator."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from moto import mock_aws

from lambdas.aws.autoscaler import Autoscaler
from lambdas.aws.sagemaker import SageMakerEndpoints
from lambdas.core.errors import AwsRefused
from lambdas.core.spec import Scaling
from tests.contract.simulated import DURATIONS, SESSION, Simulated, a_variant, simulated

TARGET = {
    "ServiceNamespace": "sagemaker",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}
ONCE = Config(connect_timeout=1, retries={"total_max_attempts": 1})
FALCON = "endpoint/falcon/variant/AllTraffic"
POLICY = {
    "TargetValue": 70.0,
    "PredefinedMetricSpecification": {
        "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"
    },
    "ScaleInCooldown": 300,
    "ScaleOutCooldown": 60,
}
BACKLOG = {
    "TargetValue": 5.0,
    "CustomizedMetricSpecification": {
        "MetricName": "ApproximateBacklogSizePerInstance",
        "Namespace": "AWS/SageMaker",
        "Dimensions": [{"Name": "EndpointName", "Value": "falcon"}],
        "Statistic": "Average",
    },
}
STEP = {
    "AdjustmentType": "ChangeInCapacity",
    "StepAdjustments": [{"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 1}],
}
FROM_ZERO = Scaling("AllTraffic", 0, 4, {"backlog": BACKLOG})
ONE_TO_FOUR = Scaling("AllTraffic", 1, 4, {"invocations": POLICY})


@pytest.fixture
def world() -> Iterator[Simulated]:
    with simulated() as served:
        served.has_endpoint("falcon")
        yield served


@pytest.fixture
def autoscaling(world: Simulated) -> Any:
    return SESSION.client("application-autoscaling", endpoint_url=world.server.url)


@pytest.fixture
def cloudwatch() -> Iterator[Any]:
    with mock_aws():
        # SESSION is perhaps older than moto, which only sees what is made after it
        yield boto3.Session("test", "test", region_name="eu-west-1").client("cloudwatch")


@pytest.fixture
def endpoints(world: Simulated, autoscaling: Any, cloudwatch: Any) -> SageMakerEndpoints:
    autoscaler = Autoscaler(world.sagemaker, lambda: autoscaling, lambda: cloudwatch)
    return SageMakerEndpoints(world.sagemaker, world.sagemaker, "demo", autoscaler)


def targets(autoscaling: Any) -> dict[str, tuple[int, int]]:
    pages = autoscaling.get_paginator("describe_scalable_targets").paginate(
        ServiceNamespace="sagemaker"
    )
    found = [target for page in pages for target in page["ScalableTargets"]]
    return {each["ResourceId"]: (each["MinCapacity"], each["MaxCapacity"]) for each in found}


def policies(autoscaling: Any) -> dict[str, Any]:
    found = autoscaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    return {each["PolicyName"]: each["TargetTrackingScalingPolicyConfiguration"] for each in found}


def alarms(cloudwatch: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = cloudwatch.describe_alarms()["MetricAlarms"]
    return found


def refusal(call: Any, **arguments: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**TARGET, **arguments)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def test_scaling_is_registered(endpoints: SageMakerEndpoints, autoscaling: Any) -> None:
    endpoints.scale("falcon", [ONE_TO_FOUR])
    assert targets(autoscaling) == {FALCON: (1, 4)}
    assert policies(autoscaling) == {"invocations": POLICY}


def test_scaling_twice_changes_nothing(endpoints: SageMakerEndpoints, autoscaling: Any) -> None:
    endpoints.scale("falcon", [ONE_TO_FOUR])
    endpoints.scale("falcon", [ONE_TO_FOUR])
    assert targets(autoscaling) == {FALCON: (1, 4)}
    assert policies(autoscaling) == {"invocations": POLICY}


def test_scaling_removed_from_the_spec_is_removed(
    endpoints: SageMakerEndpoints, autoscaling: Any
) -> None:
    endpoints.scale("falcon", [ONE_TO_FOUR])
    endpoints.scale("falcon", [Scaling("AllTraffic", 2, 3, {"other": POLICY})])
    assert targets(autoscaling) == {FALCON: (2, 3)}
    assert set(policies(autoscaling)) == {"other"}
    endpoints.scale("falcon", [])
    assert targets(autoscaling) == {}
    assert policies(autoscaling) == {}


def test_from_zero_an_alarm_on_the_backlog_adds_the_first_instance(
    endpoints: SageMakerEndpoints, autoscaling: Any, cloudwatch: Any
) -> None:
    endpoints.scale("falcon", [FROM_ZERO])
    assert targets(autoscaling) == {FALCON: (0, 4)}
    found = autoscaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    tracking, step = sorted(found, key=lambda each: str(each["PolicyType"]), reverse=True)
    assert tracking["TargetTrackingScalingPolicyConfiguration"] == BACKLOG
    steps = step["StepScalingPolicyConfiguration"]["StepAdjustments"]
    assert steps == [{"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 1}]
    (alarm,) = alarms(cloudwatch)
    assert alarm["AlarmName"] == "BacklogWithoutCapacity-falcon"
    assert alarm["AlarmActions"] == [step["PolicyARN"]]
    assert (alarm["MetricName"], alarm["Namespace"]) == (
        "HasBacklogWithoutCapacity",
        "AWS/SageMaker",
    )
    assert alarm["Dimensions"] == [{"Name": "EndpointName", "Value": "falcon"}]


def test_the_alarm_of_an_endpoint_that_was_made_again_starts_the_new_policy(
    world: Simulated, endpoints: SageMakerEndpoints, autoscaling: Any, cloudwatch: Any
) -> None:
    endpoints.scale("falcon", [FROM_ZERO])
    (before,) = alarms(cloudwatch)
    endpoints.delete("falcon")
    world.clock.pass_seconds(DURATIONS.delete_seconds)
    endpoints.create("falcon", "config", {})
    world.clock.pass_seconds(DURATIONS.create_seconds)
    endpoints.scale("falcon", [FROM_ZERO])
    (after,) = alarms(cloudwatch)
    assert after["AlarmActions"] != before["AlarmActions"]
    found = autoscaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    assert after["AlarmActions"][0] in [policy["PolicyARN"] for policy in found]


def test_the_alarm_ends_with_the_scaling_from_zero(
    endpoints: SageMakerEndpoints, cloudwatch: Any
) -> None:
    endpoints.scale("falcon", [FROM_ZERO])
    endpoints.scale("falcon", [ONE_TO_FOUR])
    assert not alarms(cloudwatch)
    endpoints.scale("falcon", [FROM_ZERO])
    endpoints.delete("falcon")
    endpoints.forget_scaling("falcon")
    assert not alarms(cloudwatch)
    endpoints.forget_scaling("falcon")


def test_an_alarm_that_cannot_be_deleted_keeps_no_endpoint_from_its_end(
    world: Simulated, autoscaling: Any
) -> None:
    silent = SESSION.client("cloudwatch", endpoint_url="http://127.0.0.1:9", config=ONCE)
    Autoscaler(world.sagemaker, lambda: autoscaling, lambda: silent).forget("falcon")


def test_scaling_of_other_endpoints_is_left_alone(
    world: Simulated, endpoints: SageMakerEndpoints, autoscaling: Any
) -> None:
    world.has_endpoint("flan", "flan-1")
    endpoints.scale("flan", [ONE_TO_FOUR])
    endpoints.scale("falcon", [])
    assert set(targets(autoscaling)) == {"endpoint/flan/variant/AllTraffic"}


def test_deleting_an_endpoint_deregisters_it_silently_and_a_new_one_is_not_scaled(
    world: Simulated, endpoints: SageMakerEndpoints, autoscaling: Any
) -> None:
    endpoints.scale("falcon", [ONE_TO_FOUR])
    endpoints.delete("falcon")
    assert targets(autoscaling) == {}
    world.clock.pass_seconds(DURATIONS.delete_seconds)
    endpoints.create("falcon", "config", {})
    world.clock.pass_seconds(DURATIONS.create_seconds)
    assert targets(autoscaling) == {}
    endpoints.scale("falcon", [ONE_TO_FOUR])
    assert policies(autoscaling) == {"invocations": POLICY}


def test_an_endpoint_that_is_not_in_service_is_not_scaled_yet(
    world: Simulated, endpoints: SageMakerEndpoints
) -> None:
    endpoints.create("new", "config", {})
    with pytest.raises(AwsRefused, match="InService"):
        endpoints.scale("new", [ONE_TO_FOUR])


def test_scalable_targets_are_listed_in_pages(world: Simulated, autoscaling: Any) -> None:
    names = [f"variant-{number:02}" for number in range(10)]
    world.sagemaker.create_endpoint_config(
        EndpointConfigName="ten",
        ProductionVariants=[a_variant(VariantName=name) for name in names],
    )
    every = []
    for number in range(6):
        world.sagemaker.create_endpoint(EndpointName=f"e-{number}", EndpointConfigName="ten")
        every += [f"endpoint/e-{number}/variant/{name}" for name in names]
    world.clock.pass_seconds(DURATIONS.create_seconds)
    for resource_id in every:
        autoscaling.register_scalable_target(
            **TARGET, ResourceId=resource_id, MinCapacity=1, MaxCapacity=2
        )
    assert set(targets(autoscaling)) == set(every)
    first = autoscaling.describe_scalable_targets(ServiceNamespace="sagemaker")
    assert len(first["ScalableTargets"]) == 50
    some = autoscaling.describe_scalable_targets(
        ServiceNamespace="sagemaker", ResourceIds=every[:3]
    )
    assert {target["ResourceId"] for target in some["ScalableTargets"]} == set(every[:3])


def test_refusals_are_worded_as_aws_words_them(autoscaling: Any) -> None:
    missing = f"service namespace: sagemaker, resource ID: {FALCON}, scalable dimension: "
    missing += TARGET["ScalableDimension"]
    assert refusal(autoscaling.deregister_scalable_target, ResourceId=FALCON) == (
        "ObjectNotFoundException",
        f"No scalable target found for {missing}",
    )
    assert refusal(
        autoscaling.put_scaling_policy,
        ResourceId=FALCON,
        PolicyName="invocations",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration=POLICY,
    ) == ("ObjectNotFoundException", f"No scalable target registered for {missing}")
    code, message = refusal(
        autoscaling.register_scalable_target, ResourceId="table/x", MinCapacity=1, MaxCapacity=2
    )
    assert (code, message.partition(",")[0]) == (
        "ValidationException",
        "Unsupported service namespace",
    )


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        ({"PolicyType": "PredictiveScaling"}, "PredictiveScaling is not supported"),
        ({}, "Policy type None"),
        ({"PolicyType": "StepScaling"}, "needs exactly one configuration"),
        (
            {"PolicyType": "StepScaling", "StepScalingPolicyConfiguration": {}},
            "needs AdjustmentType and StepAdjustments",
        ),
        (
            {
                "PolicyType": "TargetTrackingScaling",
                "StepScalingPolicyConfiguration": STEP,
                "TargetTrackingScalingPolicyConfiguration": POLICY,
            },
            "needs exactly one configuration",
        ),
        (
            {
                "PolicyType": "TargetTrackingScaling",
                "TargetTrackingScalingPolicyConfiguration": {"TargetValue": 1},
            },
            "Exactly one of PredefinedMetricSpecification",
        ),
        (
            {
                "PolicyType": "TargetTrackingScaling",
                "TargetTrackingScalingPolicyConfiguration": {
                    "TargetValue": 1,
                    "PredefinedMetricSpecification": {
                        "PredefinedMetricType": "ECSServiceAverageCPUUtilization"
                    },
                },
            },
            "ECSServiceAverageCPUUtilization is not supported",
        ),
    ],
    ids=["predictive", "no type", "no steps", "empty", "two", "no metric", "metric of others"],
)
def test_a_policy_that_variants_do_not_take_is_refused(
    endpoints: SageMakerEndpoints, autoscaling: Any, policy: dict[str, Any], reason: str
) -> None:
    endpoints.scale("falcon", [ONE_TO_FOUR])
    code, message = refusal(
        autoscaling.put_scaling_policy, ResourceId=FALCON, PolicyName="other", **policy
    )
    assert code == "ValidationException"
    assert reason in message


@pytest.mark.parametrize(
    ("resource_id", "limits"),
    [
        ("endpoint/nobody/variant/AllTraffic", {"MinCapacity": 1, "MaxCapacity": 2}),
        ("endpoint/falcon/variant/other", {"MinCapacity": 1, "MaxCapacity": 2}),
        (FALCON, {"MinCapacity": 3, "MaxCapacity": 2}),
        (FALCON, {"MinCapacity": 1}),
    ],
)
def test_what_cannot_be_scaled_is_refused(
    autoscaling: Any, resource_id: str, limits: dict[str, int]
) -> None:
    code, _ = refusal(autoscaling.register_scalable_target, ResourceId=resource_id, **limits)
    assert code == "ValidationException"


def test_limits_are_changed_one_at_a_time_and_policies_stay(
    endpoints: SageMakerEndpoints, autoscaling: Any
) -> None:
    endpoints.scale("falcon", [ONE_TO_FOUR])
    autoscaling.register_scalable_target(**TARGET, ResourceId=FALCON, MaxCapacity=9)
    assert targets(autoscaling) == {FALCON: (1, 9)}
    assert set(policies(autoscaling)) == {"invocations"}


def test_the_instance_type_of_a_scaled_variant_cannot_be_changed(
    world: Simulated, endpoints: SageMakerEndpoints
) -> None:
    world.has_config("same-type")
    world.has_config("larger", InstanceType="ml.g5.24xlarge")
    endpoints.scale("falcon", [ONE_TO_FOUR])
    with pytest.raises(AwsRefused, match="scalable target"):
        endpoints.update("falcon", "larger", {})
    endpoints.update("falcon", "same-type", {})
    world.clock.pass_seconds(DURATIONS.update_seconds)
    endpoints.scale("falcon", [])
    endpoints.update("falcon", "larger", {})


def test_faults_hit_scaling_too(
    world: Simulated, endpoints: SageMakerEndpoints, autoscaling: Any
) -> None:
    world.fault("PutScalingPolicy", "AccessDeniedException", count=1)
    with pytest.raises(AwsRefused):
        endpoints.scale("falcon", [ONE_TO_FOUR])
    endpoints.scale("falcon", [ONE_TO_FOUR])
    assert policies(autoscaling) == {"invocations": POLICY}


def test_each_service_answers_its_own_operations_only(world: Simulated) -> None:
    for target in ("SageMaker.RegisterScalableTarget", "AnyScaleFrontendService.DeleteEndpoint"):
        request = urllib.request.Request(
            world.server.url, b"{}", {"X-Amz-Target": target}, method="POST"
        )
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(request, timeout=5)
        assert b"UnknownOperationException" in caught.value.read()
