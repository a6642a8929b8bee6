"""An emulator for one test or module: started on a free port, stopped afterwards."""

import contextlib
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import boto3
import httpx
from botocore.config import Config

from constructs_lib.policy import trust_document
from local.daemon import free_ports
from local.key import Key

ROOT = Path(__file__).parents[2]
REGION = "us-east-1"
START_SECONDS = 60.0  # on a machine that is busy with something else


@dataclass(frozen=True)
class Emulator:
    """A running emulator, and how to talk to it."""

    process: subprocess.Popen[bytes]
    port: int
    key: Key

    @property
    def url(self) -> str:
        """The address of every AWS API that it serves."""
        return f"http://127.0.0.1:{self.port}"

    def client(
        self, service: str, config: Config | None = None
    ) -> Any:  # the client of any service at all
        """Make a boto3 client of one AWS service."""
        return boto3.client(
            service,  # type: ignore[call-overload]  # any service at all
            endpoint_url=self.url,
            region_name=REGION,
            config=config,
            **asdict(self.key),
        )

    def role(self) -> str:
        """The ARN of a new role for functions, which allows nothing yet."""
        trust = trust_document("lambda.amazonaws.com")
        made = self.client("iam").create_role(
            RoleName=f"role-{uuid.uuid4()}", AssumeRolePolicyDocument=trust
        )
        arn: str = made["Role"]["Arn"]
        return arn


@contextlib.contextmanager
def running_emulator(scratch: Path, **variables: str) -> Iterator[Emulator]:
    """Start `python -m local.emulator` with `variables` in its environment; its temporary files go
    to `scratch`."""
    port = free_port()
    environment = {"PATH": os.environ["PATH"], "TMPDIR": str(scratch), "AWS_DEFAULT_REGION": REGION}
    key = Key.made()
    environment |= key.environment | variables
    command = [sys.executable, "-m", "local.emulator", "--port", str(port)]
    with (scratch / "emulator.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        wait_until_healthy(f"http://127.0.0.1:{port}/_ministack/health")
        yield Emulator(process, port, key)
    finally:
        process.terminate()
        process.wait(10)


def free_port() -> int:
    """Find a port on which nothing listens right now."""
    (port,) = free_ports(1)
    return port


def wait_until_healthy(url: str) -> None:
    """Return once the address answers; raises TimeoutError."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.TransportError):
            httpx.get(url, timeout=1)
            return
        time.sleep(0.05)
    raise TimeoutError(url)
