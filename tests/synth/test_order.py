"""In which order Terraform creates, updates and deletes the resources of the stack.

Run with the real Terraform on the graph of the stack. Every resource is replaced by a
`terraform_data` with the same dependencies and lifecycle. Only these decide the order, and no AWS
call is made.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from constructs_lib.canonical import digest
from tests.synth.conftest import Synthesize
from tests.synth.synthesis import FLAN, Stack, config_with
from tests.synth.terraform import Terraform
from tools import terraform_cli

pytestmark = pytest.mark.slow
FALCON = {
    "name": "Falcon",
    "model_id": "huggingface-llm-falcon-40b-instruct-bf16",
    "inference_instance_type": "ml.g5.12xlarge",
    "inference_type": "realtime",
    "schedule": {"initial_provision_minutes": 90},
}
SYNC, WAIT, LAST_WAIT, VERDICT = (
    f"aws_lambda_invocation--{step}" for step in ("sync", "wait", "wait_4", "verdict")
)
SETTLED = "settled"


def graph_of(stack: Stack) -> dict[str, Any]:
    nodes: dict[str, Any] = {}
    for kind, resources in stack.document["resource"].items():
        for logical_id, body in resources.items():
            address = f"{kind}.{logical_id}"
            direct = stack.references(address)
            kept = body.get("lifecycle", {}).get("create_before_destroy", False)
            replaced = body.get("lifecycle_scope") == "CREATE_ONLY"
            nodes[node(address)] = {
                "triggers_replace" if replaced else "input": digest(
                    {key: value for key, value in body.items() if key != "//"}
                ),
                "depends_on": [f"terraform_data.{node(other)}" for other in sorted(direct)],
                "lifecycle": {"create_before_destroy": kept},
            }
    return {"resource": {"terraform_data": nodes}}


def of_own_image(**extra: Any) -> dict[str, Any]:
    """A config for any region: JumpStart models are locked for one."""
    region = extra.get("region_name", "us-east-1")
    entry = {
        "name": "Own",
        "image": f"123456789012.dkr.ecr.{region}.amazonaws.com/own:1",
        "inference_instance_type": "ml.g5.12xlarge",
        "inference_type": "realtime",
    }
    return config_with(entry, **extra)


def protected_graph_of(stack: Stack) -> dict[str, Any]:
    """The graph, with deletion protection as it is in the stack."""
    graph = graph_of(stack)
    for logical_id in ("stack", "protected"):
        body = stack.one("terraform_data", logical_id)
        kept = {key: value for key, value in body.items() if key != "//"}
        graph["resource"]["terraform_data"][logical_id] = kept
    return graph


def node(address: str) -> str:
    return address.replace("terraform_data.", "").replace("data.", "").replace(".", "--")


class Deployment:
    """Applies stacks one after another; returns what Terraform began and ended, in order."""

    def __init__(self, folder: Path) -> None:
        environment = {**terraform_cli.environment(), "TF_IN_AUTOMATION": "1"}
        self._terraform = Terraform(folder, environment)

    def deploy(self, stack: Stack) -> Sequence[str]:
        return self.deploy_graph(graph_of(stack))

    def deploy_graph(self, graph: Mapping[str, Any]) -> Sequence[str]:
        self._terraform.take(graph)
        self._terraform.run("init", "-input=false")
        return self._happened("apply")

    def refusal(self, graph: Mapping[str, Any], command: str, *options: str) -> str:
        """What Terraform says when it refuses; the state has to stay as it is."""
        self._terraform.take(graph)
        state = self._terraform.folder / "terraform.tfstate"
        before = state.read_bytes()
        told = self._terraform.refusal(command, "-input=false", "-no-color", *options)
        assert state.read_bytes() == before
        return told

    def destroy(self) -> Sequence[str]:
        return self._happened("destroy")

    def _happened(self, command: str) -> Sequence[str]:
        lines = self._terraform.run(command, "-auto-approve", "-json").splitlines()
        hooks = [
            m for m in map(json.loads, lines) if m["type"] in ("apply_start", "apply_complete")
        ]
        return [
            f"{'begin' if m['type'] == 'apply_start' else 'end'} {m['hook']['action']} "
            f"{m['hook']['resource']['resource_name']}"
            for m in hooks
        ]


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    return Deployment(tmp_path)


def config_of(stack: Stack, name: str) -> str:
    kind = "aws_sagemaker_endpoint_configuration"
    (found,) = [logical for logical in stack.all(kind) if logical.startswith(f"{name}_")]
    return node(f"{kind}.{found}")


def item_of(name: str) -> str:
    return node(f"aws_dynamodb_table_item.demo-{name}-Endpoint")


def in_order(happened: Sequence[str], *expected: str) -> bool:
    places = [happened.index(event) for event in expected]
    return places == sorted(places)


def test_the_reconciler_may_feed_itself_before_any_queue_feeds_it(
    deployment: Deployment, stack_of: Synthesize
) -> None:
    stack = stack_of(config_with(FLAN, deletion_protection=False))
    happened = deployment.deploy(stack)
    allowed = node("aws_lambda_function_recursion_config.reconciler")
    for queue in ("starts", "work"):
        mapping = node(f"aws_lambda_event_source_mapping.{queue}")
        assert in_order(happened, f"end create {allowed}", f"begin create {mapping}")
    setting = stack.one("aws_lambda_function_recursion_config", "reconciler")
    assert setting["recursive_loop"] == "Allow"


def test_a_withdrawn_endpoint_is_stopped_before_its_config_is_deleted(
    deployment: Deployment, stack_of: Synthesize
) -> None:
    both = stack_of(config_with(FALCON, FLAN, deletion_protection=False))
    deployment.deploy(both)
    happened = deployment.deploy(stack_of(config_with(FLAN, deletion_protection=False)))
    assert in_order(
        happened,
        f"end delete {item_of('Falcon')}",
        f"begin update {SYNC}",
        f"end update {SYNC}",
        f"begin update {WAIT}",
        f"end update {LAST_WAIT}",
        f"begin create {VERDICT}",
        f"end create {VERDICT}",
        f"begin update {SETTLED}",
        f"end update {SETTLED}",
        f"begin delete {config_of(both, 'Falcon')}",
    )


def test_a_changed_model_is_created_and_served_before_the_old_one_is_deleted(
    deployment: Deployment, stack_of: Synthesize
) -> None:
    before = stack_of(config_with(FALCON, deletion_protection=False))
    larger = {**FALCON, "inference_instance_type": "ml.g5.24xlarge"}
    after = stack_of(config_with(larger, deletion_protection=False))
    deployment.deploy(before)
    happened = deployment.deploy(after)
    assert in_order(
        happened,
        f"end create {config_of(after, 'Falcon')}",
        f"begin update {item_of('Falcon')}",
        f"end update {item_of('Falcon')}",
        f"begin update {SYNC}",
        f"end update {LAST_WAIT}",
        f"end create {VERDICT}",
        f"end update {SETTLED}",
        f"begin delete {config_of(before, 'Falcon')}",
    )


def test_a_changed_spec_is_written_after_the_functions_that_read_it(
    deployment: Deployment, stack_of: Synthesize
) -> None:
    """Otherwise old code would read a new spec. The settings changed here are in the spec, and in
    the environment of the API and of the function before those that call models."""
    properties = {"api_resource_name": "flan", "lambda_src": "functions/flan"}
    integration = {"type": "lambda", "properties": {**properties, "handler": "index.handler"}}
    flan = {**FLAN, "integration": integration}
    deployment.deploy(stack_of(config_with(flan)))
    changed = {"max_lease_minutes": 60, "cors_origin": "https://app.example.com"}
    happened = deployment.deploy(stack_of(config_with(flan, **changed)))
    for function in ("api", "calls"):
        changed_code = f"end update aws_lambda_function--{function}"
        assert in_order(happened, changed_code, f"begin update {item_of('FlanT5')}")


def test_a_destroy_drains_before_it_deletes_anything(
    deployment: Deployment, stack_of: Synthesize
) -> None:
    deployment.deploy(stack_of(config_with(FALCON, FLAN, deletion_protection=False)))
    happened = deployment.destroy()
    drained = happened.index(f"end delete {SYNC}")
    waits = {WAIT, *(f"{WAIT}_{number}" for number in (2, 3, 4))}
    assert {event.split()[2] for event in happened[:drained]} == {SETTLED, VERDICT, *waits, SYNC}


@pytest.mark.parametrize(
    ("change", "described"),
    [
        ({"project_prefix": "other"}, "other-us-east-1"),
        ({"project_prefix": "Demo"}, "Demo-us-east-1"),
        ({"region_name": "eu-west-1"}, "demo-eu-west-1"),
    ],
    ids=["another prefix", "another case", "another region"],
)
@pytest.mark.parametrize("command", ["plan", "apply"])
def test_a_protected_stack_refuses_to_become_another_one_before_anything_is_touched(
    deployment: Deployment,
    stack_of: Synthesize,
    command: str,
    change: dict[str, str],
    described: str,
) -> None:
    deployment.deploy_graph(protected_graph_of(stack_of(of_own_image())))
    other = protected_graph_of(stack_of(of_own_image(**change)))
    told = deployment.refusal(other, command, *(["-auto-approve"] * (command == "apply")))
    assert "in resource.terraform_data.protected" in told
    assert "Nothing was changed: this state holds the stack demo-us-east-1" in told
    assert f"the config describes {described}" in told


def test_a_protected_stack_takes_other_changes(
    deployment: Deployment, stack_of: Synthesize
) -> None:
    deployment.deploy_graph(protected_graph_of(stack_of(of_own_image())))
    changed = protected_graph_of(stack_of(of_own_image(max_lease_minutes=60)))
    assert f"end update {SYNC}" in deployment.deploy_graph(changed)


def test_a_protected_stack_of_an_earlier_version_is_upgraded_and_protected_from_then_on(
    deployment: Deployment, stack_of: Synthesize
) -> None:
    graph = protected_graph_of(stack_of(of_own_image()))
    resources = graph["resource"]["terraform_data"]
    unprotected = {name: body for name, body in resources.items() if name != "stack"}
    earlier = {**unprotected, "protected": {**resources["protected"], "lifecycle": {}}}
    deployment.deploy_graph({"resource": {"terraform_data": earlier}})

    assert deployment.deploy_graph(graph) == ["begin create stack", "end create stack"]

    other = protected_graph_of(stack_of(of_own_image(project_prefix="other")))
    assert "Nothing was changed" in deployment.refusal(other, "plan")


def test_a_stack_whose_protection_was_taken_off_may_become_another_one(
    deployment: Deployment, stack_of: Synthesize
) -> None:
    deployment.deploy_graph(protected_graph_of(stack_of(of_own_image())))
    deployment.deploy(stack_of(of_own_image(deletion_protection=False)))
    other = {"project_prefix": "other", "deletion_protection": False}
    assert deployment.deploy(stack_of(of_own_image(**other)))
