"""How our own processes are distinguished from others."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from local import processes
from local.places import Places
from local.processes import Process, mark, ours, stop

SLEEP = "import time; print('up', flush=True); time.sleep(60)"


@contextlib.contextmanager
def started(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Start a process and wait until it prints; before, /proc may not show its command line."""
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        yield process
        process.kill()


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(tmp_path)


@pytest.fixture
def marked(places: Places) -> Iterator[subprocess.Popen[bytes]]:
    with started([sys.executable, mark(places), "-c", SLEEP]) as process:
        yield process


def test_a_marked_process_is_ours_and_can_be_stopped(
    places: Places, marked: subprocess.Popen[bytes]
) -> None:
    stop(places, ours(places))

    assert marked.wait(5) < 0
    assert not ours(places)


@pytest.mark.usefixtures("marked")
def test_another_checkouts_process_is_not_ours(places: Places) -> None:
    other = Places(places.root / "other")

    assert not ours(other)


def test_an_editor_of_a_log_of_ours_is_not_ours(places: Places) -> None:
    with started([sys.executable, "-c", SLEEP, str(places.log("emulator"))]):
        assert not ours(places)


def test_stopping_a_process_that_is_gone_is_no_error(places: Places) -> None:
    stop(places, [Process(2**22 + 1, f"python {mark(places)} -c pass")])


@pytest.mark.parametrize("listing", ["_from_proc", "_from_ps"])
def test_both_ways_of_listing_see_the_command_line(
    listing: str, places: Places, marked: subprocess.Popen[bytes]
) -> None:
    listed = {found.pid: found.command for found in getattr(processes, listing)()}

    assert mark(places) in listed[marked.pid]


def test_name_and_port_of_a_daemon_are_read_from_its_command_line() -> None:
    daemon = Process(1, "python -Xa=b -m local.gateway --port 8080 --stage prod")

    assert (daemon.daemon, daemon.port) == ("gateway", 8080)
    assert Process(1, "terraform -chdir=x apply").daemon == ""
