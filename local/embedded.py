"""Emulator and simulator: started together, and together taken over from an earlier `make up`.

Terraform's state and what the two hold in memory belong together. So where one of them is gone, or
would be run differently now, both are started afresh and the state is thrown away with them.
"""

import contextlib
import shutil
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from local.daemon import Daemon, answers, digest
from local.emulator.pinned import MINISTACK_VERSION
from local.environment import LOOPBACK, embedded_aws, for_daemons, simulator_settings
from local.places import Places
from local.processes import Process, ours, stop


@dataclass(frozen=True)
class Embedded:
    """Where the two serve."""

    region: str
    emulator_port: int
    simulator_port: int

    @property
    def emulator_url(self) -> str:
        """Return where every AWS API but SageMaker's is."""
        return f"http://{LOOPBACK}:{self.emulator_port}"

    @property
    def simulator_url(self) -> str:
        """Return where SageMaker's APIs are."""
        return f"http://{LOOPBACK}:{self.simulator_port}"

    @property
    def aws(self) -> dict[str, str]:
        """Return the settings by which Terraform and boto3 reach it."""
        return embedded_aws(self.emulator_url, self.simulator_url, self.region)

    def emulator_is_healthy(self) -> bool:
        """Tell whether the emulator answers."""
        return answers(self.emulator_port, "/_ministack/health")

    def simulator_is_healthy(self) -> bool:
        """Tell whether the simulator answers."""
        return answers(self.simulator_port, "/_health")


def running(places: Places, region: str, environ: Mapping[str, str]) -> Embedded | None:
    """Return the healthy pair that an earlier `make up` left, if it is run as wanted now."""
    if places.applying.exists():
        return None
    wanted = f" -Xversion={_version(region, environ)} "
    found = {p.daemon: p for p in ours(places) if wanted in p.command}
    if not {"emulator", "simulator"} <= found.keys():
        return None
    pair = Embedded(region, found["emulator"].port, found["simulator"].port)
    return pair if pair.emulator_is_healthy() and pair.simulator_is_healthy() else None


def start(places: Places, region: str, environ: Mapping[str, str]) -> Embedded:
    """Start a new pair, in place of all that may be left of an old one. Raises NotStartedError."""
    clear(places)
    places.scratch.mkdir(parents=True, exist_ok=True)
    pair = Embedded(region, *_two_free_ports())
    version = _version(region, environ)
    surroundings = for_daemons(environ) | pair.aws
    Daemon(
        "emulator",
        ("--port", str(pair.emulator_port)),
        surroundings | {"TMPDIR": str(places.scratch), "MINISTACK_REGION": region},
        version,
    ).start(places, pair.emulator_is_healthy)
    Daemon(
        "simulator",
        ("--port", str(pair.simulator_port), "--region", region),
        surroundings | simulator_settings(environ) | {"EVENTS_ENDPOINT_URL": pair.emulator_url},
        version,
    ).start(places, pair.simulator_is_healthy)
    return pair


def clear(places: Places) -> None:
    """Stop everything that runs for this checkout and forget the state that belonged to it."""
    stop(places, ours(places))
    places.stack_file.unlink(missing_ok=True)
    shutil.rmtree(places.terraform, ignore_errors=True)
    shutil.rmtree(places.scratch, ignore_errors=True)
    places.applying.unlink(missing_ok=True)


def daemons(places: Places) -> dict[str, Process]:
    """Return the running daemons by name."""
    return {found.daemon: found for found in ours(places) if found.daemon}


def _version(region: str, environ: Mapping[str, str]) -> str:
    settings = (MINISTACK_VERSION, region, sorted(simulator_settings(environ).items()))
    return digest("emulator", "simulator", settings=settings)


def _two_free_ports() -> tuple[int, int]:
    with contextlib.ExitStack() as held:
        one, other = (held.enter_context(socket.socket()) for _ in range(2))
        for probe in (one, other):
            probe.bind((LOOPBACK, 0))
        return one.getsockname()[1], other.getsockname()[1]
