"""Hardening: logs, TLS, security headers and CORS."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from constructs_lib.config.file import parse
from constructs_lib.config.problems import InvalidConfig
from lambdas.core.answer_headers import SECURITY, answer_headers
from tests.synth.conftest import Synthesize
from tests.synth.synthesis import FLAN, Stack, config_with

DIRECT = {"type": "api", "properties": {"api_resource_name": "flan"}}
BY_FUNCTION = {
    "type": "lambda",
    "properties": {
        "api_resource_name": "web",
        "lambda_src": "functions/passthrough",
        "proxy": True,
    },
}
ORIGIN = "https://app.example.com"
# The access log may contain only these parts of a request: no header, query or body.
LOGGED = {
    "$context.authorizer.principalId",
    "$context.error.responseType",
    "$context.httpMethod",
    "$context.identity.sourceIp",
    "$context.requestId",
    "$context.requestTimeEpoch",
    "$context.resourcePath",
    "$context.responseLatency",
    "$context.status",
}


@pytest.fixture(scope="module")
def open_stack(stack_of: Synthesize) -> Stack:
    """A stack with every kind of route, which web pages of ORIGIN may call."""
    other = {**FLAN, "name": "Web", "integration": BY_FUNCTION}
    return stack_of(config_with({**FLAN, "integration": DIRECT}, other, cors_origin=ORIGIN))


def headers_of(parameters: dict[str, str]) -> dict[str, str]:
    """The headers of an answer that have a constant value."""
    return {
        name.rpartition(".header.")[2]: value.strip("'")
        for name, value in parameters.items()
        if value.startswith("'")
    }


def test_access_log_contains_no_headers_queries_or_bodies(stack: Stack) -> None:
    stage = stack.one("aws_api_gateway_stage", "api")
    logged = json.loads(stage["access_log_settings"]["format"])
    assert set(logged.values()) <= LOGGED


def test_requests_are_not_logged_in_full(stack: Stack) -> None:
    settings = stack.one("aws_api_gateway_method_settings", "api")["settings"]
    assert "data_trace_enabled" not in settings
    assert "logging_level" not in settings


def test_every_log_has_a_retention(open_stack: Stack) -> None:
    groups = open_stack.all("aws_cloudwatch_log_group")
    functions = open_stack.all("aws_lambda_function").values()
    names = {group["name"] for group in groups.values()}
    assert {f"/aws/lambda/{function['function_name']}" for function in functions} < names
    assert {group["retention_in_days"] for group in groups.values()} == {30}


def test_queues_topics_and_buckets_refuse_requests_without_tls(stack: Stack) -> None:
    policies = {
        **{name: queue["policy"] for name, queue in stack.all("aws_sqs_queue").items()},
        **{name: topic["policy"] for name, topic in stack.all("aws_sns_topic").items()},
    }
    buckets = stack.all("aws_s3_bucket")
    policies |= {name: stack.one("aws_s3_bucket_policy", name)["policy"] for name in buckets}
    assert len(policies) >= 6
    for name, policy in policies.items():
        denied = [s for s in json.loads(policy)["Statement"] if s["Effect"] == "Deny"]
        (statement,) = denied
        assert statement["Principal"] == "*", name
        assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_only_cloudwatch_of_this_account_may_publish_alarms(stack: Stack) -> None:
    policy = json.loads(stack.one("aws_sns_topic", "alarms")["policy"])
    (allowed,) = [s for s in policy["Statement"] if s["Effect"] == "Allow"]
    assert allowed["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert set(allowed["Condition"]["StringEquals"]) == {"aws:SourceAccount"}


def test_every_answer_of_api_gateway_has_the_security_headers(
    open_stack: Stack, stack: Stack
) -> None:
    for made, origin in ((stack, ""), (open_stack, ORIGIN)):
        wanted = dict(answer_headers(origin)).items()
        for kind in ("gateway_response", "integration_response"):
            for name, answer in made.all(f"aws_api_gateway_{kind}").items():
                assert wanted <= headers_of(answer["response_parameters"]).items(), name
    assert SECURITY.items() < answer_headers(ORIGIN).items()


def test_there_is_no_cors_unless_the_config_allows_an_origin(stack: Stack) -> None:
    for kind in ("gateway_response", "integration_response"):
        assert "Access-Control" not in json.dumps(stack.all(f"aws_api_gateway_{kind}"))
    assert not [
        m for m in stack.all("aws_api_gateway_method").values() if m["http_method"] == "OPTIONS"
    ]
    assert origins_of_functions(stack) == {""}


def test_every_path_answers_preflights_if_an_origin_is_allowed(open_stack: Stack) -> None:
    methods = open_stack.all("aws_api_gateway_method")
    asked = {n: m for n, m in methods.items() if m["http_method"] == "OPTIONS"}
    every = {m["resource_id"] for m in methods.values()}
    assert {m["resource_id"] for m in asked.values()} == every
    for name, method in asked.items():
        assert method["authorization"] == "NONE"
        integration = open_stack.one("aws_api_gateway_integration", name)
        assert (integration["type"], integration["content_handling"]) == ("MOCK", "CONVERT_TO_TEXT")
        answer = open_stack.one("aws_api_gateway_integration_response", name)
        headers = headers_of(answer["response_parameters"])
        assert headers["Access-Control-Allow-Origin"] == ORIGIN
        assert "Authorization" in headers["Access-Control-Allow-Headers"].split(", ")
        declared = open_stack.one("aws_api_gateway_method_response", name)
        assert declared["response_parameters"].keys() == answer["response_parameters"].keys()
    assert origins_of_functions(open_stack) == {ORIGIN}


def origins_of_functions(stack: Stack) -> set[str]:
    variables = [
        function["environment"]["variables"]
        for function in stack.all("aws_lambda_function").values()
    ]
    return {environment["CORS_ORIGIN"] for environment in variables if "CORS_ORIGIN" in environment}


@pytest.mark.parametrize(
    "origin", ["app.example.com", "https://a/b", "https://a/", "null", "http://a b", "*.a", "", 1]
)
def test_invalid_origins_are_refused(origin: Any) -> None:
    with pytest.raises(InvalidConfig) as caught:
        parse(config_with(FLAN, cors_origin=origin))
    (found,) = caught.value.problems
    assert re.match("cors_origin: must be", str(found))


@pytest.mark.parametrize("origin", [None, "*", ORIGIN, "http://localhost:3000"])
def test_valid_origins_are_accepted(origin: str | None) -> None:
    assert parse(config_with(FLAN, cors_origin=origin)).cors_origin == origin
