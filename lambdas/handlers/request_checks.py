"""Checks of every request before its route runs: the rate of its token, the scope, the parameters
of the query, and that a body is JSON."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools import Logger

from lambdas.aws.rates import DynamoRates
from lambdas.core.errors import AwsRefused, ScopeMissing
from lambdas.core.scopes import Scope
from lambdas.handlers.api_errors import RequestRefused
from lambdas.handlers.callers import caller_of, has_several_tokens
from lambdas.handlers.headers import values_of, with_header
from lambdas.handlers.operations import Operation

MAX_BODY_BYTES = 128_000
MAX_BODY_DEPTH = 200
"""Depth of nested arrays and objects. What is accepted here must be readable later, too."""
_JSON = "application/json"
_READ_AS_JSON = frozenset({_JSON, "application/x-www-form-urlencoded"})
"""The second is the default of curl's `--data`, though the body is JSON."""
_log = Logger(child=True)


def within_rate(event: Mapping[str, Any], rates: Callable[[], DynamoRates], now: datetime) -> None:
    """Count the request; raises RequestRefused where its token has made too many this minute."""
    who = caller_of(event)
    if who is None:
        return
    try:
        seconds = rates().wait_seconds(who.identity, now)
    except AwsRefused as error:  # one request too many is better than an API that is down
        _log.warning("request not counted", error=str(error))
        return
    if seconds is not None:
        raise RequestRefused(
            HTTPStatus.TOO_MANY_REQUESTS,
            "TooManyRequests",
            f"This token has made its requests of this minute; wait {seconds} s.",
            {"Retry-After": str(seconds)},
        )


def checked(event: Mapping[str, Any], operation: Operation) -> dict[str, Any]:
    """The event, ready for its route. Raises RequestRefused."""
    _require_scope(event, operation)
    _require_known_parameters(event, operation)
    if not operation.route.takes_body:
        _require_scope_for_endpoint(event, operation, {})
        return dict(event)
    document = _json_of(event)
    _require_scope_for_endpoint(event, operation, document)
    return with_header(event, "content-type", _JSON)


def _require_scope(event: Mapping[str, Any], operation: Operation) -> None:
    """The caller needs the scope for at least one endpoint, before anything else is checked."""
    route = operation.route
    if route.scope is None:
        return
    if has_several_tokens(event):
        raise RequestRefused(
            HTTPStatus.UNAUTHORIZED, "Unauthorized", "Send one token in one Authorization header."
        )
    who = caller_of(event)
    if who is None or not route.allows(who.scopes):
        raise scope_missing(route.scope)


def _require_scope_for_endpoint(
    event: Mapping[str, Any], operation: Operation, body: Mapping[str, Any]
) -> None:
    """The caller needs the scope for every endpoint that the query or the body names."""
    who, route = caller_of(event), operation.route
    if route.scope is None or who is None:
        return
    for name in _names(event, body, operation.names_endpoint):
        if not route.allows(who.scopes, name):
            raise scope_missing(route.scope, name)


def _names(event: Mapping[str, Any], body: Mapping[str, Any], field: str) -> Iterator[str]:
    yield from (event.get("multiValueQueryStringParameters") or {}).get(field, ())
    for sent in (event.get("queryStringParameters") or {}, body):
        if isinstance(sent.get(field), str):
            yield sent[field]


def scope_missing(scope: Scope, endpoint: str | None = None) -> RequestRefused:
    """The refusal for a token that lacks the scope, in general or for this endpoint."""
    return RequestRefused(HTTPStatus.FORBIDDEN, "ScopeMissing", str(ScopeMissing(scope, endpoint)))


def _require_known_parameters(event: Mapping[str, Any], operation: Operation) -> None:
    """Unknown parameters are refused: a misspelt `forget` must not be ignored."""
    sent = {
        **{name: [value] for name, value in (event.get("queryStringParameters") or {}).items()},
        **(event.get("multiValueQueryStringParameters") or {}),
    }
    for name, values in sent.items():
        if name not in operation.query:
            raise RequestRefused(
                HTTPStatus.BAD_REQUEST, "UnknownParameter", _unknown(name, operation.query)
            )
        if len(values) > 1:
            raise RequestRefused(HTTPStatus.BAD_REQUEST, "InvalidRequest", f"{name}: give it once")


def _unknown(name: str, known: tuple[str, ...]) -> str:
    by_folded = {each.casefold(): each for each in known}
    near = difflib.get_close_matches(name.casefold(), by_folded, n=1)
    if near:
        return f"{name}: unknown parameter; did you mean '{by_folded[near[0]]}'?"
    takes = f"this call takes {', '.join(known)}" if known else "this call takes none"
    return f"{name}: unknown parameter; {takes}"


def _json_of(event: Mapping[str, Any]) -> dict[str, Any]:
    body = event.get("body") or ""
    if len(body.encode("utf-8", "surrogatepass")) > MAX_BODY_BYTES:
        raise RequestRefused(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            "BodyTooLarge",
            f"The body may have at most {MAX_BODY_BYTES} bytes.",
        )
    kinds = {value.split(";")[0].strip().lower() for value in values_of(event, "content-type")}
    if kinds - _READ_AS_JSON - {""}:
        raise RequestRefused(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "UnsupportedMediaType",
            f"Send JSON with 'Content-Type: {_JSON}'.",
        )
    try:
        document = json.loads(body, parse_constant=_refuse_constant, parse_float=_finite)
        json.dumps(document, ensure_ascii=False).encode()  # refuses lone surrogates
    except (ValueError, RecursionError) as error:
        raise RequestRefused(
            HTTPStatus.BAD_REQUEST, "MalformedJson", f"The body is no JSON: {error}."
        ) from error
    if not isinstance(document, dict):
        raise RequestRefused(
            HTTPStatus.BAD_REQUEST, "InvalidBody", "The body must be a JSON object."
        )
    if _deeper_than(MAX_BODY_DEPTH, document):
        sentence = f"The body may be nested {MAX_BODY_DEPTH} deep at most."
        raise RequestRefused(HTTPStatus.BAD_REQUEST, "BodyTooDeep", sentence)
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


def _finite(text: str) -> float:
    """A number such as 1e999 is valid JSON, and infinite in Python."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:20]} is too large a number")
    return value
