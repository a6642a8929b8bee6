"""Models behind `"type": "api"`: API Gateway calls SageMaker directly, on the embedded stack."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import Any

import httpx
import pytest

from tests.e2e.calls import FLAN, renew
from tests.e2e.checkout import Checkout, until
from tests.e2e.model_headers import require_sagemakers_headers_pass
from tests.e2e.random_documents import COUNTS, random_documents

ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
EXAMPLE = """{
    "text_inputs":"write a story about beautiful weather on a topical island.", 
    "max_length": 50, 
    "temperature": 0.0,
    "seed": 321
}"""  # noqa: W291  # as it is written there


@pytest.fixture
def flan(checkout: Checkout) -> Iterator[httpx.Client]:
    """A client of the API; Flan is in service."""
    checkout.clear_faults()
    renew(checkout, FLAN, 60).raise_for_status()
    until(lambda: checkout.status(FLAN) == "InService", 60)
    with checkout.api() as api:
        yield api
    checkout.clear_faults()


def test_the_flan_example_of_the_original_gets_the_answer_of_the_model_unchanged(
    checkout: Checkout, flan: httpx.Client
) -> None:
    del flan
    stack = checkout.stack
    command = [
        *("curl", "--silent", "--show-error", "--include", "--location"),
        f"{stack['api_url']}/flan",
        *("--header", f"Authorization: {stack['token']}"),
        *("--header", "Content-Type: application/json"),
        *("--data", EXAMPLE),
    ]

    head, _, body = checkout.command(command).stdout.partition("\n\n")

    assert head.startswith("HTTP/1.1 200")
    assert "content-type: application/json" in head.lower()
    assert body == EXAMPLE


@pytest.mark.parametrize("count", COUNTS)
def test_random_documents_pass_unchanged(flan: httpx.Client, count: int) -> None:
    bodies = [
        json.dumps(document, ensure_ascii=bool(number % 2)).encode()
        for number, document in enumerate(random_documents(seed=60, count=count))
    ]

    with ThreadPoolExecutor(8) as callers:
        answers = list(callers.map(lambda body: post(flan, body), bodies))

    assert {answer.status_code for answer in answers} == {200}
    assert [answer.content for answer in answers] == bodies


@pytest.mark.parametrize("content_type", ["application/octet-stream", "image/png", "text/csv"])
def test_bytes_and_their_type_pass_unchanged(flan: httpx.Client, content_type: str) -> None:
    body = Random(content_type).randbytes(200_000)  # noqa: S311  # no secret

    answer = post(flan, body, content_type)

    assert answer.headers["content-type"] == content_type
    assert answer.content == body


def test_custom_attributes_pass_in_both_directions(flan: httpx.Client) -> None:
    answer = post(flan, b"{}", **{ATTRIBUTES: 'accept_eula=true; it\'s "$x"'})

    assert answer.headers[ATTRIBUTES] == 'accept_eula=true; it\'s "$x"'
    assert answer.headers["X-Amzn-Invoked-Production-Variant"] == "AllTraffic"


def test_headers_of_sagemaker_and_its_reasons_pass(flan: httpx.Client) -> None:
    require_sagemakers_headers_pass(flan, "/flan")


def test_a_compressed_body_is_decoded_for_the_model(flan: httpx.Client) -> None:
    answer = post(flan, gzip.compress(EXAMPLE.encode()), **{"Content-Encoding": "gzip"})

    assert (answer.status_code, answer.text) == (200, EXAMPLE)
    refused = post(flan, EXAMPLE.encode(), **{"Content-Encoding": "br"})
    require_error(refused, 415, "UnsupportedMediaType")


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        ("ModelError", 424, "ModelError"),
        ("ModelNotReadyException", 503, "ModelNotReady"),
        ("ThrottlingException", 429, "TooManyRequests"),
        ("InternalFailure", 502, "AwsRefused"),
        ("ValidationError", 400, "InvalidInvocation"),
    ],
)
def test_a_call_that_sagemaker_refuses_is_json_with_a_status(
    checkout: Checkout, flan: httpx.Client, failure: str, status: int, code: str
) -> None:
    checkout.fault("InvokeEndpoint", failure, endpoint=FLAN)

    require_error(post(flan, b"{}"), status, code)


def test_another_method_than_post_is_no_route(flan: httpx.Client) -> None:
    answer = flan.get("/flan")

    require_error(answer, 404, "RouteNotFound")
    assert "POST" in answer.json()["error"]


def test_a_body_beyond_sagemakers_limit_is_a_413(flan: httpx.Client) -> None:
    require_error(post(flan, b"x" * 6_291_457), 413, "BodyTooLarge")


def test_a_stopped_endpoint_is_a_503_that_says_how_to_start_it(idle: Checkout) -> None:
    with idle.api() as api:
        answer = post(api, b"{}")
        require_error(answer, 503, "EndpointStopped")
        assert answer.headers["Retry-After"] == "60"
        advice = answer.json()["error"].partition("POST /endpoint-expiry ")[2]
        start, _ = json.JSONDecoder().raw_decode(advice)
        api.post("/endpoint-expiry", json=start).raise_for_status()
        starting = post(api, b"{}")
        require_error(starting, 503, "EndpointStopped")
        (look,) = re.findall("GET ([^ ]+) tells", starting.json()["error"])
        assert api.get(look).json()["Wanted"] == "running"
        until(lambda: post(api, b"{}").status_code == 200, 60)


def test_without_a_token_no_model_is_called(checkout: Checkout, flan: httpx.Client) -> None:
    before = checkout.calls("InvokeEndpoint", FLAN)
    for token, status, code in (("", 401, "Unauthorized"), ("wrong", 403, "Forbidden")):
        with checkout.api(token) as api:
            require_error(post(api, b"{}"), status, code)
    assert checkout.calls("InvokeEndpoint", FLAN) == before
    assert flan.get("/flan").status_code == 404


def post(
    api: httpx.Client, body: bytes, content_type: str = "application/json", **headers: str
) -> httpx.Response:
    return api.post("/flan", content=body, headers={"Content-Type": content_type, **headers})


def require_error(answer: httpx.Response, status: int, code: str) -> None:
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    document: dict[str, Any] = answer.json()
    assert document.keys() == {"error", "code", "requestId"}
    assert document["code"] == code
