"""The authorizer as API Gateway calls it, on an auth table in moto and keys of an invented pool."""

from __future__ import annotations

import base64
import hmac
import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import jwt
import pytest
from botocore.config import Config
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from moto import mock_aws

from lambdas.aws import clients
from lambdas.aws.attribute_values import decode, encode
from lambdas.aws.token_list import DynamoTokenList
from lambdas.aws.tokens import USE_NOTED_EVERY, DynamoTokens
from lambdas.aws.user_pool import CognitoUsers, KeySet, PoolKeys, fetch_keys
from lambdas.core.authorizer_policy import GuardedRoutes
from lambdas.core.errors import Conflict, Denied, Unanswered
from lambdas.core.scopes import Scopes
from lambdas.core.settings import AuthorizerSettings
from lambdas.core.tokens import Token, hashed, keys_of, new_secret
from lambdas.core.user_pool import UserPool
from lambdas.handlers import authorizer
from tests.aws_tables import create_tables

API = "arn:aws:execute-api:us-east-1:123456789012:abc123"
ROUTES = GuardedRoutes({"endpoint-expiry": "", "falcon": "", "flan": "demo-FlanT5-Endpoint"})
POOL = UserPool(
    "arn:aws:cognito-idp:us-east-1:123456789012:userpool/us-east-1_Pool",
    "client-1",
    {"users": "read", "payers": "renew invoke:demo-FlanT5-Endpoint"},
)
KEY, OTHER_KEY = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))


def public(key: rsa.RSAPrivateKey, key_id: str) -> dict[str, Any]:
    document = jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return {**document, "kid": key_id, "use": "sig", "alg": "RS256"}


class Keys:
    """The keys that the pool publishes; counts how often they were fetched."""

    def __init__(self) -> None:
        self.keys = [public(KEY, "k1")]
        self.asked = 0
        self.down = False

    def fetch(self) -> KeySet:
        self.asked += 1
        if self.down:
            raise Unanswered("UserPoolKeys", "down")
        return {"keys": self.keys}


@pytest.fixture
def keys() -> Keys:
    return Keys()


@pytest.fixture(scope="module")
def table() -> Iterator[Any]:
    with mock_aws():
        client = boto3.client("dynamodb", region_name="us-east-1")
        create_tables(client, "state", "history", "auth")
        yield client


@pytest.fixture
def auth(table: Any, monkeypatch: pytest.MonkeyPatch, keys: Keys) -> Any:
    """The client of the auth table behind the handler."""
    for item in table.scan(TableName="auth")["Items"]:
        table.delete_item(TableName="auth", Key={"token": item["token"]})
    settings = AuthorizerSettings("auth", notes_use=1, routes=str(ROUTES), user_pool="")
    for name, value in settings.to_environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(clients, "dynamodb", lambda: table)
    monkeypatch.setattr(clients, "dynamodb_hasty", lambda: table)
    monkeypatch.setattr(authorizer, "_users", lambda: CognitoUsers(POOL, PoolKeys(keys.fetch)))
    for cached in (authorizer._settings, authorizer._tokens, authorizer._routes):
        cached.cache_clear()
    return table


def put(client: Any, token: str, **values: object) -> None:
    client.put_item(TableName="auth", Item=encode({"token": token, **values}))


def item_of(client: Any, token: str) -> dict[str, Any]:
    return decode(client.get_item(TableName="auth", Key=encode({"token": token}))["Item"])


@contextmanager
def before_each(client: Any, operation: str, do: Callable[..., None]) -> Iterator[None]:
    event = f"provide-client-params.dynamodb.{operation}"
    client.meta.events.register(event, do)
    yield
    client.meta.events.unregister(event, do)


def ask(
    headers: Mapping[str, str] | None, several: Mapping[str, list[str]] | None = None
) -> dict[str, Any]:
    event = {
        "methodArn": f"{API}/prod/GET/endpoint-expiry",
        "headers": headers,
        "multiValueHeaders": several,
    }
    answer: dict[str, Any] = json.loads(json.dumps(authorizer.handler(event, None)))
    return answer


def send(token: str) -> dict[str, Any]:
    return ask({"Authorization": token})


def opened(answer: Mapping[str, Any]) -> list[str]:
    """The paths that the policy opens."""
    (statement,) = answer["policyDocument"]["Statement"]
    if statement["Effect"] == "Deny":
        assert statement["Resource"] == [f"{API}/prod/*"]
        assert "context" not in answer
        return []
    return [resource.removeprefix(f"{API}/prod/") for resource in statement["Resource"]]


