"""The one place where errors become HTTP answers: `{"error", "code", "requestId"}`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus

from aws_lambda_powertools.event_handler import Response

from lambdas.core import errors

_STATUS: Mapping[type[errors.MeterError], HTTPStatus] = {
    errors.InvalidField: HTTPStatus.BAD_REQUEST,
    errors.UnknownEndpoint: HTTPStatus.NOT_FOUND,
    errors.NameTaken: HTTPStatus.CONFLICT,
    errors.ConfigOwned: HTTPStatus.CONFLICT,
    errors.UnknownEndpointConfig: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.LeaseTooLong: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.IdempotencyConflict: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.Draining: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.Busy: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.Throttled: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.Unanswered: HTTPStatus.GATEWAY_TIMEOUT,
    errors.AwsRefused: HTTPStatus.BAD_GATEWAY,
}
_RETRY_AFTER_SECONDS = "5"


def problem(
    status: HTTPStatus,
    code: str,
    sentence: str,
    request_id: str,
    headers: Mapping[str, str] | None = None,
) -> Response[str]:
    """An error answer. `code` is PascalCase, `sentence` is for people."""
    body = json.dumps({"error": sentence, "code": code, "requestId": request_id})
    return Response(int(status), "application/json", body, headers=dict(headers or {}))


def problem_of(error: errors.MeterError, request_id: str) -> Response[str]:
    """The answer to an error of the core. What a service said is kept to the log."""
    kind = next(kind for kind in type(error).__mro__ if kind in _STATUS)
    status = _STATUS[kind]
    sentence = str(error)
    if isinstance(error, errors.AwsRefused):
        sentence = "AWS did not carry this out; nothing is lost, try again in a moment."
    retry = {"Retry-After": _RETRY_AFTER_SECONDS} if status in _WORTH_A_RETRY else None
    return problem(status, kind.__name__, sentence, request_id, retry)


_WORTH_A_RETRY = frozenset({HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS})
