"""Errors in the API's own JSON form, with the headers that all its answers have."""

import json
import uuid
from collections.abc import Mapping
from http import HTTPStatus

from starlette.responses import Response

from lambdas.core.answer_headers import SECURITY

CODES = {
    HTTPStatus.BAD_REQUEST: "BadRequest",
    HTTPStatus.FORBIDDEN: "HostNotAllowed",
    HTTPStatus.NOT_FOUND: "RouteNotFound",
    HTTPStatus.METHOD_NOT_ALLOWED: "MethodNotAllowed",
    HTTPStatus.REQUEST_TIMEOUT: "Timeout",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "RequestTooLarge",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "UnsupportedMediaType",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: "HeadersTooLarge",
    HTTPStatus.NOT_IMPLEMENTED: "NotImplemented",
    HTTPStatus.BAD_GATEWAY: "BadGateway",
    HTTPStatus.GATEWAY_TIMEOUT: "Timeout",
}


class RefusedError(Exception):
    """The server refuses a request: a status, and a sentence for the caller."""

    def __init__(self, status: HTTPStatus, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence


def error_response(
    status: HTTPStatus, sentence: str, headers: Mapping[str, str] | None = None
) -> Response:
    """Return the response for an error."""
    request_id = str(uuid.uuid4())
    error = {"error": sentence, "code": CODES.get(status, "BadRequest"), "requestId": request_id}
    return Response(
        json.dumps(error),
        status,
        {"x-amzn-RequestId": request_id, **SECURITY, **(headers or {})},
        "application/json",
    )
