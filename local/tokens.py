"""The two tokens of the embedded stack."""

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from lambdas.aws.token_list import DynamoTokenList
from lambdas.core.scopes import Scopes
from lambdas.core.tokens import Token, hashed, new_secret
from local.stack_file import write_private

USER_SCOPES = Scopes.parse("read renew add invoke")


@dataclass(frozen=True)
class Tokens:
    """A token for users, and one that may do everything."""

    token: str
    admin_token: str


def kept(path: Path) -> Tokens:
    """Return the tokens of the last `make up`, or make new ones and keep them."""
    try:
        return Tokens(**json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        made = Tokens(new_secret(), new_secret())
        write_private(path, json.dumps(asdict(made)))
        return made


def enter(both: Tokens, tokens: DynamoTokenList, now: datetime) -> None:
    """Add the tokens to the auth table, with their current scopes."""
    made = now.replace(microsecond=0)
    known = {token.key: token for token in tokens.every()}
    for token in (
        Token(hashed(both.token), "local user", USER_SCOPES, made),
        Token(hashed(both.admin_token), "local admin", Scopes.every(), made),
    ):
        before = known.get(token.key)
        if before and before.scopes != token.scopes:  # an earlier version used other scopes
            tokens.revoke(before)
        if not before or before.scopes != token.scopes:
            tokens.add(token)
