"""The function before those that call models, on tables, queues and functions of the emulator."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lambdas.aws import clients
from lambdas.aws.attribute_values import encode
from lambdas.aws.items import spec_values
from lambdas.aws.state_store import DynamoStateStore
from lambdas.core.answer_headers import SECURITY
from lambdas.core.called_models import CalledModel, CalledModels
from lambdas.core.errors import Unanswered
from lambdas.core.schedule import Schedule
from lambdas.core.settings import WARM_UP, CallsSettings
from lambdas.core.state import State
from lambdas.handlers import calls, wiring
from tests.aws_tables import create_tables
from tests.contract.emulator_process import REGION, Emulator, running_emulator
from tests.fakes import a_spec
from tests.roles import a_function

REQUESTS_PER_MINUTE = 6
NOT_SERVED = {"statusCode": 503, "body": json.dumps({"code": "NotServed"})}
CODE = f"""
import json

def handler(event, context):
    return {{"statusCode": 200, "body": json.dumps(event)}}

def stopped(event, context):
    return {NOT_SERVED}

def busy(event, context):
    return {{"statusCode": 503, "body": json.dumps({{"code": "ModelNotReady"}})}}

def raising(event, context):
    raise ValueError("the secret of the function")

def replying(event, context):
    return "no reply for API Gateway"

def listing(event, context):
    return {{"statusCode": 200, "headers": ["X-Trace"]}}

def nesting(event, context):
    return {{"statusCode": 503, "body": {{"code": "NotServed"}}}}
