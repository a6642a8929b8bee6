"""Asynchronous calls of models: each is one execution of the stack's state machine.

The name of an execution begins with the identity of the token that started it. So its ARN says
who may read it, and no record is needed.
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
    AsyncApiNotChosen,
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
from lambdas.core.spec import AsyncMode, Origin, Spec
from lambdas.core.state import State
from lambdas.core.wanted_config import chosen_config

MAX_INPUT_BYTES = 262_144
"""The limit of StartExecution:
https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html"""
VIA, THROUGH_LAMBDA = "via", "lambda"
"""A key and its value in the input of an execution that calls the model through a function."""


MAX_OUTPUT_BYTES = 180_000
"""An answer stays in the output if its JSON text, with escapes, is not longer than this. The rest
of Step Functions' 256 KiB is reserve."""
RESULTS_PREFIX = "results/"
"""The beginning of the S3 key of an answer. The name of the execution follows."""
KEPT, LINK = "ResultKept", "ResultUrl"
"""Keys in an output: that the answer is in S3, and the link to it."""


class ExecutionExists(Exception):
    """An execution of that name exists with another input, or is finished."""


@dataclass(frozen=True, slots=True)
class Started:
    arn: str
    at: datetime


class Executions(Protocol):
    """Executions of the state machine. A refused call raises AwsRefused or a subclass."""

    def start(self, name: str, text: str) -> Started:
        """Start the execution with JSON `text` as its input. If it is running already with the same
        input, it is returned. Raises ExecutionExists."""
        ...

    def describe(self, arn: str) -> Mapping[str, Any] | None:
        """The answer of DescribeExecution, with dates in epoch seconds. None if it does not
        exist."""
        ...


class Results(Protocol):
    """Answers that are too large for an output, by the name of their execution."""

    def link(self, execution: str) -> str:
        """A link with which the answer can be read for a while."""
        ...


@dataclass(frozen=True, slots=True)
class AsyncCalls:
    """The use cases. `state_machine_arn` is that of the stack."""

    store: StateStore
    executions: Executions
    results: Results
    state_machine_arn: str

    def start(
        self, name: str, body: Any, identity: str, unique: str, now: datetime
    ) -> Mapping[str, Any]:
        """Begin a call of the endpoint's model with the JSON value `body`.

        `unique` identifies the call among those of `identity`: the same again is the same call.
        Raises UnknownEndpoint, AsyncApiDisabled, the errors of `require_serving`, InvalidField if
        the body is too long, IdempotencyConflict if `unique` was used with another input.
        """
        record = self.store.load(endpoint_key(sagemaker_name(name, "endpointname")))
        if record.spec is None:
            raise UnknownEndpoint(name)
        if record.spec.async_api is AsyncMode.OFF:
            if record.spec.origin is Origin.CONFIG:
                raise AsyncApiDisabled(record.spec.name)
            config = chosen_config(record.spec, record.state or State())
            raise AsyncApiNotChosen(record.spec.name, config)
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
        """The state of a call. Raises UnknownExecution, and NotYourExecution if another identity
        began it."""
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
        """The execution, with a link in its output if the answer is in S3."""
        output = json.loads(found.get("output", "null"))
        if not isinstance(output, dict) or not output.pop(KEPT, False):
            return found
        return {**found, "output": json.dumps({**output, LINK: self.results.link(name)})}

    def _arn(self, name: str) -> str:
        return f"{self.state_machine_arn.replace(':stateMachine:', ':execution:')}:{name}"


def output_of(answer: ModelAnswer) -> dict[str, Any] | None:
    """The output for a model's answer, in the form that Step Functions itself makes. None if the
    answer is no text or too long."""
    try:
        output = {"Body": answer.body.decode(), **_metadata(answer)}
    except UnicodeDecodeError:
        return None
    return output if len(json.dumps(output).encode()) <= MAX_OUTPUT_BYTES else None


def output_of_kept(answer: ModelAnswer) -> dict[str, Any]:
    """The output if the answer is in S3."""
    return {**_metadata(answer), KEPT: True}


def _metadata(answer: ModelAnswer) -> dict[str, Any]:
    return {"ContentType": answer.content_type, "InvokedProductionVariant": answer.variant}


def unique_of(key: str) -> str:
    """The part of the execution's name that stands for the Idempotency-Key."""
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
