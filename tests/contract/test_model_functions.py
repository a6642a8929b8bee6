"""The functions that call models, as `calls` calls them, on a simulator over HTTP."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from functions.falcon import index as falcon
from functions.flan import index as flan
from functions.passthrough import index as passthrough
from lambdas.aws import clients
from lambdas.core.settings import WARM_UP, IntegrationSettings
from lambdas.handlers import integration
from tests.contract.model_requests import FORM, FORM_TYPE, WRONG_VALUES
from tests.contract.simulated import Simulated, simulated
from tests.e2e.random_documents import random_documents

NAME = "demo-Falcon40B-Endpoint"
ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
SESSION = "X-Amzn-SageMaker-Session-Id"


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulated]:
    settings = IntegrationSettings(NAME, "falcon", 5)
    environment = {
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        **settings.to_environment(),
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with simulated() as served:
        monkeypatch.setattr(clients, "sagemaker_runtime", lambda _seconds: served.runtime)
        integration.settings.cache_clear()
        integration._runtime.cache_clear()
        yield served


def event(body: object = b"", method: str = "POST", **headers: str) -> dict[str, Any]:
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
        "requestContext": {"requestId": "r-1"},
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


@pytest.mark.parametrize(("header", "value"), WRONG_VALUES.items())
def test_headers_reach_sagemaker_and_its_reason_the_caller(
    here: Simulated, header: str, value: str
) -> None:
    here.has_endpoint(NAME)
    reply = passthrough.handler(event({}, **{header: value}), None)
    sentence = refusal(reply, 400, "InvalidInvocation")
    assert sentence.startswith("SageMaker refused the call: ")
    assert f"'{value}'" in sentence


def test_unknown_variant_is_named_and_the_account_is_not(here: Simulated) -> None:
    here.has_endpoint(NAME)
    asked = event({}, **{"X-Amzn-SageMaker-Target-Variant": "Third"})
    assert refusal(passthrough.handler(asked, None), 400, "InvalidInvocation") == (
        f"SageMaker refused the call: Variant Third of endpoint {NAME} of account ... not found."
    )


def test_session_begins_and_ends_through_the_function(here: Simulated) -> None:
    here.has_endpoint(NAME)
    begun = passthrough.handler(event(b"", **{SESSION: "NEW_SESSION"}), None)
    session = begun["headers"]["X-Amzn-SageMaker-New-Session-Id"].partition(";")[0]
    closing = event(b'{"requestType": "CLOSE"}', **{SESSION: session})
    ended = passthrough.handler(closing, None)
    assert ended["headers"]["X-Amzn-SageMaker-Closed-Session-Id"] == session


def test_form_of_several_parts_passes_byte_for_byte(here: Simulated) -> None:
    here.has_endpoint(NAME)
    reply = passthrough.handler(event(FORM, **{"Content-Type": FORM_TYPE}), None)
    assert (content(reply), reply["headers"]["Content-Type"]) == (FORM, FORM_TYPE)


def test_requests_of_the_original_get_answers_of_its_shape(here: Simulated) -> None:
    here.has_endpoint(NAME)
    prompt = "Write a program to compute factorial in python:"
    asked = {"inputs": prompt, "parameters": {"max_new_tokens": 200}}
    reply = falcon.handler(event(asked), None)
    assert json.loads(reply["body"]) == [{"generated_text": prompt}]
    story = "write a story about beautiful weather on a topical island."
    text = {"text_inputs": story, "max_length": 50, "temperature": 0.0, "seed": 321}
    assert json.loads(flan.handler(event(text), None)["body"]) == {"generated_texts": [story]}


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
        (event({}, Accept="ä"), 400, "InvalidRequest"),
        (event({}, **{SESSION: "no id"}), 400, "InvalidInvocation"),
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
def test_a_model_that_is_not_served_is_told_to_the_function_before() -> None:
    refusal(falcon.handler(event({}), None), 503, "NotServed")
