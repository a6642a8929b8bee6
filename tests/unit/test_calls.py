"""The function before those that call models, with fakes of everything behind it.
`tests/contract/test_calls.py` has it on an emulator, with real functions."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lambdas.aws import clients
from lambdas.aws.state_store import DynamoStateStore
from lambdas.core.called_models import CalledModel, CalledModels
from lambdas.core.decision import FIRST_BACKOFF
from lambdas.core.errors import Conflict, Throttled, Unanswered
from lambdas.core.invocation import FunctionFailed
from lambdas.core.settings import WARM_UP, CallsSettings
from lambdas.core.state import Owner, State
from lambdas.handlers import calls
from tests.fakes import FakeHints, FakeHistory, FakeStateStore, a_spec
from tests.unit.interleaving import failing

NAME = "demo-Flan-Endpoint"
KEY = "demo-flan-endpoint"
NOT_SERVED = {"statusCode": 503, "body": json.dumps({"code": "NotServed", "error": "it is gone"})}
SERVED = {"statusCode": 200, "headers": {"Content-Type": "text/plain"}, "body": "an answer"}
MODELS = CalledModels(
    "demo-*-Endpoint",
    "demo-*-model",
    {
        "flan": CalledModel("Flan", "live"),
        "slow": CalledModel("Flan", seconds=120),
        "waking": CalledModel("Flan", wake_minutes=10, wakes_per_token_an_hour=2),
        "public": CalledModel("Flan", public=True, wake_minutes=10, wakes_per_token_an_hour=2),
        "extending": CalledModel("Flan", wake_minutes=10, extends=True),
    },
)


@dataclass
class Stand:
    """What stands behind the function: `reply` is that of each function that calls a model, or the
    error of the call; `wait` is what the rate limit says."""

    store: FakeStateStore = field(default_factory=FakeStateStore)
    hints: FakeHints = field(default_factory=lambda: FakeHints(datetime.now(UTC)))
    history: FakeHistory = field(default_factory=FakeHistory)
    reply: Any = field(default_factory=lambda: SERVED)
    wait: int | Exception | None = None
    called: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    waited: list[int] = field(default_factory=list)
    counted: list[str] = field(default_factory=list)

    def call(self, function: str, event: Mapping[str, Any], seconds: int) -> Any:
        self.called.append((function, event))
        self.waited.append(seconds)
        if isinstance(self.reply, Exception):
            raise self.reply
        return self.reply

    def wait_seconds(self, identity: str, _now: datetime) -> int | None:
        self.counted.append(identity)
        if isinstance(self.wait, Exception):
            raise self.wait
        return self.wait


@pytest.fixture
def stand(monkeypatch: pytest.MonkeyPatch) -> Stand:
    """Flan is declared and stopped."""
    stand: Any = Stand()
    stand.store.deploy(a_spec(NAME))
    headers = {"Cache-Control": "no-store"}
    parts = calls.Parts(
        MODELS, stand, stand, stand.store, stand.store, stand.history, stand.hints, headers
    )
    monkeypatch.setattr(calls, "parts", lambda: parts)
    return stand  # type: ignore[no-any-return]


def an_event(
    route: str = "flan",
    method: str = "POST",
    scopes: str | None = "invoke",
    tokens: tuple[str, ...] = ("Bearer secret",),
) -> dict[str, Any]:
    """An event of API Gateway. `scopes` None: without a token."""
    who = {"principal": "ann", "scopes": scopes, "identity": "i1"}
    return {
        "httpMethod": method,
        "resource": f"/{route}/{{proxy+}}",
        "path": f"/{route}/deeper",
        "headers": {"Authorization": tokens[-1], "X-Trace": "1"},
        "multiValueHeaders": {"Authorization": list(tokens), "X-Trace": ["1"]},
        "body": "{}",
        "requestContext": {"requestId": "r-1", **({} if scopes is None else {"authorizer": who})},
    }


def call(*args: Any, **options: Any) -> dict[str, Any]:
    return dict(calls.handler(an_event(*args, **options), None))


def refused(reply: Mapping[str, Any], status: int, code: str) -> str:
    """Check status and code of a refusal; returns its sentence."""
    document = json.loads(reply["body"])
    assert (reply["statusCode"], document["code"], document["requestId"]) == (status, code, "r-1")
    assert reply["headers"]["Cache-Control"] == "no-store"
    return str(document["error"])


def test_function_of_the_entry_gets_the_request_without_the_token(stand: Stand) -> None:
    reply = call()

    assert reply == {
        **SERVED,
        "headers": {"Content-Type": "text/plain", "Cache-Control": "no-store"},
    }
    sent = {
        **an_event(),
        "headers": {"X-Trace": "1"},
        "multiValueHeaders": {"X-Trace": ["1"]},
    }
    assert stand.called == [("demo-Flan-model:live", sent)]


def test_function_of_the_entry_has_a_second_less_than_the_caller_waits(stand: Stand) -> None:
    call("flan")
    call("slow")

    assert stand.waited == [28, 119]


def test_function_of_the_entry_gets_a_compressed_body_as_it_was(stand: Stand) -> None:
    event = an_event()
    packed = base64.b64encode(gzip.compress(b"{}")).decode()
    sent = {**event["headers"], "Content-Encoding": "gzip"}
    event |= {"headers": sent, "multiValueHeaders": {}, "body": packed, "isBase64Encoded": True}

    assert calls.handler(event, None)["statusCode"] == 200
    ((_, got),) = stand.called
    assert (got["headers"], base64.b64decode(got["body"])) == ({"X-Trace": "1"}, b"{}")

    event["headers"]["Content-Encoding"] = "br"
    refused(dict(calls.handler(event, None)), 415, "UnsupportedMediaType")


def test_call_is_counted_by_token_and_endpoint(stand: Stand) -> None:
    call()

    assert stand.counted == [f"{KEY}#i1"]


def test_call_beyond_the_rate_reaches_no_function(stand: Stand) -> None:
    stand.wait = 40

    reply = call()

    refused(reply, 429, "TooManyRequests")
    assert reply["headers"]["Retry-After"] == "40"
    assert stand.called == []


def test_call_that_cannot_be_counted_is_made(stand: Stand) -> None:
    stand.wait = Throttled("ThrottlingException", "")

    assert call()["statusCode"] == 200


def test_caller_without_the_scope_or_with_two_tokens_reaches_no_function(stand: Stand) -> None:
    assert NAME in refused(call(scopes="read invoke:demo-Other"), 403, "ScopeMissing")
    assert NAME in refused(call(scopes=None), 403, "ScopeMissing")
    refused(call(tokens=("Bearer a", "Bearer b")), 401, "Unauthorized")

    assert (stand.called, stand.counted) == ([], [])
    assert call(scopes=f"invoke:{KEY}")["statusCode"] == 200


def test_public_model_is_called_without_a_token_and_not_counted(stand: Stand) -> None:
    assert call("public", scopes=None)["statusCode"] == 200
    assert stand.counted == []
    assert stand.called[0][0] == "demo-Flan-model"


@pytest.mark.parametrize(
    "reply",
    [
        {"statusCode": 503, "body": json.dumps({"code": "ModelNotReady"})},
        {"statusCode": 503, "body": json.dumps(["NotServed"])},
        {"statusCode": 503, "body": "no JSON"},
        {"statusCode": 503, "body": "[" * 200_000},
        {"statusCode": 503, "body": None},
        {"statusCode": 503},
        {**NOT_SERVED, "statusCode": 500},
    ],
)
def test_other_replies_of_a_function_are_passed_on(stand: Stand, reply: dict[str, Any]) -> None:
    stand.reply = reply

    answer = call("waking")

    assert answer["statusCode"] == reply["statusCode"]
    assert answer.get("body") == reply.get("body")
    assert stand.store.load(KEY).state is None


def test_call_wakes_a_stopped_endpoint_for_its_minutes(stand: Stand) -> None:
    stand.reply = NOT_SERVED

    reply = call("waking")

    assert NAME in refused(reply, 202, "EndpointStarting")
    assert reply["headers"]["Retry-After"] == "15"
    state = stand.store.load(KEY).state
    assert state is not None
    assert state.expires_at is not None
    left = state.expires_at - datetime.now(UTC)
    assert timedelta(minutes=9) < left <= timedelta(minutes=10)
    (event,) = stand.history.newest(KEY, 9)
    assert (event.kind, event.actor) == ("woken", "ann")
    assert [hint.endpoint for hint in stand.hints.sent] == [KEY]


def paid(stand: Stand, minutes: float) -> datetime:
    """The lease of Flan runs so long. Returns its end."""
    ends = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=minutes)
    stand.store.create_state(KEY, State(expires_at=ends))
    return ends


def end_of_lease(stand: Stand) -> datetime | None:
    state = stand.store.load(KEY).state
    assert state is not None
    return state.expires_at


def test_call_of_a_running_endpoint_moves_the_end_of_its_lease_on(stand: Stand) -> None:
    paid(stand, 5)

    assert call("extending") == call("flan")
    ends = end_of_lease(stand)
    assert ends is not None
    assert timedelta(minutes=9) < ends - datetime.now(UTC) <= timedelta(minutes=10)
    assert (stand.hints.sent, stand.history.newest(KEY, 9)) == ([], [])


@pytest.mark.parametrize(
    ("route", "method", "scopes", "wait"),
    [
        ("waking", "POST", "invoke", None),
        ("public", "POST", None, None),
        ("extending", "GET", "invoke", None),
        ("extending", "POST", "read", None),
        ("extending", "POST", "invoke", 40),
    ],
)
def test_other_calls_move_no_lease(
    stand: Stand, route: str, method: str, scopes: str | None, wait: int | None
) -> None:
    stand.wait = wait
    ends = paid(stand, 5)

    call(route, method, scopes)

    assert end_of_lease(stand) == ends


@pytest.mark.parametrize(
    "error",
    [
        Throttled("ThrottlingException", ""),
        Conflict("again"),
        ValueError("an item of another version"),
    ],
)
def test_call_is_made_though_its_lease_cannot_be_moved(
    stand: Stand, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    ends = paid(stand, 5)
    monkeypatch.setattr(stand.store, "extend", failing(error))

    assert call("extending")["statusCode"] == 200
    assert end_of_lease(stand) == ends


def test_wakes_of_a_token_are_limited(stand: Stand) -> None:
    stand.reply = NOT_SERVED
    for _ in range(2):
        assert call("waking")["statusCode"] == 202
        now, state = datetime.now(UTC), stand.store.load(KEY).state
        assert state is not None
        stand.store.stop(KEY, State(rev=state.rev, expires_at=now), now)

    refused(call("waking"), 429, "TooManyWakes")


@pytest.mark.parametrize(
    ("route", "method", "scopes"),
    [("flan", "POST", "invoke"), ("waking", "GET", "invoke"), ("public", "POST", None)],
)
def test_probes_public_calls_and_models_without_waking_start_nothing(
    stand: Stand, route: str, method: str, scopes: str | None
) -> None:
    stand.reply = NOT_SERVED

    reply = call(route, method, scopes)

    assert NAME in refused(reply, 503, "EndpointStopped")
    assert reply["headers"]["Retry-After"] == "60"
    assert stand.store.load(KEY).state is None


def test_start_that_fails_says_when_it_is_tried_again(stand: Stand) -> None:
    stand.reply = NOT_SERVED
    now = datetime.now(UTC)
    failing = State(
        expires_at=now + timedelta(hours=1), attempts=1, retry_at=now + 4 * FIRST_BACKOFF
    )
    stand.store.create_state(KEY, failing)

    reply = call("waking")

    refused(reply, 503, "EndpointStarting")
    assert 50 < int(reply["headers"]["Retry-After"]) <= 60


def test_answer_for_an_endpoint_that_is_not_served_says_why(stand: Stand) -> None:
    stand.reply = NOT_SERVED
    stand.store.set_drain(datetime.now(UTC) + timedelta(minutes=5))
    refused(call(), 503, "Draining")
    refused(call("waking"), 503, "Draining")

    stand.store.set_drain(None)
    stand.store.create_state(KEY, State(stranger=Owner.ANOTHER_STACK))
    refused(call(), 409, "NotOurs")

    stand.store.records.clear()
    refused(call(), 404, "UnknownEndpoint")


def test_failures_of_a_function_are_answers_that_say_what_may_have_happened(stand: Stand) -> None:
    stand.reply = FunctionFailed()
    refused(call(), 502, "FunctionFailed")

    stand.reply = Unanswered("ConnectionClosedError", "")
    assert "The model may have run" in refused(call(), 504, "Unanswered")
    assert "The model may have run" not in refused(call(method="GET"), 504, "Unanswered")

    for error in (FunctionFailed(), Throttled("ThrottlingException", "")):
        stand.reply = error
        assert "may or may not" not in json.loads(call(method="GET")["body"])["error"]

    stand.reply = ValueError("secret")
    assert "secret" not in refused(call(), 500, "InternalError")


def test_warm_up_makes_the_parts_and_calls_nothing(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    monkeypatch.setattr(calls, "parts", lambda: made.append("parts"))

    assert calls.handler(WARM_UP, None) == {}
    assert (made, stand.called) == (["parts"], [])


def test_parts_are_made_from_the_environment_once(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = CallsSettings(
        "state", "history", 90, "starts", "work", 20, "https://example.com", str(MODELS)
    )
    environment = {
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        **settings.to_environment(),
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    calls.parts.cache_clear()
    try:
        parts = calls.parts()
        assert calls.parts() is parts
        assert isinstance(parts.hasty, DynamoStateStore)
        assert parts.hasty._client is parts.hasty._once is clients.dynamodb_hasty()
    finally:
        calls.parts.cache_clear()

    assert parts.models == MODELS
    assert parts.headers["Access-Control-Allow-Origin"] == "https://example.com"
