from __future__ import annotations

import base64
import gzip
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdas.core.invocation import MAX_BODY_BYTES
from lambdas.handlers.bodies import with_text_body, without_coding
from lambdas.handlers.refusals import BodyTooLarge, RequestRefused, UnsupportedCoding


@given(text=st.text())
def test_body_is_the_same_with_and_without_base64(text: str) -> None:
    plain = {"body": text, "isBase64Encoded": False}
    coded = {"body": base64.b64encode(text.encode()).decode(), "isBase64Encoded": True}
    assert with_text_body(plain) == with_text_body(coded) == plain


def test_missing_body_stays_missing() -> None:
    assert with_text_body({"body": None, "isBase64Encoded": False})["body"] is None
    assert with_text_body({"body": None, "isBase64Encoded": True})["body"] == ""


def test_body_that_is_not_utf8_is_refused() -> None:
    event = {"body": base64.b64encode(b'{"minutes": "\xff"}').decode(), "isBase64Encoded": True}
    with pytest.raises(RequestRefused, match="UTF-8") as refused:
        with_text_body(event)
    assert refused.value.status == 400


def coded(body: bytes, coding: str = "gzip") -> dict[str, Any]:
    """An event whose header names a coding."""
    return {
        "headers": {"Content-Encoding": coding, "Accept": "*/*"},
        "multiValueHeaders": {"Content-Encoding": [coding], "Accept": ["*/*"]},
        "body": base64.b64encode(body).decode(),
        "isBase64Encoded": True,
    }


PLAIN = {
    "headers": {"Accept": "*/*"},
    "multiValueHeaders": {"Accept": ["*/*"]},
    "body": base64.b64encode(b"{}").decode(),
    "isBase64Encoded": True,
}


@pytest.mark.parametrize(
    "event",
    [coded(gzip.compress(b"{}", mtime=0)), coded(b"{}"), coded(b"{}", "identity"), PLAIN],
    ids=["coded", "decoded by the gateway", "identity", "no header"],
)
def test_body_in_a_coding_is_read_as_the_plain_one(event: dict[str, Any]) -> None:
    assert without_coding(event) == PLAIN


def test_request_without_a_body_has_no_coding() -> None:
    event = {"headers": {"content-encoding": "gzip"}, "body": None, "isBase64Encoded": False}
    assert without_coding(event) == {**event, "headers": {}, "multiValueHeaders": {}}


@pytest.mark.parametrize(
    ("event", "why"),
    [
        (coded(b"{}", "br"), "not known"),
        (coded(gzip.compress(b"{}", mtime=0)[:-3]), "not in gzip .* or not whole"),
        (coded(b"{}", "gzip, gzip"), "not known"),
    ],
)
def test_body_that_is_not_in_its_coding_is_unsupported(event: dict[str, Any], why: str) -> None:
    with pytest.raises(UnsupportedCoding, match=why) as refused:
        without_coding(event)
    assert refused.value.status == 415


def test_body_that_unpacks_to_more_than_any_body_may_have_is_too_large() -> None:
    most = coded(gzip.compress(b" " * MAX_BODY_BYTES))
    assert len(base64.b64decode(without_coding(most)["body"])) == MAX_BODY_BYTES
    with pytest.raises(BodyTooLarge):
        without_coding(coded(gzip.compress(b" " * (MAX_BODY_BYTES + 1))))
