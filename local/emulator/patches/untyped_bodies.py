"""A body without a type counts as JSON, in requests and in answers to callers who accept anything.

MiniStack counts it as text, also where an API takes every type as binary. Bytes that are no UTF-8
would be ruined.
https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-payload-encodings-workflow.html
"""

from collections.abc import Sequence
from importlib import import_module
from typing import Any

DEFAULT = "application/json"

apigateway: Any = import_module("ministack.services.apigateway_v1")


def apply() -> None:
    """Give untyped bodies the default type."""
    matches = apigateway._media_type_matches

    def matches_by_default(media_type: str | None, binary_types: Sequence[str] | None) -> Any:
        return matches(media_type or DEFAULT, binary_types)

    apigateway._media_type_matches = matches_by_default
