"""Checks of every request before its route runs: the scope, the parameters of the query, and that a
body is JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

from lambdas.core.errors import ScopeMissing
from lambdas.handlers.callers import caller_of, has_several_tokens
from lambdas.handlers.headers import values_of, with_header
from lambdas.handlers.operations import Operation
from lambdas.handlers.refusals import (
    JSON,
    BodyTooDeep,
    BodyTooLarge,
    InvalidBody,
    InvalidRequest,
    MalformedJson,
    SeveralTokens,
    UnknownParameter,
    UnsupportedMediaType,
)

MAX_BODY_BYTES = 128_000
MOST_DIGITS = 1000
MAX_BODY_DEPTH = 200
"""Depth of nested arrays and objects. What is accepted here must be readable later, too."""
_READ_AS_JSON = frozenset({JSON, "application/x-www-form-urlencoded"})
"""The second is the default of curl's `--data`, though the body is JSON."""


def checked(event: Mapping[str, Any], operation: Operation) -> dict[str, Any]:
    """The event, ready for its route. Raises RequestRefused and ScopeMissing."""
    _require_scope(event, operation)
    _require_known_parameters(event, operation)
    if not operation.route.takes_body:
        _require_scope_for_endpoint(event, operation, {})
        return dict(event)
    document = _json_of(event)
    _require_scope_for_endpoint(event, operation, document)
    return with_header(event, "content-type", JSON)


def _require_scope(event: Mapping[str, Any], operation: Operation) -> None:
    """The caller needs the scope for at least one endpoint, before anything else is checked."""
    route = operation.route
    if route.scope is None:
        return
    if has_several_tokens(event):
        raise SeveralTokens
    who = caller_of(event)
    if who is None or not route.allows(who.scopes):
        raise ScopeMissing(route.scope)


def _require_scope_for_endpoint(
    event: Mapping[str, Any], operation: Operation, body: Mapping[str, Any]
) -> None:
    """The caller needs the scope for every endpoint that the query or the body names."""
    who, route = caller_of(event), operation.route
    if route.scope is None or who is None:
        return
    for name in _names(event, body, operation.names_endpoint):
        if not route.allows(who.scopes, name):
            raise ScopeMissing(route.scope, name)


def _names(event: Mapping[str, Any], body: Mapping[str, Any], field: str) -> Iterator[str]:
    yield from (event.get("multiValueQueryStringParameters") or {}).get(field, ())
    for sent in (event.get("queryStringParameters") or {}, body):
        if isinstance(sent.get(field), str):
            yield sent[field]


def _require_known_parameters(event: Mapping[str, Any], operation: Operation) -> None:
    sent = {
        **{name: [value] for name, value in (event.get("queryStringParameters") or {}).items()},
        **(event.get("multiValueQueryStringParameters") or {}),
    }
    for name, values in sent.items():
        if name not in operation.query:
            raise UnknownParameter(name, operation.query)
        if len(values) > 1:
            raise InvalidRequest(f"{name}: give it once")


def _json_of(event: Mapping[str, Any]) -> dict[str, Any]:
    body = event.get("body") or ""
    if len(body.encode("utf-8", "surrogatepass")) > MAX_BODY_BYTES:
        raise BodyTooLarge(MAX_BODY_BYTES)
    kinds = {value.split(";")[0].strip().lower() for value in values_of(event, "content-type")}
    if kinds - _READ_AS_JSON - {""}:
        raise UnsupportedMediaType
    try:
        document = json.loads(
            body, parse_constant=_refuse_constant, parse_float=_finite, parse_int=_short
        )
        json.dumps(document, ensure_ascii=False).encode()  # refuses lone surrogates
    except RecursionError:
        raise BodyTooDeep(MAX_BODY_DEPTH) from None
    except ValueError as error:
        raise MalformedJson(str(error)) from error
    if not isinstance(document, dict):
        raise InvalidBody
    if _deeper_than(MAX_BODY_DEPTH, document):
        raise BodyTooDeep(MAX_BODY_DEPTH)
    return document


def _deeper_than(limit: int, document: dict[str, Any]) -> bool:
    level: list[Any] = [document]
    for _ in range(limit):
        inner = (each.values() if isinstance(each, dict) else each for each in level)
        level = [each for values in inner for each in values if isinstance(each, dict | list)]
        if not level:
            return False
    return True


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _short(text: str) -> int:
    """Python reads no integer of more than some thousand digits."""
    if len(text) > MOST_DIGITS:
        raise ValueError(f"{text[:20]}… is too large a number")
    return int(text)


def _finite(text: str) -> float:
    """A number such as 1e999 is valid JSON, and infinite in Python."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:20]} is too large a number")
    return value
