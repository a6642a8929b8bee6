"""How SageMaker words its refusals. Only the words tell "gone" from "busy"."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import ClientError

from constructs_lib.policy import Statement
from lambdas.aws.errors import refusal
from lambdas.aws.runtime import SageMakerRuntime
from lambdas.core.errors import AlreadyExists, AwsRefused, Gone, InProgress
from lambdas.core.invocation import Invocation, InvocationFailed, NotServed
from lambdas.core.ports import NO_CONFIG
from tools.verify_aws.answers import Answer, compared
from tools.verify_aws.bench import Bench
from tools.verify_aws.model import Echo

_NO_ENDPOINT_CONFIG = "NoEndpointConfig"
_TAG = "endpoint-meter-verify"
_CALLER = """\
import boto3
from botocore.exceptions import ClientError


def handler(event, context):
    runtime = boto3.client("sagemaker-runtime")
    return {name: refusal(runtime, name) for name in event}


def refusal(runtime, name):
    try:
        runtime.invoke_endpoint(EndpointName=name, Body=b"{}", ContentType="application/json")
    except ClientError as error:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        return [status, error.response["Error"]["Code"], error.response["Error"]["Message"]]
    return [200, "", ""]
"""


def of_absent_endpoints(bench: Bench) -> Answer:
    sagemaker = bench.aws.client("sagemaker")
    config, absent = Echo(bench).config(), f"{bench.name}-Absent"
    arn = bench.aws.arn("sagemaker", f"endpoint/{absent.lower()}")
    calls = {
        "describe": lambda: sagemaker.describe_endpoint(EndpointName=absent),
        "delete": lambda: sagemaker.delete_endpoint(EndpointName=absent),
        "update": lambda: sagemaker.update_endpoint(EndpointName=absent, EndpointConfigName=config),
        "list tags": lambda: sagemaker.list_tags(ResourceArn=arn),
    }
    return _understood(calls, dict.fromkeys(calls, Gone.__name__))


def of_absent_configs(bench: Bench) -> Answer:
    sagemaker, absent = bench.aws.client("sagemaker"), f"{bench.name}-absent"
    calls = {
        "describe": lambda: sagemaker.describe_endpoint_config(EndpointConfigName=absent),
        "create an endpoint": lambda: sagemaker.create_endpoint(
            EndpointName=absent, EndpointConfigName=absent
        ),
    }
    return _understood(calls, dict.fromkeys(calls, _NO_ENDPOINT_CONFIG))


def of_busy_endpoints(bench: Bench) -> Answer:
    """Of an endpoint of its own: it may be deleted."""
    sagemaker, model = bench.aws.client("sagemaker"), Echo(bench)
    config, busy = model.config(), model.begin("Busy")
    named = {"EndpointName": busy, "EndpointConfigName": config}
    calls = {
        "create again": lambda: sagemaker.create_endpoint(**named),
        "update": lambda: sagemaker.update_endpoint(**named),
        "delete": lambda: sagemaker.delete_endpoint(EndpointName=busy),
    }
    in_progress = InProgress.__name__
    expected = {
        "create again": AlreadyExists.__name__,
        "update": in_progress,
        "delete": in_progress,
    }
    return _understood(calls, expected)


def _understood(calls: Mapping[str, Callable[[], Any]], expected: Mapping[str, str]) -> Answer:
    """How the adapters understand each refusal. The words are in the answer too."""
    told = {name: _refusal(call) for name, call in calls.items()}
    answer = compared(expected, {name: kind for name, (kind, _) in told.items()})
    differences = [
        f"{text} (AWS said: {told[text.partition(':')[0]][1]})" for text in answer.differences
    ]
    words = {name: words for name, (_, words) in told.items()}
    return Answer({**answer.seen, "words": words}, differences)


def _refusal(call: Callable[[], Any]) -> tuple[str, str]:
    try:
        call()
    except ClientError as error:
        found = refusal(error)
        if isinstance(found, AwsRefused) and found.message.startswith(NO_CONFIG):
            kind = _NO_ENDPOINT_CONFIG if type(found) is AwsRefused else type(found).__name__
            return kind, str(error)
        return type(found).__name__, str(error)
    return "taken", "nothing"


def of_calls_of_absent_endpoints(bench: Bench) -> Answer:
    """A role that may call one absent endpoint by its name, and another by its tag. Once the first
    call is not denied, IAM has told of the role."""
    allowed, tagged = f"{bench.name}-Allowed", f"{bench.name}-Tagged"
    invoke = ("sagemaker:InvokeEndpoint",)
    arns = {
        name: tuple(bench.aws.arn("sagemaker", f"endpoint/{n}") for n in (name, name.lower()))
        for name in (allowed, tagged)
    }
    carries = {"StringEquals": {f"aws:ResourceTag/{_TAG}": "yes"}}
    caller = bench.function(
        "caller",
        _CALLER,
        [Statement(invoke, arns[allowed]), Statement(invoke, arns[tagged], carries)],
    )

    def told() -> Mapping[str, tuple[int, str, str]]:
        refused: Mapping[str, tuple[int, str, str]] = bench.call(caller, [allowed, tagged])
        return refused

    refused = bench.aws.latest(told, lambda seen: seen[allowed][0] != 403)
    seen = {
        "by all rights": _as_caller(bench, allowed),
        "by name": list(refused[allowed][:2]),
        "by tag": list(refused[tagged][:2]),
        "words": [refused[allowed][2], refused[tagged][2]],
    }
    return compared(
        {
            "by all rights": NotServed.__name__,
            "by name": [400, "ValidationError"],
            "by tag": [403, "AccessDeniedException"],
        },
        seen,
    )


def _as_caller(bench: Bench, absent: str) -> str:
    """How the adapter understands the refusal of a call with the credentials of the run."""
    runtime = SageMakerRuntime(bench.aws.client("sagemaker-runtime"))
    try:
        runtime.invoke(absent, Invocation(b"{}"))
    except InvocationFailed as failure:
        return type(failure).__name__
    return "answered"
