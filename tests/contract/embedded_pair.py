"""The embedded AWS of one test, in real time: an emulator and a simulator that know each other."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3

from local.daemon import free_ports
from local.environment import embedded_aws
from local.simulator.account import Account
from local.simulator.authority import Authority
from local.simulator.callers import HoldersOf
from local.simulator.clients import client
from local.simulator.lifecycle import Durations
from local.simulator.server import serving
from local.simulator.service import Simulator
from local.simulator.state_change_events import EventPublisher
from local.simulator.world import World
from tests.contract.emulator_process import REGION, Emulator, running_emulator

ACCOUNT = Account("000000000000", REGION)


@dataclass(frozen=True)
class Pair:
    emulator: Emulator
    simulator: Simulator
    simulator_url: str

    @property
    def environment(self) -> dict[str, str]:
        """With which a program reaches only this AWS."""
        aws = embedded_aws(self.emulator.url, self.simulator_url, REGION, self.emulator.key)
        return {"PATH": os.environ["PATH"], **aws}

    def fails(self, operation: str, failure: str, **more: object) -> None:
        self.simulator.post_fault({"operation": operation, "failure": failure, **more})

    @cached_property
    def session(self) -> boto3.Session:
        key = self.emulator.key
        return boto3.Session(key.aws_access_key_id, key.aws_secret_access_key, region_name=REGION)

    @cached_property
    def _clients(self) -> dict[str, Any]:
        return {}

    def client(self, service: Any, **options: Any) -> Any:
        if options or service not in self._clients:
            url = self.simulator_url if service == "sagemaker" else self.emulator.url
            self._clients[service] = self.session.client(service, endpoint_url=url, **options)
        return self._clients[service]


@contextlib.contextmanager
def running_pair(scratch: Path, durations: Durations) -> Iterator[Pair]:
    (port,) = free_ports(1)
    at = f"http://127.0.0.1:{port}"
    with running_emulator(scratch, AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME=at) as emulator:
        here = (emulator.url, REGION, emulator.key)
        publisher = EventPublisher(client("events", *here))
        simulator = Simulator(
            World(ACCOUNT, durations),
            publisher.publish,
            authority=Authority(client("iam", *here)),
        )
        with serving(simulator, port, HoldersOf(emulator.key)):
            yield Pair(emulator, simulator, at)
        publisher.close()