def signed(
    key: rsa.RSAPrivateKey = KEY, key_id: str = "k1", *, groups: object = "users", **claims: object
) -> str:
    """A valid access token of the user ann; `claims` override claims, and None leaves one out."""
    now = int(time.time())
    all_claims = {
        "iss": POOL.issuer,
        "sub": "5a1e",
        "username": "ann",
        "client_id": "client-1",
        "token_use": "access",
        "cognito:groups": groups.split() if isinstance(groups, str) else groups,
        "iat": now,
        "exp": now + 3600,
        **claims,
    }
    payload = {name: value for name, value in all_claims.items() if value is not None}
    return jwt.encode(payload, key, algorithm="RS256", headers={"kid": key_id})


def test_pass_code_of_the_original_has_all_scopes(auth: Any) -> None:
    put(auth, "open sesame")
    for sent in ("open sesame", "Bearer open sesame"):
        answer = ask({"authorization": sent})
        assert opened(answer) == ["*/*"]
        assert answer["context"]["scopes"] == "read renew add manage invoke"


def test_pass_code_may_itself_begin_with_bearer(auth: Any) -> None:
    put(auth, "Bearer abc")
    assert opened(send("Bearer abc"))
    assert not opened(send("abc"))


def test_scopes_and_name_of_a_token_are_in_the_context(auth: Any) -> None:
    put(auth, "t1", name="ann", scopes="renew:Demo-X read nonsense")
    answer = send("t1")
    context = answer["context"]
    assert (context["principal"], context["scopes"]) == ("ann", "read renew:demo-x")
    assert answer["principalId"] == "ann"


@pytest.mark.parametrize(
    ("scopes", "model_is_open"),
    [
        ("invoke:DEMO-flant5-endpoint", True),
        ("invoke:demo-Falcon40B-Endpoint", False),
        ("read renew manage", False),
    ],
)
def test_policy_opens_a_model_without_a_function_to_those_who_may_invoke_it(
    auth: Any, scopes: str, model_is_open: bool
) -> None:
    put(auth, "t1", scopes=scopes)
    paths = opened(send("t1"))
    assert ("*/flan" in paths) is model_is_open
    assert {"*/endpoint-expiry", "*/falcon"} <= set(paths), "their functions check the scopes"


def test_scope_to_invoke_every_model_covers_routes_deployed_later(auth: Any) -> None:
    """A route that is deployed while the policy is cached can be called at once."""
    put(auth, "t1", scopes="invoke")
    assert opened(send("t1")) == ["*/*"]


def test_hashed_token_works_until_it_expires_or_is_revoked(auth: Any) -> None:
    tokens = DynamoTokenList(auth, "auth")
    secret, now = new_secret(), datetime.now(UTC)
    token = Token(hashed(secret), "ci", Scopes.parse("read"), now, now + timedelta(seconds=1))
    tokens.add(token)
    assert secret not in str(auth.scan(TableName="auth")["Items"])
    for sent in (secret, f"Bearer {secret}", f"bearer {secret}"):
        assert send(sent)["context"]["principal"] == "ci"
    time.sleep(1)
    assert not opened(send(secret))
    tokens.revoke(token)
    with pytest.raises(Conflict):
        tokens.revoke(token)
    tokens.add(Token(hashed(secret), "ci", Scopes.parse("read")))
    assert opened(send(secret))
    with pytest.raises(Conflict):
        tokens.add(Token(hashed(secret), "other", Scopes.every()))


def test_hash_of_a_token_is_not_accepted_as_a_token(auth: Any) -> None:
    secret = new_secret()
    put(auth, hashed(secret))
    assert opened(send(secret))
    for sent in (hashed(secret), f"Bearer {hashed(secret)}", f"Bearer  {hashed(secret)}"):
        assert not opened(send(sent))
        assert keys_of(sent) == ()


@pytest.mark.parametrize(
    "values",
    [
        {"expires_at": 1},
        {"expires_at": int(time.time())},
        {"expires_at": "never"},
        {"expires_at": "2099-01-01"},
        {"expires_at": True},
        {"expires_at": 10**30},
    ],
)
def test_token_with_a_past_or_unreadable_expiry_is_denied(
    auth: Any, values: dict[str, object]
) -> None:
    put(auth, "t1", **values)
    assert not opened(send("t1"))


def test_tokens_of_one_name_have_different_identities_that_reveal_no_secret(auth: Any) -> None:
    tokens = ("open sesame", "close sesame")
    for token in tokens:
        put(auth, token)
    contexts = [send(token)["context"] for token in (*tokens, *tokens)]
    assert {context["principal"] for context in contexts} == {"token"}
    first, second, *again = [context["identity"] for context in contexts]
    assert first != second
    assert again == [first, second]
    assert "sesame" not in first + second