"""


@dataclass(frozen=True)
class Served:
    """An endpoint whose model is called through a function of the emulator."""

    name: str
    starts_url: str

    def declare(self, **fields: Any) -> None:
        """Write the spec as Terraform does."""
        spec = a_spec(self.name, "config-1", **fields)
        keys = {"pk": f"ENDPOINT#{spec.key}", "sk": "SPEC#config"}
        clients.dynamodb().put_item(TableName="state", Item=encode({**spec_values(spec), **keys}))

    @property
    def store(self) -> DynamoStateStore:
        return wiring.store("state")

    @property
    def state(self) -> State | None:
        return self.store.load(self.name.lower()).state

    def hinted(self) -> list[str]:
        """The endpoints of the hints on the queue of starts."""
        received = clients.sqs().receive_message(QueueUrl=self.starts_url, MaxNumberOfMessages=10)
        return [json.loads(m["Body"])["endpoint"] for m in received.get("Messages", [])]


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with running_emulator(tmp_path_factory.mktemp("emulator")) as running:
        create_tables(running.client("dynamodb"), "state", "history", "auth")
        yield running


@pytest.fixture(scope="module")
def functions(emulator: Emulator) -> Mapping[str, str]:
    """The functions of CODE: their names in Lambda, by their names in the code."""
    client, role = emulator.client("lambda"), emulator.role()
    names = ("handler", "stopped", "busy", "raising", "replying", "listing", "nesting")
    return {name: a_function(client, role, CODE, name) for name in names}


@pytest.fixture
def served(
    emulator: Emulator, functions: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Served]:
    """A new endpoint and queue. Its routes have the names of the functions behind them;
    `waking` is a stopped one that is woken, `public` one that needs no token."""
    emulator.client("dynamodb").delete_item(
        TableName="state", Key=encode({"pk": "CONTROL", "sk": "CONTROL"})
    )
    starts, work = (
        emulator.client("sqs").create_queue(QueueName=f"{name}-{uuid.uuid4()}")["QueueUrl"]
        for name in ("starts", "work")
    )
    endpoint = f"demo-{uuid.uuid4().hex[:8]}-Endpoint"
    routes = {name: CalledModel(function) for name, function in functions.items()}
    stopped = functions["stopped"]
    routes["waking"] = CalledModel(stopped, wake_minutes=10, wakes_per_token_an_hour=2)
    routes["extending"] = CalledModel(functions["handler"], wake_minutes=10, extends=True)
    routes["public"] = CalledModel(stopped, public=True)
    models = CalledModels(endpoint, "*", routes)
    settings = CallsSettings(
        "state", "history", 90, starts, work, REQUESTS_PER_MINUTE, "", str(models)
    )
    environment = {
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL": emulator.url,
        **emulator.key.environment,
        **settings.to_environment(),
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    caches = (
        calls.parts,
        clients._session,  # it keeps the credentials of other tests
        clients.dynamodb,
        clients.dynamodb_once,
        clients.dynamodb_hasty,
        clients.sqs,
        clients.functions_that_call_models,
    )
    for cached in caches:
        cached.cache_clear()
    yield Served(endpoint, starts)
    for cached in caches:
        cached.cache_clear()


def event(
    route: str,
    *,
    scopes: str | None = "invoke",
    method: str = "POST",
    identity: str = "1",
    **headers: str,
) -> dict[str, Any]:
    """An event of API Gateway. `scopes` None: without a token."""
    headers = {"Content-Type": "application/json", **headers}
    who = {"principal": "ann", "scopes": scopes, "identity": identity}
    return {
        "httpMethod": method,
        "resource": f"/{route}",
        "path": f"/{route}",
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "body": "e30=",
        "isBase64Encoded": True,
        "requestContext": {"requestId": "r-1", **({} if scopes is None else {"authorizer": who})},
    }


def refusal(reply: Mapping[str, Any], status: int, code: str) -> str:
    """Check status and code of a refusal; returns its error message."""
    document = json.loads(reply["body"])
    assert (reply["statusCode"], document["code"], document["requestId"]) == (status, code, "r-1")
    assert reply["headers"]["Content-Type"] == "application/json"
    assert SECURITY.items() <= reply["headers"].items()
    return str(document["error"])


def test_a_function_gets_the_request_without_the_token(served: Served) -> None:
    sent = event("handler", **{"authorization": "Bearer secret", "X-Trace": "1"})
    reply = calls.handler(sent, None)
    assert reply["statusCode"] == 200
    assert SECURITY.items() <= reply["headers"].items()
    assert "secret" not in reply["body"]
    seen = json.loads(reply["body"])
    assert seen["headers"] == {"Content-Type": "application/json", "X-Trace": "1"}
    headers = ("headers", "multiValueHeaders")
    assert {k: v for k, v in seen.items() if k not in headers} == {
        k: v for k, v in sent.items() if k not in headers
    }


def test_paths_below_a_route_lead_to_the_same_function(served: Served) -> None:
    below = {**event("handler"), "resource": "/handler/{proxy+}", "path": "/handler/a/b"}
    assert json.loads(calls.handler(below, None)["body"])["path"] == "/handler/a/b"


def test_only_callers_with_the_scope_reach_a_function(served: Served) -> None:
    other = calls.handler(event("handler", scopes="read renew manage invoke:demo-Other"), None)
    assert served.name in refusal(other, 403, "ScopeMissing")
    refusal(calls.handler(event("handler", scopes=None), None), 403, "ScopeMissing")
    two = {**event("handler"), "multiValueHeaders": {"Authorization": ["a", "b"]}}
    refusal(calls.handler(two, None), 401, "Unauthorized")
    own = calls.handler(event("handler", scopes=f"invoke:{served.name.lower()}"), None)
    assert own["statusCode"] == 200


def test_calls_of_a_model_are_limited_per_token_and_endpoint(served: Served) -> None:
    # Twice the limit and one more: a new minute may begin in between.
    replies = [calls.handler(event("handler"), None) for _ in range(2 * REQUESTS_PER_MINUTE + 1)]
    assert replies[0]["statusCode"] == 200
    over = next(reply for reply in replies if reply["statusCode"] != 200)
    refusal(over, 429, "TooManyRequests")
    assert 1 <= int(over["headers"]["Retry-After"]) <= 60
    assert calls.handler(event("handler", identity="2"), None)["statusCode"] == 200
    counters = clients.dynamodb().query(
        TableName="history",
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues=encode({":pk": f"RATE#{served.name.lower()}#1"}),
    )
    assert counters["Items"], "other endpoints have counters of their own"


def test_a_call_that_cannot_be_counted_is_made(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HISTORY_TABLE", "missing")
    assert calls.handler(event("handler"), None)["statusCode"] == 200


@pytest.mark.parametrize("function", ["raising", "replying", "listing", "nesting"])
def test_a_function_that_fails_is_a_502_without_its_error(served: Served, function: str) -> None:
    sentence = refusal(calls.handler(event(function), None), 502, "FunctionFailed")
    assert "secret" not in sentence


def test_call_without_an_answer_says_that_the_model_may_have_run(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: object) -> None:
        raise Unanswered("ConnectionClosedError", "")

    monkeypatch.setattr(type(calls.parts().functions), "call", fail)
    sentence = refusal(calls.handler(event("handler"), None), 504, "Unanswered")
    assert "The model may have run" in sentence
    assert "Nothing was to be changed" not in sentence


def test_other_refusals_of_a_function_are_passed_on(served: Served) -> None:
    served.declare()
    reply = calls.handler(event("busy"), None)
    assert (reply["statusCode"], json.loads(reply["body"])) == (503, {"code": "ModelNotReady"})


def test_a_warm_up_is_answered_at_once(served: Served) -> None:
    assert calls.handler(WARM_UP, None) == {}


@pytest.mark.parametrize("route", ["stopped", "public"])
def test_the_answer_for_a_stopped_endpoint_says_how_to_start_it(served: Served, route: str) -> None:
    served.declare()
    reply = calls.handler(event(route, scopes="invoke" if route == "stopped" else None), None)
    assert "POST /endpoint-expiry" in refusal(reply, 503, "EndpointStopped")
    assert reply["headers"]["Retry-After"] == "60"
    assert served.state is None


def test_retry_after_of_a_scheduled_endpoint_is_the_time_until_its_window_opens(
    served: Served,
) -> None:
    opens = (datetime.now(UTC) + timedelta(hours=2)).replace(second=0, microsecond=0)
    window = {"name": "w", "start_time": f"{opens:%H:%M}", "date": f"{opens:%d/%m/%Y}"}
    served.declare(schedules=(Schedule.parse({**window, "stop_time": "00:00"}),))
    reply = calls.handler(event("stopped"), None)
    refusal(reply, 503, "EndpointStopped")
    left = (opens - datetime.now(UTC)).total_seconds()
    assert left <= int(reply["headers"]["Retry-After"]) <= left + 5


def test_retry_after_of_a_starting_endpoint_is_an_estimate(served: Served) -> None:
    served.declare()
    paid = datetime.now(UTC) + timedelta(hours=1)
    served.store.create_state(served.name.lower(), State(expires_at=paid, start_seconds=200))
    reply = calls.handler(event("stopped"), None)
    refusal(reply, 503, "EndpointStarting")
    assert reply["headers"]["Retry-After"] == "200"


def test_an_endpoint_that_is_not_on_the_meter_is_told(served: Served) -> None:
    refusal(calls.handler(event("stopped"), None), 404, "UnknownEndpoint")


def test_a_stack_that_is_being_destroyed_says_so(served: Served) -> None:
    served.declare()
    served.store.set_drain(datetime.now(UTC) + timedelta(minutes=5))
    refusal(calls.handler(event("stopped"), None), 503, "Draining")


def test_calls_of_a_running_endpoint_move_the_end_of_its_lease_on_once_a_minute(
    served: Served,
) -> None:
    served.declare()
    paid = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=5)
    served.store.create_state(served.name.lower(), State(expires_at=paid))
    for _ in range(3):
        assert calls.handler(event("extending"), None)["statusCode"] == 200
    state = served.state
    assert state is not None
    assert state.expires_at is not None
    assert timedelta(minutes=9) < state.expires_at - datetime.now(UTC) <= timedelta(minutes=10)
    assert state.rev == 1
    assert served.hinted() == []


def test_a_call_wakes_a_stopped_endpoint_once(served: Served) -> None:
    served.declare()
    for _ in range(5):
        reply = calls.handler(event("waking"), None)
        assert "is being started" in refusal(reply, 202, "EndpointStarting")
        assert int(reply["headers"]["Retry-After"]) > 0
    assert served.state is not None
    assert served.state.expires_at is not None
    left = served.state.expires_at - datetime.now(UTC)
    assert timedelta(minutes=9) < left <= timedelta(minutes=10)
    assert served.hinted() == [served.name.lower()]


def test_probes_and_callers_without_the_scope_wake_nothing(served: Served) -> None:
    served.declare()
    for method in ("GET", "HEAD", "OPTIONS"):
        refusal(calls.handler(event("waking", method=method), None), 503, "EndpointStopped")
    refusal(calls.handler(event("waking", scopes="read renew manage"), None), 403, "ScopeMissing")
    assert served.state is None


def test_a_token_that_wakes_too_often_waits_for_the_next_hour(served: Served) -> None:
    served.declare()
    token = uuid.uuid4().hex
    for _ in range(2):
        assert calls.handler(event("waking", identity=token), None)["statusCode"] == 202
        assert served.state is not None
        now = datetime.now(UTC)
        served.store.stop(served.name.lower(), replace(served.state, expires_at=now), now)
    reply = calls.handler(event("waking", identity=token), None)
    refusal(reply, 429, "TooManyWakes")
    assert 1 <= int(reply["headers"]["Retry-After"]) <= 3601


def test_retry_after_of_a_failed_start_is_the_time_until_the_next_attempt(served: Served) -> None:
    served.declare()
    now = datetime.now(UTC)
    failing = State(
        expires_at=now + timedelta(hours=1), attempts=2, retry_at=now + timedelta(minutes=5)
    )
    served.store.create_state(served.name.lower(), failing)
    reply = calls.handler(event("waking"), None)
    refusal(reply, 503, "EndpointStarting")
    assert 240 < int(reply["headers"]["Retry-After"]) <= 300


def test_a_call_beyond_the_concurrency_of_a_function_is_refused_at_once(
    served: Served, emulator: Emulator, functions: Mapping[str, str]
) -> None:
    client, name = emulator.client("lambda"), functions["busy"]
    client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    try:
        reply = calls.handler(event("busy"), None)
    finally:
        client.delete_function_concurrency(FunctionName=name)
    refusal(reply, 503, "Throttled")
    assert reply["headers"]["Retry-After"] == "5"
