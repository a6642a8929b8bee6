"""Counters in the history table: requests per token and minute, wakes per token and hour, adds per
token and day."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from lambdas.aws.attribute_values import decode, encode
from lambdas.aws.errors import named
from lambdas.aws.update_expression import UpdateExpression
from lambdas.core.ports import AddLimits, WakeShare

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

RATE_PREFIX = "RATE#"
_KEPT_SECONDS = 3_600
_WAKES_KEPT_SECONDS = 7_200
_ADDS_KEPT_SECONDS = 2 * 86_400


class DynamoRates:
    """Each token may make `per_minute` requests per clock minute, also in one burst."""

    def __init__(self, client: DynamoDBClient, table: str, per_minute: int) -> None:
        self._client = client
        self._table = table
        self._per_minute = per_minute

    def wait_seconds(self, identity: str, now: datetime) -> int | None:
        """Count a request. Returns how long to wait if it is over the limit, else None.

        Raises AwsRefused if it could not be counted.
        """
        with named():
            answer = self._client.update_item(
                TableName=self._table,
                Key=encode({"pk": RATE_PREFIX + identity, "sk": f"{now:%Y-%m-%dT%H:%MZ}"}),
                UpdateExpression="ADD requests :one SET #ttl = :ttl",
                ExpressionAttributeNames={"#ttl": "ttl"},
                ExpressionAttributeValues=encode(
                    {":one": 1, ":ttl": int(now.timestamp()) + _KEPT_SECONDS}
                ),
                ReturnValues="UPDATED_NEW",
            )
        made = int(decode(answer["Attributes"])["requests"])
        return None if made <= self._per_minute else 60 - now.second


def wake_counted(table: str, share: WakeShare, now: datetime) -> dict[str, Any]:
    """The update that counts a wake in its clock hour, if the share allows another. It is part of
    the transaction that wakes."""
    update = _counted("wakes", share.most_an_hour, now, _WAKES_KEPT_SECONDS)
    key = {"pk": RATE_PREFIX + share.identity, "sk": f"{now:%Y-%m-%dT%HZ} wakes"}
    return {"TableName": table, "Key": encode(key), **update.arguments()}


def add_counted(table: str, limits: AddLimits, now: datetime) -> dict[str, Any]:
    """The update that counts an add in its day (UTC), if another is allowed. It is part of the
    transaction that declares."""
    update = _counted("adds", limits.most_a_day, now, _ADDS_KEPT_SECONDS)
    key = {"pk": RATE_PREFIX + limits.identity, "sk": f"{now:%Y-%m-%d} adds"}
    return {"TableName": table, "Key": encode(key), **update.arguments()}


def _counted(what: str, most: int, now: datetime, kept_seconds: int) -> UpdateExpression:
    update = UpdateExpression().add(what, 1).assign({"ttl": int(now.timestamp()) + kept_seconds})
    return update.when(f"attribute_not_exists({{{what}}}) OR {{{what}}} < :most", most=most)
