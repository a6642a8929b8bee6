"""The history table: implements `ports.History`. It is append-only. Entries expire by `ttl`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from lambdas.aws.attribute_values import decode, encode, epoch, instant
from lambdas.aws.errors import named
from lambdas.core.history import Event
from lambdas.core.names import PK_PREFIX

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class DynamoHistory:
    """Events are kept for `keep`."""

    def __init__(self, client: DynamoDBClient, table: str, keep: timedelta) -> None:
        self._client = client
        self._keep = keep
        self.table = table

    def item(self, event: Event) -> dict[str, Any]:
        """The item of an event. The sort key says all that tells it from others, so that a retry
        after a time-out writes the same item again."""
        at = f"{event.at:%Y-%m-%dT%H:%M:%S.%fZ}"
        return encode(
            {
                "pk": PK_PREFIX + event.endpoint,
                "sk": f"{at}#{event.place}#{event.kind}#{event.actor}",
                "at": epoch(event.at),
                "kind": event.kind,
                "reason": event.reason[:1000],
                "actor": event.actor,
                "place": event.place,
                "ttl": int((event.at + self._keep).timestamp()),
            }
        )

    def append(self, event: Event) -> None:
        with named():
            self._client.put_item(TableName=self.table, Item=self.item(event))

    def newest(self, key: str, limit: int) -> Sequence[Event]:
        with named():
            pages = self._client.get_paginator("query").paginate(
                TableName=self.table,
                KeyConditionExpression="pk = :pk",
                ExpressionAttributeValues=encode({":pk": PK_PREFIX + key}),
                ScanIndexForward=False,
                PaginationConfig={"MaxItems": limit},
            )
            items = [decode(item) for page in pages for item in page["Items"]]
        return [_event_of(key, item) for item in items]


def _event_of(key: str, item: dict[str, Any]) -> Event:
    at = instant(item["at"])
    assert at is not None, "every entry has its instant"
    actor, place = item.get("actor", "meter"), int(item.get("place", 0))
    return Event(key, at, item["kind"], item["reason"], actor, place)
