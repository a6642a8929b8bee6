"""The summary of plans that the real Terraform made, for a stack that it deployed: its tables,
specs, models, endpoint configs and the calls of the sync, on the emulator and the simulator.

docs/plans.md shows the config and five of the changes.
"""

from __future__ import annotations

import copy
import io
import json
import re
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from local.simulator.account import Account
from local.simulator.lifecycle import Durations
from local.simulator.server import serving
from local.simulator.service import Simulator
from local.simulator.world import World
from tests.contract.emulator_process import Emulator, running_emulator
from tests.markdown import read
from tests.synth.conftest import Synthesize
from tests.synth.synthesis import Stack
from tests.synth.terraform import Terraform
from tools.plan_summary import summary
from tools.plan_text import Summary

pytestmark = pytest.mark.slow

DOCUMENT = read("docs/plans.md")
(DEPLOYED,) = (json.loads(b.text) for b in DOCUMENT.blocks if b.mark == "config: whole")
FLAN, SUMMARIES = 0, 1
WHOLE_KINDS = ("aws_dynamodb_table", "aws_dynamodb_table_item", "aws_lambda_invocation")
HOSTING_KINDS = ("aws_sagemaker_model", "aws_sagemaker_endpoint_configuration")
OF_HOSTING = ("aws_iam_role", "aws_iam_role_policy")


def part_of(stack: Stack) -> dict[str, Any]:
    """The resources that belong to endpoints, the sync and the tables, without the functions."""
    found = stack.document["resource"]
    hosting = {logical for kind in HOSTING_KINDS for logical in found[kind]}
    kept = {kind: found[kind] for kind in (*WHOLE_KINDS, *HOSTING_KINDS, "terraform_data")}
    for kind in OF_HOSTING:
        kept[kind] = {
            logical: found[kind][logical] for logical in found[kind] if logical in hosting
        }
    addresses = {f"{kind}.{logical}" for kind, resources in kept.items() for logical in resources}
    resources = {
        kind: {
            logical: {
                **body,
                "depends_on": [a for a in body.get("depends_on", []) if a in addresses],
            }
            for logical, body in resources.items()
        }
        for kind, resources in kept.items()
    }
    return {
        "terraform": {"required_providers": stack.document["terraform"]["required_providers"]},
        "provider": stack.document["provider"],
        "data": stack.document["data"],
        "resource": resources,
    }


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory, stack_of: Synthesize) -> Iterator[Terraform]:
    simulator = Simulator(World(Account(), Durations(0.1, 0.1, 0.1)))
    with (
        running_emulator(tmp_path_factory.mktemp("emulator")) as emulator,
        serving(simulator) as server,
    ):
        function_of_the_sync(emulator)
        here = Terraform.at(tmp_path_factory.mktemp("terraform")).with_aws(emulator)
        at_simulator = {"AWS_ENDPOINT_URL_SAGEMAKER": server.url}
        here = replace(here, environment={**here.environment, **at_simulator})
        here.take(part_of(stack_of(DEPLOYED)))
        here.run("init", "-input=false")
        here.run("apply", "-auto-approve", "-input=false")
        yield here


def function_of_the_sync(emulator: Emulator) -> None:
    """What the sync calls does nothing: here it only matters what Terraform plans."""
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("index.py", "def handler(event, context): return {}")
    emulator.client("lambda").create_function(
        FunctionName="demo-sweep",
        Runtime="python3.13",
        Role=emulator.role(),
        Handler="index.handler",
        Code={"ZipFile": code.getvalue()},
    )


class Planner:
    """Plans changes of the deployed config."""

    def __init__(self, deployed: Terraform, stack_of: Synthesize) -> None:
        self._deployed, self._stack_of = deployed, stack_of
        self.config: dict[str, Any] = copy.deepcopy(DEPLOYED)

    @property
    def flan(self) -> dict[str, Any]:
        entry: dict[str, Any] = self.config["jumpstart_models"][FLAN]
        return entry

    @property
    def summaries(self) -> dict[str, Any]:
        entry: dict[str, Any] = self.config["jumpstart_models"][SUMMARIES]
        return entry

    def summary(self, *, refused: bool = False) -> Summary:
        self._deployed.take(part_of(self._stack_of(self.config)))
        command = ("plan", "-refresh=false", "-input=false", "-out=planned")
        self._deployed.refusal(*command) if refused else self._deployed.run(*command)
        return summary(json.loads(self._deployed.run("show", "-json", "planned")))


@pytest.fixture
def plan(deployed: Terraform, stack_of: Synthesize) -> Planner:
    return Planner(deployed, stack_of)