@pytest.mark.parametrize(
    ("headers", "several"),
    [
        (None, None),
        ({}, {}),
        ({"Authorization": ""}, None),
        ({"Authorization": "   "}, None),
        ({"Authorization": "Bearer"}, None),
        ({"Authorization": "Bearer "}, None),
        ({"Authorization": "wrong"}, None),
        ({"Authorization": "T1"}, None),
        ({"Authorization": "t1 "}, None),
        ({"Authorization": "t1\n"}, None),
        ({"Authorization": "Basic t1"}, None),
        ({"Authorization": "t1,t1"}, None),
        ({"Authorization": "x" * 5000}, None),
        ({"Authorization": "pässwörd"}, None),
        ({"Authorization": "t1"}, {"Authorization": ["t1", "t1"]}),
        ({"Authorization": "t1", "authorization": "t1"}, None),
    ],
)
def test_missing_and_malformed_tokens_are_denied(
    auth: Any, headers: dict[str, str] | None, several: dict[str, list[str]] | None
) -> None:
    put(auth, "t1")
    put(auth, "pässwörd")
    assert not opened(ask(headers, several))


def test_every_token_is_looked_up_in_one_call(auth: Any) -> None:
    calls: list[int] = []

    def note(params: dict[str, Any], **_: object) -> None:
        calls.append(len(params["RequestItems"]["auth"]["Keys"]))

    put(auth, "plain")
    secret = new_secret()
    put(auth, hashed(secret))
    with before_each(auth, "BatchGetItem", note):
        for sent in ("plain", secret, "wrong"):
            send(sent)
    assert calls == [2, 2, 2], "hits and misses cost the same"


def test_last_use_is_recorded_at_most_once_per_interval(auth: Any) -> None:
    put(auth, "t1")
    tokens, now = DynamoTokens(auth, "auth", auth), datetime(2026, 3, 2, 9, tzinfo=UTC)
    for at in (now, now + USE_NOTED_EVERY - timedelta(seconds=1)):
        tokens.holder("t1", at)
        assert item_of(auth, "t1")["last_used"] == now.timestamp()
    tokens.holder("t1", now + USE_NOTED_EVERY)
    assert item_of(auth, "t1")["last_used"] == (now + USE_NOTED_EVERY).timestamp()


def test_recording_the_last_use_never_fails_a_request_nor_restores_a_revoked_token(
    auth: Any,
) -> None:
    put(auth, "t1")
    now = datetime(2026, 3, 2, 9, tzinfo=UTC)
    once = Config(retries={"total_max_attempts": 1})
    broken = boto3.client("dynamodb", "us-east-1", endpoint_url="http://127.0.0.1:9", config=once)
    assert DynamoTokens(auth, "auth", broken).holder("t1", now).name == "token"
    assert DynamoTokens(auth, "auth").holder("t1", now).name == "token"
    assert "last_used" not in item_of(auth, "t1")

    def revoke(**_: object) -> None:
        auth.delete_item(TableName="auth", Key=encode({"token": "t1"}))

    with before_each(auth, "UpdateItem", revoke):
        DynamoTokens(auth, "auth", auth).holder("t1", now)
    assert not auth.scan(TableName="auth")["Items"]


def test_users_have_the_scopes_of_all_their_groups(auth: Any) -> None:
    groups = "users payers others"
    access = signed(groups=groups)
    identity = signed(groups=groups, token_use="id", aud="client-1", client_id=None)
    for sent in (access, identity, f"Bearer {access}", f"bearer {identity}"):
        answer = send(sent)
        assert opened(answer) == ["*/endpoint-expiry", "*/falcon", "*/flan"]
        assert answer["context"]["scopes"] == "read renew invoke:demo-flant5-endpoint"
        assert answer["principalId"] == "cognito:ann"


def test_user_has_the_same_identity_after_each_sign_in(auth: Any) -> None:
    identities = [
        send(signed(sub=sub, iat=int(time.time()) - age))["context"]["identity"]
        for sub, age in (("a", 0), ("a", 60), ("b", 0))
    ]
    assert identities[0] == identities[1] != identities[2]


def unsigned(**header: object) -> str:
    """Ann's token with another header and without a signature."""
    payload = signed().split(".")[1]
    head = base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=").decode()
    return f"{head}.{payload}."


def tampered() -> str:
    head, payload, signature = signed().split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    changed = json.dumps({**claims, "cognito:groups": ["payers"]}).encode()
    return f"{head}.{base64.urlsafe_b64encode(changed).rstrip(b'=').decode()}.{signature}"


