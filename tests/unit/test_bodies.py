from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdas.handlers.bodies import with_text_body
from lambdas.handlers.refusals import RequestRefused


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
