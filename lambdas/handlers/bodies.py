"""Bodies of API Gateway's events: the API takes every media type as binary, so that those of the
models pass as they are, and hands them to functions in Base64."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from lambdas.handlers.api_errors import RequestRefused


def with_text_body(event: Mapping[str, Any]) -> dict[str, Any]:
    """The event with its body as text; raises RequestRefused where it is none."""
    if not event.get("isBase64Encoded"):
        return dict(event)
    try:
        text = base64.b64decode(event.get("body") or "").decode()
    except ValueError:
        raise RequestRefused(
            HTTPStatus.BAD_REQUEST, "MalformedJson", "The body is no JSON: it is not UTF-8."
        ) from None
    return {**event, "body": text, "isBase64Encoded": False}
