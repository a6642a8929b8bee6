"""The auth table: pass codes and what their holders may do."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lambdas.aws.items import decode, encode
from lambdas.aws.refusals import named

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

EVERY_SCOPE = "read renew manage invoke"
MAX_TOKEN_BYTES = 2048
"""The longest hash key that DynamoDB takes."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who a token belongs to. `scopes` are words separated by blanks; `identity` tells this
    token from all others, also from those of the same name, without giving it away."""

    name: str
    scopes: str
    identity: str


class DynamoTokens:
    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def find(self, token: str) -> Principal | None:
        """The holder of a token; an item `{token: pass code}` without scopes may do all."""
        if not token or len(token.encode()) > MAX_TOKEN_BYTES:
            return None
        with named():
            answer = self._client.get_item(TableName=self._table, Key=encode({"token": token}))
        if "Item" not in answer:
            return None
        item = decode(answer["Item"])
        return Principal(
            str(item.get("name", "token")), str(item.get("scopes", EVERY_SCOPE)), identity_of(token)
        )


def identity_of(token: str) -> str:
    """A short hash of a token, to be kept where the token itself must never be."""
    return hashlib.sha256(f"endpoint-meter token {token}".encode()).hexdigest()[:32]
