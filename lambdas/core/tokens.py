"""Tokens of the auth table: the keys under which a sent token may be stored, and its item.

Of a secret that this product makes only the hash is stored, under the key `sha256:<hex>`. The
secret has 256 random bits, so a plain hash is enough. Items `{token: pass code}` of the original
have the pass code as their key.
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
"""The longest hash key of DynamoDB."""
MAX_NAME_LENGTH = 64
_SECRET_BYTES = 32
_ID_LENGTH = 12
_BEARER = "bearer "


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller. `identity` is unique for each token or user, also if names are equal, and reveals
    nothing of the token."""

    name: str
    scopes: Scopes
    identity: str


@dataclass(frozen=True, slots=True)
class Token:
    """An item of the auth table. `key` is the hash, or the pass code itself."""

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
        """The id for people. It reveals nothing of the token."""
        digest = self.key.removeprefix(HASH_PREFIX) if self.is_hashed else identity_of(self.key)
        return digest[:_ID_LENGTH]

    def expired(self, now: datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= now


def new_secret() -> str:
    return secrets.token_urlsafe(_SECRET_BYTES)


def hashed(secret: str) -> str:
    """The key under which a secret is stored."""
    return HASH_PREFIX + hashlib.sha256(secret.encode()).hexdigest()


def bare(sent: str) -> str:
    """The sent token without the word Bearer, which OAuth clients put before it."""
    return sent[len(_BEARER) :].strip() if sent.lower().startswith(_BEARER) else sent


def keys_of(sent: str) -> tuple[str, ...]:
    """The keys under which the item of the sent token may be stored, the likeliest first.

    Empty if it can be no token. That includes keys of the table: otherwise a reader of the table
    could use all its tokens. Always look up all keys in one call: then neither the time nor the
    number of calls shows how close a guess is.
    """
    secret = bare(sent)
    fits = secret.strip() and len(sent) <= MAX_TOKEN_BYTES and sent.isascii() and sent.isprintable()
    if not fits or secret.startswith(HASH_PREFIX):
        return ()
    return tuple(dict.fromkeys((hashed(secret), secret, sent)))


def identity_of(token: str) -> str:
    """A short hash of a token, for places where the token itself must not be stored."""
    return hashlib.sha256(f"endpoint-meter token {token}".encode()).hexdigest()[:32]


def token_name(text: str) -> str:
    """Check the name of a token. A colon is not allowed: `cognito:ann` is a user. Raises
    InvalidField."""
    if not 0 < len(text) <= MAX_NAME_LENGTH or not text.isprintable() or ":" in text:
        raise InvalidField("name", f"must be 1 to {MAX_NAME_LENGTH} printable characters, no colon")
    if text != text.strip():
        raise InvalidField("name", "must not begin or end with a blank")
    return text
