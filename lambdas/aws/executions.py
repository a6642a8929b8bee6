"""Executions of the state machine: implements `executions.Executions`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from lambdas.aws.errors import named
from lambdas.core.errors import AwsRefused
from lambdas.core.executions import ExecutionExists, Started

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

_UNKNOWN = frozenset({"ExecutionDoesNotExist", "InvalidArn"})


class StepFunctionsExecutions:
    """The client may retry calls: a start with the same name and input starts nothing new."""

    def __init__(self, client: SFNClient, state_machine_arn: str) -> None:
        self._client = client
        self._state_machine_arn = state_machine_arn

    def start(self, name: str, text: str) -> Started:
        try:
            with named():
                answer = self._client.start_execution(
                    stateMachineArn=self._state_machine_arn, name=name, input=text
                )
        except AwsRefused as error:
            if error.code == "ExecutionAlreadyExists":
                raise ExecutionExists from error
            raise
        return Started(answer["executionArn"], answer["startDate"])

    def describe(self, arn: str) -> Mapping[str, Any] | None:
        try:
            with named():
                answer = self._client.describe_execution(executionArn=arn)
        except AwsRefused as error:
            if error.code in _UNKNOWN:
                return None
            raise
        return {
            key: value.timestamp() if isinstance(value, datetime) else value
            for key, value in answer.items()
            if key != "ResponseMetadata"
        }
