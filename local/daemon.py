"""Background processes: modules of ours that run as daemons."""

import contextlib
import errno
import hashlib
import http.client
import random
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from local.environment import LOOPBACK
from local.places import Places
from local.processes import Process, mark, ours

START_SECONDS = 30.0
LOG_TAIL_LINES = 15
SERVER_PORTS = range(20_000, 30_000)
CODE = Path(__file__).resolve().parent


class NotStartedError(Exception):
    """A process did not start. The message has its last log lines."""


@dataclass(frozen=True)
class Daemon:
    """`python -m local.{name}` as a detached process."""

    name: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    version: str
    """A different version is a different daemon, even if it serves the same address."""

    def command(self, places: Places) -> list[str]:
        """Return the command line. Python itself ignores the two -X options."""
        options = [mark(places), f"-Xversion={self.version}"]
        return [sys.executable, *options, "-m", f"local.{self.name}", *self.arguments]

    def find(self, places: Places) -> Process | None:
        """Return the process with exactly this command line, if there is one."""
        command = " ".join(self.command(places))
        return next((found for found in ours(places) if found.command == command), None)

    def start(self, places: Places, ready: Callable[[], bool]) -> int:
        """Start it. It outlives this process and holds none of its streams.

        Returns its pid when it is ready. Raises NotStartedError if it ends or does not answer.
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
    """Tell whether the port on loopback answers with 200."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=5)
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        connection.request("GET", path)
        return connection.getresponse().status == 200
    return False


def require_free(port: int, patience_seconds: float = 0) -> None:
    """Raise OSError if a server could not listen on the port on loopback. A process that was killed
    a moment ago may hold its port until its last thread has ended."""
    deadline = time.monotonic() + patience_seconds
    while True:
        try:
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((LOOPBACK, port))
        except OSError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(0.05)
        else:
            return


def free_ports(count: int) -> Sequence[int]:
    """Find so many ports on loopback on which nothing listens right now.

    They stay free for a server that ends and comes back: systems take the ports of outgoing
    connections from higher numbers. Raises OSError if there are not so many.
    """
    found: list[int] = []
    for port in random.sample(SERVER_PORTS, len(SERVER_PORTS)):
        with contextlib.suppress(OSError):
            require_free(port)
            found.append(port)
        if len(found) == count:
            return found
    raise OSError(errno.EADDRINUSE, "no port is free on loopback")


def digest(*modules: str, settings: object = None) -> str:
    """Return a version: a digest of the code of these packages or modules and of the settings."""
    version = hashlib.sha256(repr((sys.executable, settings)).encode())
    for module in modules:
        for source in sorted([*CODE.glob(f"{module}.py"), *CODE.glob(f"{module}/**/*.py")]):
            version.update(source.read_bytes())
    return version.hexdigest()[:16]


def _fate(process: subprocess.Popen[bytes]) -> str:
    code = process.poll()
    return "does not answer" if code is None else f"ended with exit code {code}"


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:])
