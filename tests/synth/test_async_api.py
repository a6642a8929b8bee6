"""The state machine for asynchronous calls, and the permissions of it and its function."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from constructs_lib.config.file import parse
from constructs_lib.config.problems import InvalidConfig
from tests.synth.conftest import Synthesize
from tests.synth.synthesis import FLAN, Stack, config_with

LARGE = {**FLAN, "async_api_enabled": True, "async_api_results": "s3"}
SMALL = {**FLAN, "name": "Small", "async_api_enabled": True}
CLOSED = {**FLAN, "name": "Closed"}


def definition(stack: Stack) -> Mapping[str, Any]:
    machine = stack.one("aws_sfn_state_machine", "async")
    found: Mapping[str, Any] = json.loads(machine["definition"])
    return found


def callable_endpoints(stack: Stack, role: str) -> set[str]:
    return {
        arn.rpartition("/")[2]
        for statement in stack.statements(role)
        if "sagemaker:InvokeEndpoint" in statement["Action"]
        for arn in statement["Resource"]
    }


def test_the_state_machine_may_call_the_endpoints_of_the_stack_by_their_tag(
    stack_of: Synthesize,
) -> None:
    """Those that are added over the API have no name yet."""
    stack = stack_of(config_with(CLOSED))
    assert callable_endpoints(stack, "async") == {"*"}
    (statement,) = stack.statements("async")
    assert statement["Condition"] == {
        "StringEquals": {
            "aws:ResourceTag/endpoint-meter:stack": ["demo-us-east-1", "demo-us-east-1/adopted"]
        }
    }
    assert set(definition(stack)["States"]) == {"Call"}


def test_a_body_is_passed_unchanged_and_only_calls_of_busy_models_are_retried(
    stack_of: Synthesize,
) -> None:
    call = definition(stack_of(config_with(SMALL, CLOSED)))["States"]["Call"]
    assert call["Parameters"]["Body.$"] == "$.body"
    (retry,) = call["Retry"]
    assert "SageMakerRuntime.ModelErrorException" not in retry["ErrorEquals"]
    assert not any(error.startswith("States.") for error in retry["ErrorEquals"])


def test_large_answers_go_through_a_function_into_a_bucket(stack_of: Synthesize) -> None:
    stack = stack_of(config_with(LARGE, SMALL))
    states = definition(stack)["States"]
    assert states["Way"]["Default"] == "Call"
    assert states["CallThroughLambda"]["Parameters"]["FunctionName"] == (
        "${aws_lambda_function.invoker.arn}"
    )
    assert callable_endpoints(stack, "invoker") == {"demo-*"}
    puts = [s for s in stack.statements("invoker") if "s3:PutObject" in s["Action"]]
    gets = [s for s in stack.statements("api") if "s3:GetObject" in s["Action"]]
    assert puts[0]["Resource"] == gets[0]["Resource"]
    assert puts[0]["Resource"][0].endswith("-results/results/*")
    (expiry,) = stack.one("aws_s3_bucket_lifecycle_configuration", "results")["rule"]
    assert expiry["expiration"] == [{"days": 7}]


def test_without_large_answers_no_function_calls_models_for_the_state_machine(
    stack_of: Synthesize,
) -> None:
    assert "invoker" not in stack_of(config_with(SMALL)).all("aws_lambda_function")


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ({**FLAN, "async_api_results": "s3"}, "async_api_results: has a meaning only with"),
        ({**LARGE, "async_api_results": "disk"}, "async_api_results: "),
        (
            {**SMALL, "inference_type": "async"},
            "async_api_enabled: an endpoint of `inference_type` 'async'",
        ),
    ],
)
def test_contradictory_async_settings_are_refused(entry: Mapping[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidConfig, match=r"jumpstart_models\[0\]\.") as refused:
        parse(config_with(entry))
    assert sentence in str(refused.value)
