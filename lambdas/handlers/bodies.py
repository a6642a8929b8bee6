"""Bodies of API Gateway's events. The API treats every media type as binary, so that the bodies of
models pass unchanged. Functions get all bodies in Base64."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from lambdas.handlers.refusals import MalformedJson


def with_text_body(event: Mapping[str, Any]) -> dict[str, Any]:
    """The event with its body as text. Raises MalformedJson if the body is not UTF-8."""
    if not event.get("isBase64Encoded"):
        return dict(event)
    try:
        text = base64.b64decode(event.get("body") or "").decode()
    except ValueError:
        raise MalformedJson("it is not UTF-8") from None
    return {**event, "body": text, "isBase64Encoded": False}
