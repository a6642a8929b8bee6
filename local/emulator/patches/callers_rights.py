"""What services do for their caller, the caller must be allowed, too: passing a role, tagging what
it creates, reading the code of a function. MiniStack checks the action of the request alone, and
knows few condition keys.

The rows are from the dependent actions and condition keys of
https://docs.aws.amazon.com/service-authorization/latest/reference/ and from the developer guides of
Lambda, Step Functions, EventBridge and API Gateway (2026-11-30).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any
from urllib.parse import quote

from local.emulator.patches.named_resources import EVERYTHING, alarms, fields
from local.emulator.patches.role_rights import role_of

evaluator: Any = import_module("ministack.core.iam_evaluator")
iam_actions: Any = import_module("ministack.core.iam_actions")
lambda_svc: Any = import_module("ministack.services.lambda_svc")

ROLES = {
    "apigateway": ("credentials", "authorizerCredentials"),
    "events": ("RoleArn",),
    "lambda": ("Role",),
    "scheduler": ("RoleArn",),
    "states": ("roleArn",),
}
"""By service, the fields that pass it a role. The simulator asks for SageMaker's."""
ROLES_IN_PATCHES = ("/cloudwatchRoleArn", "/credentials", "/authorizerCredentials")
PULLING = ("BatchGetImage", "GetDownloadUrlForLayer")
LETTING_IN = ("GetRepositoryPolicy", "SetRepositoryPolicy")
TAGGING = {
    "cloudwatch": "TagResource",
    "cognito-idp": "TagResource",
    "dynamodb": "TagResource",
    "events": "TagResource",
    "iam": "TagRole",
    "lambda": "TagResource",
    "logs": "TagResource",
    "s3": "PutObjectTagging",
    "sns": "TagResource",
    "sqs": "TagQueue",
    "states": "TagResource",
}
"""By service, the action that it takes to create something with tags."""
WITHOUT_NAME = {"cognito-idp": "userpool/*", "lambda": "event-source-mapping:*"}
"""What is tagged before it has a name."""
TAGS = ("Tags", "tags", "UserPoolTags", "Tags.member.1.Key")
CREATING = ("Create", "Put", "Publish", "POST")
CHANGING = (*CREATING, "Update", "PATCH")


@dataclass(frozen=True)
class Need:
    """One more permission to check, with its condition keys."""

    action: str
    resource: str
    context: Mapping[str, str]


class Asking(str):
    """The ARN that a request is checked on, its condition keys, and what else it needs."""

    __slots__ = ("context", "needs", "refused")
    context: Mapping[str, str]
    needs: tuple[Need, ...]
    refused: Need | None


def apply() -> None:
    """Check all that a request needs, and name what is denied."""
    extract = iam_actions.extract_resource_arn
    enforce = evaluator.enforce
    deny = iam_actions.access_denied_response

    def extract_asking(
        service: str, method: str, path: str, headers: Any, body: bytes, parameters: Any, *at: str
    ) -> Any:
        arn = extract(service, method, path, headers, body, parameters, *at)
        action = iam_actions.extract_iam_action(service, method, path, headers, body, parameters)
        if not action:
            return arn
        tags = {"Tags": headers.get("x-amz-tagging")}
        request = tags if service == "s3" else fields(body, parameters)
        needs = tuple(_needs(action, arn, request, *at))
        context = _condition_keys(action, path, request, *at)
        if not needs and not context:
            return arn
        asking = Asking(arn)
        asking.needs, asking.context, asking.refused = needs, context, None
        return asking

    def enforce_all(key: str, action: str, service: str, region: str, **options: Any) -> Any:
        asking = options.get("resource_arn")
        if not isinstance(asking, Asking):
            return enforce(key, action, service, region, **options)
        given = options.get("service_context") or {}
        options["service_context"] = {**given, **asking.context}
        denied = enforce(key, action, service, region, **options)
        for need in asking.needs if not denied else ():
            options |= {"resource_arn": need.resource, "service_context": need.context}
            denied = enforce(key, need.action, service, region, **options)
            if denied:
                asking.refused = need
                break
        return denied

    def deny_what_was_refused(service: str, action: str, *more: Any, **options: Any) -> Any:
        asking = options.get("resource_arn")
        if isinstance(asking, Asking) and asking.refused:
            action, options["resource_arn"] = asking.refused.action, asking.refused.resource
        return deny(service, action, *more, **options)

    iam_actions.extract_resource_arn = extract_asking
    evaluator.enforce = enforce_all
    iam_actions.access_denied_response = deny_what_was_refused


