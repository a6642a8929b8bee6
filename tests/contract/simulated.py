"""A simulator for one test: served over HTTP, on a clock that only the test moves."""

import contextlib
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from local.key import Key
from local.serving.server import Address
from local.simulator.account import Account
from local.simulator.authority import Authority
from local.simulator.callers import Anybody, Callers, HoldersOf
from local.simulator.hub import PublicHub
from local.simulator.inferences import Inferences
from local.simulator.lifecycle import Durations
from local.simulator.server import serving
from local.simulator.service import Simulator
from local.simulator.world import World

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_sagemaker.type_defs import ProductionVariantTypeDef
    from mypy_boto3_sagemaker_runtime import SageMakerRuntimeClient

ACCOUNT = Account("123456789012", "eu-west-1")
ROLE = "arn:aws:iam::123456789012:role/Model"
DURATIONS = Durations(create_seconds=300, delete_seconds=60, update_seconds=200)
SESSION = boto3.Session(
    aws_access_key_id="test", aws_secret_access_key="test", region_name=ACCOUNT.region
)


class HandClock:
    """A clock that stands still until the test moves it."""

    def __init__(self) -> None:
        self.now = datetime(2030, 1, 7, 9, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_seconds(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@dataclass(frozen=True)
class Simulated:
    """A served simulator, its clock, and real boto3 clients of it."""

    simulator: Simulator
    server: Address
    clock: HandClock
    sagemaker: "SageMakerClient"
    runtime: "SageMakerRuntimeClient"

    def has_config(self, name: str = "config", model: str = "model", **variant: Any) -> None:
        """Create a model, if missing, and an endpoint config with one variant."""
        with contextlib.suppress(ClientError):
            self.sagemaker.create_model(
                ModelName=model, PrimaryContainer={"Image": "image:1"}, ExecutionRoleArn=ROLE
            )
        self.sagemaker.create_endpoint_config(
            EndpointConfigName=name, ProductionVariants=[a_variant(ModelName=model, **variant)]
        )

    def has_endpoint(self, name: str = "Falcon", config: str = "config") -> None:
        """Create an endpoint with its config and wait until it is in service."""
        self.has_config(config)
        self.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
        self.clock.pass_seconds(DURATIONS.create_seconds)

    def status(self, name: str = "Falcon") -> str:
        return self.sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"]

    def fault(self, operation: str, failure: str, **more: object) -> None:
        fault = {"operation": operation, "failure": failure, **more}
        status, body = self.http("POST", "/_faults", fault)
        assert status == 200, body

    def http(self, method: str, path: str, body: object = None) -> Any:
        """The status and JSON body of a plain HTTP request; bytes are sent as they are."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(
            self.server.url + path, data, {"Content-Type": "application/json"}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, json.load(refused)


@contextlib.contextmanager
def simulated(
    account: Account = ACCOUNT,
    durations: Durations = DURATIONS,
    inferences: Inferences | None = None,
    hub: PublicHub | None = None,
    authority: Authority | None = None,
    key: Key | None = None,
) -> Iterator[Simulated]:
    """A new simulator, stopped at the end of the `with`. With a `key`, it only takes that one."""
    callers: Callers = HoldersOf(key) if key else Anybody()
    clock = HandClock()
    world = World(account, durations, hub)
    simulator = Simulator(world, clock=clock, inferences=inferences, authority=authority)
    with serving(simulator, callers=callers) as server:
        own = asdict(key) if key else {}
        config = Config(retries={"total_max_attempts": 1}, read_timeout=5)
        sagemaker = SESSION.client("sagemaker", endpoint_url=server.url, config=config, **own)
        runtime = SESSION.client("sagemaker-runtime", endpoint_url=server.url, config=config, **own)
        yield Simulated(simulator, server, clock, sagemaker, runtime)


def a_variant(**other: Any) -> "ProductionVariantTypeDef":
    """A valid production variant; `other` overrides fields, and None leaves one out."""
    fields: Any = {
        "VariantName": "AllTraffic",
        "ModelName": "model",
        "InstanceType": "ml.g5.12xlarge",
        "InitialInstanceCount": 1,
        **other,
    }
    return cast("ProductionVariantTypeDef", {k: v for k, v in fields.items() if v is not None})


def an_arn(kind: str, lower_name: str) -> str:
    return f"arn:aws:sagemaker:{ACCOUNT.region}:{ACCOUNT.account_id}:{kind}/{lower_name}"
