"""Values that are sent in place of a valid token with the scope `read`."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from typing import Any

from lambdas.core.tokens import hashed
from tests.e2e.guarded import Guarded, Sent


def header(value: str, name: str = "Authorization") -> Sent:
    return [(name, value.encode())]


def two(first: str, second: str, name: str = "Authorization") -> Sent:
    return [*header(first), *header(second, name)]


def twice(token: str) -> Sent:
    return two(token, token)


Tried = Callable[[Guarded], Sent]
# Each case makes headers that must be refused.
NO_TOKENS: dict[str, Tried] = {
    "missing": lambda g: [],
    "empty": lambda g: header(""),
    "blanks": lambda g: header("   "),
    "a tab": lambda g: header("\t"),
    "the word alone": lambda g: header("Bearer"),
    "the word and a blank": lambda g: header("Bearer "),
    "wrong": lambda g: header(g.keep("wrong-9f2c")),
    "wrong, after the word": lambda g: header("Bearer " + g.keep("wrong-51d0")),
    "wrong, header in odd case": lambda g: header(g.keep("wrong-77aa"), "aUtHoRiZaTiOn"),
    "as a password": lambda g: header(
        "Basic " + base64.b64encode(f"user:{g.token('read')}".encode()).decode()
    ),
    "in another case": lambda g: header(g.token("read").swapcase()),
    "cut short": lambda g: header(g.token("read")[:-1]),
    "too long by one": lambda g: header(g.token("read") + "A"),
    "in quotes": lambda g: header(f'"{g.token("read")}"'),
    "under another header": lambda g: header(g.token("read"), "X-Api-Key"),
    "in a cookie": lambda g: header(f"Authorization={g.token('read')}", "Cookie"),
    "two in one header": lambda g: header(f"{g.token('read')}, {g.token('read')}"),
    "the same twice": lambda g: twice(g.token("read")),
    "a right and a wrong one": lambda g: two(g.token("read"), "wrong"),
    "a wrong and a right one": lambda g: two("wrong", g.token("read"), "AUTHORIZATION"),
    "of 3,000 characters": lambda g: header(g.keep("x" * 3_000)),
    "of 9,000 characters": lambda g: header(g.keep("y" * 9_000)),
    "of Latin letters": lambda g: [("Authorization", "pässwörd".encode("latin-1"))],
    "of emoji": lambda g: header("🔑🔑🔑"),
    "a name": lambda g: header("local admin"),
    "an id": lambda g: header(hashlib.sha256(g.token("read").encode()).hexdigest()[:12]),
    "a star": lambda g: header("*"),
    "expired": lambda g: header(g.token("read", days=-1)),
    "with an end that cannot be read": lambda g: header(g.item(expires_at="next year")),
    "its hash": lambda g: header(hashed(g.token("read"))),
    "its hash, after the word": lambda g: header("Bearer " + hashed(g.token("read"))),
    "its hash in capitals": lambda g: header(hashed(g.token("read")).upper()),
    "the hash's digits": lambda g: header(hashed(g.token("read")).removeprefix("sha256:")),
    "with words that are no scopes": lambda g: header(g.item(scopes="admin * read:*")),
    "JWT without signature": lambda g: header(altered(g, {"alg": "none"}, sign="")),
    "JWT without algorithm": lambda g: header(altered(g, {"alg": "None"})),
    "JWT of a shared secret": lambda g: header(altered(g, {"alg": "HS256"}, sign="hmac")),
    "JWT with other groups": lambda g: header(
        altered(g, {}, {"cognito:groups": ["readers", "flan-team"]})
    ),
    "JWT with another end": lambda g: header(altered(g, {}, {"exp": 4_102_444_800})),
    "JWT of another key": lambda g: header(altered(g, {"kid": "made-up"})),
    "JWT of another pool": lambda g: header(of_another_pool(g)),
    "JWT of another app": lambda g: header(of_another_app(g)),
    "JWT of a user of no group": lambda g: header(g.signed_in()["AccessToken"]),
    "refresh token": lambda g: header(g.signed_in("readers")["RefreshToken"]),
    "no JWT at all": lambda g: header("eyJ.eyJ.eyJ"),
}


def altered(
    guarded: Guarded,
    head: Mapping[str, Any],
    claims: Mapping[str, Any] | None = None,
    sign: str | None = None,
) -> str:
    """A changed token of a reader, with its old signature or the one given."""
    parts = guarded.signed_in("readers")["AccessToken"].split(".")
    changed = [
        encoded(json.dumps({**json.loads(decoded(part)), **change}).encode())
        for part, change in zip(parts, (head, claims or {}), strict=False)
    ]
    content = ".".join(changed)
    if sign == "hmac":
        sign = encoded(hmac.digest(b"secret", content.encode(), "sha256"))
    return guarded.keep(f"{content}.{parts[2] if sign is None else sign}")


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "==")


def of_another_pool(guarded: Guarded) -> str:
    """The token of a reader in another user pool."""
    cognito = guarded.checkout.client("cognito-idp")
    pool = cognito.create_user_pool(PoolName="theirs")["UserPool"]["Id"]
    cognito.create_group(UserPoolId=pool, GroupName="readers")
    client = app_of(guarded, pool)
    token = guarded.signed_in("readers", pool=pool, client=client)["AccessToken"]
    cognito.delete_user_pool(UserPoolId=pool)
    return token


def of_another_app(guarded: Guarded) -> str:
    return guarded.signed_in("readers", client=app_of(guarded, guarded.pool))["AccessToken"]


def app_of(guarded: Guarded, pool: str) -> str:
    made = guarded.checkout.client("cognito-idp").create_user_pool_client(
        UserPoolId=pool, ClientName="theirs", ExplicitAuthFlows=["ALLOW_USER_PASSWORD_AUTH"]
    )
    return str(made["UserPoolClient"]["ClientId"])
