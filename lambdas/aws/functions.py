"""The functions that call the models of their entries."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ReadTimeoutError

from lambdas.aws.errors import named
from lambdas.core.invocation import FunctionFailed, ModelTimedOut

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient


class ModelFunctions:
    def __init__(self, client: LambdaClient) -> None:
        self._client = client

    def call(self, function: str, event: Mapping[str, Any]) -> Mapping[str, Any]:
        """The reply of a function to an event of API Gateway.

        Raises ModelTimedOut, FunctionFailed if it raised an error or its reply is none for API
        Gateway, and AwsRefused.
        """
        payload = json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()
        with named():
            try:
                answer = self._client.invoke(FunctionName=function, Payload=payload)
                text = answer["Payload"].read()
            except ReadTimeoutError as error:
                raise ModelTimedOut from error
        reply = None if answer.get("FunctionError") else json.loads(text)
        if not isinstance(reply, dict) or "statusCode" not in reply:
            raise FunctionFailed
        return reply
