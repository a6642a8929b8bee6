"""`make plan` as a whole, in a copy of the project: the pinned CLI, Terraform and the emulator."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.contract.emulator_process import Emulator, running_emulator
from tests.e2e.checkout import Checkout
from tests.synth.terraform import Terraform

pytestmark = pytest.mark.slow

TITLE = "What this plan changes at demo-us-east-1 of account 000000000000"


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    with running_emulator(tmp_path_factory.mktemp("emulator")) as emulator:
        yield environment_of(emulator)


def environment_of(emulator: Emulator) -> Mapping[str, str]:
    off = {"AWS_EC2_METADATA_DISABLED": "true"}
    return {**emulator.key.environment, "AWS_ENDPOINT_URL": emulator.url, **off}


@pytest.fixture
def project(tmp_path: Path) -> Checkout:
    return Checkout.copy_to(tmp_path / "project")


def test_a_plan_as_markdown_writes_the_summary_alone_to_standard_output(
    project: Checkout, aws: Mapping[str, str]
) -> None:
    done = project.run("tools.cdktf_cli", "diff", "--markdown", **aws)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith(f"## {TITLE}\n\n**demo-Falcon40B-Endpoint: new**\n\n```text\n")
    assert "aws_dynamodb_table_item.demo-FlanT5-Endpoint" in done.stderr


def test_a_plan_ends_with_its_summary_which_begins_with_why_terraform_refuses_it(
    project: Checkout, aws: Mapping[str, str], terraform: Terraform
) -> None:
    remembered = {"input": {"tag": "earlier-us-east-1"}}
    terraform.take({"resource": {"terraform_data": {"stack": remembered}}})
    terraform.run("init", "-input=false")
    terraform.run("apply", "-auto-approve", "-input=false")
    state = project.folder / ".terraform-state" / "demo" / "us-east-1" / "endpoint-manager.tfstate"
    state.parent.mkdir(parents=True)
    (terraform.folder / "terraform.tfstate").replace(state)

    done = project.run("tools.cdktf_cli", "diff", **aws)

    assert done.returncode == 1
    plan, summary = done.stdout.split(f"\n{TITLE}\n")
    assert "aws_dynamodb_table_item.demo-FlanT5-Endpoint" in plan
    first, reason = summary.strip().splitlines()[:2]
    assert first == "! Dangerous"
    assert reason.startswith("  refused by Terraform: Nothing was changed: this state holds the")


def test_a_config_that_does_not_synthesize_leaves_no_summary_of_an_earlier_plan(
    project: Checkout, aws: Mapping[str, str]
) -> None:
    earlier = project.folder / "cdktf.out" / "stacks" / "endpoint-manager" / "plan"
    earlier.parent.mkdir(parents=True)
    earlier.write_text("of yesterday")
    config = project.config()
    config["jumpstart_models"][0]["model_id"] = "nobody-locked-this"
    done = project.run("tools.cdktf_cli", "diff", **aws, CONFIG=project.write_config(config))
    assert done.returncode == 1
    assert not earlier.exists()
    assert TITLE not in done.stdout
