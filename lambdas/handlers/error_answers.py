"""The one place where errors become HTTP answers: `{"error", "code", "requestId"}`.

Imports no Powertools: functions that call models must start quickly.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from lambdas.core import errors, invocation, waking
from lambdas.handlers.refusals import JSON, BodyTooLarge, InternalError, RequestRefused

STATUSES: Mapping[type[errors.MeterError], HTTPStatus] = {
    errors.InvalidField: HTTPStatus.BAD_REQUEST,
    errors.UnknownEndpoint: HTTPStatus.NOT_FOUND,
    errors.ScopeMissing: HTTPStatus.FORBIDDEN,
    errors.NameTaken: HTTPStatus.CONFLICT,
    errors.NotOurs: HTTPStatus.CONFLICT,
    errors.NotAdoptable: HTTPStatus.FORBIDDEN,
    errors.ConfigNotAddable: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.TooManyAdded: HTTPStatus.CONFLICT,
    errors.TooManyAddedToday: HTTPStatus.TOO_MANY_REQUESTS,
    errors.ConfigOwned: HTTPStatus.CONFLICT,
    errors.NotInService: HTTPStatus.CONFLICT,
    errors.UnknownEndpointConfig: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.LeaseTooLong: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.TooManySessions: HTTPStatus.CONFLICT,
    errors.IdempotencyConflict: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.SpecUnreadable: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.Draining: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.EndpointStopped: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.EndpointStarting: HTTPStatus.SERVICE_UNAVAILABLE,
    waking.EndpointWaking: HTTPStatus.ACCEPTED,
    waking.TooManyWakes: HTTPStatus.TOO_MANY_REQUESTS,
    errors.AsyncApiDisabled: HTTPStatus.CONFLICT,
    errors.UnknownExecution: HTTPStatus.NOT_FOUND,
    errors.NotYourExecution: HTTPStatus.FORBIDDEN,
    errors.Busy: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.Throttled: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.Unanswered: HTTPStatus.GATEWAY_TIMEOUT,
    errors.AwsRefused: HTTPStatus.BAD_GATEWAY,
    invocation.NotServed: HTTPStatus.SERVICE_UNAVAILABLE,
    invocation.CallTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    invocation.FunctionFailed: HTTPStatus.BAD_GATEWAY,
    invocation.ModelFailed: HTTPStatus.FAILED_DEPENDENCY,
    invocation.InvalidInvocation: HTTPStatus.BAD_REQUEST,
    invocation.ModelNotReady: HTTPStatus.SERVICE_UNAVAILABLE,
    invocation.TooManyInvocations: HTTPStatus.TOO_MANY_REQUESTS,
    invocation.ModelTimedOut: HTTPStatus.GATEWAY_TIMEOUT,
}
"""The status of each class and of its subclasses. The name of the class is the code."""
_OTHER_CODES: Mapping[type[errors.MeterError], str] = {
    waking.EndpointWaking: "EndpointStarting",
    invocation.CallTooLarge: BodyTooLarge.__name__,
    invocation.ModelFailed: "ModelError",
    invocation.TooManyInvocations: "TooManyRequests",
}
WORTH_A_RETRY = frozenset({HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS})
_RETRY_AFTER_SECONDS = 5
_OTHER_SECONDS: Mapping[type[errors.MeterError], int] = {
    errors.Draining: 60,
    errors.Busy: 1,
    invocation.TooManyInvocations: 1,
}


def answer_to(
    error: errors.MeterError, request_id: str, *, changes: bool, calls: bool = False
) -> dict[str, Any]:
    """The answer to an error, for API Gateway. `changes` says whether the request was one that
    changes something, `calls` whether it was a call of a model. The message of an AWS service
    goes to the log only."""
    if isinstance(error, RequestRefused):
        status, code = error.status, error.code or type(error).__name__
        headers = dict(error.headers)
    else:
        kind = next(kind for kind in type(error).__mro__ if kind in STATUSES)
        status, code = STATUSES[kind], _OTHER_CODES.get(kind, kind.__name__)
        headers = _retry_after(error, kind, status)
    if calls and isinstance(error, errors.Unanswered):
        sentence = error.for_callers()
    else:
        sentence = error.for_users(changes=changes)
    body = {
        "error": sentence,
        "code": code,
        "requestId": request_id,
    }
    return {
        "statusCode": int(status),
        "headers": {"Content-Type": JSON, **headers},
        "body": json.dumps(body),
    }


def reply_or_error(
    event: Mapping[str, Any], log: logging.Logger, handle: Callable[[], Mapping[str, Any]]
) -> Mapping[str, Any]:
    """The reply of a function through which models are called. Every error is a JSON answer, never
    an exception; the log has its cause."""
    request_id = str(event["requestContext"].get("requestId", ""))
    try:
        return handle()
    except errors.MeterError as error:
        log.info("refused %s: %r, caused by %r", request_id, error, error.__cause__)
        calls = event["httpMethod"] == "POST"
        return answer_to(error, request_id, changes=False, calls=calls)
    except Exception:
        log.exception("a bug, in request %s", request_id)
        return answer_to(InternalError(), request_id, changes=False)


def _retry_after(
    error: errors.MeterError, kind: type[errors.MeterError], status: HTTPStatus
) -> dict[str, str]:
    seconds = getattr(error, "retry_after_seconds", None)
    if seconds is None and status in WORTH_A_RETRY:
        seconds = _OTHER_SECONDS.get(kind, _RETRY_AFTER_SECONDS)
    return {} if seconds is None else {"Retry-After": str(seconds)}
