"""The synthesized JSON, checked by the real Terraform and the real AWS provider."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.contract.emulator_process import Emulator
from tests.synth.conftest import Synthesize
from tests.synth.synthesis import COMBINED, DEFAULT, EXAMPLES, REFERENCE, Stack
from tests.synth.terraform import Terraform

pytestmark = pytest.mark.slow

KEY = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
# The data sources for the account and the partition, which are in the ARNs of the API.
WHERE = ("aws_caller_identity", "aws_partition")


def test_the_shipped_config_is_valid(terraform: Terraform, stack: Stack) -> None:
    terraform.take(stack.document)
    terraform.assert_valid()


def test_all_examples_together_are_valid(terraform: Terraform, stack_of: Synthesize) -> None:
    backend = {"type": "s3", "bucket": "our-states", "key": "meter.tfstate"}
    together = json.loads(COMBINED.read_text())
    once = {
        "backend": backend,
        "api_gateway_account_role": True,
        "kms_key_arn": KEY,
        "lambda": {"snap_start": True},
    }
    stack = stack_of({**together, **once})
    terraform.take(stack.document)
    terraform.assert_valid()


def test_each_example_of_the_original_is_valid(terraform: Terraform, stack_of: Synthesize) -> None:
    paths = {path.stem: path for path in EXAMPLES if path.stem in REFERENCE}
    assert set(paths) == set(REFERENCE)
    for name, path in paths.items():
        terraform.take_module(name, stack_of(json.loads(path.read_text())))
    terraform.take({"module": {name: {"source": f"./{name}"} for name in paths}})
    terraform.assert_valid()


@pytest.fixture
def deployed_api(terraform: Terraform, emulator: Emulator, stack: Stack) -> Terraform:
    """Only the API, deployed: its parts are created quickly, its functions would not be."""
    here = terraform.with_aws(emulator)
    here.take(api_of(stack))
    here.run("init", "-input=false", "-no-color")
    here.run("apply", "-auto-approve", "-input=false", "-no-color")
    return here


def api_of(stack: Stack) -> dict[str, Any]:
    """Only the resources of the API, with constants in place of references to others."""
    resources = {
        kind: {name: without_dependencies(body) for name, body in found.items()}
        for kind, found in stack.document["resource"].items()
        if kind.startswith("aws_api_gateway_") and kind != "aws_api_gateway_method_settings"
    }
    text = json.dumps(
        {
            "terraform": {
                "required_providers": stack.document["terraform"]["required_providers"],
            },
            "provider": stack.document["provider"],
            "data": {kind: stack.document["data"][kind] for kind in WHERE},
            "resource": resources,
        }
    )
    uri = "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{}/invocations"
    function = "arn:aws:lambda:us-east-1:000000000000:function:x"
    text = re.sub(r"\$\{aws_lambda_function\.[\w-]+\.invoke_arn\}", uri.format(function), text)
    logs = "arn:aws:logs:us-east-1:000000000000:log-group:x"
    text = re.sub(r"\$\{aws_cloudwatch_log_group\.[\w-]+\.arn\}", logs, text)
    role = "arn:aws:iam::000000000000:role/x"
    text = re.sub(r"\$\{aws_iam_role\.[\w-]+\.arn\}", role, text)
    document: dict[str, Any] = json.loads(text)
    return document


def without_dependencies(body: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in body.items() if key != "depends_on"}


def edited(document: dict[str, Any], kind: str, logical_id: str, **changes: Any) -> dict[str, Any]:
    document["resource"][kind][logical_id].update(changes)
    return document


def with_another_route(document: dict[str, Any]) -> dict[str, Any]:
    return edited(document, "aws_api_gateway_resource", "health", path_part="healthz")


def with_an_open_route(document: dict[str, Any]) -> dict[str, Any]:
    changes = {"authorization": "NONE", "authorizer_id": None}
    return edited(document, "aws_api_gateway_method", "endpoint_expiry", **changes)


def with_a_longer_cache(document: dict[str, Any]) -> dict[str, Any]:
    changes = {"authorizer_result_ttl_in_seconds": 61}
    return edited(document, "aws_api_gateway_authorizer", "token", **changes)


def with_another_function(document: dict[str, Any]) -> dict[str, Any]:
    integrations = document["resource"]["aws_api_gateway_integration"]
    uri = integrations["health"]["uri"].replace("function:x", "function:y")
    return edited(document, "aws_api_gateway_integration", "health", uri=uri)


def test_the_api_is_redeployed_exactly_when_a_part_of_it_changes(
    deployed_api: Terraform, stack: Stack
) -> None:
    assert deployed_api.plan() == {}
    deployment = "aws_api_gateway_deployment.api"
    changes: list[Callable[[dict[str, Any]], dict[str, Any]]] = [
        with_another_route,
        with_an_open_route,
        with_a_longer_cache,
        with_another_function,
    ]
    for change in changes:
        deployed_api.take(change(api_of(stack)))
        assert deployed_api.plan()[deployment] == "replace", change.__name__

    other = edited(api_of(stack), "aws_api_gateway_stage", "api", description="of no matter")
    deployed_api.take(other)
    assert deployment not in deployed_api.plan()


def test_a_changed_cors_origin_redeploys_the_api_once(
    deployed_api: Terraform, stack_of: Synthesize
) -> None:
    shipped = json.loads(DEFAULT.read_text())
    opened = stack_of({**shipped, "cors_origin": "https://app.example.com"})
    deployed_api.take(api_of(opened))
    assert deployed_api.plan()["aws_api_gateway_deployment.api"] == "replace"

    deployed_api.run("apply", "-auto-approve", "-input=false", "-no-color")

    assert deployed_api.plan() == {}
