"""The simulator as a process and as a server: ports, signals, connections, recorded calls."""

import concurrent.futures
import contextlib
import http.client
import os
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.contract.simulated import SESSION, Simulated, simulated

ROOT = Path(__file__).parents[2]


@pytest.fixture
def here() -> Iterator[Simulated]:
    with simulated() as one:
        yield one


@contextlib.contextmanager
def process(*arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """Run `python -m local.simulator`; it is killed at the end of the `with` if it still runs."""
    with subprocess.Popen(
        [sys.executable, "-m", "local.simulator", *arguments],
        cwd=ROOT,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        try:
            yield running
        finally:
            running.kill()


def first_line(running: subprocess.Popen[str]) -> str:
    assert running.stdout is not None
    return running.stdout.readline()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_process_prints_its_port_and_ends_cleanly(number: signal.Signals) -> None:
    with process("--port", "0", "--region", "eu-north-1", LOCAL_CREATE_SECONDS="0") as running:
        port = int(first_line(running))
        client = SESSION.client("sagemaker", endpoint_url=f"http://127.0.0.1:{port}")
        with pytest.raises(ClientError, match=r"arn:aws:sagemaker:eu-north-1:000000000000:model/m"):
            client.describe_model(ModelName="m")

        running.send_signal(number)
        more_output, log = running.communicate(timeout=5)

    assert (running.returncode, more_output) == (0, "")
    assert log.count("\n") == 1
    assert "SageMaker.DescribeModel ValidationException 400" in log
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 1)


def test_help_names_the_settings_and_the_control_paths() -> None:
    with process("--help") as running:
        text, _ = running.communicate(timeout=5)

    assert running.returncode == 0
    for word in ("LOCAL_CREATE_SECONDS", "EVENTS_ENDPOINT_URL", "/_faults", "/_calls", "--port"):
        assert word in text


@pytest.mark.parametrize("seconds", ["soon", "-1", "nan"])
def test_a_wrong_duration_is_named_at_the_start(seconds: str) -> None:
    with process(LOCAL_CREATE_SECONDS=seconds) as running:
        _, text = running.communicate(timeout=5)

    assert running.returncode == 2
    assert "create_seconds must be" in text.lower()
    assert "Traceback" not in text


def test_a_port_in_use_is_named_at_the_start(here: Simulated) -> None:
    with process("--port", str(here.server.port)) as running:
        _, text = running.communicate(timeout=5)

    assert running.returncode == 1
    assert f"cannot listen on port {here.server.port}" in text


def test_it_listens_only_on_loopback(here: Simulated) -> None:
    assert here.server.socket.getsockname()[0] == "127.0.0.1"


def test_a_connection_is_kept_alive(here: Simulated) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", here.server.port, timeout=5)
    connection.connect()
    local_end = connection.sock.getsockname()

    for _ in range(3):
        connection.request("GET", "/_health")
        assert connection.getresponse().read() == b'{"status": "ok", "endpoints": 0}'

    assert connection.sock.getsockname() == local_end
    connection.close()


def test_a_huge_body_is_refused(here: Simulated) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", here.server.port, timeout=5)
    connection.putrequest("POST", "/")
    connection.putheader("Content-Length", str(10**12))
    connection.endheaders()

    assert connection.getresponse().status == 413
    connection.close()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/_faultz"),
        ("POST", "/_calls"),
        ("POST", "/endpoints/x/y"),
        ("DELETE", "/x"),
    ],
)
def test_other_paths_are_not_found(here: Simulated, method: str, path: str) -> None:
    assert here.http(method, path)[0] == 404


def test_exactly_one_of_concurrent_creates_succeeds(here: Simulated) -> None:
    here.has_config()
    together = threading.Barrier(8)

    def create(name: str) -> str:
        together.wait()
        try:
            here.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName="config")
        except ClientError as refused:
            return refused.response["Error"]["Message"].split(" endpoint")[0]
        return "created"

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        results = sorted(pool.map(create, ["Falcon", "FALCON"] * 4))

    assert results == ["Cannot create already existing"] * 7 + ["created"]


def test_calls_are_recorded_with_time_name_and_error(here: Simulated) -> None:
    here.has_endpoint()
    here.http("DELETE", "/_calls")
    with pytest.raises(ClientError):
        here.sagemaker.create_endpoint(EndpointName="falcon", EndpointConfigName="config")
    here.runtime.invoke_endpoint(EndpointName="Falcon", Body=b"x")
    here.sagemaker.list_endpoints()

    status, answer = here.http("GET", "/_calls")

    assert (status, answer["dropped"]) == (200, 0)
    assert {datetime.fromisoformat(call.pop("time")) for call in answer["calls"]} == {
        here.clock.now
    }
    assert answer["calls"] == [
        {"operation": "CreateEndpoint", "endpoint": "falcon", "error": "ValidationException"},
        {"operation": "InvokeEndpoint", "endpoint": "Falcon", "error": None},
        {"operation": "ListEndpoints", "endpoint": None, "error": None},
    ]


def test_a_bug_of_ours_answers_as_an_internal_failure(
    here: Simulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(here.server.simulator, "call", broken)

    with pytest.raises(ClientError, match="InternalFailure"):
        here.sagemaker.list_models()


def test_describes_are_quick(here: Simulated) -> None:
    here.has_endpoint()
    seconds = []
    for _ in range(50):
        began = time.perf_counter()
        here.status()
        seconds.append(time.perf_counter() - began)

    assert (
        statistics.median(seconds) < 0.02
    )  # it takes about 1 ms; without TCP_NODELAY it would take 40 ms
