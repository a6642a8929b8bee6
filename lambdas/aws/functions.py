"""The functions that call the models of their entries."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeGuard

from botocore.exceptions import ReadTimeoutError

from lambdas.aws.errors import named
from lambdas.core.invocation import CallTooLarge, FunctionFailed, ModelTimedOut

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

MAX_PAYLOAD_BYTES = 6_291_556
"""Lambda's 6 MB and 100 bytes, for the event of a call that waits for its answer."""


class ModelFunctions:
    """`waiting` are the clients, by the seconds that each waits for an answer."""

    def __init__(self, waiting: Mapping[int, LambdaClient]) -> None:
        self._waiting = waiting

    def call(self, function: str, event: Mapping[str, Any], seconds: int) -> Mapping[str, Any]:
        """The reply of a function to an event of API Gateway.

        Raises CallTooLarge, ModelTimedOut after so many seconds, FunctionFailed if it raised an
        error or its reply is none for API Gateway, and AwsRefused.
        """
        payload = json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()
        if len(payload) > MAX_PAYLOAD_BYTES:
            raise CallTooLarge
        with named():
            try:
                answer = self._waiting[seconds].invoke(FunctionName=function, Payload=payload)
                text = answer["Payload"].read()
            except ReadTimeoutError as error:
                raise ModelTimedOut from error
        try:
            reply = None if answer.get("FunctionError") else json.loads(text)
        except (ValueError, RecursionError):  # a runtime of its own may reply what it likes
            reply = None
        if not _is_reply(reply):
            raise FunctionFailed
        return reply


def _is_reply(reply: Any) -> TypeGuard[Mapping[str, Any]]:
    """Whether API Gateway takes it as an answer.

    https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html#api-gateway-simple-proxy-for-lambda-output-format
    """
    if not isinstance(reply, dict) or "statusCode" not in reply:
        return False
    headers = (reply.get("headers"), reply.get("multiValueHeaders"))
    return all(isinstance(each, dict | None) for each in headers) and isinstance(
        reply.get("body"), str | None
    )
