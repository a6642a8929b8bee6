"""A module of ours in the background."""

import contextlib
import hashlib
import http.client
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from local.environment import LOOPBACK
from local.places import Places
from local.processes import Process, mark, ours

START_SECONDS = 30.0
LOG_TAIL_LINES = 15
CODE = Path(__file__).resolve().parent


class NotStartedError(Exception):
    """Something did not come up; the message says why, as far as its log tells."""


@dataclass(frozen=True)
class Daemon:
    """`python -m local.{name}`, detached."""

    name: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    version: str
    """Another version is another daemon, although it may serve at the same address."""

    def command(self, places: Places) -> list[str]:
        """Return the command line; Python itself makes nothing of the two -X options."""
        options = [mark(places), f"-Xversion={self.version}"]
        return [sys.executable, *options, "-m", f"local.{self.name}", *self.arguments]

    def find(self, places: Places) -> Process | None:
        """Return the process that runs just this, if there is one."""
        command = " ".join(self.command(places))
        return next((found for found in ours(places) if found.command == command), None)

    def start(self, places: Places, ready: Callable[[], bool]) -> int:
        """Start it: it outlives us and holds none of our streams.

        Returns its pid once it is ready; raises NotStartedError where it ends or stays silent.
        """
        log = places.log(self.name)
        with log.open("wb") as output:
            process = subprocess.Popen(
                self.command(places),
                cwd=CODE.parent,
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                raise NotStartedError(f"The {self.name} {_fate(process)}.\n{_tail(log)}")
            time.sleep(0.05)
        return process.pid


def answers(port: int, path: str) -> bool:
    """Tell whether something on loopback answers with 200."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=5)
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        connection.request("GET", path)
        return connection.getresponse().status == 200
    return False


def digest(*packages: str, settings: object = None) -> str:
    """Return a version: a digest of the code of some of our packages, and of settings."""
    version = hashlib.sha256(repr((sys.executable, settings)).encode())
    for package in packages:
        for source in sorted((CODE / package).glob("**/*.py")):
            version.update(source.read_bytes())
    return version.hexdigest()[:16]


def _fate(process: subprocess.Popen[bytes]) -> str:
    code = process.poll()
    return "does not answer" if code is None else f"ended with exit code {code}"


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:])
