"""Requests that are refused before a use case or a model runs. Each class has the status of its
answer; its name is the code.

Imports neither Powertools nor pydantic: functions that call models must start quickly.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import ClassVar

from lambdas.core.codings import ADVICE
from lambdas.core.errors import MeterError

JSON = "application/json"


class RequestRefused(MeterError):
    """A request that is refused. `headers` go to the answer."""

    status = HTTPStatus.BAD_REQUEST
    code: ClassVar[str] = ""
    """The code of the answer, if it is not the name of the class."""

    def __init__(
        self, happened: str, headers: Mapping[str, str] | None = None, **facts: object
    ) -> None:
        super().__init__(happened, **facts)
        self.headers = headers or {}


class TooManyRequests(RequestRefused):
    status = HTTPStatus.TOO_MANY_REQUESTS
    advice = "Wait $seconds s."

    def __init__(self, seconds: int) -> None:
        headers = {"Retry-After": str(seconds)}
        happened = "This token has made its requests of this minute."
        super().__init__(happened, headers, seconds=seconds)


class SeveralTokens(RequestRefused):
    status = HTTPStatus.UNAUTHORIZED
    code = "Unauthorized"
    advice = "Send one token in one Authorization header."

    def __init__(self) -> None:
        super().__init__("This request has several tokens.")


class RouteNotFound(RequestRefused):
    status = HTTPStatus.NOT_FOUND
    advice = "GET /openapi.json lists what is."

    def __init__(self, path: str) -> None:
        super().__init__(f"There is no {path} here.")


class MethodNotAllowed(RequestRefused):
    status = HTTPStatus.METHOD_NOT_ALLOWED
    advice = "Call it with $allowed."

    def __init__(self, what: str, method: str, allowed: Sequence[str]) -> None:
        listed = ", ".join(allowed)
        super().__init__(f"{what} does not take {method}.", {"Allow": listed}, allowed=listed)


class InvalidRequest(RequestRefused):
    """`faults` name what is wrong, and say what is right."""

    advice = "$faults"

    def __init__(self, faults: str) -> None:
        super().__init__("", faults=faults)


class UnknownParameter(RequestRefused):
    """A misspelt parameter must not be ignored. Suggests the nearest one of those that are
    `known`."""

    advice = "$right"

    def __init__(self, name: str, known: Sequence[str]) -> None:
        by_folded = {each.casefold(): each for each in known}
        near = difflib.get_close_matches(name.casefold(), by_folded, n=1)
        takes = f"this call takes {', '.join(known)}" if known else "this call takes none"
        right = f"did you mean '{by_folded[near[0]]}'?" if near else takes
        super().__init__(f"{name}: unknown parameter;", right=right)


class BodyTooLarge(RequestRefused):
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    advice = "It may have at most $most bytes."

    def __init__(self, most: int) -> None:
        super().__init__("The body is too large.", most=f"{most:,}")


class UnsupportedMediaType(RequestRefused):
    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    advice = f"Send JSON with 'Content-Type: {JSON}'."

    def __init__(self) -> None:
        super().__init__("The body is not sent as JSON.")


class UnsupportedCoding(RequestRefused):
    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    code = "UnsupportedMediaType"
    advice = ADVICE


class MalformedJson(RequestRefused):
    advice = "Send a JSON object."

    def __init__(self, why: str) -> None:
        super().__init__(f"The body is no JSON: {why}.")


class InvalidBody(RequestRefused):
    advice = "Send a JSON object."

    def __init__(self) -> None:
        super().__init__("The body is JSON, but no object.")


class BodyTooDeep(RequestRefused):
    advice = "It may be nested $most deep at most."

    def __init__(self, most: int) -> None:
        super().__init__("The body is nested too deep.", most=most)


class AnswerTooLarge(RequestRefused):
    status = HTTPStatus.BAD_GATEWAY
    advice = "Ask for less at once."

    def __init__(self, size: int) -> None:
        super().__init__(f"The model's answer has {size:,} bytes, more than this route carries.")


class InternalError(RequestRefused):
    """An unexpected error."""

    status = HTTPStatus.INTERNAL_SERVER_ERROR
    advice = "The log has the reason under the requestId, for whoever runs the stack."

    def __init__(self) -> None:
        super().__init__("The meter failed to handle this request.")
