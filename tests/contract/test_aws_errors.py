"""Which error of the core each error of botocore and of the services becomes."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
    SSLError,
)

from lambdas.aws.errors import named, refusal, unmet_parts
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

URL = "https://sagemaker.eu-west-1.amazonaws.com"


def an_error(code: str, message: str = "why", *parts: str) -> ClientError:
    """An error answer. `parts` are the reasons of a cancelled transaction."""
    answer: Any = {"Error": {"Code": code, "Message": message}}
    if parts:
        answer["CancellationReasons"] = [{"Code": part} for part in parts]
    return ClientError(answer, "Operation")


@pytest.mark.parametrize(
    "code",
    [
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "TooManyRequestsException",
        "RequestLimitExceeded",
        "ProvisionedThroughputExceededException",
        "TransactionInProgressException",
        "TransactionConflictException",
        "RequestThrottled",
    ],
)
def test_each_code_for_too_many_calls_is_a_throttle(code: str) -> None:
    error = refusal(an_error(code))

    assert type(error) is Throttled
    assert (error.code, error.message) == (code, "why")


@pytest.mark.parametrize(
    "reason", ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"]
)
def test_transaction_that_met_another_or_a_limit_is_a_throttle(reason: str) -> None:
    error = refusal(an_error("TransactionCanceledException", "cancelled", "None", reason))

    assert type(error) is Throttled


def test_failed_condition_in_a_transaction_is_a_conflict_and_names_its_parts() -> None:
    cancelled = an_error(
        "TransactionCanceledException",
        "cancelled",
        "ConditionalCheckFailed",
        "TransactionConflict",
        "ConditionalCheckFailed",
    )

    with pytest.raises(Conflict) as conflict, named():
        raise cancelled

    assert unmet_parts(conflict.value) == {0, 2}


@pytest.mark.parametrize(
    ("code", "message", "kind"),
    [
        ("ConditionalCheckFailedException", "The conditional request failed", Conflict),
        ("InternalServerError", "try again", Unanswered),
        ("AccessDeniedException", "not authorized", AwsDenied),
        ("ValidationException", "Cannot create already existing endpoint x", AlreadyExists),
        ("ValidationException", 'Could not find endpoint "x"', Gone),
        ("ValidationException", "Cannot update in-progress endpoint x", InProgress),
        ("ValidationException", 'Could not find endpoint configuration "x"', AwsRefused),
        ("ValidationException", "It says: Could not find endpoint x", AwsRefused),
        ("ResourceLimitExceeded", "no quota", AwsRefused),
        ("TransactionCanceledException", "a part was wrong", AwsRefused),
    ],
)
def test_answer_of_a_service_becomes_the_error_that_the_core_acts_on(
    code: str, message: str, kind: type[Exception]
) -> None:
    error = refusal(an_error(code, message))

    assert type(error) is kind
    if isinstance(error, AwsRefused):
        assert (error.code, error.message) == (code, message)


@pytest.mark.parametrize(
    "code",
    [
        "InternalError",
        "InternalFailure",
        "InternalServerException",
        "ServiceException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
    ],
)
def test_service_that_is_out_of_order_may_answer_later(code: str) -> None:
    assert type(refusal(an_error(code))) is Unavailable


@pytest.mark.parametrize(
    ("status", "kind"), [(499, AwsRefused), (500, Unavailable), (503, Unavailable)]
)
def test_status_of_a_server_error_says_the_same_whatever_the_code(
    status: int, kind: type[AwsRefused]
) -> None:
    error = an_error("SomethingNew")
    error.response["ResponseMetadata"] = {"HTTPStatusCode": status}  # type: ignore[typeddict-item]

    assert type(refusal(error)) is kind


def test_error_without_a_code_or_message_is_a_refusal() -> None:
    error = refusal(ClientError({}, "Operation"))

    assert isinstance(error, AwsRefused)
    assert (error.code, error.message) == ("Unknown", "")


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (ConnectTimeoutError(endpoint_url=URL), Unavailable),
        (EndpointConnectionError(endpoint_url=URL), Unavailable),
        (SSLError(endpoint_url=URL, error=ValueError("expired")), Unavailable),
        (ReadTimeoutError(endpoint_url=URL), Unanswered),
        (ConnectionClosedError(endpoint_url=URL), Unanswered),
        (NoCredentialsError(), AwsRefused),
    ],
)
def test_failure_to_call_says_whether_the_call_may_have_worked(
    failure: BotoCoreError, kind: type[AwsRefused]
) -> None:
    with pytest.raises(AwsRefused) as refused, named():
        raise failure

    assert type(refused.value) is kind
    assert refused.value.code == type(failure).__name__
    assert refused.value.message == str(failure)
