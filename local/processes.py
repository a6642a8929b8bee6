"""The processes of the embedded AWS of one checkout, identified by their command lines.

A pid in a file may belong to another process by now. So no pid is stored: the command line of each
process contains its checkout, the version of its code and its port.
"""

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from local.places import Places

STOP_SECONDS = 5.0


@dataclass(frozen=True)
class Process:
    """A running process."""

    pid: int
    command: str

    @property
    def daemon(self) -> str:
        """Return the daemon's name: `emulator`, `simulator`, `gateway`, or empty for others."""
        named = re.search(r" -m local\.(\w+) ", self.command)
        return named[1] if named else ""

    @property
    def port(self) -> int:
        """Return the port in its command line."""
        named = re.search(r" --port (\d+)", self.command)
        if named is None:
            raise ValueError(f"no port in: {self.command}")
        return int(named[1])


def ours(places: Places) -> list[Process]:
    """Return all processes of this checkout: daemons, workers of functions, Terraform."""
    marks = (
        f" {mark(places)} ",
        f" {places.scratch}/ministack-lambda-",
        f" -chdir={places.terraform} ",
        f"{places.terraform}/.terraform/providers/",
    )
    others = (found for found in _everything() if found.pid != os.getpid())
    return [found for found in others if any(mark in f" {found.command} " for mark in marks)]


def stop(places: Places, processes: Collection[Process]) -> None:
    """Stop processes of ours: first SIGTERM, after some seconds SIGKILL. Returns when they are
    gone."""
    for end in (signal.SIGTERM, signal.SIGKILL):
        for process in _remaining(places, processes):
            _signal(process.pid, end)
        deadline = time.monotonic() + STOP_SECONDS
        while _remaining(places, processes) and time.monotonic() < deadline:
            time.sleep(0.05)


def mark(places: Places) -> str:
    """Return the Python option, without effect, that marks the processes of this checkout."""
    return f"-Xembedded_aws={places.home}"


def _remaining(places: Places, processes: Collection[Process]) -> list[Process]:
    return [found for found in ours(places) if found in processes] if processes else []


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _everything() -> Iterator[Process]:
    return _from_proc() if Path("/proc/self/cmdline").exists() else _from_ps()


def _from_proc() -> Iterator[Process]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # the process has ended
            words = path.read_bytes().rstrip(b"\0").split(b"\0")
            yield Process(int(path.parent.name), " ".join(os.fsdecode(word) for word in words))


def _from_ps() -> Iterator[Process]:
    """List the processes on systems without /proc, such as macOS."""
    listed = subprocess.run(
        ["ps", "-A", "-ww", "-o", "pid=,command="], capture_output=True, text=True, check=True
    )
    for line in listed.stdout.splitlines():
        pid, _, command = line.strip().partition(" ")
        yield Process(int(pid), command.strip())
