"""`make up` is interrupted or its processes are killed; `make down` still leaves nothing behind."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from local.processes import stop
from tests.contract.small_project import SmallProject, small_project, small_stack


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
    assert not list(project.places.home.iterdir())
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{project.port}/prod/health")


def test_after_a_crash_of_the_emulator_the_stack_is_created_again(
    project: SmallProject,
) -> None:
    before, _ = project.up()
    os.kill(before.pids["emulator"], signal.SIGKILL)

    after, output = project.up()

    assert "started afresh" in output
    assert httpx.get(f"{after.api_url}/health").status_code == 200
    assert after.token == before.token
    assert len(project.processes()) == 3


def test_after_a_crash_of_the_gateway_it_is_restarted_and_the_stack_kept(
    project: SmallProject,
) -> None:
    before, _ = project.up()
    os.kill(before.pids["gateway"], signal.SIGKILL)

    after, output = project.up()

    assert "0 added, 0 changed, 0 destroyed" in output
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
    assert not list(project.places.home.iterdir())


def test_the_second_of_two_concurrent_runs_waits_and_says_so(project: SmallProject) -> None:
    project.configure(stack=small_stack(seconds=2))
    first = started_applying(project)

    code, output = project.run("up")

    first.communicate(timeout=60)
    assert (first.returncode, code) == (0, 0)
    assert "Waiting for another `make up`" in output
    assert "0 added, 0 changed, 0 destroyed" in output


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
