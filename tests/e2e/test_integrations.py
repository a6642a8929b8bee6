"""Models that are called through the functions of their entries, on the embedded stack."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from lambdas.core.settings import WARM_UP
from lambdas.core.tokens import identity_of
from tests.e2e.calls import FALCON, FLAN, get, renew
from tests.e2e.checkout import Checkout, until
from tests.e2e.model_headers import require_sagemakers_headers_pass
from tests.e2e.random_documents import COUNTS, random_documents

WRITER = "demo-Writer-Endpoint"
ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
PROMPT = "Write a program to compute factorial in python:"
WRITER_ENTRY = {
    "name": "Writer",
    "model_id": "huggingface-llm-falcon-40b-instruct-bf16",
    "inference_instance_type": "ml.g5.12xlarge",
    "inference_type": "realtime",
    "integration": {
        "type": "lambda",
        "properties": {
            "lambda_src": "functions/fastapi_example",
            "api_resource_name": "write",
            "proxy": True,
            "provisioned_concurrency": 1,
        },
    },
}


@pytest.fixture(scope="module")
def calling(checkout: Checkout) -> Iterator[Checkout]:
    """Falcon wakes on request, FLAN-T5 is called through a function that is kept warm, and a web
    application writes."""
    config = checkout.config()
    falcon, flan = config["jumpstart_models"]
    falcon["wake_on_request"] = {"minutes": 10, "extend": True}
    flan["integration"] = {
        "type": "lambda",
        "properties": {
            "lambda_src": "functions/flan",
            "api_resource_name": "flan",
            "keep_warm": {"minutes": 5},
        },
    }
    config["jumpstart_models"].append(WRITER_ENTRY)
    checkout.up(CONFIG=checkout.write_config(config))
    yield checkout
    checkout.clear_faults()
    for name in (FALCON, FLAN, WRITER):
        stop(checkout, name)
    checkout.up()


def stop(checkout: Checkout, name: str) -> None:
    with checkout.api() as api:
        api.delete("/endpoint-expiry", params={"EndpointName": name}).raise_for_status()
    until(lambda: checkout.status(name) == "Absent", 60)


def serving(checkout: Checkout, name: str) -> None:
    renew(checkout, name, 10).raise_for_status()
    until(lambda: checkout.status(name) == "InService", 60)


def test_examples_of_the_original_work_as_they_are_written(calling: Checkout) -> None:
    serving(calling, FALCON)
    serving(calling, FLAN)
    story = "write a story about beautiful weather on a topical island."
    flan = {"text_inputs": story, "max_length": 50, "temperature": 0.0, "seed": 321}
    with calling.api() as api:
        answer = api.post("/falcon", json={"inputs": PROMPT, "parameters": {"max_new_tokens": 200}})
        assert answer.raise_for_status().json() == [{"generated_text": PROMPT}]
        answer = api.post("/flan", json=flan)
        assert answer.raise_for_status().json() == {"generated_texts": [story]}


@pytest.mark.parametrize("count", COUNTS)
def test_documents_come_back_byte_for_byte(calling: Checkout, count: int) -> None:
    serving(calling, FALCON)
    documents = random_documents(seed=11, count=count)
    sent = [json.dumps(each, ensure_ascii=n % 2 == 0).encode() for n, each in enumerate(documents)]
    with calling.api() as api, ThreadPoolExecutor(4) as callers:
        headers = {"Content-Type": "application/json"}
        answers = callers.map(lambda body: api.post("/falcon", content=body, headers=headers), sent)
        assert [answer.raise_for_status().content for answer in answers] == sent


def test_bytes_types_and_attributes_pass_in_both_directions(calling: Checkout) -> None:
    serving(calling, FALCON)
    body = bytes(range(256)) * 100
    headers = {"Content-Type": "image/x; q=1", ATTRIBUTES: "trace=1;b"}
    with calling.api() as api:
        answer = api.post("/falcon", content=body, headers=headers).raise_for_status()
    assert answer.content == body
    assert answer.headers["Content-Type"] == "image/x; q=1"
    assert answer.headers[ATTRIBUTES] == "trace=1;b"
    assert answer.headers["x-Amzn-Invoked-Production-Variant"] == "AllTraffic"


def test_headers_of_sagemaker_and_its_reasons_pass_through_the_function(calling: Checkout) -> None:
    serving(calling, FALCON)
    with calling.api() as api:
        require_sagemakers_headers_pass(api, "/falcon")
    # API Gateway decodes bodies, and measures them before the function is called.
    with calling.api() as api:
        packed = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
        answer = api.post("/falcon", content=gzip.compress(b'{"a": 1}'), headers=packed)
        assert (answer.status_code, answer.json()) == (200, {"a": 1})
        assert api.post("/falcon", content=b"{}", headers=packed).status_code == 415
        assert api.post("/falcon", content=b"\xff" * 4_500_000).status_code == 200
        large = api.post("/falcon", content=b"\xff" * 4_750_000)
        assert (large.status_code, large.json()["code"]) == (413, "RequestTooLarge")


def test_a_call_moves_the_end_of_the_lease_on(calling: Checkout) -> None:
    serving(calling, FALCON)
    dynamodb, ends = calling.client("dynamodb"), int(time.time()) + 120
    key = {"pk": {"S": f"ENDPOINT#{FALCON.lower()}"}, "sk": {"S": "STATE"}}
    dynamodb.update_item(
        TableName=calling.stack["state_table"],
        Key=key,
        UpdateExpression="SET expires_at = :soon ADD rev :one",
        ExpressionAttributeValues={":soon": {"N": str(ends)}, ":one": {"N": "1"}},
    )
    assert get(calling, FALCON)["SecondsLeft"] <= 120
    with calling.api() as api:
        assert api.get("/falcon").status_code == 405
        assert get(calling, FALCON)["SecondsLeft"] <= 120
        for _ in range(3):
            assert api.post("/falcon", json={"inputs": PROMPT}).status_code == 200
    assert 570 < get(calling, FALCON)["SecondsLeft"] <= 600


def test_failures_of_the_model_are_424(calling: Checkout) -> None:
    serving(calling, FALCON)
    calling.fault("InvokeEndpoint", "ModelError", endpoint=FALCON)
    with calling.api() as api:
        answer = api.post("/falcon", json={"inputs": PROMPT})
        assert (answer.status_code, answer.json()["code"]) == (424, "ModelError")
        assert api.post("/falcon", json={"inputs": PROMPT}).status_code == 200
    with calling.api("") as nobody:
        assert nobody.post("/falcon", json={}).status_code == 401


def test_calls_of_a_model_are_limited_per_token(calling: Checkout) -> None:
    token = calling.new_token("invoke")
    with calling.api(token) as api:
        assert api.get("/falcon").status_code == 405
        use_up_the_calls(calling, token)
        over = api.get("/falcon")
        assert (over.status_code, over.json()["code"]) == (429, "TooManyRequests")
        assert 1 <= int(over.headers["Retry-After"]) <= 60
        assert api.get("/flan").status_code == 405, "each endpoint has a counter of its own"


def use_up_the_calls(checkout: Checkout, token: str) -> None:
    """Let a token have made its calls of Falcon in this minute, and in the next."""
    counter = {"S": f"RATE#{FALCON.lower()}#{identity_of(token)}"}
    dynamodb, now = checkout.client("dynamodb"), datetime.now(UTC)
    for minutes in (0, 1):
        minute = f"{now + timedelta(minutes=minutes):%Y-%m-%dT%H:%MZ}"
        dynamodb.update_item(
            TableName="demo-history",
            Key={"pk": counter, "sk": {"S": minute}},
            UpdateExpression="ADD requests :all",
            ExpressionAttributeValues={":all": {"N": "1200"}},
        )


def test_calls_wake_a_stopped_model_once_and_are_served(calling: Checkout) -> None:
    stop(calling, FALCON)
    until(lambda: get(calling, FALCON)["Status"] == "Absent", 60)
    with calling.api("") as nobody:
        assert nobody.post("/falcon", json={}).status_code == 401
    with calling.api() as api:
        assert api.get("/falcon").status_code == 405
        assert get(calling, FALCON)["Wanted"] == "stopped"
        limits = httpx.Limits(max_connections=50)
        with (
            httpx.Client(
                base_url=api.base_url, headers=api.headers, timeout=60, limits=limits
            ) as many,
            ThreadPoolExecutor(50) as callers,
        ):
            calls = callers.map(lambda n: many.post("/falcon", json={"inputs": str(n)}), range(50))
            answers = list(calls)
        # For the last callers it may already be in service.
        assert {answer.status_code for answer in answers} <= {200, 202}
        woken = [answer for answer in answers if answer.status_code == 202]
        assert woken
        for answer in woken:
            assert answer.json()["code"] == "EndpointStarting"
            assert int(answer.headers["Retry-After"]) >= 1
        lease = get(calling, FALCON)
        assert lease["SecondsLeft"] <= 600
        events = api.get("/endpoint-events", params={"EndpointName": FALCON, "limit": 20}).json()
        newest = [event["Event"] for event in events]
        assert newest[: newest.index("stopped")].count("woken") == 1

        def served() -> Any:
            answer = api.post("/falcon", json={"inputs": PROMPT})
            assert answer.status_code in (200, 202), answer.text
            return answer.json() if answer.status_code == 200 else None

        assert until(served, 60) == [{"generated_text": PROMPT}]


def test_a_stopped_model_that_does_not_wake_is_503_until_it_is_renewed(calling: Checkout) -> None:
    stop(calling, FLAN)
    with calling.api() as api:
        answer = api.post("/flan", json={"text_inputs": PROMPT})
        assert (answer.status_code, answer.json()["code"]) == (503, "EndpointStopped")
        assert answer.headers["Retry-After"] == "60"
        renew(calling, FLAN, 10).raise_for_status()
        answer = api.post("/flan", json={"text_inputs": PROMPT})
        assert (answer.status_code, answer.json()["code"]) == (503, "EndpointStarting")
        assert 1 <= int(answer.headers["Retry-After"]) <= 15
        until(lambda: api.post("/flan", json={"text_inputs": PROMPT}).status_code == 200, 60)


def test_a_web_application_answers_below_its_route(calling: Checkout) -> None:
    with calling.api() as api:
        assert api.get("/write/ping").raise_for_status().json() == {"status": "ok"}
        stopped = api.post("/write/generate", json={"prompt": PROMPT})
        assert (stopped.status_code, stopped.json()["code"]) == (503, "EndpointStopped")
        serving(calling, WRITER)
        written = api.post("/write/generate", json={"prompt": PROMPT, "max_new_tokens": 20})
        assert written.raise_for_status().json()["variant"] == "AllTraffic"
        assert PROMPT in written.json()["text"]
        assert api.post("/write/generate", json={"prompt": ""}).status_code == 422
        assert api.get("/write/openapi.json").json()["info"]["title"] == WRITER
        assert api.get("/write/nothing").status_code == 404
    with calling.api("") as nobody:
        assert nobody.get("/write/ping").status_code == 401


def test_a_warm_up_is_answered_at_once(calling: Checkout) -> None:
    functions = calling.client("lambda")
    called = functions.invoke(FunctionName="demo-model-FlanT5", Payload=json.dumps(WARM_UP))
    assert json.load(called["Payload"]) == {}
    schedules = calling.client("scheduler").list_schedules(NamePrefix="demo-warm")["Schedules"]
    assert {each["Name"] for each in schedules} == {"demo-warm-FlanT5", "demo-warm_calls"}
