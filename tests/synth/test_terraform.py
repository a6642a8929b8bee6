"""The synthesized JSON under the real Terraform and the real AWS provider."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from local import terraform_cli
from tests.contract.emulator_process import Emulator, running_emulator
from tests.synth.conftest import Synthesize
from tests.synth.stacks import COMBINED, Stack

pytestmark = pytest.mark.slow

# The data sources that name the account and its partition, which the arns of the API hold.
WHERE = ("aws_caller_identity", "aws_partition")


@dataclass(frozen=True)
class Terraform:
    """Terraform in a folder of its own, which it keeps between calls."""

    folder: Path
    environment: Mapping[str, str]

    def take(self, document: Mapping[str, Any]) -> None:
        (self.folder / "cdk.tf.json").write_text(json.dumps(document, indent=1))

    def run(self, *arguments: str) -> str:
        done = subprocess.run(
            [terraform_cli.require(), *arguments],
            cwd=self.folder,
            env=dict(self.environment),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def plan(self) -> Mapping[str, str]:
        """What an apply would do, by address; nothing where nothing changes."""
        messages = map(json.loads, self.run("plan", "-input=false", "-json").splitlines())
        changes = [m["change"] for m in messages if m["type"] == "planned_change"]
        return {change["resource"]["addr"]: change["action"] for change in changes}


@pytest.fixture
def terraform(tmp_path: Path) -> Terraform:
    return Terraform(tmp_path, {**terraform_cli.environment(), "TF_IN_AUTOMATION": "1"})


def validate(terraform: Terraform, document: Mapping[str, Any]) -> Mapping[str, Any]:
    terraform.take(document)
    terraform.run("init", "-backend=false", "-input=false", "-no-color")
    report: Mapping[str, Any] = json.loads(terraform.run("validate", "-json"))
    return report


def assert_valid(terraform: Terraform, stack: Stack) -> None:
    report = validate(terraform, stack.document)
    assert report["valid"], report["diagnostics"]
    assert report["diagnostics"] == []


def test_the_shipped_config_is_valid(terraform: Terraform, stack: Stack) -> None:
    assert_valid(terraform, stack)


def test_all_examples_are_valid(terraform: Terraform, stack_of: Synthesize) -> None:
    backend = {"type": "s3", "bucket": "our-states", "key": "meter.tfstate"}
    together = json.loads(COMBINED.read_text())
    assert_valid(
        terraform, stack_of({**together, "backend": backend, "api_gateway_account_role": True})
    )


@pytest.fixture
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with running_emulator(tmp_path_factory.mktemp("emulator")) as running:
        yield running


@pytest.fixture
def deployed_api(terraform: Terraform, emulator: Emulator, stack: Stack) -> Terraform:
    """The API alone, deployed: its parts take no time, its functions would."""
    here = Terraform(
        terraform.folder,
        {
            **terraform.environment,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_ENDPOINT_URL": emulator.url,
            "AWS_EC2_METADATA_DISABLED": "true",
        },
    )
    here.take(api_of(stack))
    here.run("init", "-input=false", "-no-color")
    here.run("apply", "-auto-approve", "-input=false", "-no-color")
    return here


def api_of(stack: Stack) -> dict[str, Any]:
    """The API's own resources, with constants where they refer to others."""
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


def test_the_api_is_deployed_anew_exactly_when_a_part_of_it_changes(
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
