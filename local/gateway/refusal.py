"""What the gateway answers by itself."""

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
    """The gateway answers this itself: a status, and a sentence for the caller."""

    def __init__(self, status: HTTPStatus, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence


def malformed(sentence: str) -> RefusedError:
    """Refuse a request that is no proper HTTP."""
    return RefusedError(HTTPStatus.BAD_REQUEST, sentence)


def too_large() -> RefusedError:
    """Refuse a body beyond what API Gateway takes."""
    return RefusedError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"A body may hold {MAX_BODY_BYTES:,} bytes at most."
    )
