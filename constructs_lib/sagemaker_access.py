"""What functions may do to SageMaker endpoints. They create endpoints with this stack's tag. They
change or delete only endpoints that carry it and do not carry `endpoint-meter:ignore`."""

from __future__ import annotations

from collections.abc import Iterable

from constructs_lib.deployment import Deployment
from constructs_lib.kms import may_use
from constructs_lib.policy import Conditions, Statement
from lambdas.core.name_patterns import NamePatterns
from lambdas.core.settings import (
    ENDPOINT_LOGS,
    IGNORE_TAG_KEY,
    STACK_TAG_KEY,
    adopted_tag,
    backlog_alarm,
)


class SageMakerAccess:
    """Statements on the endpoints and endpoint configs of the deployment's region."""

    def __init__(self, at: Deployment) -> None:
        self._at = at
        self._endpoints = (at.arn("sagemaker", "endpoint/*"),)
        self._configs = (at.arn("sagemaker", "endpoint-config/*"),)
        self._targets = (at.arn("application-autoscaling", "scalable-target/*"),)
        self._scaling_role = (
            f"arn:{at.partition}:iam::{at.account_id}:role/aws-service-role/"
            "sagemaker.application-autoscaling.amazonaws.com/"
            "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
        )
        self._adopted = adopted_tag(at.stack_tag)
        self._is_ours: Conditions = {
            "StringEquals": {f"aws:ResourceTag/{STACK_TAG_KEY}": [at.stack_tag, self._adopted]}
        }
        self._to_be_changed: Conditions = {
            **self._is_ours,
            "Null": {f"aws:ResourceTag/{IGNORE_TAG_KEY}": "true"},
        }
        self._brings_our_tag = {"StringEquals": {f"aws:RequestTag/{STACK_TAG_KEY}": at.stack_tag}}

    def describe(self) -> list[Statement]:
        actions = ("sagemaker:DescribeEndpoint", "sagemaker:ListTags")
        return [Statement(actions, self._endpoints)]

    def describe_configs(self) -> list[Statement]:
        return [Statement(("sagemaker:DescribeEndpointConfig",), self._configs)]

    def own_configs(self) -> list[Statement]:
        """Describe an endpoint config and read its tags, to find its owner."""
        actions = ("sagemaker:DescribeEndpointConfig", "sagemaker:ListTags")
        return [Statement(actions, self._configs)]

    def list_all(self) -> list[Statement]:
        return [
            Statement(
                ("sagemaker:ListEndpoints",),
                ("*",),
                reason="a listing names no endpoint; IAM knows no narrower resource for it",
            )
        ]

    def operate(self) -> list[Statement]:
        """Create, update and delete. IAM checks CreateEndpoint and UpdateEndpoint against the
        endpoint config too. It gets no tag condition: a config that a user made has no tag."""
        tagging = {"StringEquals": {"sagemaker:TaggingAction": "CreateEndpoint"}}
        return [
            Statement(("sagemaker:CreateEndpoint",), self._endpoints, self._brings_our_tag),
            Statement(("sagemaker:AddTags",), self._endpoints, tagging),
            Statement(
                (
                    "sagemaker:DeleteEndpoint",
                    "sagemaker:UpdateEndpoint",
                    "sagemaker:UpdateEndpointWeightsAndCapacities",
                ),
                self._endpoints,
                self._to_be_changed,
            ),
            Statement(("sagemaker:CreateEndpoint", "sagemaker:UpdateEndpoint"), self._configs),
        ]

    def use_keys(self, keys: Iterable[str]) -> list[Statement]:
        """SageMaker encrypts volumes with the permissions of the caller that creates or updates the
        endpoint. The caller may create grants for AWS services only."""
        for_services: Conditions = {"Bool": {"kms:GrantIsForAWSResource": "true"}}
        return [may_use(self._at, key, ("kms:CreateGrant",), for_services) for key in sorted(keys)]

    def scale(self) -> list[Statement]:
        """Set up scaling, with what Application Auto Scaling does in the caller's name: it looks at
        the endpoint and its config, and keeps alarms. When an endpoint is deleted, SageMaker
        deregisters its targets in the same way; without the permission the delete of a scaled
        endpoint fails. The first target of an account creates the service-linked role. The alarm
        that starts the first instance is our own."""
        return [
            Statement(
                (
                    "application-autoscaling:DeregisterScalableTarget",
                    "application-autoscaling:PutScalingPolicy",
                    "application-autoscaling:RegisterScalableTarget",
                ),
                self._targets,
            ),
            *self.describe_configs(),
            Statement(
                (
                    "cloudwatch:DeleteAlarms",
                    "cloudwatch:DescribeAlarms",
                    "cloudwatch:PutMetricAlarm",
                ),
                (self._at.arn("cloudwatch", "alarm:TargetTracking-*"),),
            ),
            Statement(
                ("cloudwatch:DeleteAlarms", "cloudwatch:PutMetricAlarm"),
                (self._at.arn("cloudwatch", f"alarm:{backlog_alarm(self._at.prefix)}-*"),),
            ),
            Statement(
                ("application-autoscaling:DescribeScalableTargets",),
                ("*",),
                reason="a listing names no target; IAM knows no narrower resource for it",
            ),
            Statement(
                ("iam:CreateServiceLinkedRole",),
                (self._scaling_role,),
                {
                    "StringEquals": {
                        "iam:AWSServiceName": "sagemaker.application-autoscaling.amazonaws.com"
                    }
                },
            ),
        ]

    def keep_logs(self) -> list[Statement]:
        """Give the log group of an endpoint its retention, and the stack's key if there is one.
        SageMaker would make one that is kept for ever, without that key. The key's policy lets
        CloudWatch Logs use it:
        https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html.
        """
        logs = self._at.arn("logs", f"log-group:{ENDPOINT_LOGS}/*")
        actions = ("logs:CreateLogGroup", "logs:PutRetentionPolicy")
        encrypt = ("logs:AssociateKmsKey",) if self._at.key_arn else ()
        return [Statement((*actions, *encrypt), (logs,))]

    def adopt(self, names: NamePatterns) -> list[Statement]:
        """Add the tag "adopted by this stack" to an endpoint without a stack tag, and remove that
        tag again; no other tag may be changed. SageMaker writes names in ARNs in lower case, so
        each pattern is listed in both spellings."""
        patterns = names.patterns if names.patterns is not None else ("*",)
        spellings = sorted({name for pattern in patterns for name in (pattern, pattern.lower())})
        endpoints = tuple(self._at.arn("sagemaker", f"endpoint/{name}") for name in spellings)
        our_key_alone = {"ForAllValues:StringEquals": {"aws:TagKeys": [STACK_TAG_KEY]}}
        adopting: Conditions = {
            "StringEquals": {f"aws:RequestTag/{STACK_TAG_KEY}": self._adopted},
            "Null": {
                f"aws:ResourceTag/{STACK_TAG_KEY}": "true",
                f"aws:ResourceTag/{IGNORE_TAG_KEY}": "true",
            },
            **our_key_alone,
        }
        releasing: Conditions = {
            "StringEquals": {f"aws:ResourceTag/{STACK_TAG_KEY}": self._adopted},
            **our_key_alone,
        }
        statements = [Statement(("sagemaker:DeleteTags",), self._endpoints, releasing)]
        if endpoints:
            statements.append(Statement(("sagemaker:AddTags",), endpoints, adopting))
        return statements

    def invoke_declared(self, *, components: bool = False) -> list[Statement]:
        """Call the models of all declared endpoints. One pattern, not a list of names: a list of 68
        would not fit into a role."""
        return self.invoke([f"{self._at.prefix}-*"], components=components)

    def invoke(self, endpoint_names: Iterable[str], *, components: bool = False) -> list[Statement]:
        """Call the models of these endpoints, while they carry this stack's tag. SageMaker writes
        names in ARNs in lower case, so each name is listed in both spellings. A call may also name
        an inference component, which has a tag and a right of its own: `components` of any name
        may be called at these endpoints, while they carry the tag too."""
        named = {name for exact in endpoint_names for name in (exact, exact.lower())}
        resources = [self._at.arn("sagemaker", f"endpoint/{name}") for name in named]
        if resources and components:
            resources.append(self._at.arn("sagemaker", "inference-component/*"))
        invoke = Statement(("sagemaker:InvokeEndpoint",), tuple(resources), self._is_ours)
        return [invoke] if resources else []
