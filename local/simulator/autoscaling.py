"""Application Auto Scaling of endpoint variants: stores targets and policies, never scales."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from uuid import NAMESPACE_OID, uuid5

from local.simulator.account import Account, Kind, Shelf
from local.simulator.call import Call, epoch
from local.simulator.errors import (
    MAX_BELOW_MIN,
    NEW_TARGET_NEEDS_CAPACITY,
    NO_STEPS,
    NO_TARGET,
    NO_TARGET_FOR_POLICY,
    NOT_A_VARIANT,
    NOT_SCALABLE,
    ONE_METRIC,
    SCALED_TYPE,
    UNSUPPORTED_POLICY,
    UNSUPPORTED_TARGET,
    WRONG_CONFIGURATION,
    WRONG_METRIC,
)
from local.simulator.lifecycle import Deployment, Endpoint, Json, Status
from local.simulator.listing import decode_token, encode_token

NAMESPACE = "sagemaker"
DIMENSION = "sagemaker:variant:DesiredInstanceCount"
OPERATIONS = frozenset(
    {
        "RegisterScalableTarget",
        "DescribeScalableTargets",
        "DeregisterScalableTarget",
        "PutScalingPolicy",
        "DescribeScalingPolicies",
    }
)
PAGE = 50
CONFIGURATIONS = MappingProxyType(
    {
        "TargetTrackingScaling": "TargetTrackingScalingPolicyConfiguration",
        "StepScaling": "StepScalingPolicyConfiguration",
    }
)
"""The configuration of each type of policy that variants take."""
METRICS = ("PredefinedMetricSpecification", "CustomizedMetricSpecification")
PREDEFINED = (
    "SageMakerVariantInvocationsPerInstance",
    "SageMakerVariantConcurrentRequestsPerModelHighResolution",
)
"""Those for the instance count of variants."""
_LINKED_ROLE = (
    "role/aws-service-role/sagemaker.application-autoscaling.amazonaws.com/"
    "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
)


@dataclass
class Target:
    """A registered variant. `policies` are stored by name, as they were put."""

    resource_id: str
    least: int
    most: int
    created_at: datetime
    policies: dict[str, Json] = field(default_factory=dict)


class ScalableTargets:
    """The scalable targets of one account, by resource id (`endpoint/{name}/variant/{name}`)."""

    def __init__(self, account: Account, endpoints: Shelf[Endpoint]) -> None:
        self._account = account
        self._endpoints = endpoints
        self._targets: dict[str, Target] = {}
        self.linked_role = f"arn:aws:iam::{account.account_id}:{_LINKED_ROLE}"
        self.linked_role_made = False
        """Registering the first target creates the role, and the account keeps it."""

    def register(self, call: Call) -> Json:
        """Register a target, or change the limits of a registered one. Its policies stay."""
        resource_id = _supported(call.request)
        self._check_variant(resource_id)
        known = self._targets.get(resource_id)
        least = call.request.get("MinCapacity", known and known.least)
        most = call.request.get("MaxCapacity", known and known.most)
        if least is None or most is None:
            raise NEW_TARGET_NEEDS_CAPACITY.error()
        if most < least:
            raise MAX_BELOW_MIN.error()
        if known:
            known.least, known.most = least, most
        else:
            self._targets[resource_id] = Target(resource_id, least, most, call.now)
            self.linked_role_made = True
        return {"ScalableTargetARN": self.arn(resource_id)}

    def deregister(self, call: Call) -> Json:
        resource_id = _supported(call.request)
        if resource_id not in self._targets:
            raise NO_TARGET.error(resource_id=resource_id, dimension=DIMENSION)
        del self._targets[resource_id]
        return {}

    def put_policy(self, call: Call) -> Json:
        resource_id, name = _supported(call.request), call.request["PolicyName"]
        target = self._targets.get(resource_id)
        if target is None:
            raise NO_TARGET_FOR_POLICY.error(resource_id=resource_id, dimension=DIMENSION)
        before = target.policies.get(name, {})
        _check_policy(call.request, before)
        at = before.get("CreationTime", epoch(call.now))
        target.policies[name] = {
            "PolicyType": before.get("PolicyType"),
            **call.request,
            "PolicyARN": self.arn(resource_id, f"policyName/{name}", made_at=target.created_at),
            "CreationTime": at,
        }
        return {"PolicyARN": target.policies[name]["PolicyARN"], "Alarms": []}

    def describe(self, call: Call) -> Json:
        rows = {key: self._described(target) for key, target in self._targets.items()}
        resource_ids = call.request.get("ResourceIds")
        if resource_ids:
            rows = {key: row for key, row in rows.items() if key in resource_ids}
        return _page(rows, call.request, "ScalableTargets")

    def describe_policies(self, call: Call) -> Json:
        only = call.request.get("ResourceId")
        rows = {
            f"{key}/{name}": policy
            for key, target in self._targets.items()
            for name, policy in target.policies.items()
            if only in (None, key)
        }
        return _page(rows, call.request, "ScalingPolicies")

    def check_update(self, endpoint: Endpoint, target: Deployment) -> None:
        """Raises if the update would change the instance type of a scaled variant."""
        types = {variant.name: variant.instance_type for variant in target.variants}
        for variant in endpoint.serving.variants if endpoint.serving else ():
            changed = types.get(variant.name, variant.instance_type) != variant.instance_type
            if changed and self._is_scaled(endpoint.name, variant.name):
                raise SCALED_TYPE.error(variant=variant.name)

    def forget(self, endpoint: str) -> None:
        """Deregister the targets of a deleted endpoint, as SageMaker silently does."""
        for resource_id in self.of_endpoint(endpoint):
            del self._targets[resource_id]

    def of_endpoint(self, endpoint: str) -> list[str]:
        """The resource ids of the targets of the endpoint's variants."""
        prefix = f"endpoint/{endpoint.lower()}/"
        return [key for key in self._targets if key.lower().startswith(prefix)]

    def _is_scaled(self, endpoint: str, variant: str) -> bool:
        wanted = f"endpoint/{endpoint}/variant/{variant}".lower()
        return any(resource_id.lower() == wanted for resource_id in self._targets)

    def _check_variant(self, resource_id: str) -> None:
        """Raises unless this is the id of a variant of an InService endpoint."""
        parts = resource_id.split("/")
        if len(parts) != 4 or parts[::2] != ["endpoint", "variant"]:
            raise UNSUPPORTED_TARGET.error()
        name, variant = parts[1::2]
        if name not in self._endpoints:
            raise NOT_A_VARIANT.error(resource_id=resource_id)
        endpoint = self._endpoints.get(name)
        if endpoint.status is not Status.IN_SERVICE or endpoint.serving is None:
            raise NOT_SCALABLE.error(arn=self._account.arn(Kind.ENDPOINT, name))
        if variant not in {each.name for each in endpoint.serving.variants}:
            raise NOT_A_VARIANT.error(resource_id=resource_id)

    def _described(self, target: Target) -> Json:
        return {
            "ServiceNamespace": NAMESPACE,
            "ResourceId": target.resource_id,
            "ScalableDimension": DIMENSION,
            "MinCapacity": target.least,
            "MaxCapacity": target.most,
            "RoleARN": self.linked_role,
            "CreationTime": epoch(target.created_at),
            "SuspendedState": {
                "DynamicScalingInSuspended": False,
                "DynamicScalingOutSuspended": False,
                "ScheduledScalingSuspended": False,
            },
            "ScalableTargetARN": self.arn(target.resource_id),
        }

    def config_of(self, resource_id: str) -> str:
        """The endpoint config that the endpoint of a target serves; empty if it serves none."""
        name = resource_id.split("/")[1]
        served = self._endpoints.get(name).serving if name in self._endpoints else None
        return served.config_name if served else ""

    def alarm_arn(self, resource_id: str) -> str:
        """The ARN of an alarm of its target tracking."""
        where = f"{self._account.region}:{self._account.account_id}"
        return f"arn:aws:cloudwatch:{where}:alarm:TargetTracking-{resource_id}-AlarmHigh"

    def arn(self, resource_id: str, below: str = "", made_at: datetime | None = None) -> str:
        """The ARN of a target, or of what is `below` it. The policies of a target that is
        registered again have other ARNs than before."""
        where = f"{self._account.region}:{self._account.account_id}"
        if below:
            unique = uuid5(NAMESPACE_OID, f"{resource_id} {below} {made_at}")
            whole = f"scalingPolicy:{unique}:resource/{NAMESPACE}/{resource_id}:{below}"
            return f"arn:aws:autoscaling:{where}:{whole}"
        return f"arn:aws:application-autoscaling:{where}:scalable-target/{resource_id}"


