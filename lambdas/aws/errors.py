"""Translates exceptions of botocore to errors of the core."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    SSLError,
)

from lambdas.core.errors import (
    AlreadyExists,
    AwsDenied,
    AwsRefused,
    Conflict,
    Gone,
    InProgress,
    Throttled,
    Unanswered,
    Unavailable,
)

_THROTTLES = frozenset(
    {
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "TooManyRequestsException",
        "RequestLimitExceeded",
        "ProvisionedThroughputExceededException",
        "TransactionInProgressException",
        "TransactionConflictException",
        "RequestThrottled",
    }
)
_TRANSACTION_THROTTLES = frozenset(
    {"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"}
)
# DynamoDB may have done a write that it answers with 500:
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html
_MAYBE_DONE = frozenset({"InternalServerError"})
_OUT_OF_ORDER = frozenset(
    {
        "InternalError",
        "InternalFailure",
        "InternalServerException",
        "ServiceException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
    }
)
_NEVER_SENT = (ConnectTimeoutError, EndpointConnectionError, SSLError)
# "Gone" and "busy" have the same error code. Only the messages differ.
_BY_MESSAGE = (
    ("Cannot create already existing endpoint ", AlreadyExists),
    ("Could not find endpoint ", Gone),
    ("Cannot update in-progress endpoint ", InProgress),
)
_NOT_AN_ENDPOINT = "endpoint configuration"


@contextmanager
def named() -> Iterator[None]:
    """Translate exceptions of botocore: a failed condition to Conflict, all others to
    AwsRefused."""
    try:
        yield
    except ClientError as error:
        raise refusal(error) from error
    except _NEVER_SENT as error:
        raise Unavailable(type(error).__name__, str(error)) from error
    except HTTPClientError as error:  # a time-out or a broken connection
        raise Unanswered(type(error).__name__, str(error)) from error
    except BotoCoreError as error:  # wrong parameters, no credentials
        raise AwsRefused(type(error).__name__, str(error)) from error


def refusal(error: ClientError) -> AwsRefused | Conflict:
    """The core's error for an error of a service."""
    details = error.response.get("Error", {})
    code, message = details.get("Code", "Unknown"), details.get("Message", "")
    # A cancelled transaction has one reason for each part.
    reasons = {reason.get("Code") for reason in error.response.get("CancellationReasons", [])}
    if "ConditionalCheckFailed" in reasons or code == "ConditionalCheckFailedException":
        return Conflict(message)
    if code in _THROTTLES or reasons & _TRANSACTION_THROTTLES:
        return Throttled(code, message)
    if code in _MAYBE_DONE:
        return Unanswered(code, message)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in _OUT_OF_ORDER or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Unavailable(code, message)
    if code == "AccessDeniedException":
        return AwsDenied(code, message)
    if _NOT_AN_ENDPOINT not in message:
        for beginning, kind in _BY_MESSAGE:
            if message.startswith(beginning):
                return kind(code, message)
    return AwsRefused(code, message)


def unmet_parts(conflict: Conflict) -> frozenset[int]:
    """The indexes of the parts of a transaction with a failed condition."""
    error = conflict.__cause__
    assert isinstance(error, ClientError), "raised by `named`"
    reasons: Any = error.response.get("CancellationReasons", [])
    codes = [reason.get("Code") for reason in reasons]
    return frozenset(n for n, code in enumerate(codes) if code == "ConditionalCheckFailed")
