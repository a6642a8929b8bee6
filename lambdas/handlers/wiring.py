"""Builds the adapters of each function, once per execution environment."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from lambdas.aws import clients
from lambdas.aws.endpoint_logs import EndpointLogs
from lambdas.aws.history import DynamoHistory
from lambdas.aws.queues import SqsHints
from lambdas.aws.sagemaker import SageMakerEndpoints
from lambdas.aws.state_store import DynamoStateStore


def history(table: str, days: int) -> DynamoHistory:
    return DynamoHistory(clients.dynamodb(), table, timedelta(days=days))


def store(state_table: str, events: DynamoHistory | None = None) -> DynamoStateStore:
    """The state table. Only functions that begin steps need the history with it."""
    return DynamoStateStore(clients.dynamodb(), clients.dynamodb_once(), state_table, events)


def hasty_store(state_table: str) -> DynamoStateStore:
    """The state table, for what must not delay a request."""
    return DynamoStateStore(clients.dynamodb_hasty(), clients.dynamodb_hasty(), state_table)


def hints(starts_url: str, work_url: str) -> SqsHints:
    return SqsHints(clients.sqs(), starts_url, work_url)


def endpoints(
    stack_tag: str, logs: EndpointLogs | None = None, tags: Mapping[str, str] | None = None
) -> SageMakerEndpoints:
    """`tags` are put on each endpoint that is created, beneath its own."""
    client, once = clients.sagemaker(), clients.sagemaker_once()
    return SageMakerEndpoints(client, once, stack_tag, logs=logs, tags=tags)