def _check_policy(request: Json, before: Json) -> None:
    """Raises unless the policy has a type that variants take, and the configuration of this type
    alone."""
    kind = str(request.get("PolicyType", before.get("PolicyType")))
    if kind not in CONFIGURATIONS:
        raise UNSUPPORTED_POLICY.error(kind=kind)
    given = [field for field in CONFIGURATIONS.values() if field in request]
    if given != [CONFIGURATIONS[kind]]:
        raise WRONG_CONFIGURATION.error(kind=kind, field=CONFIGURATIONS[kind])
    settings = request[CONFIGURATIONS[kind]]
    if kind == "StepScaling":
        if not settings.get("AdjustmentType") or not settings.get("StepAdjustments"):
            raise NO_STEPS.error()
        return
    metrics = [field for field in METRICS if field in settings]
    if len(metrics) != 1:
        raise ONE_METRIC.error()
    predefined = settings.get(METRICS[0], {}).get("PredefinedMetricType", PREDEFINED[0])
    if predefined not in PREDEFINED:
        raise WRONG_METRIC.error(metric=predefined, dimension=DIMENSION)


def _supported(request: Json) -> str:
    """The resource id of a request. Only the instance count of variants is supported."""
    if (request["ServiceNamespace"], request["ScalableDimension"]) != (NAMESPACE, DIMENSION):
        raise UNSUPPORTED_TARGET.error()
    resource_id: str = request["ResourceId"]
    return resource_id


def _page(rows: dict[str, Json], request: Json, result_key: str) -> Json:
    """One page of rows, sorted by key. A token holds the last key shown."""
    token = request.get("NextToken")
    last = decode_token(token, result_key)[0] if token else ""
    shown = sorted(key for key in rows if key > last)
    size = request.get("MaxResults", PAGE)
    answer: Json = {result_key: [rows[key] for key in shown[:size]]}
    if len(shown) > size:
        answer["NextToken"] = encode_token(result_key, [shown[size - 1]])
    return answer
