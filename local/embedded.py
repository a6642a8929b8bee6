"""The emulator and the simulator: started together, or reused together from an earlier `make up`.

Terraform's state belongs to what both hold. The simulator keeps its world in a file, so it can end
and be started again alone. The emulator holds everything in memory: if it is gone, or needs other
settings now, both start afresh and Terraform's state is deleted. (A sweep with a new state table
would delete the old endpoints.)
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from local.daemon import Daemon, answers, digest, free_ports, require_free
from local.emulator.pinned import MINISTACK_VERSION
from local.environment import LOOPBACK, embedded_aws, for_daemons, simulator_settings
from local.key import Key
from local.places import Places
from local.processes import Process, ours, stop
from local.stack_file import StackFile


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
    """Return the pair of an earlier `make up`, if it has the settings needed now.

    A simulator that has ended is started again. Raises NotStartedError.
    """
    pair = None if lost(places, region, environ) else _earlier(places, region)
    if pair and not pair.simulator_is_healthy():
        stop(places, [found for found in ours(places) if found.daemon == "simulator"])
        _simulator(pair, places, environ).start(places, pair.simulator_is_healthy)
    return pair


def lost(places: Places, region: str, environ: Mapping[str, str]) -> str:
    """Return why the state of an earlier `make up` cannot be kept; empty if it can."""
    if places.applying.exists():
        return "the last `terraform apply` was cut off"
    found = daemons(places)
    if "emulator" not in found:
        return "the emulator has ended"
    if f" -Xversion={_version(region, environ)} " not in found["emulator"].command:
        return "its code or its settings have changed"
    pair = _earlier(places, region)
    if pair is None:
        return f"{places.home} lacks what the last `make up` wrote there"
    if "simulator" not in found:  # the emulator knows it by its port
        try:
            require_free(pair.simulator_port, patience_seconds=2)
        except OSError:
            return f"the SageMaker simulator has ended, and its port {pair.simulator_port} is taken"
    return "" if pair.emulator_is_healthy() else "the emulator does not answer"


def start(places: Places, region: str, environ: Mapping[str, str]) -> Embedded:
    """Start a new pair and remove everything of an old one. Raises NotStartedError."""
    clear(places)
    places.scratch.mkdir(parents=True, exist_ok=True)
    emulator_port, simulator_port = free_ports(2)
    pair = Embedded(region, emulator_port, simulator_port, Key.made())
    pair.key.write(places.key)
    Daemon(
        "emulator",
        ("--port", str(pair.emulator_port)),
        _environment(pair, environ) | {"TMPDIR": str(places.scratch), "MINISTACK_REGION": region},
        _version(region, environ),
    ).start(places, pair.emulator_is_healthy)
    _simulator(pair, places, environ).start(places, pair.simulator_is_healthy)
    return pair


def clear(places: Places) -> None:
    """Stop everything that runs for this checkout, and delete its state."""
    stop(places, ours(places))
    for file in (places.stack_file, places.key, places.journal, places.applied):
        file.unlink(missing_ok=True)
    shutil.rmtree(places.terraform, ignore_errors=True)
    shutil.rmtree(places.scratch, ignore_errors=True)
    places.applying.unlink(missing_ok=True)


def daemons(places: Places) -> dict[str, Process]:
    """Return the running daemons by name."""
    return {found.daemon: found for found in ours(places) if found.daemon}


def _earlier(places: Places, region: str) -> Embedded | None:
    """The pair of an earlier `make up`. Its simulator, and only that, may have ended."""
    found, key = daemons(places), Key.read(places.key)
    if key is None or "emulator" not in found:
        return None
    if "simulator" in found:
        port = found["simulator"].port
    else:
        try:
            stack = StackFile.read(places.stack_file)
        except (FileNotFoundError, ValueError):
            return None
        port = urlsplit(stack.sagemaker_endpoint_url).port or 0
    return Embedded(region, found["emulator"].port, port, key)


def _simulator(pair: Embedded, places: Places, environ: Mapping[str, str]) -> Daemon:
    address = ("--port", str(pair.simulator_port), "--region", pair.region)
    return Daemon(
        "simulator",
        (*address, "--journal", str(places.journal)),
        _environment(pair, environ)
        | simulator_settings(environ)
        | {"EVENTS_ENDPOINT_URL": pair.emulator_url},
        _version(pair.region, environ),
    )


def _environment(pair: Embedded, environ: Mapping[str, str]) -> dict[str, str]:
    return for_daemons(environ) | pair.aws


def _version(region: str, environ: Mapping[str, str]) -> str:
    settings = (MINISTACK_VERSION, region, sorted(simulator_settings(environ).items()))
    modules = ("emulator", "key", "serving", "signature", "simulator")
    return digest(*modules, settings=settings)
