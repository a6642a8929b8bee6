"""Tokens and users: how a sent token is looked up, who it is, and what its groups allow."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from lambdas.core.errors import Denied, InvalidField
from lambdas.core.scopes import Scopes
from lambdas.core.tokens import (
    Token,
    bare,
    hashed,
    identity_of,
    keys_of,
    new_secret,
    token_name,
)
from lambdas.core.user_pool import UserPool, is_jwt
from tests.fakes import clock

SECRET = "a-secret-of-somebody"
HASH = hashlib.sha256(SECRET.encode()).hexdigest()


def test_token_is_looked_up_by_its_hash_first_and_as_a_pass_code_with_and_without_bearer() -> None:
    assert keys_of(SECRET) == (f"sha256:{HASH}", SECRET)
    assert keys_of(f"Bearer {SECRET}") == (f"sha256:{HASH}", SECRET, f"Bearer {SECRET}")
    assert keys_of(f"bearer  {SECRET} ")[:2] == (f"sha256:{HASH}", SECRET)
    assert hashed(SECRET) == f"sha256:{HASH}"


@pytest.mark.parametrize(
    "sent",
    ["", "   ", "Bearer ", f"sha256:{HASH}", f"Bearer sha256:{HASH}", "größe", "a\nb", "x" * 2049],
)
def test_what_can_be_no_token_is_not_looked_up(sent: str) -> None:
    assert keys_of(sent) == ()


def test_longest_token_is_that_of_the_longest_key_of_dynamodb() -> None:
    assert len(keys_of("x" * 2048)) == 2


def test_bearer_is_taken_off_in_any_case() -> None:
    assert [bare(sent) for sent in ("BEARER x", "Bearer  x ", "bearerx", " x")] == [
        "x",
        "x",
        "bearerx",
        " x",
    ]


def test_id_of_a_token_reveals_nothing_of_it() -> None:
    stored = Token(f"sha256:{HASH}", "ann", Scopes())
    pass_code = Token("1234", "ann", Scopes())

    assert (stored.is_hashed, stored.id) == (True, HASH[:12])
    assert (pass_code.is_hashed, pass_code.id) == (False, identity_of("1234")[:12])
    assert len(identity_of("1234")) == 32
    assert "1234" not in pass_code.id


def test_token_is_expired_at_the_instant_of_its_end() -> None:
    token = Token("k", "ann", Scopes(), expires_at=clock(9))

    assert [token.expired(clock(8, 59, 59)), token.expired(clock(9))] == [False, True]
    assert not Token("k", "ann", Scopes()).expired(clock(9))


def test_secrets_are_long_and_all_different() -> None:
    secrets = {new_secret() for _ in range(20)}

    assert len(secrets) == 20
    assert min(map(len, secrets)) >= 43, "32 random bytes in Base64"


@pytest.mark.parametrize("name", ["a", "x" * 64, "ann of team 1"])
def test_name_of_a_token_may_be_any_short_text(name: str) -> None:
    assert token_name(name) == name


@pytest.mark.parametrize("name", ["", "x" * 65, "a\tb", "cognito:ann", " ann", "ann "])
def test_name_that_could_be_mistaken_is_refused(name: str) -> None:
    with pytest.raises(InvalidField) as refused:
        token_name(name)
    assert refused.value.field == "name"


# --- users ------------------------------------------------------------------------------------

ARN = "arn:aws:cognito-idp:eu-west-1:123456789012:userpool/eu-west-1_abc"
POOL = UserPool(ARN, "app-1", {"team": "invoke:flan", "admins": "read manage", "none": "nothing"})
CLAIMS: dict[str, Any] = {
    "token_use": "access",
    "client_id": "app-1",
    "sub": "s-1",
    "username": "ann",
    "cognito:groups": ["team", "admins", "unknown"],
}


def test_pool_comes_back_from_the_shortest_text() -> None:
    assert str(POOL) == (
        f'{{"arn":"{ARN}","client_id":"app-1","groups":{{"admins":"read manage","none":"nothing",'
        '"team":"invoke:flan"}}'
    )
    assert UserPool.parse(str(POOL)) == POOL
    assert (POOL.region, POOL.id) == ("eu-west-1", "eu-west-1_abc")
    assert POOL.issuer == "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_abc"


def test_user_of_an_access_or_id_token_has_the_scopes_of_all_groups() -> None:
    user = POOL.principal_of(CLAIMS)
    by_id = {**CLAIMS, "token_use": "id", "aud": "app-1", "cognito:username": "ann"}
    del by_id["client_id"], by_id["username"]

    assert (user.name, str(user.scopes)) == ("cognito:ann", "read manage invoke:flan")
    assert user.identity == identity_of(f"{POOL.issuer} s-1")
    assert POOL.principal_of(by_id) == user
    nameless = {key: value for key, value in CLAIMS.items() if key != "username"}
    assert POOL.principal_of(nameless).name == "cognito:s-1"


@pytest.mark.parametrize(
    "wrong",
    [
        {"token_use": "refresh"},
        {"token_use": None},
        {"client_id": "app-2"},
        {"client_id": None},
        {"token_use": "id"},
        {"cognito:groups": []},
        {"cognito:groups": None},
        {"cognito:groups": "team"},
        {"cognito:groups": ["unknown"]},
        {"cognito:groups": ["none"]},
    ],
)
def test_token_of_another_kind_or_app_or_of_no_group_is_denied(wrong: dict[str, Any]) -> None:
    with pytest.raises(Denied):
        POOL.principal_of({**CLAIMS, **wrong})


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ("eyJhb.eyJz.sig", True),
        ("Bearer eyJhb.eyJz.sig", True),
        ("eyJhb.eyJz", False),
        ("eyJhb.eyJz.sig.more", False),
        ("abc.def.ghi", False),
        ("eyJ." + "x" * (8192 - 6) + ".y", True),
        ("eyJ." + "x" * (8192 - 5) + ".y", False),
    ],
)
def test_jwt_is_told_from_a_token_of_the_table_by_its_form(sent: str, expected: bool) -> None:
    assert is_jwt(sent) is expected