def confused() -> str:
    """A token signed with the public key as if that were a shared secret (HS256)."""
    pem = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    content = unsigned(alg="HS256", kid="k1").rstrip(".")
    mark = hmac.digest(pem, content.encode(), "sha256")
    return f"{content}.{base64.urlsafe_b64encode(mark).rstrip(b'=').decode()}"


NOW = int(time.time())


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(signed(OTHER_KEY), id="signed by another"),
        pytest.param(signed(key_id="k2"), id="unknown key"),
        pytest.param(signed(iss="https://cognito-idp.us-east-1.amazonaws.com/other"), id="pool"),
        pytest.param(signed(iss=None), id="no issuer"),
        pytest.param(signed(client_id="client-2"), id="another app"),
        pytest.param(signed(client_id=None), id="no app"),
        pytest.param(signed(token_use="id"), id="no audience"),
        pytest.param(signed(token_use="refresh"), id="another use"),
        pytest.param(signed(token_use=None), id="no use"),
        pytest.param(signed(exp=NOW - 60), id="expired"),
        pytest.param(signed(exp=None), id="no end"),
        pytest.param(signed(exp="tomorrow"), id="no instant"),
        pytest.param(signed(nbf=NOW + 3600), id="not yet"),
        pytest.param(signed(iat=NOW + 3600), id="of the future"),
        pytest.param(signed(sub=None), id="nobody"),
        pytest.param(signed(groups=None), id="no group"),
        pytest.param(signed(groups="others"), id="group without scopes"),
        pytest.param(signed(groups={"users": 1}), id="groups that are no list"),
        pytest.param(tampered(), id="tampered"),
        pytest.param(confused(), id="public key as secret"),
        pytest.param(unsigned(alg="none", kid="k1"), id="alg none"),
        pytest.param(unsigned(alg="RS256", kid="k1"), id="no signature"),
        pytest.param(unsigned(alg="RS256"), id="no key"),
        pytest.param(unsigned(alg="RS256", jku="http://127.0.0.1:9/", kid="x"), id="own key set"),
        pytest.param("eyJ.eyJ.x", id="nonsense"),
        pytest.param("eyJ" + "x" * 9_000 + "..", id="too long"),
    ],
)
def test_jwt_with_any_flaw_is_denied(auth: Any, token: str) -> None:
    assert opened(send(signed()))
    assert not opened(send(token))
    assert not opened(send(f"Bearer {token}"))


def test_deeply_nested_header_of_a_jwt_is_denied(auth: Any) -> None:
    head = base64.urlsafe_b64encode(b'{"a":' + b"[" * 5_000).rstrip(b"=").decode()
    assert not opened(send(f"{head}.e30.x"))


def test_unknown_key_ids_cause_no_extra_fetches(keys: Keys) -> None:
    users, now = CognitoUsers(POOL, PoolKeys(keys.fetch)), datetime.now(UTC)
    users.holder(signed(), now)
    for _ in range(5):
        with pytest.raises(Denied):
            users.holder(signed(key_id="made-up"), now)
    assert keys.asked == 1
    keys.keys = [public(OTHER_KEY, "k2")]
    later = now + timedelta(minutes=2)
    assert users.holder(signed(OTHER_KEY, "k2"), later).name == "cognito:ann"
    with pytest.raises(Denied):
        users.holder(signed(), later)
    assert keys.asked == 2
    keys.down = True
    assert users.holder(signed(OTHER_KEY, "k2"), later + timedelta(hours=2)).name == "cognito:ann"
    assert keys.asked == 3


def test_sign_in_is_unanswered_while_the_keys_cannot_be_fetched(keys: Keys) -> None:
    keys.down = True
    with pytest.raises(Unanswered):
        CognitoUsers(POOL, PoolKeys(keys.fetch)).holder(signed(), datetime.now(UTC))
    with pytest.raises(Unanswered, match="from http://127"):
        fetch_keys("http://127.0.0.1:9/jwks.json")


def test_tokens_are_never_logged(auth: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "lambdas")
    secret = new_secret()
    put(auth, "s3cret")
    put(auth, hashed(secret), expires_at=1)
    sent = ["s3cret", "wr0ng", secret, hashed(secret), signed(), tampered(), signed(OTHER_KEY)]
    for token in sent:
        send(token)
    assert "allowed token" in caplog.text
    for token in sent:
        assert all(part not in caplog.text for part in token.split(".") if part)


def test_revoked_token_is_not_read_from_a_stale_replica(auth: Any) -> None:
    reads: list[bool] = []

    def note(params: Mapping[str, Any], **_: object) -> None:
        reads.append(params["RequestItems"]["auth"].get("ConsistentRead"))

    with before_each(auth, "BatchGetItem", note):
        send("t1")
    assert reads == [True]
