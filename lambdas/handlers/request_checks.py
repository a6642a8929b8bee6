"""Checks of every request before its route runs: the scope, the parameters of the query, and that a
body is JSON."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from lambdas.core.errors import ScopeMissing
from lambdas.core.names import sagemaker_name
from lambdas.handlers.callers import caller_of, has_several_tokens
from lambdas.handlers.headers import values_of, with_header
from lambdas.handlers.json_bodies import json_object
from lambdas.handlers.operations import Operation
from lambdas.handlers.refusals import (
    JSON,
    BodyTooLarge,
    InvalidRequest,
    SeveralTokens,
    UnknownParameter,
    UnsupportedMediaType,
)

MAX_BODY_BYTES = 128_000
_NUMBERS = frozenset({"limit"})
_NUMBER = re.compile("-?[0-9]+")
"""Pydantic takes `1_0`, `1.0` and the digits of other scripts as well."""
_READ_AS_JSON = frozenset({JSON, "application/x-www-form-urlencoded"})
"""The second is the default of curl's `--data`, though the body is JSON."""


def checked(event: Mapping[str, Any], operation: Operation) -> dict[str, Any]:
    """The event, ready for its route. Raises RequestRefused, InvalidField and ScopeMissing."""
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
    """The caller needs the scope for every endpoint that the query or the body names. Raises
    InvalidField if one is no name: it would stand in what an error advises."""
    who, route = caller_of(event), operation.route
    if route.scope is None or who is None:
        return
    for sent in _names(event, body, operation.names_endpoint):
        name = sagemaker_name(sent, operation.names_endpoint)
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
        if name in _NUMBERS and not _NUMBER.fullmatch(values[0]):
            raise InvalidRequest(f"{name}: must be a whole number, such as 100")


def _json_of(event: Mapping[str, Any]) -> dict[str, Any]:
    body = event.get("body") or ""
    if len(body.encode("utf-8", "surrogatepass")) > MAX_BODY_BYTES:
        raise BodyTooLarge(MAX_BODY_BYTES)
    kinds = {value.split(";")[0].strip().lower() for value in values_of(event, "content-type")}
    if kinds - _READ_AS_JSON - {""}:
        raise UnsupportedMediaType
    return json_object(body)
