"""The one place where errors of functions that call models become HTTP answers: `{"error", "code",
"requestId"}`, as everywhere. Unlike `api_errors` it does not import Powertools, which would make
each cold start slower."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from lambdas.core import errors, invocation, waking


class CallRefused(Exception):
    """A call that is refused. Its arguments are status, code and headers of the answer."""

    def __init__(
        self, status: HTTPStatus, code: str, sentence: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(sentence)
        self.status = status
        self.code = code
        self.headers = headers or {}

    def reply(self, request_id: str) -> Mapping[str, Any]:
        """The answer for API Gateway."""
        body = {"error": str(self), "code": self.code, "requestId": request_id}
        headers = {"Content-Type": "application/json", **self.headers}
        return {"statusCode": int(self.status), "headers": headers, "body": json.dumps(body)}


# status, code, seconds to wait unless the error says
_ANSWERS: Mapping[type[errors.MeterError], tuple[HTTPStatus, str, int | None]] = {
    waking.EndpointWaking: (HTTPStatus.ACCEPTED, "EndpointStarting", None),
    waking.TooManyWakes: (HTTPStatus.TOO_MANY_REQUESTS, "TooManyWakes", None),
    errors.EndpointStarting: (HTTPStatus.SERVICE_UNAVAILABLE, "EndpointStarting", None),
    errors.EndpointStopped: (HTTPStatus.SERVICE_UNAVAILABLE, "EndpointStopped", None),
    errors.UnknownEndpoint: (HTTPStatus.NOT_FOUND, "UnknownEndpoint", None),
    errors.Draining: (HTTPStatus.SERVICE_UNAVAILABLE, "Draining", 60),
    errors.Busy: (HTTPStatus.SERVICE_UNAVAILABLE, "Busy", 1),
    errors.Throttled: (HTTPStatus.SERVICE_UNAVAILABLE, "Throttled", 5),
    errors.Unanswered: (HTTPStatus.GATEWAY_TIMEOUT, "Unanswered", None),
    errors.AwsRefused: (HTTPStatus.BAD_GATEWAY, "AwsRefused", None),
    invocation.ModelFailed: (HTTPStatus.FAILED_DEPENDENCY, "ModelError", None),
    invocation.InvalidInvocation: (HTTPStatus.BAD_REQUEST, "InvalidInvocation", None),
    invocation.ModelNotReady: (HTTPStatus.SERVICE_UNAVAILABLE, "ModelNotReady", 5),
    invocation.TooManyInvocations: (HTTPStatus.TOO_MANY_REQUESTS, "TooManyRequests", 1),
    invocation.ModelTimedOut: (HTTPStatus.GATEWAY_TIMEOUT, "ModelTimedOut", None),
}


def refused(error: errors.MeterError) -> CallRefused:
    """The answer to an error. The message of an AWS service goes to the log only."""
    kind = next(kind for kind in type(error).__mro__ if kind in _ANSWERS)
    status, code, wait = _ANSWERS[kind]
    seconds = getattr(error, "retry_after_seconds", wait)
    headers = {} if seconds is None else {"Retry-After": str(seconds)}
    return CallRefused(status, code, _sentence(error), headers)


def bug() -> CallRefused:
    """The answer to an unexpected error."""
    sentence = "The function failed to handle this request; its log has the reason."
    return CallRefused(HTTPStatus.INTERNAL_SERVER_ERROR, "InternalError", sentence)


def _sentence(error: errors.MeterError) -> str:
    match error:
        case errors.Throttled():
            return "AWS takes no more calls just now; try again in a moment."
        case errors.Unanswered():
            return "AWS did not answer in time; ask again."
        case errors.AwsRefused():
            return "AWS did not carry this out; the function's log has the reason."
        case _:
            return str(error)
