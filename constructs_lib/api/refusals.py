"""The errors that API Gateway answers itself: our JSON, with a code."""

from __future__ import annotations

from lambdas.core.codings import ACCEPTED
from lambdas.core.invocation import MOST_FOR_A_MODEL

JSON = "application/json"
# response type -> status, sentence, code
REFUSALS = {
    "UNAUTHORIZED": (401, "Send a token in the Authorization header.", "Unauthorized"),
    "ACCESS_DENIED": (403, "This token is not valid or may not do this.", "Forbidden"),
    "MISSING_AUTHENTICATION_TOKEN": (
        404,
        "There is no such route, or not with this method: see GET /openapi.json. Models take POST.",
        "RouteNotFound",
    ),
    "BAD_REQUEST_BODY": (400, "The body of the request is not valid.", "BadRequest"),
    "REQUEST_TOO_LARGE": (
        413,
        f"The request is too large. {MOST_FOR_A_MODEL}",
        "RequestTooLarge",
    ),
    "UNSUPPORTED_MEDIA_TYPE": (
        415,
        f"Send JSON as Content-Type: {JSON}, with {ACCEPTED} as Content-Encoding.",
        "UnsupportedMediaType",
    ),
    "THROTTLED": (429, "Too many requests. Wait a moment and retry.", "TooManyRequests"),
    "INTEGRATION_TIMEOUT": (
        504,
        "No answer in time, so a change may or may not have been made: look with GET.",
        "Timeout",
    ),
    "DEFAULT_4XX": (None, "The request was refused.", "Refused"),
    "DEFAULT_5XX": (
        None,
        "Something failed on our side: a change may or may not have been made. Look with GET.",
        "InternalError",
    ),
}
RETRY_AFTER_SECONDS = {"THROTTLED": 1}
