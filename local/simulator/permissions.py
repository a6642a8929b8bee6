"""The permissions that an operation needs: actions, resources and condition keys.

Source: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsagemaker.html
and its page for Application Auto Scaling.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from local.simulator import autoscaling
from local.simulator.account import Kind
from local.simulator.callers_name import IN_CALLERS_NAME, Deed, On
from local.simulator.errors import NO_DEREGISTRATION, NOT_ALLOWED, Wording
from local.simulator.lifecycle import Json
from local.simulator.world import World

Context = tuple[tuple[str, tuple[str, ...]], ...]
EVERYTHING = "*"
NAMED_BY = {
    Kind.MODEL: "ModelName",
    Kind.CONFIG: "EndpointConfigName",
    Kind.ENDPOINT: "EndpointName",
}
ON = {
    "CreateModel": (Kind.MODEL,),
    "DescribeModel": (Kind.MODEL,),
    "DeleteModel": (Kind.MODEL,),
    "CreateEndpointConfig": (Kind.CONFIG,),
    "DescribeEndpointConfig": (Kind.CONFIG,),
    "DeleteEndpointConfig": (Kind.CONFIG,),
    "CreateEndpoint": (Kind.ENDPOINT, Kind.CONFIG),
    "DescribeEndpoint": (Kind.ENDPOINT,),
    "UpdateEndpoint": (Kind.ENDPOINT, Kind.CONFIG),
    "UpdateEndpointWeightsAndCapacities": (Kind.ENDPOINT,),
    "DeleteEndpoint": (Kind.ENDPOINT,),
    "InvokeEndpoint": (Kind.ENDPOINT,),
    "InvokeEndpointAsync": (Kind.ENDPOINT,),
}
ON_ARN = frozenset({"AddTags", "ListTags", "DeleteTags"})
ON_TARGET = frozenset({"RegisterScalableTarget", "DeregisterScalableTarget", "PutScalingPolicy"})


@dataclass(frozen=True)
class Need:
    """One permission to check with IAM, and the wording of the error if it is denied."""

    action: str
    resource: str
    context: Context = ()
    wording: Wording = field(default=NOT_ALLOWED, compare=False)


def needs(operation: str, request: Json, world: World) -> Iterator[Need]:
    """The permissions that `operation` needs, in the order in which errors are reported."""
    if operation in autoscaling.OPERATIONS:
        yield from _of_scaling(operation, request, world)
        return
    given = _given_tags(request)
    for arn in _resources(operation, request, world):
        context = given | _tags_on(arn, world)
        yield Need(f"sagemaker:{operation}", arn, _frozen(context))
    if operation.startswith("Create"):
        yield from _with_creation(operation, request, world, given)
    if operation == "DeleteEndpoint":
        for resource_id in world.targets.of_endpoint(_name(request, Kind.ENDPOINT)):
            for deed in IN_CALLERS_NAME["sagemaker:DeleteEndpoint"]:
                need = _done(deed, resource_id, world)
                yield replace(need, wording=NO_DEREGISTRATION) if deed.on is On.TARGET else need


def _resources(operation: str, request: Json, world: World) -> Sequence[str]:
    kinds = ON.get(operation)
    if kinds:
        return [world.account.arn(kind, _name(request, kind)) for kind in kinds]
    if operation in ON_ARN:
        return [str(request.get("ResourceArn", ""))]
    if "HubName" in request:
        return _in_hub(request, world)
    return [EVERYTHING]


def _in_hub(request: Json, world: World) -> Sequence[str]:
    """A hub and, if it is named, its content. AWS's own belong to the account `aws`."""
    hub = str(request["HubName"]).rpartition("/")[2]
    base = f"arn:aws:sagemaker:{world.account.region}:aws"
    content, name = request.get("HubContentType"), request.get("HubContentName")
    named = [f"{base}:hub-content/{hub}/{content}/{name}"] if name else []
    return [f"{base}:hub/{hub}", *named]


def _with_creation(
    operation: str, request: Json, world: World, given: Mapping[str, list[str]]
) -> Iterator[Need]:
    """For the tags of a create request, and for the role that is passed to a model."""
    if request.get("Tags"):
        arn = world.account.arn(ON[operation][0], _name(request, ON[operation][0]))
        context = {**given, "sagemaker:TaggingAction": [operation]}
        yield Need("sagemaker:AddTags", arn, _frozen(context))
    role = request.get("ExecutionRoleArn")
    if role:
        context = {"iam:PassedToService": ["sagemaker.amazonaws.com"]}
        yield Need("iam:PassRole", str(role), _frozen(context))


def _of_scaling(operation: str, request: Json, world: World) -> Iterator[Need]:
    action = f"application-autoscaling:{operation}"
    if operation not in ON_TARGET:
        yield Need(action, EVERYTHING)
        return
    context = {
        "application-autoscaling:service-namespace": [str(request.get("ServiceNamespace", ""))],
        "application-autoscaling:scalable-dimension": [str(request.get("ScalableDimension", ""))],
    }
    resource_id = str(request.get("ResourceId", ""))
    yield Need(action, world.targets.arn(resource_id), _frozen(context))
    for deed in IN_CALLERS_NAME[action]:
        if deed.on is On.LINKED_ROLE and world.targets.linked_role_made:
            continue
        if deed.on is On.ALARM and request.get("PolicyType") == "StepScaling":
            continue  # whoever makes the policy makes its alarm
        yield _done(deed, resource_id, world)


def _done(deed: Deed, resource_id: str, world: World) -> Need:
    """What a service does for the caller about a scalable target."""
    account, targets = world.account, world.targets
    match deed.on:
        case On.TARGET:
            return Need(deed.action, targets.arn(resource_id))
        case On.ALARM:
            return Need(deed.action, targets.alarm_arn(resource_id))
        case On.LINKED_ROLE:
            service = {"iam:AWSServiceName": ["sagemaker.application-autoscaling.amazonaws.com"]}
            return Need(deed.action, targets.linked_role, _frozen(service))
        case On.CONFIG:
            return Need(deed.action, account.arn(Kind.CONFIG, targets.config_of(resource_id)))
        case On.ENDPOINT:
            arn = account.arn(Kind.ENDPOINT, resource_id.split("/")[1])
            return Need(deed.action, arn, _frozen(_tags_on(arn, world)))


def _name(request: Json, kind: Kind) -> str:
    return str(request.get(NAMED_BY[kind], ""))


def _given_tags(request: Json) -> dict[str, list[str]]:
    given = {tag["Key"]: tag["Value"] for tag in _well_formed(request.get("Tags"))}
    keys = [*given, *(key for key in request.get("TagKeys") or () if isinstance(key, str))]
    context = {f"aws:RequestTag/{key}": [value] for key, value in given.items()}
    return {**context, "aws:TagKeys": keys} if keys else context


def _well_formed(tags: object) -> Iterator[Mapping[str, str]]:
    """The tags with valid structure. Validation refuses the others later."""
    for tag in tags if isinstance(tags, list) else ():
        if isinstance(tag, dict) and {"Key", "Value"} <= tag.keys():
            yield {name: str(tag[name]) for name in ("Key", "Value")}


def _tags_on(arn: str, world: World) -> dict[str, list[str]]:
    return {f"aws:ResourceTag/{key}": [value] for key, value in world.tags_on(arn).items()}


def _frozen(context: Mapping[str, Sequence[str]]) -> Context:
    return tuple(sorted((key, tuple(values)) for key, values in context.items()))
