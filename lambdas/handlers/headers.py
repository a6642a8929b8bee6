"""Headers of API Gateway's events: in any case, and repeated as the client sent them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def values_of(event: Mapping[str, Any], name: str) -> list[str]:
    """All values of a header. `name` is in lower case."""
    several = event.get("multiValueHeaders") or {}
    single = event.get("headers") or {}
    values = [value for sent, vs in several.items() if sent.lower() == name for value in vs or []]
    return values or [value for sent, value in single.items() if sent.lower() == name]


def answered_with(reply: Mapping[str, Any], headers: Mapping[str, str]) -> dict[str, Any]:
    """The reply, with those of `headers` that it does not have yet."""
    single = reply.get("headers") or {}
    own = {name.lower() for name in (*single, *(reply.get("multiValueHeaders") or {}))}
    added = {name: value for name, value in headers.items() if name.lower() not in own}
    return {**reply, "headers": {**single, **added}}


def without_header(event: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The event without the header `name`, which is in lower case."""
    single, several = (
        {sent: v for sent, v in (event.get(where) or {}).items() if sent.lower() != name}
        for where in ("headers", "multiValueHeaders")
    )
    return {**event, "headers": single, "multiValueHeaders": several}


def with_header(event: Mapping[str, Any], name: str, value: str) -> dict[str, Any]:
    """The event with `value` as the only value of the header `name`, which is in lower case."""
    others = without_header(event, name)
    return {
        **others,
        "headers": {**others["headers"], name: value},
        "multiValueHeaders": {**others["multiValueHeaders"], name: [value]},
    }
