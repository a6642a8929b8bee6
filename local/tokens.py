"""The two tokens of the embedded stack."""

import json
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from local.stack_file import write_private

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

USER_SCOPES = "read renew invoke"
ADMIN_SCOPES = "read renew manage invoke"
RANDOM_BYTES = 24


@dataclass(frozen=True)
class Tokens:
    """One for users, and one that may do everything."""

    token: str
    admin_token: str


def kept(path: Path) -> Tokens:
    """Return the tokens of the last `make up`, or new ones, which are kept from now on."""
    try:
        return Tokens(**json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        made = Tokens(secrets.token_urlsafe(RANDOM_BYTES), secrets.token_urlsafe(RANDOM_BYTES))
        write_private(path, json.dumps(asdict(made)))
        return made


def enter(tokens: Tokens, table: str, dynamodb: "DynamoDBClient") -> None:
    """Let the API know them."""
    items = (
        (tokens.token, "local user", USER_SCOPES),
        (tokens.admin_token, "local admin", ADMIN_SCOPES),
    )
    for token, name, scopes in items:
        item = {"token": {"S": token}, "name": {"S": name}, "scopes": {"S": scopes}}
        dynamodb.put_item(TableName=table, Item=item)
