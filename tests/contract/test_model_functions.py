"""The functions that call models, as API Gateway calls them, on tables in moto and a simulator over
HTTP."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from moto import mock_aws

from functions.falcon import index as falcon
from functions.flan import index as flan
from functions.passthrough import index as passthrough
from lambdas.aws import clients
from lambdas.aws.items import encode, spec_values
from lambdas.aws.state_store import DynamoStateStore
from lambdas.core.answer_headers import SECURITY
from lambdas.core.schedule import Schedule
from lambdas.core.settings import WARM_UP, IntegrationSettings, WakingSettings
from lambdas.core.state import State
from lambdas.handlers import integration, wiring
from tests.aws_tables import create_tables
from tests.contract.simulated import Simulated, simulated
from tests.e2e.random_documents import random_documents
from tests.fakes import a_spec

NAME = "demo-Falcon40B-Endpoint"
ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulated]:
    settings = IntegrationSettings(NAME, "falcon", "state", 0, 5, "")
    monkeypatch.delenv("WAKE_MINUTES", raising=False)
    environment = {
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        **settings.to_environment(),
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with simulated() as served, mock_aws():
        dynamodb = boto3.client("dynamodb")
        create_tables(dynamodb, "state", "history", "auth")
        sqs = boto3.client("sqs")
        monkeypatch.setattr(clients, "dynamodb", lambda: dynamodb)
        monkeypatch.setattr(clients, "dynamodb_once", lambda: dynamodb)
        monkeypatch.setattr(clients, "sqs", lambda: sqs)
        monkeypatch.setattr(clients, "sagemaker_runtime", lambda _seconds: served.runtime)
        for cached in (integration.settings, integration._runtime, integration._waking_settings):
            cached.cache_clear()
        yield served


@pytest.fixture
def waking(here: Simulated, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let the function wake its endpoint; returns the URL of the starts queue."""
    urls = [clients.sqs().create_queue(QueueName=name)["QueueUrl"] for name in ("starts", "work")]
    waking_settings = WakingSettings("history", 90, urls[0], urls[1], 10, 2)
    for name, value in waking_settings.to_environment().items():
        monkeypatch.setenv(name, value)
    return urls[0]


def declare(**fields: Any) -> None:
    """Write the spec as Terraform does."""
    spec = a_spec(NAME, "falcon-1", **fields)
    keys = {"pk": f"ENDPOINT#{spec.key}", "sk": "SPEC#config"}
    clients.dynamodb().put_item(TableName="state", Item=encode({**spec_values(spec), **keys}))


def store() -> DynamoStateStore:
    return wiring.store("state")


def event(
    body: object = b"", scopes: str = "invoke", method: str = "POST", **headers: str
) -> dict[str, Any]:
    """An event of API Gateway; all bodies are in Base64, because all media types are binary."""
    sent = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
    headers = {"Content-Type": "application/json", **headers}
    return {
        "httpMethod": method,
        "path": "/falcon",
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "body": base64.b64encode(sent).decode(),
        "isBase64Encoded": True,
        "requestContext": {
            "requestId": "r-1",
            "authorizer": {"principal": "ann", "scopes": scopes, "identity": "1"},
        },
    }


def content(reply: Mapping[str, Any]) -> bytes:
    body = str(reply["body"])
    return base64.b64decode(body) if reply.get("isBase64Encoded") else body.encode()


def refusal(reply: Mapping[str, Any], status: int, code: str) -> str:
    """Check status and code of a refusal; returns its error message."""
    document = json.loads(reply["body"])
    assert (reply["statusCode"], document["code"], document["requestId"]) == (status, code, "r-1")
    assert reply["headers"]["Content-Type"] == "application/json"
    return str(document["error"])


@pytest.mark.parametrize("handler", [falcon.handler, flan.handler, passthrough.handler])
def test_documents_of_no_known_shape_come_back_byte_for_byte(
    here: Simulated, handler: integration.Handler
) -> None:
    here.has_endpoint(NAME)
    for document in random_documents(seed=7, count=200):
        sent = json.dumps(document, ensure_ascii=False).encode()
        reply = handler(event(sent), None)
        assert (reply["statusCode"], content(reply)) == (200, sent)


def test_types_attributes_and_binary_bodies_pass_in_both_directions(here: Simulated) -> None:
    here.has_endpoint(NAME)
    body = bytes(range(256))
    asked = event(body, **{"Content-Type": "image/x; q=1", ATTRIBUTES.lower(): "trace=1;b"})
    reply = falcon.handler(asked, None)
    assert content(reply) == body
    assert reply["headers"]["Content-Type"] == "image/x; q=1"
    assert reply["headers"][ATTRIBUTES] == "trace=1;b"
    assert reply["headers"]["x-Amzn-Invoked-Production-Variant"] == "AllTraffic"


