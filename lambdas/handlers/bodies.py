"""Bodies of API Gateway's events. The API treats every media type as binary, so that the bodies of
models pass unchanged. Functions get all bodies in Base64.

API Gateway decodes bodies with a Content-Encoding. Nobody promises that it takes the header away
then, or decodes what it counts as binary: so a body is decoded here if it is still in that coding.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from lambdas.core import codings
from lambdas.core.invocation import MAX_BODY_BYTES
from lambdas.handlers.headers import values_of, without_header
from lambdas.handlers.refusals import BodyTooLarge, MalformedJson, UnsupportedCoding

_HEADER = "content-encoding"


def without_coding(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """The event with its body as it was before it was compressed. Raises UnsupportedCoding, and
    BodyTooLarge if that is larger than any body may be."""
    sent = values_of(event, _HEADER)
    if not sent:
        return event
    body = base64.b64decode(event.get("body") or "") if event.get("isBase64Encoded") else b""
    plain = without_header(event, _HEADER)
    try:
        coding = codings.coding_of(",".join(sent))
        if coding is None or not codings.is_in(body, coding):
            return plain
        body = codings.decoded(body, coding, MAX_BODY_BYTES)
    except codings.NotDecodable as error:
        raise UnsupportedCoding(str(error)) from None
    except codings.DecodedTooLarge:
        raise BodyTooLarge(MAX_BODY_BYTES) from None
    return {**plain, "body": base64.b64encode(body).decode()}


def with_text_body(event: Mapping[str, Any]) -> dict[str, Any]:
    """The event with its body as text. Raises MalformedJson if the body is not UTF-8."""
    if not event.get("isBase64Encoded"):
        return dict(event)
    try:
        text = base64.b64decode(event.get("body") or "").decode()
    except ValueError:
        raise MalformedJson("it is not UTF-8") from None
    return {**event, "body": text, "isBase64Encoded": False}
