"""How much AWS takes, and in which form."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import ClientError

from constructs_lib.quotas import QUOTAS
from tools.verify_aws import kinds
from tools.verify_aws.answers import Answer, compared
from tools.verify_aws.bench import Bench
from tools.verify_aws.model import Echo

_TAKEN, _REFUSED = "taken", "refused"
_LARGEST_PAGE = 100
_ALLOWED = "Grüße 東京 2026 _.:/=+-@"
_NOT_ALLOWED = ("#", "*", ",", '"')


def _outcome(call: Callable[[], Any]) -> tuple[str, str]:
    try:
        call()
    except ClientError as error:
        return _REFUSED, str(error)
    return _TAKEN, ""


def _compared(expected: Mapping[str, str], calls: Mapping[str, Callable[[], Any]]) -> Answer:
    told = {name: _outcome(call) for name, call in calls.items()}
    answer = compared(expected, {name: outcome for name, (outcome, _) in told.items()})
    words = {name: words for name, (_, words) in told.items() if words}
    return Answer({**answer.seen, "words": words}, answer.differences)


def page_of_endpoints(bench: Bench) -> Answer:
    sagemaker = bench.aws.client("sagemaker")
    return _compared(
        {"100": _TAKEN, "101": _REFUSED},
        {
            "100": lambda: sagemaker.list_endpoints(MaxResults=_LARGEST_PAGE),
            "101": lambda: sagemaker.list_endpoints(MaxResults=_LARGEST_PAGE + 1),
        },
    )


def characters_of_tags(bench: Bench) -> Answer:
    sagemaker, arn = bench.aws.client("sagemaker"), Echo(bench).arn()

    def tagging(key: str, value: str) -> Callable[[], Any]:
        tag = {"Key": key, "Value": value}
        return lambda: sagemaker.add_tags(ResourceArn=arn, Tags=[tag])

    calls = {"allowed": tagging(_ALLOWED, _ALLOWED)}
    expected = {"allowed": _TAKEN}
    for one in _NOT_ALLOWED:
        calls |= {f"key {one}": tagging(one, ""), f"value {one}": tagging(_ALLOWED, one)}
        expected |= {f"key {one}": _REFUSED, f"value {one}": _REFUSED}
    return _compared(expected, calls)


def policies_of_a_role(bench: Bench) -> Answer:
    """Two policies that have the quota together, with white space; then one more character."""
    iam, most = bench.aws.client("iam"), _quota("the inline policies of a role")
    name = bench.role("policies", "lambda.amazonaws.com").rpartition("/")[2]

    def put(policy: str, size: int) -> Callable[[], Any]:
        return lambda: iam.put_role_policy(
            RoleName=name, PolicyName=policy, PolicyDocument=_policy_of(size)
        )

    first = most // 2
    return _compared(
        {"a half": _TAKEN, "all": _TAKEN, "one more": _REFUSED},
        {
            "a half": put("one", first),
            "all": put("other", most - first),
            "one more": put("other", most - first + 1),
        },
    )


def _policy_of(size: int) -> str:
    """A policy of so many characters, beside its white space."""

    def document(ends: int) -> dict[str, Any]:
        resource = f"arn:aws:s3:::{'x' * ends}"
        statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": resource}
        return {"Version": "2012-10-17", "Statement": [statement]}

    bare = len(json.dumps(document(0), separators=(",", ":")))
    return json.dumps(document(size - bare), indent=8)


def alarms_of_a_widget(bench: Bench) -> Answer:
    cloudwatch, most = bench.aws.client("cloudwatch"), _quota("the alarms of a widget")

    def messages(alarms: int) -> list[str]:
        arns = [bench.aws.arn("cloudwatch", f"alarm:{bench.name}-{n}") for n in range(alarms)]
        widget = {
            "type": "alarm",
            "x": 0,
            "y": 0,
            "width": 6,
            "height": 6,
            "properties": {"title": "alarms", "alarms": arns},
        }
        body = json.dumps({"widgets": [widget]})
        put = bench.make(
            kinds.DASHBOARD,
            f"alarms-{alarms}",
            lambda name: cloudwatch.put_dashboard(DashboardName=name, DashboardBody=body),
        )
        return [told["Message"] for told in put.get("DashboardValidationMessages", ())]

    def told(alarms: int) -> str:
        try:
            return _REFUSED if messages(alarms) else _TAKEN
        except ClientError as error:
            if error.response["Error"].get("Code") != "InvalidParameterInput":
                raise
            return _REFUSED

    return compared(
        {"most": _TAKEN, "one more": _REFUSED},
        {"most": told(most), "one more": told(most + 1)},
    )


def _quota(name: str) -> int:
    return next(quota.most for quota in QUOTAS if quota.name == name)
