"""`make up` is interrupted or its processes are killed; `make down` still leaves nothing behind."""

import os
import pty
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import boto3
import httpx
import pytest

from local.daemon import require_free
from local.processes import stop
from local.serving.server import listener
from local.stack_file import StackFile
from local.up import UNCHANGED
from tests.contract.small_project import SmallProject, small_project, small_stack

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient

CTRL_D = "\x04"


@pytest.fixture
def project(tmp_path: Path) -> Iterator[SmallProject]:
    project = small_project(tmp_path)
    yield project
    stop(project.places, project.processes())


def test_down_leaves_no_process_no_port_and_no_state(project: SmallProject) -> None:
    project.up()

    code, _ = project.run("down")

    assert code == 0
    assert not project.processes()
    assert not project.places.home.exists()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{project.port}/prod/health")


def test_after_a_crash_of_the_emulator_the_stack_is_created_again(
    project: SmallProject,
) -> None:
    before, _ = project.up()
    os.kill(before.pids["emulator"], signal.SIGKILL)

    after, output = project.up()

    assert "has to start afresh: the emulator has ended.\nLost are: leases" in output
    assert httpx.get(f"{after.api_url}/health").status_code == 200
    assert after.token == before.token
    assert len(project.processes()) == 3


def test_on_a_terminal_nothing_is_lost_without_asking(project: SmallProject) -> None:
    before, _ = project.up()
    a_model(before)
    os.kill(before.pids["emulator"], signal.SIGKILL)

    declined, asked = on_a_terminal(project, "n\n")
    ended, output = on_a_terminal(project, CTRL_D)
    simulators = [found.pid for found in project.processes() if found.daemon == "simulator"]
    agreed, _ = on_a_terminal(project, "y\n")

    assert "Start afresh? [y/N]" in asked
    assert (declined, ended, agreed) == (1, 1, 0)
    assert "Nothing was changed" in output
    assert simulators == [before.pids["simulator"]]
    assert not sagemaker(project.stack).list_models()["Models"]


def test_after_a_crash_of_the_simulator_its_world_comes_back(project: SmallProject) -> None:
    before, _ = project.up()
    a_model(before)
    os.kill(before.pids["simulator"], signal.SIGKILL)

    after, output = project.up()

    assert "goes on with what it had accepted" in output
    assert "0 added, 0 changed, 0 destroyed" in output
    assert {name: pid for name, pid in after.pids.items() if name != "simulator"} == {
        name: pid for name, pid in before.pids.items() if name != "simulator"
    }
    assert after.sagemaker_endpoint_url == before.sagemaker_endpoint_url
    assert [model["ModelName"] for model in sagemaker(after).list_models()["Models"]] == ["kept"]


def test_a_simulator_whose_port_was_taken_meanwhile_starts_afresh_on_another(
    project: SmallProject,
) -> None:
    before, _ = project.up()
    port = urlsplit(before.sagemaker_endpoint_url).port or 0
    os.kill(before.pids["simulator"], signal.SIGKILL)
    require_free(port, patience_seconds=20)  # it is, when the last thread has ended

    with listener(port):
        after, output = project.up()

    assert f"the SageMaker simulator has ended, and its port {port} is taken" in output
    assert after.sagemaker_endpoint_url != before.sagemaker_endpoint_url
    assert httpx.get(f"{after.api_url}/health").status_code == 200


@pytest.mark.parametrize("damaged", ["{}", "[", "null"], ids=["another version", "cut", "null"])
def test_a_stack_file_that_cannot_be_read_is_as_none(project: SmallProject, damaged: str) -> None:
    before, _ = project.up()
    project.places.stack_file.write_text(damaged)
    os.kill(before.pids["simulator"], signal.SIGKILL)

    after, output = project.up()

    assert "lacks what the last `make up` wrote there" in output
    assert after.pids["emulator"] != before.pids["emulator"]


