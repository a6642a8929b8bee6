"""The scaling of endpoints: Application Auto Scaling, and the alarm that starts the first instance.

SageMaker forgets targets and policies when it deletes an endpoint. The alarm is ours to delete.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from lambdas.aws import clients
from lambdas.aws.errors import named
from lambdas.core.errors import AwsRefused
from lambdas.core.settings import backlog_alarm
from lambdas.core.spec import Scaling

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient

_TARGET: Mapping[str, Any] = {
    "ServiceNamespace": "sagemaker",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}
_BACKLOG_METRIC = "HasBacklogWithoutCapacity"
# The policy and its alarm, as SageMaker's guide has them:
# https://docs.aws.amazon.com/sagemaker/latest/dg/async-inference-autoscale.html
_ONE_MORE: Mapping[str, Any] = {
    "AdjustmentType": "ChangeInCapacity",
    "MetricAggregationType": "Average",
    "Cooldown": 300,
    "StepAdjustments": [{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}],
}
_TWO_MINUTES_IN_A_ROW: Mapping[str, Any] = {
    "MetricName": _BACKLOG_METRIC,
    "Namespace": "AWS/SageMaker",
    "Statistic": "Average",
    "Period": 60,
    "EvaluationPeriods": 2,
    "DatapointsToAlarm": 2,
    "Threshold": 1,
    "ComparisonOperator": "GreaterThanOrEqualToThreshold",
    "TreatMissingData": "missing",
}


class Autoscaler:
    """The clients of Application Auto Scaling and CloudWatch are made on first use: most endpoints
    have no scaling."""

    def __init__(
        self,
        client: SageMakerClient,
        autoscaling: Callable[[], Any] = clients.autoscaling,
        cloudwatch: Callable[[], Any] = clients.cloudwatch,
    ) -> None:
        self._client = client
        self._autoscaling = autoscaling
        self._cloudwatch = cloudwatch

    def replace(self, name: str, scaling: Sequence[Scaling]) -> None:
        """Deregister all targets first: this also removes policies that are no longer declared."""
        with named():
            before = self._targets(name)
            for target in before:
                self._autoscaling().deregister_scalable_target(
                    **_TARGET, ResourceId=target["ResourceId"]
                )
            if any(target["MinCapacity"] == 0 for target in before):
                self._cloudwatch().delete_alarms(AlarmNames=[backlog_alarm(name)])
            for each in scaling:
                self._put(name, each)

    def forget(self, name: str) -> None:
        """Delete what SageMaker leaves behind of a deleted endpoint. Never fails: an alarm that
        stays does nothing, and the next start of the endpoint replaces it."""
        with suppress(AwsRefused), named():
            self._cloudwatch().delete_alarms(AlarmNames=[backlog_alarm(name)])

    def _put(self, name: str, scaling: Scaling) -> None:
        variant = {**_TARGET, "ResourceId": f"endpoint/{name}/variant/{scaling.variant}"}
        self._autoscaling().register_scalable_target(
            **variant, MinCapacity=scaling.min_capacity, MaxCapacity=scaling.max_capacity
        )
        for policy_name, policy in scaling.policies.items():
            self._autoscaling().put_scaling_policy(
                **variant,
                PolicyName=policy_name,
                PolicyType="TargetTrackingScaling",
                TargetTrackingScalingPolicyConfiguration=policy,
            )
        if scaling.from_zero:
            put = self._autoscaling().put_scaling_policy(
                **variant,
                PolicyName=_BACKLOG_METRIC,
                PolicyType="StepScaling",
                StepScalingPolicyConfiguration=_ONE_MORE,
            )
            self._cloudwatch().put_metric_alarm(
                **_TWO_MINUTES_IN_A_ROW,
                AlarmName=backlog_alarm(name),
                AlarmDescription=f"Starts the first instance of {name} when a request waits.",
                Dimensions=[{"Name": "EndpointName", "Value": name}],
                AlarmActions=[put["PolicyARN"]],
            )

    def _targets(self, name: str) -> Sequence[Mapping[str, Any]]:
        """The scalable targets of the endpoint's variants."""
        seen = self._client.describe_endpoint(EndpointName=name)
        ids = [
            f"endpoint/{name}/variant/{variant['VariantName']}"
            for variant in seen.get("ProductionVariants", [])
        ]
        pages = (
            self._autoscaling()
            .get_paginator("describe_scalable_targets")
            .paginate(**_TARGET, ResourceIds=ids)
        )
        return [target for page in pages for target in page["ScalableTargets"]]