def test_requests_of_the_original_get_answers_of_its_shape(here: Simulated) -> None:
    here.has_endpoint(NAME)
    prompt = "Write a program to compute factorial in python:"
    asked = {"inputs": prompt, "parameters": {"max_new_tokens": 200}}
    reply = falcon.handler(event(asked), None)
    assert json.loads(reply["body"]) == [{"generated_text": prompt}]
    story = "write a story about beautiful weather on a topical island."
    text = {"text_inputs": story, "max_length": 50, "temperature": 0.0, "seed": 321}
    assert json.loads(flan.handler(event(text), None)["body"]) == {"generated_texts": [story]}


def test_the_callers_scope_is_checked_before_the_model_is_called(here: Simulated) -> None:
    here.has_endpoint(NAME)
    other = falcon.handler(event({}, scopes="read renew manage invoke:demo-Other"), None)
    assert NAME in refusal(other, 403, "ScopeMissing")
    nobody = event({})
    del nobody["requestContext"]["authorizer"]
    refusal(falcon.handler(nobody, None), 403, "ScopeMissing")
    for reply in (other, falcon.handler(event({}), None)):
        assert SECURITY.items() <= reply["headers"].items()
    two = {**event({}), "multiValueHeaders": {"Authorization": ["a", "b"]}}
    refusal(falcon.handler(two, None), 401, "Unauthorized")
    own = falcon.handler(event({}, scopes=f"invoke:{NAME.lower()}"), None)
    assert own["statusCode"] == 200


def test_a_public_route_needs_no_token(here: Simulated, monkeypatch: pytest.MonkeyPatch) -> None:
    here.has_endpoint(NAME)
    monkeypatch.setenv("PUBLIC_ROUTE", "1")
    nobody = event({})
    del nobody["requestContext"]["authorizer"]
    assert falcon.handler(nobody, None)["statusCode"] == 200


@pytest.mark.parametrize(
    ("failure", "status", "code", "wait"),
    [
        ("ModelError", 424, "ModelError", None),
        ("ModelNotReadyException", 503, "ModelNotReady", "5"),
        ("ServiceUnavailable", 503, "ModelNotReady", "5"),
        ("ThrottlingException", 429, "TooManyRequests", "1"),
        ("InternalFailure", 502, "AwsRefused", None),
        ("ValidationError", 400, "InvalidInvocation", None),
        ("TimeoutAfter", 504, "ModelTimedOut", None),
    ],
)
def test_failures_of_models_become_answers(
    here: Simulated, failure: str, status: int, code: str, wait: str | None
) -> None:
    here.has_endpoint(NAME)
    here.fault("InvokeEndpoint", failure, endpoint=NAME)
    reply = falcon.handler(event({}), None)
    sentence = refusal(reply, status, code)
    assert "123456789012" not in sentence
    assert reply["headers"].get("Retry-After") == wait


@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [
        (event(b"x" * 6_291_457), 413, "BodyTooLarge"),
        (event({}, **{ATTRIBUTES: "x" * 1025}), 400, "InvalidRequest"),
        (event({}, **{ATTRIBUTES: "ä"}), 400, "InvalidRequest"),
        (event({}, **{"X-Amzn-SageMaker-Target-Variant": "none"}), 400, "InvalidInvocation"),
        (event({}, method="GET"), 405, "MethodNotAllowed"),
    ],
)
def test_invalid_requests_are_refused(
    here: Simulated, asked: dict[str, Any], status: int, code: str
) -> None:
    here.has_endpoint(NAME)
    refusal(falcon.handler(asked, None), status, code)


def test_an_answer_too_large_for_lambda_is_a_502(here: Simulated) -> None:
    here.has_endpoint(NAME)
    reply = falcon.handler(event(b"\xff" * 5_000_000), None)
    assert "5,000,000 bytes" in refusal(reply, 502, "AnswerTooLarge")


def test_a_warm_up_is_answered_at_once(here: Simulated) -> None:
    assert falcon.handler(WARM_UP, None) == {}


def test_a_bug_in_a_shape_function_is_a_500_and_logged(
    here: Simulated, caplog: pytest.LogCaptureFixture
) -> None:
    def shape(_asked: object, _answer: object) -> Any:
        raise KeyError("secret")

    here.has_endpoint(NAME)
    reply = integration.integration(shape)(event({}), None)
    assert "secret" not in refusal(reply, 500, "InternalError")
    assert "secret" in caplog.text


