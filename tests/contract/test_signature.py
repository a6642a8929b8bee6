"""Our check of signatures agrees with what botocore signs, and with nothing else."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from local.key import Key
from local.signature import Head, Signature, SignatureError

KEY = Key("AKIAOURS", "the secret")
BODY = b'{"Limit": 1}'
SCOPE = "AKIAOURS/20260101/us-east-1/s3/aws4_request"
LATE = timedelta(minutes=16)


def signed(
    signer: Any = SigV4Auth,
    service: str = "dynamodb",
    **more: Any,
) -> Head:
    url = "http://127.0.0.1:4566/a%20b//c?x=1&a=%2F"
    request = AWSRequest("POST", url, {"X-Amz-Target": "Any  thing"}, BODY)
    key = Credentials(KEY.aws_access_key_id, KEY.aws_secret_access_key, "token")
    signer(key, service, "us-east-1", **more).add_auth(request)
    sent = urlsplit(request.prepare().url)
    headers = {name.lower(): value for name, value in request.headers.items()}
    return Head("POST", sent.path, sent.query, {**headers, "host": "127.0.0.1:4566"})


def code_for(head: Head, body: bytes = BODY, later: timedelta = timedelta()) -> str:
    """The code of the error; "" if the signature is right."""
    try:
        signature = Signature.of(head)
        signature.check(head, body, KEY.aws_secret_access_key, datetime.now(UTC) + later)
    except SignatureError as error:
        return error.code
    return ""


HEADS: dict[str, Callable[[], Head]] = {
    "JSON": signed,
    "S3": lambda: signed(S3SigV4Auth, "s3"),
    "link": lambda: signed(S3SigV4QueryAuth, "s3", expires=3600),
}


@pytest.mark.parametrize("kind", HEADS)
def test_what_botocore_signs_is_right(kind: str) -> None:
    head = HEADS[kind]()

    assert code_for(head) == ""
    assert Signature.of(head).token == "token"


@pytest.mark.parametrize("kind", HEADS)
@pytest.mark.parametrize(
    "change",
    [
        {"method": "PUT"},
        {"path": "/other"},
        {"query": "x=2"},
        {"headers": {"host": "127.0.0.1:80"}},
    ],
)
def test_a_changed_request_is_refused(kind: str, change: dict[str, Any]) -> None:
    head = HEADS[kind]()
    if "query" in change:
        change = {"query": f"{head.query}&{change['query']}"}
    if "headers" in change:
        change = {"headers": {**head.headers, **change["headers"]}}

    assert code_for(replace(head, **change)) == "SignatureDoesNotMatch"


@pytest.mark.parametrize("kind", ["JSON", "S3"])
def test_another_body_is_refused(kind: str) -> None:
    assert code_for(HEADS[kind](), b"{}") == "SignatureDoesNotMatch"


@pytest.mark.parametrize(
    ("kind", "later", "code"),
    [
        ("JSON", LATE, "RequestExpired"),
        ("JSON", -LATE, "RequestExpired"),
        ("link", LATE, ""),
        ("link", timedelta(minutes=61), "RequestExpired"),
        ("link", -LATE, "RequestExpired"),
    ],
)
def test_a_signature_holds_for_a_time(kind: str, later: timedelta, code: str) -> None:
    assert code_for(HEADS[kind](), later=later) == code


@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        ("", "MissingAuthenticationToken"),
        ("Bearer token", "MissingAuthenticationToken"),
        ("AWS AKIAOURS:signature", "MissingAuthenticationToken"),
        ("AWS4-HMAC-SHA256 ", "IncompleteSignature"),
        ("AWS4-HMAC-SHA256 Credential=AKIAOURS/x, Signature=y", "IncompleteSignature"),
        (
            f"AWS4-HMAC-SHA256 Credential={SCOPE}, SignedHeaders=host, Signature=",
            "IncompleteSignature",
        ),
    ],
)
def test_what_is_no_signature_is_refused(authorization: str, code: str) -> None:
    headers = {"host": "x", "x-amz-date": "20260101T000000Z", "authorization": authorization}

    assert code_for(Head("GET", "/", "", headers)) == code


def test_a_signature_of_other_letters_is_refused() -> None:
    head = signed()
    authorization = head.headers["authorization"].partition("Signature=")[0] + "Signature=é"

    changed = replace(head, headers={**head.headers, "authorization": authorization})

    assert code_for(changed) == "SignatureDoesNotMatch"


def test_a_link_must_say_how_long_it_holds() -> None:
    head = HEADS["link"]()

    endless = replace(head, query=head.query.replace("X-Amz-Expires=3600&", ""))
    eternal = signed(S3SigV4QueryAuth, "s3", expires=8 * 24 * 3600)

    assert code_for(endless) == "IncompleteSignature"
    assert code_for(eternal) == "RequestExpired"


def test_each_key_is_another_and_no_number() -> None:
    keys = {Key.made().aws_access_key_id for _ in range(100)}

    assert len(keys) == 100
    assert not any(key.isdecimal() for key in keys)


def test_a_session_is_known_by_its_token_to_who_has_the_key() -> None:
    arn = "arn:aws:sts::000000000000:assumed-role/role/name"
    session = KEY.session(arn)
    foreign = Key.made().session(arn)

    assert KEY.session_of(session.token) == session
    assert KEY.session_of(foreign.token) is None
    assert [KEY.session_of(text) for text in ("", ".", "é", f"{session.token}0")] == [None] * 4
