"""The counters of the rate limit, on a history table in moto."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import boto3
import pytest
from moto import mock_aws

from lambdas.aws.attribute_values import decode
from lambdas.aws.rates import DynamoRates
from lambdas.core.errors import AwsRefused
from tests.aws_tables import create_tables
from tests.fakes import clock


@pytest.fixture
def dynamodb(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with mock_aws():
        client = boto3.client("dynamodb", region_name="us-east-1")
        create_tables(client, "state", "history", "auth")
        yield client


def test_requests_are_limited_per_token_and_minute(dynamodb: Any) -> None:
    rates = DynamoRates(dynamodb, "history", per_minute=3)
    now = clock(9) + timedelta(seconds=20)
    assert [rates.wait_seconds("a", now) for _ in range(5)] == [None, None, None, 40, 40]
    assert rates.wait_seconds("b", now) is None
    assert rates.wait_seconds("a", now + timedelta(seconds=40)) is None


def test_each_request_is_counted_in_one_atomic_write(dynamodb: Any) -> None:
    """DynamoDB adds up concurrent writes; moto does not, so this test checks the calls."""
    calls: list[tuple[str, str]] = []

    def note(event_name: str, params: dict[str, Any], **_: object) -> None:
        calls.append((event_name.rpartition(".")[2], params["UpdateExpression"]))

    dynamodb.meta.events.register("provide-client-params.dynamodb.*", note)
    rates = DynamoRates(dynamodb, "history", per_minute=20)
    waits = [rates.wait_seconds("a", clock(9)) for _ in range(50)]
    assert waits.count(None) == 20
    assert len(calls) == 50
    assert all(name == "UpdateItem" and "ADD" in text for name, text in calls)


def test_counters_expire_by_themselves(dynamodb: Any) -> None:
    DynamoRates(dynamodb, "history", per_minute=3).wait_seconds("a", clock(9))
    (item,) = dynamodb.scan(TableName="history")["Items"]
    assert decode(item) == {
        "pk": "RATE#a",
        "sk": "2026-03-02T09:00Z",
        "requests": 1,
        "ttl": int(clock(10).timestamp()),
    }


def test_failing_counter_raises_our_error(dynamodb: Any) -> None:
    with pytest.raises(AwsRefused):
        DynamoRates(dynamodb, "missing", per_minute=3).wait_seconds("a", clock(9))