def test_after_a_crash_of_the_gateway_it_is_restarted_and_the_stack_kept(
    project: SmallProject,
) -> None:
    before, _ = project.up()
    os.kill(before.pids["gateway"], signal.SIGKILL)

    after, output = project.up()

    assert UNCHANGED in output
    assert after.pids["emulator"] == before.pids["emulator"]
    assert httpx.get(f"{after.api_url}/health").status_code == 200


@pytest.mark.parametrize("cut_off", [signal.SIGINT, signal.SIGHUP, signal.SIGKILL])
def test_a_run_interrupted_during_apply_is_completed_by_the_next(
    project: SmallProject, cut_off: signal.Signals
) -> None:
    project.configure(stack=small_stack(seconds=3))
    interrupted = started_applying(project)
    interrupted.send_signal(cut_off)
    interrupted.communicate(timeout=60)

    project.configure()
    stack, _ = project.up()

    assert interrupted.returncode == (-signal.SIGKILL if cut_off == signal.SIGKILL else 130)
    assert httpx.get(f"{stack.api_url}/health").status_code == 200
    assert sorted(process.daemon for process in project.processes()) == [
        "emulator",
        "gateway",
        "simulator",
    ]


def test_a_run_interrupted_before_its_first_change_changes_nothing(project: SmallProject) -> None:
    before, _ = project.up()
    project.places.applied.unlink()
    interrupted = project.command("up")
    wait_for_terraform(project, interrupted, '"refresh_start"')
    interrupted.send_signal(signal.SIGINT)
    interrupted.communicate(timeout=30)

    after, output = project.up()

    assert "0 added, 0 changed, 0 destroyed" in output
    assert after == before


def test_down_clears_what_a_killed_run_left(project: SmallProject) -> None:
    project.configure(stack=small_stack(seconds=60))
    interrupted = started_applying(project)
    interrupted.kill()
    interrupted.communicate()

    project.run("down")

    assert not project.processes()
    assert not project.places.home.exists()


def test_the_second_of_two_concurrent_runs_waits_and_says_so(project: SmallProject) -> None:
    project.configure(stack=small_stack(seconds=2))
    first = started_applying(project)

    code, output = project.run("up")

    first.communicate(timeout=60)
    assert (first.returncode, code) == (0, 0)
    assert "Waiting for another `make up`" in output
    assert UNCHANGED in output


def sagemaker(stack: StackFile) -> "SageMakerClient":
    return boto3.client(
        "sagemaker",
        endpoint_url=stack.sagemaker_endpoint_url,
        region_name=stack.region,
        aws_access_key_id=stack.aws_access_key_id,
        aws_secret_access_key=stack.aws_secret_access_key,
    )


def a_model(stack: StackFile) -> None:
    sagemaker(stack).create_model(
        ModelName="kept",
        PrimaryContainer={"Image": "image"},
        ExecutionRoleArn="arn:aws:iam::000000000000:role/model",
    )


def on_a_terminal(project: SmallProject, typed: str) -> tuple[int, str]:
    """Run `up` with a terminal as its input, on which somebody types; returns as `run` does."""
    ours, theirs = pty.openpty()
    try:
        running = project.command("up", stdin=theirs)
        os.write(ours, typed.encode())
        output, _ = running.communicate(timeout=300)
    finally:
        os.close(ours)
        os.close(theirs)
    return running.returncode, output


def started_applying(project: SmallProject) -> subprocess.Popen[str]:
    """Start `make up`; returns when Terraform has begun to create resources."""
    process = project.command("up")
    wait_for_terraform(project, process, '"apply_start"')
    return process


def wait_for_terraform(project: SmallProject, up: subprocess.Popen[str], message: str) -> None:
    """Return when the Terraform log of `up` contains `message`."""
    log = project.places.log("terraform-apply")
    log.unlink(missing_ok=True)
    deadline = time.monotonic() + 60
    while not log.exists() or message not in log.read_text():
        assert up.poll() is None, up.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.05)
