"""The emulator and the simulator: started together, or reused together from an earlier `make up`.

Terraform's state belongs to what both hold in memory. So if one of them is gone, or needs other
settings now, both are started again and Terraform's state is deleted.
"""

import contextlib
import shutil
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from local.daemon import Daemon, answers, digest
from local.emulator.pinned import MINISTACK_VERSION
from local.environment import LOOPBACK, embedded_aws, for_daemons, simulator_settings
from local.key import Key
from local.places import Places
from local.processes import Process, ours, stop


@dataclass(frozen=True)
class Embedded:
    """The addresses of the two, and their key."""

    region: str
    emulator_port: int
    simulator_port: int
    key: Key

    @property
    def emulator_url(self) -> str:
        """Return the address of every AWS API except SageMaker's."""
        return f"http://{LOOPBACK}:{self.emulator_port}"

    @property
    def simulator_url(self) -> str:
        """Return the address of SageMaker's APIs."""
        return f"http://{LOOPBACK}:{self.simulator_port}"

    @property
    def aws(self) -> dict[str, str]:
        """Return the settings with which Terraform and boto3 reach it."""
        return embedded_aws(self.emulator_url, self.simulator_url, self.region, self.key)

    def emulator_is_healthy(self) -> bool:
        """Tell whether the emulator answers."""
        return answers(self.emulator_port, "/_ministack/health")

    def simulator_is_healthy(self) -> bool:
        """Tell whether the simulator answers."""
        return answers(self.simulator_port, "/_health")


def running(places: Places, region: str, environ: Mapping[str, str]) -> Embedded | None:
    """Return the healthy pair of an earlier `make up`, if it has the settings needed now."""
    key = Key.read(places.key)
    if key is None or places.applying.exists():
        return None
    wanted = f" -Xversion={_version(region, environ)} "
    found = {p.daemon: p for p in ours(places) if wanted in p.command}
    if not {"emulator", "simulator"} <= found.keys():
        return None
    pair = Embedded(region, found["emulator"].port, found["simulator"].port, key)
    return pair if pair.emulator_is_healthy() and pair.simulator_is_healthy() else None


def start(places: Places, region: str, environ: Mapping[str, str]) -> Embedded:
    """Start a new pair and remove everything of an old one. Raises NotStartedError."""
    clear(places)
    places.scratch.mkdir(parents=True, exist_ok=True)
    pair = Embedded(region, *_two_free_ports(), Key.made())
    pair.key.write(places.key)
    version = _version(region, environ)
    environment = for_daemons(environ) | pair.aws
    Daemon(
        "emulator",
        ("--port", str(pair.emulator_port)),
        environment | {"TMPDIR": str(places.scratch), "MINISTACK_REGION": region},
        version,
    ).start(places, pair.emulator_is_healthy)
    Daemon(
        "simulator",
        ("--port", str(pair.simulator_port), "--region", region),
        environment | simulator_settings(environ) | {"EVENTS_ENDPOINT_URL": pair.emulator_url},
        version,
    ).start(places, pair.simulator_is_healthy)
    return pair


def clear(places: Places) -> None:
    """Stop everything that runs for this checkout, and delete its state."""
    stop(places, ours(places))
    for file in (places.stack_file, places.key):
        file.unlink(missing_ok=True)
    shutil.rmtree(places.terraform, ignore_errors=True)
    shutil.rmtree(places.scratch, ignore_errors=True)
    places.applying.unlink(missing_ok=True)


def daemons(places: Places) -> dict[str, Process]:
    """Return the running daemons by name."""
    return {found.daemon: found for found in ours(places) if found.daemon}


def _version(region: str, environ: Mapping[str, str]) -> str:
    settings = (MINISTACK_VERSION, region, sorted(simulator_settings(environ).items()))
    modules = ("emulator", "key", "serving", "signature", "simulator")
    return digest(*modules, settings=settings)


def _two_free_ports() -> tuple[int, int]:
    with contextlib.ExitStack() as held:
        one, other = (held.enter_context(socket.socket()) for _ in range(2))
        for probe in (one, other):
            probe.bind((LOOPBACK, 0))
        return one.getsockname()[1], other.getsockname()[1]
