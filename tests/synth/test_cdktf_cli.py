"""`make plan`, `deploy` and `destroy`, in a copy of the project: what is refused before Terraform
is started, and what is shown."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

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


def test_credentials_are_looked_for_before_node_packages_are_installed(project: Checkout) -> None:
    packages = project.folder / "node_modules"
    hidden = packages.rename(packages.with_name("hidden"))
    try:
        done = project.run("tools.cdktf_cli", "diff", **WITHOUT_AWS)
        assert not packages.exists()
    finally:
        hidden.rename(packages)
    assert "there are no AWS credentials" in done.stderr
    for command in ("plan", "deploy", "destroy"):
        shown = subprocess.run(
            ["make", "-n", command], cwd=project.folder, capture_output=True, text=True, check=True
        )
        assert "--node-packages" not in shown.stdout


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


@pytest.mark.parametrize("command", COMMANDS)
def test_a_workspace_is_refused_before_credentials_are_needed(
    project: Checkout, command: str
) -> None:
    done = project.run("tools.cdktf_cli", command, **WITHOUT_AWS, TF_WORKSPACE="production")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: TF_WORKSPACE=production leads Terraform to another state")


@pytest.mark.parametrize("command", ["deploy", "destroy"])
def test_where_nobody_sees_the_question_approval_has_to_be_given_before(
    project: Checkout, emulator: Emulator, command: str
) -> None:
    aws = {**emulator.key.environment, "AWS_ENDPOINT_URL": emulator.url}
    done = project.run("tools.cdktf_cli", command, **{**WITHOUT_AWS, **aws})
    assert done.returncode == 1
    where, refusal = done.stderr.splitlines()
    assert where == "Account 000000000000, region us-east-1, prefix demo (configs/configs.json)"
    assert "add ARGS=--auto-approve" in refusal
    assert not list(project.folder.glob(f".terraform-state/demo/*/{RECORD}"))


@pytest.mark.parametrize("command", COMMANDS)
def test_an_account_that_the_config_does_not_allow_is_refused(
    project: Checkout, emulator: Emulator, command: str
) -> None:
    aws = {**emulator.key.environment, "AWS_ENDPOINT_URL": emulator.url}
    elsewhere = {"provider": {"allowed_account_ids": ["111111111111"]}}
    config = project.write_config({**project.config(), **elsewhere})
    done = project.run("tools.cdktf_cli", command, **{**WITHOUT_AWS, **aws, "CONFIG": config})
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: the credentials are of the account 000000000000, and")


def test_a_wrong_config_is_told_before_anything_is_started(project: Checkout) -> None:
    wrong = project.write_config({**project.config(), "region_name": "Melbourne"})
    done = project.run("tools.cdktf_cli", "diff", **WITHOUT_AWS, CONFIG=wrong)
    assert done.returncode == 1
    assert "region_name" in done.stderr
    assert "Traceback" not in done.stderr


def without_spinner(script: str) -> list[str]:
    """The command that runs a script of the shell in place of the CLI."""
    code = """
import os, sys
from tools.cdktf_cli import in_a_child
code = in_a_child(spinner=False, output=sys.stdout)
if code is not None:
    sys.exit(code)
os.execv("/bin/sh", ["sh", "-c", sys.argv[1]])
"""
    return [sys.executable, "-c", code, script]


def test_only_lines_of_the_spinner_are_left_out(project: Checkout) -> None:
    script = r"printf 'one\n⠴  Processing\n │ two\n⠋ Synthesizing'; exit 3"
    done = project.command(without_spinner(script))
    assert done.returncode == 3
    assert done.stdout == "one\n │ two\n"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux makes a pipe as small as asked")
def test_the_command_ends_when_all_its_output_has_been_passed_on(project: Checkout) -> None:
    # The output is longer than the pipe that is read here: the CLI ends while it is on the way.
    command = without_spinner("seq 1 5000; exit 3")
    small: Any = {"stdout": subprocess.PIPE, "pipesize": 4096}
    with subprocess.Popen(command, cwd=project.folder, **small) as running:
        assert running.stdout is not None
        with pytest.raises(subprocess.TimeoutExpired):
            running.wait(5)
        assert running.stdout.read().endswith(b"\n5000\n")
    assert running.returncode == 3


def test_a_command_that_is_ended_ends_the_cli_and_says_so(project: Checkout) -> None:
    command = without_spinner("echo begun; exec sleep 60")
    with subprocess.Popen(command, cwd=project.folder, stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == b"begun\n"
        running.terminate()
    assert running.returncode == 128 + signal.SIGTERM
