"""`make plan`, `deploy` and `destroy`, in a copy of the project: what is refused before Terraform
is started, and what is shown."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator

import pytest

from tests.contract.emulator_process import Emulator
from tests.e2e.checkout import Checkout
from tools.deployed_stack import RECORD

pytestmark = pytest.mark.slow

COMMANDS = ["diff", "deploy", "destroy"]
WITHOUT_AWS = {
    "AWS_ACCESS_KEY_ID": "",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    return Checkout.copy_to(tmp_path_factory.mktemp("project"))


@pytest.fixture(autouse=True)
def _terraform_is_not_asked(project: Checkout) -> Iterator[None]:
    yield
    assert not (project.folder / "cdktf.out").exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_without_credentials_one_line_says_what_is_missing(project: Checkout, command: str) -> None:
    done = project.run("tools.cdktf_cli", command, **WITHOUT_AWS)
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: there are no AWS credentials: set AWS_PROFILE")


@pytest.mark.parametrize("command", COMMANDS)
def test_the_file_of_another_stack_is_refused_before_credentials_are_needed(
    project: Checkout, command: str
) -> None:
    folder = project.folder / ".terraform-state" / "earlier" / "us-east-1"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / RECORD).write_text('{"config": "configs/configs.json", "overlay": null}')
    tags = {"endpoint-meter:stack": "earlier-us-east-1"}
    queue = {"mode": "managed", "instances": [{"attributes": {"tags_all": tags}}]}
    state = folder / "endpoint-manager.tfstate"
    state.write_text(json.dumps({"resources": [queue]}))
    try:
        done = project.run("tools.cdktf_cli", command, **WITHOUT_AWS)
    finally:
        state.unlink()
    assert done.returncode == 1
    assert done.stderr.startswith(
        "error: configs/configs.json deployed the stack earlier-us-east-1, which is still there"
    )


@pytest.mark.parametrize("command", ["deploy", "destroy"])
def test_where_nobody_sees_the_question_approval_has_to_be_given_before(
    project: Checkout, emulator: Emulator, command: str
) -> None:
    aws = {**emulator.key.environment, "AWS_ENDPOINT_URL": emulator.url}
    done = project.run("tools.cdktf_cli", command, **{**WITHOUT_AWS, **aws})
    assert done.returncode == 1
    assert "add ARGS=--auto-approve" in done.stderr
    assert not list(project.folder.glob(f".terraform-state/demo/*/{RECORD}"))


def test_a_wrong_config_is_told_before_anything_is_started(project: Checkout) -> None:
    wrong = project.write_config({**project.config(), "region_name": "Melbourne"})
    done = project.run("tools.cdktf_cli", "diff", **WITHOUT_AWS, CONFIG=wrong)
    assert done.returncode == 1
    assert "region_name" in done.stderr
    assert "Traceback" not in done.stderr


def test_only_lines_of_the_spinner_are_left_out(project: Checkout) -> None:
    code = """
import os, sys
from tools.cdktf_cli import without_spinner
without_spinner()
script = "printf 'one\\\\n⠴  Processing\\\\n │ two\\\\n⠋ Synthesizing'; exit 3"
os.execv("/bin/sh", ["sh", "-c", script])
"""
    done = project.command([sys.executable, "-c", code])
    assert done.returncode == 3
    assert done.stdout == "one\n │ two\n"
