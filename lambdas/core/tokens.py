"""Tokens of the auth table: how what was sent leads to an item, and what the item says.

A secret that this product makes is kept as its hash alone, under the key `sha256:<hex>`; it has
256 random bits, so a plain hash is enough. Items `{token: pass code}` of the original are kept
under the pass code itself.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime

from lambdas.core.errors import InvalidField
from lambdas.core.scopes import Scopes

HASH_PREFIX = "sha256:"
MAX_TOKEN_BYTES = 2048
"""The longest hash key that DynamoDB takes."""
MAX_NAME_LENGTH = 64
_SECRET_BYTES = 32
_ID_LENGTH = 12
_BEARER = "bearer "


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks. `identity` tells this token or user from all others, also from those of the
    same name, without giving it away."""

    name: str
    scopes: Scopes
    identity: str


@dataclass(frozen=True, slots=True)
class Token:
    """An item of the auth table; `key` is the hash, or the pass code itself."""

    key: str
    name: str
    scopes: Scopes
    created_at: datetime | None = None
    expires_at: datetime | None = None
    last_used: datetime | None = None

    @property
    def is_hashed(self) -> bool:
        return self.key.startswith(HASH_PREFIX)

    @property
    def id(self) -> str:
        """What people call it by; gives nothing of it away."""
        digest = self.key.removeprefix(HASH_PREFIX) if self.is_hashed else identity_of(self.key)
        return digest[:_ID_LENGTH]

    def expired(self, now: datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= now


def new_secret() -> str:
    return secrets.token_urlsafe(_SECRET_BYTES)


def hashed(secret: str) -> str:
    """The key under which a secret is kept."""
    return HASH_PREFIX + hashlib.sha256(secret.encode()).hexdigest()


def bare(sent: str) -> str:
    """What was sent without the word Bearer, which clients of OAuth put before it."""
    return sent[len(_BEARER) :].strip() if sent.lower().startswith(_BEARER) else sent


def keys_of(sent: str) -> tuple[str, ...]:
    """The keys under which the item of what was sent may be, the likeliest first.

    None for what can be no token: above all for a key of the table, or whoever has read the
    table would hold all its tokens. All keys are to be looked up at once, whichever there are:
    then neither the time nor the number of the calls tells how near a guess was.
    """
    secret = bare(sent)
    fits = secret.strip() and len(sent) <= MAX_TOKEN_BYTES and sent.isascii() and sent.isprintable()
    if not fits or secret.startswith(HASH_PREFIX):
        return ()
    return tuple(dict.fromkeys((hashed(secret), secret, sent)))


def identity_of(token: str) -> str:
    """A short hash of a token, to be kept where the token itself must never be."""
    return hashlib.sha256(f"endpoint-meter token {token}".encode()).hexdigest()[:32]


def token_name(text: str) -> str:
    """Check the name of a token; raises InvalidField. It has no colon: `cognito:ann` is a user."""
    if not 0 < len(text) <= MAX_NAME_LENGTH or not text.isprintable() or ":" in text:
        raise InvalidField("name", f"must be 1 to {MAX_NAME_LENGTH} printable characters, no colon")
    if text != text.strip():
        raise InvalidField("name", "must not begin or end with a blank")
    return text
