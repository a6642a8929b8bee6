"""State-change events: which are put, what they contain, and that no call waits for them."""

import contextlib
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from local.key import Key
from local.simulator import state_change_events
from local.simulator.account import Account
from local.simulator.clients import client
from local.simulator.lifecycle import Durations, Outcome
from local.simulator.state_change_events import EventPublisher
from local.simulator.world import World

ACCOUNT = Account("111122223333", "us-west-2")
KEY = Key.made()
NINE = datetime(2030, 1, 7, 9, 0, tzinfo=UTC)


class Bus:
    """A fake EventBridge that keeps the entries put on it."""

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []
        self.status = 200
        self.open = threading.Event()
        self.open.set()
        self.url = ""

    def put(self, body: bytes) -> tuple[int, bytes]:
        self.open.wait(5)
        given = json.loads(body)["Entries"]
        if self.status == 200:
            self.entries += given
        answer = {"FailedEntryCount": 0, "Entries": [{"EventId": "1"} for _ in given]}
        return self.status, json.dumps(answer).encode()


@pytest.fixture
def bus() -> Iterator[Bus]:
    kept = Bus()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, answer = kept.put(body)
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            with contextlib.suppress(ConnectionError):
                self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    kept.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield kept
    kept.open.set()
    server.shutdown()
    server.server_close()


def a_world() -> World:
    world = World(ACCOUNT, Durations(3, 1, 4))
    model = {"ModelName": "m", "PrimaryContainer": {"Image": "i"}}
    variant = {"VariantName": "A", "ModelName": "m", "InstanceType": "ml.g5.xlarge"}
    world.perform("CreateModel", model, NINE)
    for name in ("MyEndpointConfig", "next"):
        config = {"EndpointConfigName": name, "ProductionVariants": [dict(variant)]}
        world.perform("CreateEndpointConfig", config, NINE)
    return world


def create(world: World, *, outcome: Outcome = Outcome.SUCCESS) -> None:
    request = {
        "EndpointName": "MyEndpoint",
        "EndpointConfigName": "MyEndpointConfig",
        "Tags": [{"Key": "endpoint-meter:stack", "Value": "demo"}],
    }
    world.perform("CreateEndpoint", request, NINE, outcome)


def at(second: float) -> datetime:
    return datetime.fromtimestamp(NINE.timestamp() + second, UTC)


def test_each_status_change_is_reported_once_with_its_time() -> None:
    world = a_world()
    create(world)
    update = {"EndpointName": "myendpoint", "EndpointConfigName": "next"}
    world.perform("UpdateEndpoint", update, at(10), Outcome.ROLLBACK)
    world.perform("DeleteEndpoint", {"EndpointName": "MyEndpoint"}, at(20))
    world.settle(at(100))

    changes = [(change.endpoint.status.name, change.at) for change in world.take_changes()]

    assert changes == [
        ("CREATING", at(0)),
        ("IN_SERVICE", at(3)),
        ("UPDATING", at(10)),
        ("ROLLING_BACK", at(12)),
        ("IN_SERVICE", at(14)),
        ("DELETING", at(20)),
    ]
    assert world.take_changes() == []


def test_a_failure_is_reported_too() -> None:
    world = a_world()
    create(world, outcome=Outcome.CAPACITY)
    world.settle(at(3))

    assert [change.endpoint.status.name for change in world.take_changes()] == [
        "CREATING",
        "FAILED",
    ]


def test_an_event_has_the_shape_that_sagemaker_sends(bus: Bus) -> None:
    world = a_world()
    create(world)
    world.settle(at(3))
    change = world.take_changes()[-1]
    publisher = EventPublisher(client("events", bus.url, ACCOUNT.region, KEY))

    publisher.publish(change, world.event_detail(change))
    publisher.close(5)

    (entry,) = bus.entries
    arn = "arn:aws:sagemaker:us-west-2:111122223333:endpoint/myendpoint"
    assert (entry["Source"], entry["DetailType"]) == (
        "aws.sagemaker",
        "SageMaker Endpoint State Change",
    )
    assert entry["Resources"] == [arn]
    assert entry["Time"] == at(3).timestamp()
    assert json.loads(entry["Detail"]) == {
        "EndpointName": "MyEndpoint",
        "EndpointArn": arn,
        "EndpointConfigName": "MyEndpointConfig",
        "ProductionVariants": [{"DesiredWeight": 1.0, "DesiredInstanceCount": 1.0}],
        "EndpointStatus": "IN_SERVICE",
        "CreationTime": at(0).timestamp() * 1000,
        "LastModifiedTime": at(3).timestamp() * 1000,
        "Tags": {"endpoint-meter:stack": "demo"},
    }


def some_changes(publisher: EventPublisher, count: int) -> None:
    world = a_world()
    create(world)
    (change,) = world.take_changes()
    for _ in range(count):
        publisher.publish(change, world.event_detail(change))


def test_events_go_in_batches_of_at_most_ten(bus: Bus) -> None:
    publisher = EventPublisher(client("events", bus.url, ACCOUNT.region, KEY))

    some_changes(publisher, 35)
    publisher.close(5)

    assert len(bus.entries) == 35


def test_events_that_cannot_be_put_are_logged_and_later_ones_are_put(
    bus: Bus, caplog: pytest.LogCaptureFixture
) -> None:
    publisher = EventPublisher(client("events", bus.url, ACCOUNT.region, KEY))
    bus.status = 400
    some_changes(publisher, 1)
    while not caplog.records:
        threading.Event().wait(0.01)
    bus.status = 200
    some_changes(publisher, 1)
    publisher.close(5)

    assert len(bus.entries) == 1
    assert "1 events lost" in caplog.text


def test_a_slow_bus_never_blocks_and_overflow_is_logged(
    bus: Bus, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state_change_events, "MOST_WAITING", 5)
    bus.open.clear()
    publisher = EventPublisher(client("events", bus.url, ACCOUNT.region, KEY))

    some_changes(publisher, 40)

    assert "dropped: the queue is full" in caplog.text
    bus.open.set()
    publisher.close(5)
    assert 5 <= len(bus.entries) < 40