def shown(change: str) -> str:
    """What the document shows of it."""
    (text,) = (block.text for block in DOCUMENT.blocks if block.mark == f"plan: {change}")
    return text.rstrip("\n")


def test_a_changed_schedule_is_shown_with_its_times(plan: Planner) -> None:
    plan.flan["schedule"][0] |= {
        "stop_time": "19:00",
        "days": ["mon", "tue", "wed", "thu", "fri", "sat"],
    }
    assert plan.summary().text() == shown("schedule")


def test_a_changed_instance_type_is_marked_as_cost(plan: Planner) -> None:
    plan.flan["inference_instance_type"] = "ml.g5.24xlarge"
    assert plan.summary().text() == shown("instance type")


def test_a_new_variant_is_shown_with_what_it_runs(plan: Planner) -> None:
    (first,) = plan.summaries["variants"]
    second = {**first, "name": "B", "image": first["image"].replace(":1", ":2")}
    plan.summaries["variants"] = [{**first, "weight": 0.9}, {**second, "weight": 0.1}]
    assert plan.summary().text() == shown("new variant")


def test_a_removed_entry_is_dangerous(plan: Planner) -> None:
    del plan.config["jumpstart_models"][SUMMARIES]
    assert plan.summary().text() == shown("removed entry")


def test_a_renamed_prefix_is_refused_and_the_summary_says_what_it_would_have_done(
    plan: Planner,
) -> None:
    plan.config["project_prefix"] = "prod"
    assert plan.summary(refused=True).text() == shown("renamed prefix")


def test_without_deletion_protection_a_renamed_prefix_is_planned_and_dangerous(
    plan: Planner,
) -> None:
    plan.config |= {"project_prefix": "prod", "deletion_protection": False}
    dangers = part(plan.summary(), "Dangerous")
    assert dangers[0].startswith("the sync is replaced or destroyed: every endpoint is stopped")
    assert "demo-FlanT5-Endpoint is stopped: its entry is removed" in dangers
    assert "the table demo-state is replaced by an empty one: what it holds is lost" in dangers
    assert "deletion protection is taken off: the next destroy is not refused" in dangers


@pytest.fixture(scope="module")
def mixed(deployed: Terraform, stack_of: Synthesize) -> Summary:
    """The summary of one plan with a new entry, a changed variable and settings in place."""
    plan = Planner(deployed, stack_of)
    plan.flan.update({"tags": {"team": "nlp"}, "outside_updates": "keep"})
    plan.summaries["variants"][0]["environment"] = {"API_KEY": "another-secret", "MORE": "secret"}
    plan.config["jumpstart_models"].append(
        {
            "name": "Small",
            "image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/small:1",
            "inference_instance_type": "ml.m5.large",
            "inference_instance_count": 2,
            "instance_type_fallbacks": ["ml.m5.xlarge"],
            "autoscaling": {"max_capacity": 4, "invocations_per_instance": 120},
            "inference_type": "realtime",
            "schedule": {"initial_provision_minutes": 90},
            "tags": {"team": "nlp"},
        }
    )
    return plan.summary()


def part(found: Summary, beginning: str) -> Sequence[str]:
    (lines,) = (one.lines for one in found.parts if one.heading.startswith(beginning))
    return lines


def test_a_changed_variable_of_a_model_is_named_and_its_value_is_not_shown(mixed: Summary) -> None:
    lines = part(mixed, "demo-Summaries-Endpoint: moved")
    assert "variables changed (values are not shown): API_KEY" in lines[0]
    assert "variables new (values are not shown): MORE" in lines[1]
    assert not re.search("another-secret|: secret", mixed.text() + mixed.markdown())


def test_a_new_entry_is_shown_with_all_that_was_declared_of_it(mixed: Summary) -> None:
    lines = part(mixed, "demo-Small-Endpoint: new")
    assert lines[:3] == [
        "costs: runs on: 2 x ml.m5.large",
        "costs: if there is no capacity: 2 x ml.m5.xlarge",
        "costs: autoscaling: 1 to 4 instances",
    ]
    assert "first lease: 90 minutes, once" in lines
    assert "tag team: nlp" in lines
    assert "image: 123456789012.dkr.ecr.us-east-1.amazonaws.com/small:1" in lines[-1]


def test_settings_that_leave_the_endpoint_config_are_told_from_a_move(mixed: Summary) -> None:
    lines = part(mixed, "demo-FlanT5-Endpoint: changed. Its endpoint config stays")
    assert lines == ["updates from outside: revert -> keep", "tag team: none -> nlp"]


def test_what_only_adds_and_changes_is_not_dangerous(mixed: Summary) -> None:
    assert not any(one.dangerous for one in mixed.parts)
