"""How many requests each token makes a minute, and how often it wakes an endpoint in an hour,
counted in the history table."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from lambdas.aws.items import decode, encode
from lambdas.aws.refusals import named
from lambdas.aws.updates import Update
from lambdas.core.ports import WakeShare

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

RATE_PREFIX = "RATE#"
_KEPT_SECONDS = 3_600
_WAKES_KEPT_SECONDS = 7_200


class DynamoRates:
    """Every token has `per_minute` requests each minute by the clock, so a burst may be as many."""

    def __init__(self, client: DynamoDBClient, table: str, per_minute: int) -> None:
        self._client = client
        self._table = table
        self._per_minute = per_minute

    def wait_seconds(self, identity: str, now: datetime) -> int | None:
        """Count a request; how long to wait where it is one too many, else None.

        Raises AwsRefused where it could not be counted.
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
    """The update that counts a wake in its hour by the clock, if the share allows one more; a part
    of the transaction that wakes."""
    update = Update().add("wakes", 1)
    update.assign({"ttl": int(now.timestamp()) + _WAKES_KEPT_SECONDS})
    update.when("attribute_not_exists({wakes}) OR {wakes} < :most", most=share.most_an_hour)
    key = {"pk": RATE_PREFIX + share.identity, "sk": f"{now:%Y-%m-%dT%HZ} wakes"}
    return {"TableName": table, "Key": encode(key), **update.arguments()}