def _needs(
    action: str, arn: str, request: Mapping[str, Any], region: str, account: str
) -> Iterator[Need]:
    service, _, operation = action.partition(":")
    if service == "cloudwatch":
        for alarm in alarms(request, region, account)[1:]:
            yield Need(action, alarm, {})
    if not operation.startswith(CHANGING) and action != "apigateway:PUT":
        return
    for role in _roles(service, request):
        yield Need("iam:PassRole", role, {"iam:PassedToService": f"{service}.amazonaws.com"})
    if service == "lambda":
        yield from _of_code(request, account)
    if operation.startswith(CREATING) and any(request.get(field) for field in TAGS):
        if service == "apigateway":
            tags = f"arn:aws:apigateway:{region}::/tags/{quote(arn, safe='')}"
            yield Need("apigateway:PUT", tags, {})
        elif service in TAGGING:
            tagged = arn
            if arn == EVERYTHING and service in WITHOUT_NAME:
                tagged = f"arn:aws:{service}:{region}:{account}:{WITHOUT_NAME[service]}"
            yield Need(f"{service}:{TAGGING[service]}", tagged, {})


def _roles(service: str, request: Mapping[str, Any]) -> Iterator[str]:
    """The roles in the request, in its targets and in the patches of API Gateway."""
    parts = [request, request.get("Target"), *(request.get("Targets") or ())]
    for part in parts:
        for name in ROLES.get(service, ()) if isinstance(part, dict) else ():
            if part.get(name):
                yield str(part[name])
    for patch in request.get("patchOperations") or ():
        if patch.get("path") in ROLES_IN_PATCHES and patch.get("value"):
            yield str(patch["value"])


def _of_code(request: Mapping[str, Any], account: str) -> Iterator[Need]:
    """Lambda reads layers, code and images in the name of its caller. In a repository of the same
    account, it lets itself pull: the caller is asked for that too."""
    for layer in request.get("Layers") or ():
        yield Need("lambda:GetLayerVersion", layer, {})
    for code in (request, request.get("Code"), request.get("Content")):
        if isinstance(code, dict) and code.get("S3Bucket"):
            yield Need("s3:GetObject", f"arn:aws:s3:::{code['S3Bucket']}/{code['S3Key']}", {})
        if isinstance(code, dict) and code.get("ImageUri"):
            registry, _, path = code["ImageUri"].partition("/")
            owner, _, _, region, *_ = registry.split(".")
            name = path.partition("@")[0].partition(":")[0]
            repository = f"arn:aws:ecr:{region}:{owner}:repository/{name}"
            for action in (*PULLING, *(LETTING_IN if owner == account else ())):
                yield Need(f"ecr:{action}", repository, {})


def _condition_keys(
    action: str, path: str, request: Mapping[str, Any], region: str, account: str
) -> Mapping[str, str]:
    role = role_of(f"arn:aws:iam::{account}:role/{request.get('RoleName')}") or {}
    match action:
        case "iam:CreateRole" | "iam:PutRolePermissionsBoundary":
            return _boundary(request)
        case "iam:AttachRolePolicy" | "iam:DetachRolePolicy":
            return {"iam:PolicyARN": str(request.get("PolicyArn")), **_boundary(role)}
        case "iam:PutRolePolicy" | "iam:DeleteRolePolicy" | "iam:DeleteRolePermissionsBoundary":
            return _boundary(role)
        case "kms:DescribeKey" if str(request.get("KeyId")).startswith("alias/"):
            return {"kms:RequestAlias": str(request["KeyId"])}
        case "lambda:CreateEventSourceMapping":
            name = str(request.get("FunctionName"))
            arn = f"arn:aws:lambda:{region}:{account}:function:{name}"
            return {"lambda:FunctionArn": name if name.startswith("arn:") else arn}
        case _ if action.startswith("lambda:") and action.endswith("EventSourceMapping"):
            mapping = lambda_svc._esms.get(path.rstrip("/").rpartition("/")[2]) or {}
            return {"lambda:FunctionArn": str(mapping.get("FunctionArn"))}
        case _:
            return {}


def _boundary(named: Mapping[str, Any]) -> Mapping[str, str]:
    """The boundary that a request sets, or that a role has. Without one, the key is absent."""
    boundary = named.get("PermissionsBoundary")
    return {"iam:PermissionsBoundary": str(boundary)} if boundary else {}
