"""Requests from outside: printed commands, oversized requests, and the rate limit of a token."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lambdas.aws.attribute_values import encode
from lambdas.aws.rates import RATE_PREFIX
from lambdas.core.tokens import identity_of
from local.stack_file import StackFile
from local.up import what_next
from tests.e2e.calls import FLAN, stop
from tests.e2e.checkout import Checkout


def test_commands_printed_by_make_up_work(checkout: Checkout) -> None:
    printed = what_next(StackFile(**checkout.stack), {"endpoint_names": [FLAN]})
    commands = [line for line in printed.splitlines() if line.strip().startswith("curl")]
    done = [checkout.command(["bash", "-c", command]) for command in commands]
    listed, renewed = [json.loads(each.stdout) for each in done]
    assert FLAN in {entry["EndpointName"] for entry in listed}
    assert (renewed["EndpointName"], renewed["Wanted"]) == (FLAN, "running")
    stop(checkout, FLAN)


def test_token_over_its_rate_limit_is_429_until_the_next_minute(checkout: Checkout) -> None:
    dynamodb = checkout.client("dynamodb")
    item = encode({"token": "greedy", "scopes": "read"})
    dynamodb.put_item(TableName=checkout.stack["auth_table"], Item=item)
    now = datetime.now(UTC)
    with checkout.api("greedy") as api, checkout.api() as other:
        assert api.get("/endpoint-expiry").status_code == 200
        for minute in (now, now + timedelta(minutes=1)):
            keys = {"pk": RATE_PREFIX + identity_of("greedy"), "sk": f"{minute:%Y-%m-%dT%H:%MZ}"}
            counter = encode({**keys, "requests": 1_200})
            dynamodb.put_item(TableName="demo-history", Item=counter)
        answer = api.get("/endpoint-expiry")
        assert (answer.status_code, answer.json()["code"]) == (429, "TooManyRequests")
        assert 1 <= int(answer.headers["Retry-After"]) <= 60
        assert other.get("/endpoint-expiry").status_code == 200


@pytest.mark.parametrize(
    ("what", "status"),
    [
        ({"headers": {"X-Flood": "x" * 20_000}}, 431),
        ({"headers": {f"X-{number}": "x" * 100 for number in range(100)}}, 431),
        ({"params": {"EndpointName": "x" * 9_000}}, 400),
        ({"params": {"next": "x" * 9_000}}, 400),
        ({"params": {"EndpointName": "\0"}}, 400),
    ],
)
def test_oversized_headers_and_queries_are_4xx_with_our_error(
    checkout: Checkout, what: dict[str, Any], status: int
) -> None:
    with checkout.api() as api:
        answer = api.get("/endpoint-expiry", **what)
    assert (answer.status_code, set(answer.json())) == (status, {"error", "code", "requestId"})


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{" + b" " * 200_000 + b"}", 413),
        (b"x" * (11 * 1024 * 1024), 413),
        (b'{"a":' * 20_000, 400),
        (b"[" * 100_000 + b"]" * 20_000, 400),
        (b'{"EndpointName": "\xff\xfe", "minutes": 1}', 400),
        (b'{"EndpointName": "\\ud800", "minutes": 1}', 400),
    ],
    ids=["blanks", "11 MB", "deep objects", "deep arrays", "no UTF-8", "half a character"],
)
def test_oversized_and_malformed_bodies_are_4xx_with_our_error(
    checkout: Checkout, body: bytes, status: int
) -> None:
    with checkout.api() as api:
        headers = {"Content-Type": "application/json"}
        answer = api.post("/endpoint-expiry", content=body, headers=headers)
    assert (answer.status_code, set(answer.json())) == (status, {"error", "code", "requestId"})
