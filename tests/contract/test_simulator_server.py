"""The simulator as a process and as a server: ports, signals, connections, recorded calls."""

import concurrent.futures
import contextlib
import http.client
import json
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

import httpx
import pytest
from botocore.awsrequest import AWSPreparedRequest
from botocore.exceptions import ClientError

from tests.contract.listeners import listening
from tests.contract.simulated import ROLE, SESSION, Simulated, simulated

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
        more_output, log = running.communicate(timeout=60)

    assert (running.returncode, more_output) == (0, "")
    assert log.count("\n") == 1
    assert "SageMaker.DescribeModel ValidationException 400" in log
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 1)


def test_help_names_the_settings_and_the_control_paths() -> None:
    with process("--help") as running:
        text, _ = running.communicate(timeout=60)

    assert running.returncode == 0
    for word in ("LOCAL_CREATE_SECONDS", "EVENTS_ENDPOINT_URL", "/_faults", "/_calls", "--port"):
        assert word in text


@pytest.mark.parametrize("seconds", ["soon", "-1", "nan"])
def test_a_wrong_duration_is_named_at_the_start(seconds: str) -> None:
    with process(LOCAL_CREATE_SECONDS=seconds) as running:
        _, text = running.communicate(timeout=60)

    assert running.returncode == 2
    assert "create_seconds must be" in text.lower()
    assert "Traceback" not in text


def test_a_port_in_use_is_named_at_the_start(here: Simulated) -> None:
    with process("--port", str(here.server.port)) as running:
        _, text = running.communicate(timeout=60)

    assert running.returncode == 1
    assert f"cannot listen on port {here.server.port}" in text


def test_it_listens_only_on_loopback(here: Simulated) -> None:
    port = here.server.port

    assert [a for a in listening(os.getpid()) if a.endswith(f":{port}")] == [f"127.0.0.1:{port}"]


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


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_a_fault_is_only_taken_as_json(here: Simulated, media_type: str) -> None:
    fault = json.dumps({"operation": "CreateEndpoint", "failure": "Failed"})

    refused = httpx.post(
        f"{here.server.url}/_faults", content=fault, headers={"Content-Type": media_type}
    )

    assert refused.status_code == 415
    assert "application/json" in refused.json()["error"]
    assert here.http("GET", "/_faults")[1] == {"faults": []}


def test_json_may_name_its_character_set(here: Simulated) -> None:
    taken = httpx.post(
        f"{here.server.url}/_faults",
        content=json.dumps({"operation": "CreateEndpoint", "failure": "Failed"}),
        headers={"Content-Type": "application/json; charset=utf-8"},
    )

    assert taken.status_code == 200


@pytest.mark.parametrize("path", ["/_health", "/_calls", "/_faults"])
def test_a_page_of_another_site_can_read_nothing(here: Simulated, path: str) -> None:
    rebound = httpx.get(here.server.url + path, headers={"Host": "evil.example"})
    foreign = httpx.get(here.server.url + path, headers={"Origin": "https://evil.example"})
    asked = httpx.options(here.server.url + path, headers={"Origin": "https://evil.example"})

    assert rebound.status_code == 403
    for answer in (rebound, foreign, asked):
        assert not [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"nonsense\r\n\r\n",
        b"GET /_health HTTP/1.1\r\nHost: localhost\r\nX: a\rb\r\n\r\n",
        b"GET /_health HTTP/1.1\r\nHost: localhost\r\nX: a\0b\r\n\r\n",
    ],
)
def test_a_malformed_request_is_a_400_in_json(here: Simulated, request_bytes: bytes) -> None:
    with socket.create_connection(("127.0.0.1", here.server.port), timeout=5) as connection:
        connection.sendall(request_bytes)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))

    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b'"code": "BadRequest"' in answer


def test_a_chunked_body_is_taken(here: Simulated) -> None:
    here.has_endpoint()

    answer = httpx.post(
        f"{here.server.url}/endpoints/Falcon/invocations",
        content=iter([b"one ", b"two"]),
        headers={"Content-Type": "multipart/form-data; boundary=x"},
    )

    assert (answer.content, answer.headers["Content-Type"]) == (
        b"one two",
        "multipart/form-data; boundary=x",
    )


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

    monkeypatch.setattr(here.simulator, "call", broken)

    with pytest.raises(ClientError, match="InternalFailure"):
        here.sagemaker.list_models()


@pytest.mark.timing
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


def test_call_that_an_sdk_repeats_has_one_effect_and_one_answer(here: Simulated) -> None:
    def same_call(request: AWSPreparedRequest, **_: object) -> None:
        request.headers["amz-sdk-invocation-id"] = "the same for all attempts"

    sagemaker = here.sagemaker

    def create() -> str:
        model = sagemaker.create_model(
            ModelName="once", ExecutionRoleArn=ROLE, PrimaryContainer={"Image": "image:1"}
        )
        return model["ModelArn"]

    sagemaker.meta.events.register("before-send.sagemaker.CreateModel", same_call)
    assert create() == create()
    sagemaker.meta.events.unregister("before-send.sagemaker.CreateModel", same_call)
    with pytest.raises(ClientError, match="already existing model"):
        create()
