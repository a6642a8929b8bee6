"""SageMaker's runtime: implements `core.invocation.Models`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError, ReadTimeoutError

from lambdas.aws.errors import named, refusal
from lambdas.core.errors import Throttled
from lambdas.core.invocation import (
    REQUEST_HEADERS,
    InvalidInvocation,
    Invocation,
    ModelAnswer,
    ModelFailed,
    ModelNotReady,
    ModelTimedOut,
    NotServed,
    TooManyInvocations,
)

if TYPE_CHECKING:
    from mypy_boto3_sagemaker_runtime import SageMakerRuntimeClient

_NOT_READY = frozenset({"ModelNotReadyException", "ServiceUnavailable"})


class SageMakerRuntime:
    def __init__(self, client: SageMakerRuntimeClient) -> None:
        self._client = client

    def invoke(self, endpoint_name: str, invocation: Invocation) -> ModelAnswer:
        given = {_parameter(field): getattr(invocation, field) for field in REQUEST_HEADERS}
        options: dict[str, Any] = {name: value for name, value in given.items() if value}
        with named():
            try:
                answer = self._client.invoke_endpoint(
                    EndpointName=endpoint_name, Body=invocation.body, **options
                )
                body = answer["Body"].read()
            except ReadTimeoutError as error:
                raise ModelTimedOut from error
            except ClientError as error:
                failure = _failure(error)
                if failure is None:
                    raise
                raise failure from error
        return ModelAnswer(
            body,
            answer.get("ContentType") or "application/octet-stream",
            answer.get("CustomAttributes"),
            answer.get("InvokedProductionVariant"),
            answer.get("NewSessionId"),
            answer.get("ClosedSessionId"),
        )


def _parameter(field: str) -> str:
    """SageMaker's name for a field of Invocation: `content_type` is ContentType."""
    return field.title().replace("_", "")


def _failure(error: ClientError) -> Exception | None:
    """The InvocationFailed for an error. None if it is an error of another kind.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html
    """
    details: Any = error.response
    code, message = details["Error"].get("Code", ""), details["Error"].get("Message", "")
    if code == "ModelError":
        status = int(details.get("OriginalStatusCode", 0))
        return ModelFailed(status, str(details.get("OriginalMessage", "")))
    if code in _NOT_READY:
        return ModelNotReady()
    if code == "AccessDeniedException":
        # The role may call endpoints with our tag only. An endpoint that is gone has no tag.
        return NotServed()
    if code == "ValidationError":
        gone = message.startswith("Endpoint ") and message.endswith("not found.")
        return NotServed() if gone else InvalidInvocation(message)
    if isinstance(refusal(error), Throttled):
        return TooManyInvocations()
    return None
