"""The auth table, for the authorizer."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from lambdas.aws.attribute_values import decode, encode, epoch, instant
from lambdas.aws.errors import named
from lambdas.core.errors import AwsRefused, Conflict, Denied, Throttled
from lambdas.core.scopes import Scopes
from lambdas.core.tokens import Principal, Token, bare, identity_of, keys_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

USE_NOTED_EVERY = timedelta(minutes=5)
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
_log = logging.getLogger(__name__)


class DynamoTokens:
    """`hasty` is a client with short time-outs, for the last use of a token: requests must not wait
    for that write. Without it no use is recorded."""

    def __init__(
        self, client: DynamoDBClient, table: str, hasty: DynamoDBClient | None = None
    ) -> None:
        self._client = client
        self._table = table
        self._hasty = hasty

    def holder(self, sent: str, now: datetime) -> Principal:
        """The holder of the sent token. Raises Denied, or AwsRefused if the table cannot be
        read."""
        keys = keys_of(sent)
        if not keys:
            raise Denied("no token")
        token = self._first(keys)
        if token is None:
            raise Denied("unknown token")
        if token.expired(now):
            raise Denied(f"expired token {token.id}")
        self._note_use(token, now)
        secret = bare(sent) if token.is_hashed else token.key
        return Principal(token.name, token.scopes, identity_of(secret))

    def _first(self, keys: tuple[str, ...]) -> Token | None:
        """The token of the first key that has an item."""
        wanted = {"Keys": [encode({"token": key}) for key in keys], "ConsistentRead": True}
        with named():
            answer = self._client.batch_get_item(RequestItems={self._table: wanted})  # type: ignore[dict-item]
        if answer["UnprocessedKeys"]:
            raise Throttled("UnprocessedKeys", "the auth table is busy")
        items = [decode(item) for item in answer["Responses"].get(self._table, [])]
        by_key = {str(item["token"]): token_of(item) for item in items}
        return next((by_key[key] for key in keys if key in by_key), None)

    def _note_use(self, token: Token, now: datetime) -> None:
        """Record the last use, once in USE_NOTED_EVERY at most. A failure is only logged. A token
        that was revoked meanwhile is not written again."""
        if self._hasty is None or (token.last_used and now - token.last_used < USE_NOTED_EVERY):
            return
        try:
            with named():
                self._hasty.update_item(
                    TableName=self._table,
                    Key=encode({"token": token.key}),
                    UpdateExpression="SET last_used = :now",
                    ConditionExpression="attribute_exists(#token) AND "
                    "(attribute_not_exists(last_used) OR last_used <= :before)",
                    ExpressionAttributeNames={"#token": "token"},
                    ExpressionAttributeValues=encode(
                        {":now": epoch(now), ":before": epoch(now - USE_NOTED_EVERY)}
                    ),
                )
        except Conflict:
            pass
        except AwsRefused as error:
            _log.warning("use of token %s not noted: %s", token.id, error)


def token_of(item: Mapping[str, Any]) -> Token:
    """Read an item. Without scopes the token may do everything, as in the original. Scopes that
    cannot be read allow nothing."""
    scopes = item.get("scopes")
    return Token(
        key=str(item["token"]),
        name=str(item.get("name", "token")),
        scopes=Scopes.every() if scopes is None else Scopes.stored(str(scopes)),
        created_at=_when(item.get("created_at"), None),
        expires_at=_when(item.get("expires_at"), _LONG_AGO),
        last_used=_when(item.get("last_used"), None),
    )


def _when(value: object, otherwise: datetime | None) -> datetime | None:
    """Read epoch seconds. `otherwise` if the value is something else."""
    if value is None:
        return None
    try:
        return instant(value) if isinstance(value, Decimal) else otherwise
    except OverflowError:
        return otherwise