@pytest.mark.usefixtures("here")
def test_the_answer_for_a_stopped_endpoint_says_how_to_start_it() -> None:
    declare()
    reply = falcon.handler(event({}), None)
    assert "POST /endpoint-expiry" in refusal(reply, 503, "EndpointStopped")
    assert reply["headers"]["Retry-After"] == "60"
    assert store().load(NAME.lower()).state is None


@pytest.mark.usefixtures("here")
def test_retry_after_of_a_scheduled_endpoint_is_the_time_until_its_window_opens() -> None:
    opens = (datetime.now(UTC) + timedelta(hours=2)).replace(second=0, microsecond=0)
    window = {"name": "w", "start_time": f"{opens:%H:%M}", "date": f"{opens:%d/%m/%Y}"}
    declare(schedules=(Schedule.parse({**window, "stop_time": "00:00"}),))
    reply = falcon.handler(event({}), None)
    refusal(reply, 503, "EndpointStopped")
    left = (opens - datetime.now(UTC)).total_seconds()
    assert left <= int(reply["headers"]["Retry-After"]) <= left + 5


@pytest.mark.usefixtures("here")
def test_retry_after_of_a_starting_endpoint_is_an_estimate() -> None:
    declare()
    paid = datetime.now(UTC) + timedelta(hours=1)
    store().create_state(NAME.lower(), State(expires_at=paid, start_seconds=200))
    reply = falcon.handler(event({}), None)
    refusal(reply, 503, "EndpointStarting")
    assert reply["headers"]["Retry-After"] == "200"


@pytest.mark.usefixtures("here")
def test_a_stack_that_is_being_destroyed_says_so() -> None:
    declare()
    store().set_drain(datetime.now(UTC) + timedelta(minutes=5))
    refusal(falcon.handler(event({}), None), 503, "Draining")


def test_a_call_wakes_a_stopped_endpoint_once(waking: str) -> None:
    declare()
    for _ in range(5):
        reply = falcon.handler(event({}), None)
        assert "is being started" in refusal(reply, 202, "EndpointStarting")
        assert int(reply["headers"]["Retry-After"]) > 0
    state = store().load(NAME.lower()).state
    assert state is not None
    assert state.expires_at is not None
    left = state.expires_at - datetime.now(UTC)
    assert timedelta(minutes=9) < left <= timedelta(minutes=10)
    messages = clients.sqs().receive_message(QueueUrl=waking, MaxNumberOfMessages=10)["Messages"]
    assert [json.loads(message["Body"])["endpoint"] for message in messages] == [NAME.lower()]


def test_probes_and_callers_without_the_scope_wake_nothing(waking: str) -> None:
    declare()
    for method in ("GET", "HEAD", "OPTIONS"):
        assert falcon.handler(event({}, method=method), None)["statusCode"] == 405
        probe = integration.guarded(
            lambda event, _context: integration.reply_of(
                integration.call_model(event, integration.invocation_of(event))
            )
        )
        refusal(probe(event({}, method=method), None), 503, "EndpointStopped")
    refusal(falcon.handler(event({}, scopes="read renew manage"), None), 403, "ScopeMissing")
    assert store().load(NAME.lower()).state is None


def test_a_public_route_wakes_nothing(waking: str, monkeypatch: pytest.MonkeyPatch) -> None:
    declare()
    monkeypatch.setenv("PUBLIC_ROUTE", "1")
    refusal(falcon.handler(event({}), None), 503, "EndpointStopped")


def test_a_token_that_wakes_too_often_waits_for_the_next_hour(waking: str) -> None:
    declare()
    for _ in range(2):
        assert falcon.handler(event({}), None)["statusCode"] == 202
        state = store().load(NAME.lower()).state
        assert state is not None
        now = datetime.now(UTC)
        store().stop(NAME.lower(), replace(state, expires_at=now), now)
    reply = falcon.handler(event({}), None)
    refusal(reply, 429, "TooManyWakes")
    assert 1 <= int(reply["headers"]["Retry-After"]) <= 3601


def test_retry_after_of_a_failed_start_is_the_time_until_the_next_attempt(waking: str) -> None:
    declare()
    now = datetime.now(UTC)
    failing = State(
        expires_at=now + timedelta(hours=1), attempts=2, retry_at=now + timedelta(seconds=30)
    )
    store().create_state(NAME.lower(), failing)
    reply = falcon.handler(event({}), None)
    refusal(reply, 503, "EndpointStarting")
    assert reply["headers"]["Retry-After"] in {"29", "30"}
