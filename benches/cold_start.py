"""What a cold start costs, in CPU seconds: the import of each function, the clients that it makes
while it is imported, and its first call. Each is measured in fresh processes.

Imports are compared with `import boto3`, so that the figures hold on any machine. `compiled` means
that Python finds all modules compiled. In Lambda only those of the runtime are, its SDK included:
the zips of the code and of the layer have sources, which each cold start compiles. The calls go to
servers on this machine, without TLS: on AWS each new connection costs some 0.02 s of CPU more.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benches.row import Row
from lambdas.aws.attribute_values import encode
from lambdas.aws.items import spec_values
from lambdas.aws.state_store import DynamoStateStore
from lambdas.core.scopes import Scopes
from lambdas.core.settings import Settings
from lambdas.core.state import State
from tests.aws_tables import create_tables
from tests.contract.emulator_process import REGION, running_emulator
from tests.contract.simulated import simulated
from tests.fakes import a_spec
from tests.function_settings import function_settings

ROOT = Path(__file__).parents[1]
MOST: Mapping[str, float] = {
    "authorizer": 1.2,
    "api": 2.7,  # most of it is the resolver and pydantic: docs/decisions/0104-cold-starts.md
    "tick": 1.6,
    "reconciler": 1.6,
    "sweep": 1.6,
}
"""The most that an import may cost, in imports of boto3, if all modules are compiled."""
MOST_SECONDS = 0.1
"""The most CPU seconds of a first call."""
_RUNS = 7
_TOKEN = "of-the-bench"  # noqa: S105  # a made-up token
_OF_THE_RUNTIME = ("boto3", "botocore", "dateutil", "jmespath", "s3transfer", "six.", "urllib3")
# The process prints the CPU seconds of the import, and of the call if there is an event.
_MEASURE = """
import sys, time
began = time.process_time()
import {module} as module
print(time.process_time() - began, file=sys.stderr)
event = {event!r}
if event is not None:
    from types import SimpleNamespace
    context = SimpleNamespace(
        aws_request_id="request-1", function_name="f", memory_limit_in_mb=256,
        invoked_function_arn="arn", get_remaining_time_in_millis=lambda: 30_000,
    )
    began = time.process_time()
    answer = module.handler(event, context)
    print(time.process_time() - began, file=sys.stderr)
    assert "Deny" not in str(answer) and answer.get("statusCode", 200) == 200, answer
    assert not answer.get("batchItemFailures"), answer
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU seconds."""

    of_import: float
    of_first_call: float = 0.0


class Stack:
    """Tables, queues and a running endpoint, on an emulator and a simulator."""

    def __init__(self, within: ExitStack) -> None:
        scratch = Path(within.enter_context(tempfile.TemporaryDirectory()))
        self._emulator = within.enter_context(running_emulator(scratch))
        sagemaker = within.enter_context(simulated())
        sagemaker.has_endpoint("falcon", "falcon-1")
        self._sagemaker_url = sagemaker.server.url
        self._dynamodb = self._emulator.client("dynamodb")
        create_tables(self._dynamodb, "state", "history", "auth")
        self._dynamodb.put_item(TableName="auth", Item=encode({"token": _TOKEN}))
        self._declare()
        sqs = self._emulator.client("sqs")
        starts, work = (sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("starts", "work"))
        self.functions = function_settings(starts, work)

    def _declare(self) -> None:
        spec, now = a_spec("falcon", "falcon-1"), datetime.now(UTC)
        values = {**spec_values(spec), "pk": f"ENDPOINT#{spec.key}", "sk": "SPEC#config"}
        self._dynamodb.put_item(TableName="state", Item=encode(values))
        state = State(expires_at=now + timedelta(days=1), set_up_at=now)
        DynamoStateStore(self._dynamodb, self._dynamodb, "state").create_state(spec.key, state)

    def environment(self, name: str, settings: Settings) -> dict[str, str]:
        """Of the function `name`, as in Lambda."""
        return {
            **settings.to_environment(),
            **self._emulator.key.environment,
            "AWS_ENDPOINT_URL": self._emulator.url,
            "AWS_ENDPOINT_URL_SAGEMAKER": self._sagemaker_url,
            "AWS_LAMBDA_FUNCTION_NAME": name,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "POWERTOOLS_METRICS_NAMESPACE": "EndpointMeter",
            "POWERTOOLS_SERVICE_NAME": "demo",
        }


def events() -> Mapping[str, Mapping[str, Any]]:
    """An event that each function answers without an error."""
    hint = {"messageId": "1", "body": json.dumps({"endpoint": "falcon", "cause": "event"})}
    caller = {"principal": "bench", "scopes": str(Scopes.every()), "identity": "bench"}
    return {
        "authorizer": _request(headers={"Authorization": _TOKEN}),
        "api": _request(authorizer=caller),
        "tick": {},
        "reconciler": {"Records": [hint]},
        "sweep": {"action": "sweep"},
    }


class Interpreter:
    """Fresh processes, of which the quickest counts: the others were disturbed. They find only the
    modules compiled that `compiled` has."""

    def __init__(self, compiled: Path) -> None:
        self._environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPYCACHEPREFIX": str(compiled),
        }

    def compile(self, module: str, environment: Mapping[str, str], event: Any) -> None:
        self._run(module, environment, event)

    def cost(
        self, module: str, environment: Mapping[str, str] | None = None, event: Any = None
    ) -> Cost:
        variables = {**(environment or {}), "PYTHONDONTWRITEBYTECODE": "1"}
        runs = [self._run(module, variables, event) for _ in range(_RUNS)]
        return Cost(min(cost.of_import for cost in runs), min(cost.of_first_call for cost in runs))

    def _run(self, module: str, environment: Mapping[str, str], event: Any) -> Cost:
        done = subprocess.run(
            [sys.executable, "-c", _MEASURE.format(module=module, event=event)],
            env={**self._environment, **environment},
            cwd=ROOT,
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        return Cost(*(float(word) for word in done.stderr.split()))


def rows() -> Iterator[Row]:
    with ExitStack() as within:
        stack = Stack(within)
        folder = Path(within.enter_context(tempfile.TemporaryDirectory()))
        compiled, in_lambda = Interpreter(folder / "all"), Interpreter(folder / "runtime")
        compiled.compile("boto3", {}, None)
        for name, settings in stack.functions.items():
            compiled.compile(_module(name), stack.environment(name, settings), events().get(name))
        _keep_runtime(folder / "all", folder / "runtime")
        bare, bare_in_lambda = (each.cost("boto3").of_import for each in (compiled, in_lambda))
        yield Row("import boto3", f"{bare:.3f} CPU s", "")
        for name, settings in stack.functions.items():
            imported = compiled.cost(_module(name)).of_import
            environment, event = stack.environment(name, settings), events().get(name)
            with_clients = compiled.cost(_module(name), environment).of_import
            cold = in_lambda.cost(_module(name), environment, event)
            ratio, most = imported / bare, MOST.get(name)
            yield Row(
                f"import {name}, compiled",
                f"{ratio:.2f} x import boto3",
                f"<= {most}" if most else "",
                not most or ratio <= most,
            )
            yield Row(
                f"import {name}, in Lambda",
                f"{cold.of_import / bare_in_lambda:.2f} x import boto3, "
                f"with its clients ({with_clients - imported:.3f} CPU s)",
                "",
            )
            if event is not None:
                seconds = cold.of_first_call
                within_limit = seconds <= MOST_SECONDS
                figure = f"{seconds:.3f} CPU s"
                yield Row(f"first call of {name}", figure, f"<= {MOST_SECONDS}", within_limit)


def _module(name: str) -> str:
    return f"lambdas.handlers.{name}"


def _keep_runtime(every: Path, runtime: Path) -> None:
    """Copy the compiled modules that the runtime of Lambda has: Python's own, and the SDK's."""
    shutil.copytree(every, runtime)
    for compiled in runtime.rglob("*.pyc"):
        _, found, package = str(compiled).partition("/site-packages/")
        of_runtime = (
            package.startswith(_OF_THE_RUNTIME) if found else "/lambdas/" not in str(compiled)
        )
        if not of_runtime:
            compiled.unlink()


def _request(
    headers: Mapping[str, str] | None = None, authorizer: Mapping[str, str] | None = None
) -> Mapping[str, Any]:
    """An event of API Gateway: GET /endpoint-expiry?EndpointName=falcon."""
    sent = dict(headers or {})
    query = {"EndpointName": "falcon"}
    return {
        "type": "REQUEST",
        "methodArn": "arn:aws:execute-api:us-east-1:123456789012:api/prod/GET/endpoint-expiry",
        "resource": "/endpoint-expiry",
        "path": "/endpoint-expiry",
        "httpMethod": "GET",
        "headers": sent,
        "multiValueHeaders": {name: [value] for name, value in sent.items()},
        "queryStringParameters": query,
        "multiValueQueryStringParameters": {name: [value] for name, value in query.items()},
        "body": None,
        "isBase64Encoded": False,
        "requestContext": {
            "requestId": "request-1",
            "path": "/prod/endpoint-expiry",
            **({"authorizer": authorizer} if authorizer else {}),
        },
    }
