"""Requests are checked on the resources that they name.

MiniStack does not find all of them and checks those requests on `*`, so a policy that allows an
action on some resources only would deny them. The forms of the ARNs are those of
https://docs.aws.amazon.com/service-authorization/latest/reference/
"""

import json
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from local.emulator.patches.role_rights import role_of

iam_actions: Any = import_module("ministack.core.iam_actions")

EVERYTHING = "*"
BY_ARN = ("ResourceArn", "ResourceARN", "resourceArn")


def apply() -> None:
    """Complete what MiniStack leaves at `*`, and name rules and roles as AWS does."""
    extract = iam_actions.extract_resource_arn

    def extract_named(
        service: str, method: str, path: str, headers: Any, body: bytes, parameters: Any, *at: str
    ) -> Any:
        arn = extract(service, method, path, headers, body, parameters, *at)
        if arn != EVERYTHING and service not in ("events", "iam", "kms"):
            return arn
        return resource(service, fields(body, parameters), *at) or arn

    iam_actions.extract_resource_arn = extract_named


def fields(body: bytes, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """The fields of a request, in JSON or in a form."""
    form = {
        name: value[0] if isinstance(value, list) and value else value
        for name, value in parameters.items()
    }
    try:
        document = json.loads(body or b"{}")
    except ValueError:
        return form
    return {**form, **document} if isinstance(document, dict) else form


def resource(service: str, named: Mapping[str, Any], region: str, account: str) -> str:
    """The ARN of what the request names; empty if MiniStack is right, or nothing is named."""
    arn = next((named[field] for field in BY_ARN if named.get(field)), "")
    if arn:
        return str(arn)
    match service:
        case "cognito-idp" if "UserPoolId" in named:
            return f"arn:aws:cognito-idp:{region}:{account}:userpool/{named['UserPoolId']}"
        case "events":
            return _of_rules(named, region, account)
        case "iam" if "RoleName" in named:
            return _of_role(named, account)
        case "kms" if str(named.get("KeyId")).startswith("alias/"):
            return f"arn:aws:kms:{region}:{account}:key/of-{named['KeyId']}"
        case "lambda" if "Handler" in named or "Code" in named:
            return f"arn:aws:lambda:{region}:{account}:function:{named.get('FunctionName')}"
        case "monitoring":
            return _of_cloudwatch(named, region, account)
        case _:
            return ""


def _of_rules(named: Mapping[str, Any], region: str, account: str) -> str:
    """The ARN of a rule. The bus `default` is not named in it."""
    rule, bus = named.get("Rule") or named.get("Name"), named.get("EventBusName") or "default"
    if not rule or "Entries" in named:
        return ""
    path = rule if bus == "default" else f"{bus}/{rule}"
    return f"arn:aws:events:{region}:{account}:rule/{path}"


def _of_role(named: Mapping[str, Any], account: str) -> str:
    """The ARN of a role, which has its path: that of the request if the role is to be made."""
    name = str(named["RoleName"])
    known = role_of(f"arn:aws:iam::{account}:role/{name}")
    made = f"arn:aws:iam::{account}:role{named.get('Path') or '/'}{name}"
    return str(known["Arn"]) if known else made


def _of_cloudwatch(named: Mapping[str, Any], region: str, account: str) -> str:
    dashboards = [named.get("DashboardName"), *_list(named, "DashboardNames")]
    if any(dashboards):
        return f"arn:aws:cloudwatch::{account}:dashboard/{next(filter(None, dashboards))}"
    return next(iter(alarms(named, region, account)), "")


def alarms(named: Mapping[str, Any], region: str, account: str) -> list[str]:
    """The ARNs of the alarms that a request lists."""
    names = _list(named, "AlarmNames")
    return [f"arn:aws:cloudwatch:{region}:{account}:alarm:{name}" for name in names]


def _list(named: Mapping[str, Any], field: str) -> list[str]:
    """A list of names, in JSON or in a form."""
    prefix = f"{field}.member."
    return named.get(field) or [value for name, value in named.items() if name.startswith(prefix)]
