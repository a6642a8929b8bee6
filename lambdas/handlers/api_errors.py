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
    errors.ScopeMissing: HTTPStatus.FORBIDDEN,
    errors.NameTaken: HTTPStatus.CONFLICT,
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
    errors.NotServing: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.AsyncApiDisabled: HTTPStatus.CONFLICT,
    errors.UnknownExecution: HTTPStatus.NOT_FOUND,
    errors.NotYourExecution: HTTPStatus.FORBIDDEN,
    errors.Busy: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.Throttled: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.Unanswered: HTTPStatus.GATEWAY_TIMEOUT,
    errors.AwsRefused: HTTPStatus.BAD_GATEWAY,
}
WORTH_A_RETRY = frozenset({HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS})
_RETRY_AFTER_SECONDS = 5
_NOT_BY_WAITING = {
    "AccessDeniedException": "AWS denies the meter a permission that this needs. Another try will "
    "not help; the meter's log has the reason, for whoever runs it.",
}


class RequestRefused(Exception):
    """A request that is refused before its route runs. Its arguments are those of the answer."""

    def __init__(
        self,
        status: HTTPStatus,
        code: str,
        sentence: str,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(sentence)
        self.status = status
        self.code = code
        self.headers = headers

    def answer(self, request_id: str) -> Response[str]:
        return problem(self.status, self.code, str(self), request_id, self.headers)


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


def problem_of(error: errors.MeterError, request_id: str, *, changes: bool) -> Response[str]:
    """The answer to an error of the core. `changes` says whether the request was one that changes
    something. The message of an AWS service goes to the log only."""
    kind = next(kind for kind in type(error).__mro__ if kind in _STATUS)
    status = _STATUS[kind]
    seconds = getattr(error, "retry_after_seconds", _RETRY_AFTER_SECONDS)
    retry = {"Retry-After": str(seconds)} if status in WORTH_A_RETRY else None
    sentence = _sentence(error, changes=changes)
    code = type(error).__name__ if isinstance(error, errors.NotServing) else kind.__name__
    return problem(status, code, sentence, request_id, retry)


def _sentence(error: errors.MeterError, *, changes: bool) -> str:
    match error:
        case errors.Throttled():
            return "AWS takes no more calls of the meter just now; try again in a moment."
        case errors.Unanswered() if changes:
            return (
                "AWS did not answer in time: this may or may not have happened. Look with GET "
                "/endpoint-expiry, or repeat it with the same Idempotency-Key; without one, a "
                "renewal that is repeated may count twice."
            )
        case errors.Unanswered():
            return "AWS did not answer in time; nothing was to be changed, so ask again."
        case errors.AwsRefused(code=code):
            other = "AWS did not carry this out; the meter's log has the reason."
            return _NOT_BY_WAITING.get(code, other)
        case _:
            return str(error)
