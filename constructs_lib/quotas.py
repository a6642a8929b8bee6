"""What AWS allows of one stack: checked on the synthesized stack, so that no apply fails halfway.

Each quota has its source. Some may be raised by AWS; then the sentence says so.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from constructs_lib.config.function_environment import MAX_BYTES, bytes_of
from constructs_lib.config.problems import Problem

Resources = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""By type and name."""
Size = tuple[str, int]
"""The Terraform address of what was measured, and its size."""

_REFERENCE = re.compile(r"(?<!\$)\$\{[^}]*\}")
_ESCAPE = re.compile(r"([$%])\1(?=\{)")
_LENGTHS = {
    "${data.aws_caller_identity.current.account_id}": 12,
    "${data.aws_partition.current.partition}": len("aws-us-gov"),
    "${data.aws_partition.current.dns_suffix}": len("amazonaws.com.cn"),
}
_LENGTH_OF_ARN = 120
"""Room for any other reference: the ARN of a resource of the stack."""


@dataclass(frozen=True, slots=True)
class Quota:
    """`unit` and `help` are words for people. `sizes` measures all that the quota holds for."""

    name: str
    most: int
    unit: str
    help: str
    source: str
    sizes: Callable[[Resources], Iterator[Size]]


def problems(document: Mapping[str, Any]) -> list[Problem]:
    """The quotas that a synthesized stack exceeds."""
    resources: Resources = document.get("resource", {})
    return [
        Problem(
            address,
            f"{quota.name}: {size:,} {quota.unit}, and AWS takes {quota.most:,}: {quota.help}",
        )
        for quota in QUOTAS
        for address, size in quota.sizes(resources)
        if size > quota.most
    ]


def resolved_length(text: str) -> int:
    """How long a text is, at most, when Terraform has put in its references."""
    return len(_resolved(text))


def _resolved(text: str) -> str:
    filled = _REFERENCE.sub(lambda found: "x" * _LENGTHS.get(found[0], _LENGTH_OF_ARN), text)
    return _ESCAPE.sub(r"\1", filled)


def _each(kind: str, measure: Callable[[Mapping[str, Any]], int]) -> Any:
    def sizes(resources: Resources) -> Iterator[Size]:
        for name, body in resources.get(kind, {}).items():
            yield f"{kind}.{name}", measure(body)

    return sizes


def _policies_of_roles(resources: Resources) -> Iterator[Size]:
    sums: dict[str, int] = defaultdict(int)
    for body in resources.get("aws_iam_role_policy", {}).values():
        sums[str(body["role"])] += resolved_length(re.sub(r"\s", "", body["policy"]))
    for role, size in sums.items():
        yield role.strip("${}").removesuffix(".name"), size


def _environment(body: Mapping[str, Any]) -> int:
    variables = body.get("environment", {}).get("variables", {})
    return bytes_of({name: _resolved(str(value)) for name, value in variables.items()})


def _widgets(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = json.loads(body["dashboard_body"])["widgets"]
    return found


def _alarms_of_widgets(body: Mapping[str, Any]) -> int:
    return max((len(w["properties"].get("alarms", ())) for w in _widgets(body)), default=0)


def _metrics_of_widgets(body: Mapping[str, Any]) -> int:
    return max((len(w["properties"].get("metrics", ())) for w in _widgets(body)), default=0)


def _resources_of_api(resources: Resources) -> Iterator[Size]:
    kind = "aws_api_gateway_resource"
    yield kind, len(resources.get(kind, {})) + 1  # and the root


_SPLIT = "put some entries into a stack of their own, with another `project_prefix`"
_SHORTER = "shorten `project_prefix`, or the `name` of the entry"
_IAM = "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html"
_DASHBOARDS = (
    "https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_limits.html"
)
_STRUCTURE = (
    "https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/"
    "CloudWatch-Dashboard-Body-Structure.html"
)
QUOTAS = (
    Quota(
        "the inline policies of a role",
        10_240,
        "characters",
        _SPLIT,
        _IAM,
        _policies_of_roles,
    ),
    Quota(
        "the name of a role",
        64,
        "characters",
        _SHORTER,
        _IAM,
        _each("aws_iam_role", lambda body: resolved_length(body["name"])),
    ),
    Quota(
        "the name of a bucket",
        63,
        "characters",
        _SHORTER,
        "https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html",
        _each("aws_s3_bucket", lambda body: resolved_length(body["bucket"])),
    ),
    Quota(
        "the name of a function",
        64,
        "characters",
        _SHORTER,
        "https://docs.aws.amazon.com/lambda/latest/api/API_CreateFunction.html",
        _each("aws_lambda_function", lambda body: resolved_length(body["function_name"])),
    ),
    Quota(
        "the environment of a function",
        MAX_BYTES,
        "bytes",
        "shorten `environment`, or " + _SPLIT,
        "https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html",
        _each("aws_lambda_function", _environment),
    ),
    Quota(
        "the dashboard's widgets",
        500,
        "widgets",
        _SPLIT,
        _DASHBOARDS,
        _each("aws_cloudwatch_dashboard", lambda body: len(_widgets(body))),
    ),
    Quota(
        "the metrics of a widget",
        500,
        "metrics",
        _SPLIT,
        _DASHBOARDS,
        _each("aws_cloudwatch_dashboard", _metrics_of_widgets),
    ),
    Quota(
        "the alarms of a widget",
        100,
        "alarms",
        _SPLIT,
        _STRUCTURE,
        _each("aws_cloudwatch_dashboard", _alarms_of_widgets),
    ),
    Quota(
        "the resources of the API",
        300,
        "resources",
        f"ask AWS for more (Service Quotas, 'Resources per API'), or {_SPLIT}",
        "https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-execution-service-limits-table.html",
        _resources_of_api,
    ),
    Quota(
        "an item of the state table",
        400_000,
        "bytes",
        "shorten the schedules or the tags of the entry",
        "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html",
        _each("aws_dynamodb_table_item", lambda body: len(_resolved(body["item"]).encode())),
    ),
)
