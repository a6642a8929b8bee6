from __future__ import annotations

import json
import re
from typing import Any

import pytest

from lambdas.core.invocation import ANSWER_HEADERS, REQUEST_HEADERS
from tests.synth.conftest import Synthesize
from tests.synth.synthesis import FLAN, Stack, config_with

INVOKE = "sagemaker:InvokeEndpoint"


def entry(name: str, route: str, **integration: Any) -> dict[str, Any]:
    chosen = {"type": "api", "properties": {"api_resource_name": route}, **integration}
    return {**FLAN, "name": name, "integration": chosen}


def test_an_api_integration_leads_straight_to_its_endpoint(stack: Stack) -> None:
    resource = stack.one("aws_api_gateway_resource", "model_flan")
    assert resource["path_part"] == "flan"
    integration = stack.one("aws_api_gateway_integration", "model_flan")
    assert integration["type"] == "AWS"
    assert integration["integration_http_method"] == "POST"
    assert integration["uri"].endswith(
        ":us-east-1:runtime.sagemaker:path/endpoints/demo-FlanT5-Endpoint/invocations"
    )
    assert integration["timeout_milliseconds"] == 29_000
    assert "request_templates" not in integration  # bodies pass unchanged
    assert integration["passthrough_behavior"] == "WHEN_NO_TEMPLATES"
    assert stack.one("aws_api_gateway_rest_api", "api")["binary_media_types"] == ["*/*"]


def test_an_api_integration_may_wait_longer_since_the_api_is_regional(
    stack_of: Synthesize,
) -> None:
    properties = {"api_resource_name": "slow", "timeout_seconds": 60}
    stack = stack_of(config_with(entry("A", "", properties=properties)))
    assert stack.one("aws_api_gateway_integration", "model_slow")["timeout_milliseconds"] == 60_000
    (place,) = stack.one("aws_api_gateway_rest_api", "api")["endpoint_configuration"].values()
    assert place == ["REGIONAL"], "AWS raises the quota for no other public API"


def test_headers_pass_in_both_directions(stack: Stack) -> None:
    declared = stack.one("aws_api_gateway_method", "model_flan")["request_parameters"]
    sent = stack.one("aws_api_gateway_integration", "model_flan")["request_parameters"]
    assert sent == {name.replace("method.", "integration.", 1): name for name in declared}
    assert set(declared) == {f"method.request.header.{n}" for n in REQUEST_HEADERS.values()}
    good = stack.one("aws_api_gateway_integration_response", "model_flan-200")
    mapped = {value for value in good["response_parameters"].values() if value[0] != "'"}
    assert mapped == {f"integration.response.header.{name}" for name in ANSWER_HEADERS.values()}
    assert "response_templates" not in good
    assert "content_handling" not in good


def test_only_post_calls_a_model_and_only_with_a_token(stack: Stack) -> None:
    method = stack.one("aws_api_gateway_method", "model_flan")
    assert method["http_method"] == "POST"
    assert method["authorization"] == "CUSTOM"


def test_a_public_route_asks_for_no_token(stack_of: Synthesize) -> None:
    stack = stack_of(config_with(entry("A", "open", public=True), entry("B", "shut")))
    assert stack.one("aws_api_gateway_method", "model_open")["authorization"] == "NONE"
    assert "authorizer_id" not in stack.one("aws_api_gateway_method", "model_open")
    assert stack.one("aws_api_gateway_method", "model_shut")["authorization"] == "CUSTOM"


def test_api_gateway_may_call_the_endpoints_of_the_stack_and_nothing_else(
    stack_of: Synthesize,
) -> None:
    stack = stack_of(config_with(entry("A", "a"), entry("B", "b"), {**FLAN, "name": "C"}))
    (statement,) = stack.statements("endpoint_caller")
    assert statement["Action"] == [INVOKE]
    names = {arn.rpartition(":")[2] for arn in statement["Resource"]}
    assert names == {"endpoint/demo-*", "inference-component/*"}, "a list of 68 would not fit"
    assert statement["Condition"] == {
        "StringEquals": {
            "aws:ResourceTag/endpoint-meter:stack": ["demo-us-east-1", "demo-us-east-1/adopted"]
        }
    }
    role = stack.one("aws_iam_role", "endpoint_caller")["assume_role_policy"]
    assert json.loads(role)["Statement"][0]["Principal"] == {"Service": "apigateway.amazonaws.com"}


def test_without_direct_routes_there_is_no_role_to_call_endpoints(stack_of: Synthesize) -> None:
    assert "endpoint_caller" not in stack_of(config_with(FLAN)).all("aws_iam_role")


def test_a_route_is_deployed_with_all_its_parts(stack: Stack) -> None:
    (deployment,) = stack.all("aws_api_gateway_deployment").values()
    trigger = deployment["triggers"]["parts"]
    for kind in ("integration_response", "method_response"):
        for name, part in stack.all(f"aws_api_gateway_{kind}").items():
            for attribute in part.keys() - {"//", "rest_api_id"}:
                assert f'"aws_api_gateway_{kind}.{name}.{attribute}" =' in trigger
    assert "aws_iam_role_policy.endpoint_caller" in stack.upstream("aws_api_gateway_deployment.api")


def test_each_status_of_sagemaker_matches_at_most_one_integration_response(stack: Stack) -> None:
    answers = stack.all("aws_api_gateway_integration_response").values()
    patterns = [answer.get("selection_pattern") for answer in answers]
    assert patterns.count(None) == 1  # the default is an error of AWS, not a success
    for status in range(100, 600):
        found = [p for p in patterns if p and re.fullmatch(p, str(status))]
        assert len(found) <= 1
        assert bool(found) == (status // 100 == 2 or status in {400, 403, 413, 424, 429})


@pytest.mark.parametrize("status", [400, 413, 424, 502, 503])
def test_refusals_are_read_as_text_and_answered_as_json(stack: Stack, status: int) -> None:
    answer = stack.one("aws_api_gateway_integration_response", f"model_flan-{status}")
    assert answer["content_handling"] == "CONVERT_TO_TEXT"
    kind = answer["response_parameters"]["method.response.header.Content-Type"]
    assert kind == "'application/json'"
    declared = stack.one("aws_api_gateway_method_response", f"model_flan-{status}")
    assert declared["response_parameters"].keys() >= answer["response_parameters"].keys()


def test_different_routes_have_different_resource_addresses(stack_of: Synthesize) -> None:
    names = ["a-b", "a.b", "a_b", "a_dot_b", "a__b"]
    models = [entry(f"M{index}", name) for index, name in enumerate(names)]
    resources = stack_of(config_with(*models)).all("aws_api_gateway_resource")
    assert {r["path_part"] for r in resources.values()} > set(names)
