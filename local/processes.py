"""The processes of the embedded AWS of one checkout, known by their command lines.

A pid in a file may meanwhile be another's. So nothing is written down: each process carries in its
command line whose it is, which version of the code it runs, and its port.
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
        """Return which one it is: `emulator`, `simulator`, `gateway`, or empty for none of them."""
        named = re.search(r" -m local\.(\w+) ", self.command)
        return named[1] if named else ""

    @property
    def port(self) -> int:
        """Return the port that its command line names."""
        named = re.search(r" --port (\d+)", self.command)
        if named is None:
            raise ValueError(f"no port in: {self.command}")
        return int(named[1])


def ours(places: Places) -> list[Process]:
    """Return everything that runs for this checkout: daemons, functions' workers, Terraform."""
    marks = (
        f" {mark(places)} ",
        f" {places.scratch}/ministack-lambda-",
        f" -chdir={places.terraform} ",
        f"{places.terraform}/.terraform/providers/",
    )
    others = (found for found in _everything() if found.pid != os.getpid())
    return [found for found in others if any(mark in f" {found.command} " for mark in marks)]


def stop(places: Places, doomed: Collection[Process]) -> None:
    """End processes of ours: politely, and after some seconds not. Returns when they are gone."""
    for end in (signal.SIGTERM, signal.SIGKILL):
        for process in _remaining(places, doomed):
            _signal(process.pid, end)
        deadline = time.monotonic() + STOP_SECONDS
        while _remaining(places, doomed) and time.monotonic() < deadline:
            time.sleep(0.05)


def mark(places: Places) -> str:
    """Return the option of Python's, of no effect, that tells whose process it is."""
    return f"-Xembedded_aws={places.home}"


def _remaining(places: Places, doomed: Collection[Process]) -> list[Process]:
    return [found for found in ours(places) if found in doomed] if doomed else []


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _everything() -> Iterator[Process]:
    return _from_proc() if Path("/proc/self/cmdline").exists() else _from_ps()


def _from_proc() -> Iterator[Process]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            words = path.read_bytes().rstrip(b"\0").split(b"\0")
            yield Process(int(path.parent.name), " ".join(os.fsdecode(word) for word in words))


def _from_ps() -> Iterator[Process]:
    """List them where there is no /proc, as on macOS."""
    listed = subprocess.run(
        ["ps", "-A", "-ww", "-o", "pid=,command="], capture_output=True, text=True, check=True
    )
    for line in listed.stdout.splitlines():
        pid, _, command = line.strip().partition(" ")
        yield Process(int(pid), command.strip())
