"""The token commands."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta

from lambdas.aws.token_list import DynamoTokenList
from lambdas.core.documents import iso
from lambdas.core.errors import Conflict
from lambdas.core.scopes import Scopes
from lambdas.core.tokens import Token, hashed, new_secret, token_name

MAX_DAYS = 3_650
_HEAD = ("ID", "NAME", "SCOPES", "CREATED", "EXPIRES", "LAST USED")


class NotDone(Exception):
    """A command failed. The message says why."""


def run(options: argparse.Namespace, tokens: DynamoTokenList, now: datetime) -> None:
    """Raises InvalidField, NotDone or AwsRefused."""
    if options.command == "create":
        create(tokens, options.name, options.scopes, options.days, now)
    elif options.command == "revoke":
        revoke(tokens, options.token)
    else:
        print(table([_row(token, now) for token in tokens.every()]))


def create(
    tokens: DynamoTokenList, name: str, scopes: str, days: int | None, now: datetime
) -> None:
    """Create a token. Only the secret is printed to standard output."""
    made, secret = now.replace(microsecond=0), new_secret()
    expires_at = made + timedelta(days=days) if days is not None else None
    token = Token(hashed(secret), token_name(name), Scopes.parse(scopes), made, expires_at)
    tokens.add(token)
    until = f"until {iso(expires_at)}" if expires_at else "without expiry"
    _print_note(
        f"Token {token.id} of '{token.name}' may {token.scopes} {until}. Its secret, shown once:"
    )
    print(secret)


def revoke(tokens: DynamoTokenList, name_or_id: str) -> None:
    found = [token for token in tokens.every() if name_or_id in (token.name, token.id)]
    if not found:
        raise NotDone(f"no token has the name or id '{name_or_id}'; `list` shows them")
    if len(found) > 1:
        ids = ", ".join(token.id for token in found)
        raise NotDone(f"'{name_or_id}' is the name of several tokens; revoke one by its id: {ids}")
    try:
        tokens.revoke(found[0])
    except Conflict:
        raise NotDone(f"token {found[0].id} was already revoked") from None
    _print_note(
        f"Token {found[0].id} of '{found[0].name}' is revoked. It may still work for one minute."
    )


def _row(token: Token, now: datetime) -> tuple[str, ...]:
    expires = iso(token.expires_at) or "never"
    return (
        token.id,
        token.name if token.is_hashed else f"{token.name} (pass code)",
        str(token.scopes) or "none",
        iso(token.created_at) or "-",
        f"{expires} (ended)" if token.expired(now) else expires,
        iso(token.last_used and token.last_used.replace(microsecond=0)) or "-",
    )


def table(rows: Sequence[Sequence[str]]) -> str:
    """A table with aligned columns."""
    lines = [_HEAD, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEAD))]
    padded = ("  ".join(map(str.ljust, line, widths)) for line in lines)
    return "\n".join(line.rstrip() for line in padded)


def _print_note(sentence: str) -> None:
    print(sentence, file=sys.stderr)
