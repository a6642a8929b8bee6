"""The auth table, for people who hand out tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lambdas.aws.attribute_values import decode, encode, epoch
from lambdas.aws.errors import named
from lambdas.aws.tokens import token_of
from lambdas.core.tokens import Token

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class DynamoTokenList:
    """All methods raise AwsRefused if AWS refuses."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def add(self, token: Token) -> None:
        """Raises Conflict if the key exists already."""
        item = {
            "token": token.key,
            "name": token.name,
            "scopes": str(token.scopes),
            "created_at": epoch(token.created_at),
            "expires_at": epoch(token.expires_at),
        }
        with named():
            self._client.put_item(
                TableName=self._table,
                Item=encode({name: value for name, value in item.items() if value is not None}),
                ConditionExpression="attribute_not_exists(#token)",
                ExpressionAttributeNames={"#token": "token"},
            )

    def every(self) -> Sequence[Token]:
        """All tokens by name, and tokens of the same name by age, the newest last."""
        with named():
            pages = self._client.get_paginator("scan").paginate(
                TableName=self._table, ConsistentRead=True
            )
            tokens = [token_of(decode(item)) for page in pages for item in page["Items"]]
        return sorted(tokens, key=lambda each: (each.name, epoch(each.created_at) or 0, each.id))

    def revoke(self, token: Token) -> None:
        """Raises Conflict if the token is gone already."""
        with named():
            self._client.delete_item(
                TableName=self._table,
                Key=encode({"token": token.key}),
                ConditionExpression="attribute_exists(#token)",
                ExpressionAttributeNames={"#token": "token"},
            )
