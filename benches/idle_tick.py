"""How many AWS calls a tick makes when nothing is due, for different numbers of endpoints."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import boto3
from moto import mock_aws

from benches.row import Row
from lambdas.aws.attribute_values import encode, epoch
from lambdas.aws.items import key_of
from lambdas.aws.queues import SqsHints
from lambdas.aws.state_store import DUE_SHARDS, DynamoStateStore
from lambdas.core.tick import tick
from tests.aws_tables import create_tables

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
_BATCH = 25


def calls_of_an_idle_tick(endpoints: int) -> Counter[str]:
    """Fill a state table with endpoints that are due tomorrow, and count the calls of one tick."""
    os.environ.setdefault("AWS_ACCESS_KEY_ID", "test")
    os.environ.setdefault("AWS_SECRET_ACCESS_KEY", "test")
    with mock_aws():
        dynamodb = boto3.client("dynamodb", region_name="us-east-1")
        sqs = boto3.client("sqs", region_name="us-east-1")
        create_tables(dynamodb, "state", "history", "auth")
        _fill(dynamodb, endpoints)
        starts, work = (sqs.create_queue(QueueName=q)["QueueUrl"] for q in ("starts", "work"))
        store = DynamoStateStore(dynamodb, dynamodb, "state")
        calls: Counter[str] = Counter()

        def count(event_name: str, **_: object) -> None:
            calls[event_name.removeprefix("before-call.")] += 1

        for client in (dynamodb, sqs):
            client.meta.events.register("before-call.*.*", count)
        tick(store, SqsHints(sqs, starts, work), NOW)
        return calls


def _fill(dynamodb: Any, endpoints: int) -> None:
    items = _items(endpoints)
    while batch := list(islice(items, _BATCH)):
        dynamodb.batch_write_item(
            RequestItems={"state": [{"PutRequest": {"Item": item}} for item in batch]}
        )


def _items(endpoints: int) -> Iterator[dict[str, Any]]:
    tomorrow = epoch(NOW + timedelta(days=1))
    for number in range(endpoints):
        values = {"next_due": tomorrow, "due_shard": DUE_SHARDS[number % len(DUE_SHARDS)]}
        yield {**key_of(f"endpoint-{number}"), **encode(values)}


def rows() -> Iterator[Row]:
    counted = [calls_of_an_idle_tick(endpoints) for endpoints in (10, 10_000, 100_000)]
    for operation in sorted(counted[0] | counted[-1]):
        few, many, most = (calls[operation] for calls in counted)
        figure = f"{few} with 10 endpoints, {many} with 10,000, {most} with 100,000"
        yield Row(f"idle tick: {operation}", figure, "the same")
