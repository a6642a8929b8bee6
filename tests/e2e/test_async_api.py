"""Models called asynchronously: /startexecution and /describeexecution on the embedded stack."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.e2e.checkout import Checkout, until
from tests.e2e.random_documents import COUNTS, random_documents

FALCON = "demo-Falcon40B-Endpoint"
FLAN = "demo-FlanT5-Endpoint"
PROMPT = {
    "inputs": "Write a program to compute factorial in python:",
    "parameters": {"max_new_tokens": 200},
}


@pytest.fixture
def api(checkout: Checkout) -> Iterator[httpx.Client]:
    """A client of the API; Falcon is in service."""
    checkout.clear_faults()
    with checkout.api() as api:
        renewal = {"EndpointName": FALCON, "minutes": 60}
        api.post("/endpoint-expiry", json=renewal).raise_for_status()
        until(lambda: _status(api, FALCON) == "InService", 60)
        yield api


def _status(api: httpx.Client, name: str) -> str:
    answer = api.get("/endpoint-expiry", params={"EndpointName": name})
    return str(answer.raise_for_status().json()["Status"])


def start(api: httpx.Client, body: Any, endpoint: str = FALCON, **headers: str) -> httpx.Response:
    document = {"endpointname": endpoint, "body": body}
    return api.post("/startexecution", json=document, headers=headers)


def ended(api: httpx.Client, arn: str, seconds: float = 20) -> dict[str, Any]:
    """The answer of /describeexecution after the execution has ended."""

    def look() -> dict[str, Any] | None:
        answer = api.post("/describeexecution", json={"executionArn": arn})
        document: dict[str, Any] = answer.raise_for_status().json()
        return None if document["status"] == "RUNNING" else document

    return until(look, seconds, every=0.2)


def test_a_prompt_and_its_answer_have_the_shapes_of_the_original(api: httpx.Client) -> None:
    begun = start(api, PROMPT)
    assert begun.status_code == 200
    assert set(begun.json()) == {"executionArn", "startDate"}
    arn = begun.json()["executionArn"]
    assert isinstance(begun.json()["startDate"], float)
    found = ended(api, arn)
    assert (found["status"], found["executionArn"]) == ("SUCCEEDED", arn)
    assert found["name"] == arn.rpartition(":")[2]
    assert found["stateMachineArn"].endswith(":stateMachine:demo-async")
    assert json.loads(found["input"]) == {"endpointname": FALCON, "body": PROMPT}
    output = json.loads(found["output"])
    assert set(output) == {"Body", "ContentType", "InvokedProductionVariant"}
    assert json.loads(output["Body"]) == PROMPT
    assert output["ContentType"] == "application/json"
    assert output["InvokedProductionVariant"] == "AllTraffic"
    assert found["stopDate"] >= found["startDate"] > 1_700_000_000


@pytest.mark.parametrize("count", COUNTS)
def test_random_documents_come_back_unchanged(api: httpx.Client, count: int) -> None:
    documents = [
        *random_documents(seed=5, count=count - 3),
        {"text": "é\"\\'$#{}" * 8_000},  # some 100 KB as JSON
        'a bare "string" of $input.path(1)',
        None,
    ]

    def echo(document: Any) -> Any:
        arn = start(api, document).raise_for_status().json()["executionArn"]
        return json.loads(json.loads(ended(api, arn, 60)["output"])["Body"])

    with ThreadPoolExecutor(4) as callers:
        echoed = list(callers.map(echo, documents))
    assert echoed == documents


def test_only_the_caller_who_started_an_execution_may_read_it(
    checkout: Checkout, api: httpx.Client
) -> None:
    arn = start(api, PROMPT).json()["executionArn"]
    with checkout.api(checkout.stack["admin_token"]) as another:
        refused = another.post("/describeexecution", json={"executionArn": arn})
    assert (refused.status_code, refused.json()["code"]) == (403, "NotYourExecution")
    for unknown in (f"{arn}0", arn.replace("demo-async", "demo-other"), "x"):
        answer = api.post("/describeexecution", json={"executionArn": unknown})
        assert answer.status_code == 404


def test_the_same_idempotency_key_starts_one_execution(api: httpx.Client) -> None:
    arns = {start(api, PROMPT, **{"Idempotency-Key": "k-1"}).json()["executionArn"] for _ in "abc"}
    assert len(arns) == 1
    ended(api, arns.pop())
    other = start(api, {"inputs": "other"}, **{"Idempotency-Key": "k-1"})
    assert (other.status_code, other.json()["code"]) == (422, "IdempotencyConflict")


def test_endpoints_that_may_not_be_called_are_refused(api: httpx.Client) -> None:
    cases: tuple[tuple[dict[str, str], int], ...] = (
        ({"endpointname": FLAN}, 409),
        ({"endpointname": "demo-None-Endpoint"}, 404),
        ({}, 400),
    )
    for named, status in cases:
        answer = api.post("/startexecution", json={**named, "body": {}})
        assert answer.status_code == status, answer.text


def test_an_added_endpoint_is_called_after_the_advice_of_the_refusal_is_followed(
    checkout: Checkout, api: httpx.Client
) -> None:
    name = "added"
    (config, *_) = checkout.client("sagemaker").list_endpoint_configs()["EndpointConfigs"]
    added = {"EndpointName": name, "EndpointConfigName": config["EndpointConfigName"]}
    api.post("/endpoint-expiry", json={**added, "minutes": 10}).raise_for_status()
    refused = start(api, PROMPT, name)
    assert (refused.status_code, refused.json()["code"]) == (409, "AsyncApiDisabled")
    advice = re.search(r"POST (/[a-z-]+) (\{.*\}),", refused.json()["error"])
    assert advice
    followed = api.post(advice[1], json=json.loads(advice[2])).raise_for_status()
    assert (followed.status_code, followed.json()["AsyncApi"]) == (200, True)
    until(lambda: _status(api, name) == "InService", 60)
    found = ended(api, start(api, PROMPT, name).raise_for_status().json()["executionArn"])
    assert json.loads(json.loads(found["output"])["Body"]) == PROMPT
    query = {"EndpointName": name, "forget": "true"}
    api.delete("/endpoint-expiry", params=query).raise_for_status()
    until(lambda: checkout.status(name) == "Absent", 60)


def test_calls_of_a_busy_model_are_retried_and_calls_of_a_stopped_one_refused(
    checkout: Checkout, api: httpx.Client
) -> None:
    checkout.fault("InvokeEndpoint", "ThrottlingException", count=2)
    arn = start(api, PROMPT).json()["executionArn"]
    assert ended(api, arn, 60)["status"] == "SUCCEEDED"
    api.delete("/endpoint-expiry", params={"EndpointName": FALCON}).raise_for_status()
    refused = until(lambda: answer if (answer := start(api, PROMPT)).is_error else None)
    assert (refused.status_code, refused.json()["code"]) == (503, "EndpointStopped")
    assert refused.headers["Retry-After"] == "60"
    assert "POST /endpoint-expiry" in refused.json()["error"]
