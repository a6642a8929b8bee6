"""Functions of the API that start from snapshots."""

from __future__ import annotations

from typing import Any

import pytest

from tests.synth.conftest import Synthesize
from tests.synth.synthesis import Stack
from tests.synth.test_integrations import calling

OF_THE_API = ("api", "authorizer", "calls")


def with_snapshots(**properties: Any) -> dict[str, Any]:
    """One model that is called through functions."""
    return {**calling(**properties), "lambda": {"snap_start": True}}


@pytest.fixture
def snapped(stack_of: Synthesize) -> Stack:
    return stack_of(with_snapshots())


def test_without_the_setting_no_function_starts_from_a_snapshot(stack: Stack) -> None:
    functions = stack.all("aws_lambda_function")
    assert not any("snap_start" in function for function in functions.values())
    assert not any("publish" in functions[name] for name in ("api", "authorizer"))


@pytest.mark.parametrize("name", OF_THE_API)
def test_functions_of_the_api_start_from_snapshots_of_published_versions(
    snapped: Stack, name: str
) -> None:
    function = snapped.one("aws_lambda_function", name)
    assert function["publish"] is True
    assert function["snap_start"] == {"apply_on": "PublishedVersions"}
    alias = snapped.one("aws_lambda_alias", name)
    assert alias["function_version"] == f"${{aws_lambda_function.{name}.version}}"


def test_functions_that_no_request_waits_for_start_from_none(snapped: Stack) -> None:
    functions = snapped.all("aws_lambda_function")
    others = functions.keys() - set(OF_THE_API)
    assert {"tick", "reconciler", "sweep", "adopter"} <= others
    assert not any("snap_start" in functions[name] for name in others)


def test_the_api_calls_the_aliases_alone(snapped: Stack) -> None:
    authorizer = snapped.one("aws_api_gateway_authorizer", "token")
    assert authorizer["authorizer_uri"] == "${aws_lambda_alias.authorizer.invoke_arn}"
    uris = {each["uri"] for each in snapped.all("aws_api_gateway_integration").values()}
    assert uris == {
        "${aws_lambda_alias.api.invoke_arn}",
        "${aws_lambda_alias.calls.invoke_arn}",
    }


@pytest.mark.parametrize("name", OF_THE_API)
def test_the_api_may_call_an_alias_before_a_deployment_names_it(snapped: Stack, name: str) -> None:
    permission = snapped.one("aws_lambda_permission", name)
    assert permission["qualifier"] == f"${{aws_lambda_alias.{name}.name}}"
    upstream = snapped.upstream("aws_api_gateway_deployment.api")
    assert f"aws_lambda_permission.{name}" in upstream


def test_provisioned_instances_go_before_snapshots(stack_of: Synthesize) -> None:
    stack = stack_of(with_snapshots(provisioned_concurrency=1))
    assert "snap_start" not in stack.one("aws_lambda_function", "calls"), "Lambda refuses both"
    ready = stack.one("aws_lambda_provisioned_concurrency_config", "calls")
    assert ready["qualifier"] == "${aws_lambda_alias.calls.name}"
    assert "snap_start" in stack.one("aws_lambda_function", "api")


def test_what_keeps_calls_warm_calls_its_alias(stack_of: Synthesize) -> None:
    stack = stack_of(with_snapshots(keep_warm={"minutes": 4}))
    schedule = stack.one("aws_scheduler_schedule", "calls")
    assert schedule["target"]["arn"] == "${aws_lambda_alias.calls.arn}"
    invoked = {arn for each in stack.statements("keep_warm") for arn in each["Resource"]}
    assert invoked == {"${aws_lambda_alias.calls.arn}", "${aws_lambda_function.model-FlanT5.arn}"}
