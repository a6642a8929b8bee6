"""What AWS services do in the name of their caller: the caller needs these permissions, too.

The simulator asks IAM for them, and a test compares the roles of the stack with them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class On(StrEnum):
    """What an action is done to."""

    ENDPOINT = "endpoint"
    """The endpoint of the request, and so its tags count."""
    CONFIG = "endpoint config"
    """Any endpoint config: the one that the endpoint serves."""
    TARGET = "scalable target"
    ALARM = "alarm"
    """Of target tracking. Application Auto Scaling chooses the name: `TargetTracking-{id}…`"""
    LINKED_ROLE = "service-linked role"


@dataclass(frozen=True)
class Deed:
    """One action. `only` says when it is done, if not always."""

    action: str
    on: On
    only: str = ""


_PREREQUISITES = (
    "https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling-prerequisites.html"
)
SOURCES = {
    "application-autoscaling:RegisterScalableTarget": _PREREQUISITES,
    "application-autoscaling:PutScalingPolicy": _PREREQUISITES,
    "application-autoscaling:DeregisterScalableTarget": _PREREQUISITES,
    "sagemaker:CreateEndpoint": (
        "https://docs.aws.amazon.com/service-authorization/latest/reference/"
        "list_amazonsagemakerai.html"
    ),
    "sagemaker:DeleteEndpoint": "the wording of the refusal, in a report of 2023",
}
"""Where each row of the table is from (2026-11-28)."""
IN_CALLERS_NAME: Mapping[str, Sequence[Deed]] = {
    "sagemaker:CreateEndpoint": (Deed("sagemaker:AddTags", On.ENDPOINT, "with tags"),),
    "sagemaker:DeleteEndpoint": (
        Deed("application-autoscaling:DeregisterScalableTarget", On.TARGET, "if it is scaled"),
        Deed("cloudwatch:DescribeAlarms", On.ALARM, "if it is scaled"),
        Deed("cloudwatch:DeleteAlarms", On.ALARM, "if it is scaled"),
    ),
    "application-autoscaling:RegisterScalableTarget": (
        Deed("iam:CreateServiceLinkedRole", On.LINKED_ROLE, "for the first target of the account"),
        Deed("sagemaker:DescribeEndpoint", On.ENDPOINT),
        Deed("sagemaker:DescribeEndpointConfig", On.CONFIG),
        Deed("sagemaker:UpdateEndpointWeightsAndCapacities", On.ENDPOINT),
    ),
    "application-autoscaling:PutScalingPolicy": (
        Deed("cloudwatch:DescribeAlarms", On.ALARM, "for target tracking"),
        Deed("cloudwatch:PutMetricAlarm", On.ALARM, "for target tracking"),
    ),
    "application-autoscaling:DeregisterScalableTarget": (
        Deed("cloudwatch:DescribeAlarms", On.ALARM),
        Deed("cloudwatch:DeleteAlarms", On.ALARM),
    ),
}
