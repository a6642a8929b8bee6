"""Asynchronous calls of models: each is one execution of the stack's state machine.

Its name begins with the identity of the token that started it, so that an execution's ARN alone
says whose it is and no record of it need be kept.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from lambdas.core.errors import (
    AsyncApiDisabled,
    IdempotencyConflict,
    InvalidField,
    NotYourExecution,
    UnknownEndpoint,
    UnknownExecution,
)
from lambdas.core.invocation import ModelAnswer
from lambdas.core.names import endpoint_key, sagemaker_name
from lambdas.core.ports import StateStore
from lambdas.core.serving import require_serving
from lambdas.core.spec import AsyncMode, Spec

MAX_INPUT_BYTES = 262_144
"""What StartExecution takes: https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html"""
VIA, THROUGH_LAMBDA = "via", "lambda"
"""Stand in the input of an execution that calls the model through a function."""


MAX_OUTPUT_BYTES = 180_000
"""An answer stays in the output if its JSON text, escapes and all, is no longer than this, which
leaves room below Step Functions' 256 KiB."""
RESULTS_PREFIX = "results/"
"""Begins the key of each answer that is kept in S3; the execution's name follows."""
KEPT, LINK = "ResultKept", "ResultUrl"
"""Stand in an output: the answer is kept elsewhere, and where it is to be read."""


class ExecutionExists(Exception):
    """An execution of that name was started before, with another input or finished."""


@dataclass(frozen=True, slots=True)
class Started:
    arn: str
    at: datetime


class Executions(Protocol):
    """Executions of the state machine. Refusals are raised as the AwsRefused family."""

    def start(self, name: str, text: str) -> Started:
        """Start the execution with JSON `text` as its input; started already with the same input
        and still running, it is returned. Raises ExecutionExists."""
        ...

    def describe(self, arn: str) -> Mapping[str, Any] | None:
        """What DescribeExecution says, dates in epoch seconds; None where there is none."""
        ...


class Results(Protocol):
    """Answers that are too large for an output, by the name of their execution."""

    def link(self, execution: str) -> str:
        """An address at which the answer can be read for a while."""
        ...


@dataclass(frozen=True, slots=True)
class AsyncCalls:
    """The use cases; `state_machine_arn` is that of the stack."""

    store: StateStore
    executions: Executions
    results: Results
    state_machine_arn: str

    def start(
        self, name: str, body: Any, identity: str, unique: str, now: datetime
    ) -> Mapping[str, Any]:
        """Begin a call of the endpoint's model with the JSON value `body`.

        `unique` tells the call from all others of `identity`: the same again is the same call.
        Raises UnknownEndpoint, AsyncApiDisabled, the refusals of `require_serving`, InvalidField
        for a body that is too long, IdempotencyConflict where `unique` went with another input.
        """
        record = self.store.load(endpoint_key(sagemaker_name(name, "endpointname")))
        if record.spec is None:
            raise UnknownEndpoint(name)
        if record.spec.async_api is AsyncMode.OFF:
            raise AsyncApiDisabled(record.spec.name)
        require_serving(record, now)
        text = _input(record.spec, body)
        execution = f"{identity}-{unique}"
        try:
            started = self.executions.start(execution, text)
        except ExecutionExists:
            before = self.executions.describe(self._arn(execution))
            if before is None or before["input"] != text:
                raise IdempotencyConflict from None
            return {"executionArn": before["executionArn"], "startDate": before["startDate"]}
        return {"executionArn": started.arn, "startDate": started.at.timestamp()}

    def describe(self, arn: str, identity: str) -> Mapping[str, Any]:
        """What became of a call; raises UnknownExecution, and NotYourExecution where another
        identity began it."""
        name = arn.removeprefix(self._arn(""))
        if name == arn or not name:
            raise UnknownExecution
        if not name.startswith(f"{identity}-"):
            raise NotYourExecution
        found = self.executions.describe(arn)
        if found is None:
            raise UnknownExecution
        return self._linked(name, found)

    def _linked(self, name: str, found: Mapping[str, Any]) -> Mapping[str, Any]:
        """With a link in the output where the answer is kept elsewhere."""
        output = json.loads(found.get("output", "null"))
        if not isinstance(output, dict) or not output.pop(KEPT, False):
            return found
        return {**found, "output": json.dumps({**output, LINK: self.results.link(name)})}

    def _arn(self, name: str) -> str:
        return f"{self.state_machine_arn.replace(':stateMachine:', ':execution:')}:{name}"


def output_of(answer: ModelAnswer) -> dict[str, Any] | None:
    """An execution's output, as Step Functions itself would make it of a model's answer; None
    where the answer is no text or too long for it."""
    try:
        output = {"Body": answer.body.decode(), **_told(answer)}
    except UnicodeDecodeError:
        return None
    return output if len(json.dumps(output).encode()) <= MAX_OUTPUT_BYTES else None


def output_of_kept(answer: ModelAnswer) -> dict[str, Any]:
    """The output of an execution whose answer is kept elsewhere."""
    return {**_told(answer), KEPT: True}


def _told(answer: ModelAnswer) -> dict[str, Any]:
    return {"ContentType": answer.content_type, "InvokedProductionVariant": answer.variant}


def unique_of(key: str) -> str:
    """What tells the call under an Idempotency-Key from all others of its caller."""
    return hashlib.sha256(f"startexecution {key}".encode()).hexdigest()[:32]


def _input(spec: Spec, body: Any) -> str:
    document = {"endpointname": spec.name, "body": body}
    if spec.async_api is AsyncMode.THROUGH_LAMBDA:
        document[VIA] = THROUGH_LAMBDA
    try:
        text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except ValueError as error:
        raise InvalidField("body", "holds a number that JSON cannot carry") from error
    if len(text.encode()) > MAX_INPUT_BYTES:
        raise InvalidField("body", f"must be at most {MAX_INPUT_BYTES} bytes with its envelope")
    return text
