"""Checks Cognito tokens with the public keys of the user pool."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import jwt
import urllib3

from lambdas.core.errors import Denied, Unanswered
from lambdas.core.tokens import Principal, bare
from lambdas.core.user_pool import UserPool

LEEWAY_SECONDS = 30
_ALGORITHM = "RS256"
_REQUIRED = ("exp", "iat", "iss", "sub", "token_use")
_TIMEOUT = urllib3.Timeout(connect=1, read=2)
_OLD, _YOUNG = timedelta(hours=1), timedelta(minutes=1)
_log = logging.getLogger(__name__)

KeySet = Mapping[str, Any]


class CognitoUsers:
    def __init__(self, pool: UserPool, keys: PoolKeys) -> None:
        self._pool = pool
        self._keys = keys

    def holder(self, sent: str, now: datetime) -> Principal:
        """The user of the sent token. Raises Denied, or Unanswered if the keys cannot be
        fetched."""
        token = bare(sent)
        try:
            key = self._keys.find(str(jwt.get_unverified_header(token).get("kid")), now)
            # PyJWT checks exp, nbf and iat with its own clock. UserPool checks the client: access
            # tokens have no audience.
            claims = jwt.decode(
                token,
                key,
                algorithms=[_ALGORITHM],
                issuer=self._pool.issuer,
                leeway=LEEWAY_SECONDS,
                options={"require": list(_REQUIRED), "verify_aud": False},
            )
        # RecursionError: a header that is nested too deeply. Messages may contain parts of the
        # token.
        except (jwt.InvalidTokenError, RecursionError) as error:
            raise Denied(f"JWT: {type(error).__name__}") from None
        return self._pool.principal_of(claims)


class PoolKeys:
    """The keys of a pool. They are fetched on first use, when they are old, and if a token names an
    unknown key; the last at most once a minute for all callers."""

    def __init__(self, fetch: Callable[[], KeySet]) -> None:
        self._fetch = fetch
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at: datetime | None = None

    def find(self, key_id: str, now: datetime) -> jwt.PyJWK:
        """Raises Denied for an unknown key."""
        age = now - self._fetched_at if self._fetched_at else None
        if age is None or age > _OLD or (key_id not in self._keys and age > _YOUNG):
            self._renew(now)
        if key_id not in self._keys:
            raise Denied("JWT: signed with a key that is not the pool's")
        return self._keys[key_id]

    def _renew(self, now: datetime) -> None:
        try:
            fetched = self._fetch()["keys"]
        except Unanswered:
            if not self._keys:
                raise
            _log.warning("the pool's keys could not be fetched again", exc_info=True)
        else:
            usable = [key for key in fetched if key.get("kty") == "RSA"]
            self._keys = {key["kid"]: jwt.PyJWK(key, _ALGORITHM) for key in usable}
        self._fetched_at = now


def fetch_keys(url: str) -> KeySet:
    """The JSON Web Key Set at `url`. Raises Unanswered."""
    try:
        answer = urllib3.request("GET", url, timeout=_TIMEOUT, retries=False, redirect=False)
        if answer.status != 200:
            raise Unanswered("UserPoolKeys", f"status {answer.status} from {url}")
        keys: KeySet = answer.json()
    except (urllib3.exceptions.HTTPError, ValueError) as error:
        raise Unanswered("UserPoolKeys", f"{type(error).__name__} from {url}") from error
    return keys
