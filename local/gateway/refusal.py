"""The errors that the gateway answers itself."""

from http import HTTPStatus

MAX_BODY_BYTES = 10 * 1024 * 1024
MAX_HEADER_BYTES = 10_240
INTEGRATION_SECONDS = 29.0

ERROR_CODES = {
    HTTPStatus.BAD_REQUEST: "BadRequest",
    HTTPStatus.NOT_FOUND: "RouteNotFound",
    HTTPStatus.METHOD_NOT_ALLOWED: "MethodNotAllowed",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "RequestTooLarge",
    HTTPStatus.REQUEST_URI_TOO_LONG: "UriTooLong",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: "HeadersTooLarge",
    HTTPStatus.BAD_GATEWAY: "BadGateway",
    HTTPStatus.GATEWAY_TIMEOUT: "Timeout",
    HTTPStatus.HTTP_VERSION_NOT_SUPPORTED: "HttpVersionNotSupported",
}


class RefusedError(Exception):
    """The gateway refuses a request: a status, and a sentence for the caller."""

    def __init__(self, status: HTTPStatus, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence


def malformed(sentence: str) -> RefusedError:
    """Return the error for a request that is not valid HTTP."""
    return RefusedError(HTTPStatus.BAD_REQUEST, sentence)


def too_large() -> RefusedError:
    """Return the error for a body above API Gateway's limit."""
    return RefusedError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"A body may hold {MAX_BODY_BYTES:,} bytes at most."
    )
