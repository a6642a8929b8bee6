"""The building blocks of a function that calls the model of its entry.

A `lambda_src` folder needs no more than `handler = integration()`. A `shape` changes the answers of
the model. Another kind of application, such as one of a web framework, is wrapped in `guarded` and
calls its model with `call_model`.

The function `calls` stands before it (`lambdas.handlers.calls`): that one checks the scope of the
caller, counts the call, and takes the token out of the event. This one reaches no table.

Imports botocore and the standard library only, so that it starts quickly.
"""

from __future__ import annotations

import base64
import json
import logging
import os
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from lambdas.aws import clients
from lambdas.aws.runtime import SageMakerRuntime
from lambdas.core.invocation import (
    ANSWER_HEADERS,
    MAX_BODY_BYTES,
    MAX_HEADER_LENGTH,
    REQUEST_HEADERS,
    Invocation,
    ModelAnswer,
)
from lambdas.core.settings import WARM_UP, IntegrationSettings
from lambdas.handlers.at_import import prepare
from lambdas.handlers.error_answers import reply_or_error
from lambdas.handlers.headers import values_of
from lambdas.handlers.refusals import (
    AnswerTooLarge,
    BodyTooLarge,
    InvalidRequest,
    MethodNotAllowed,
)

Event = Mapping[str, Any]
Reply = Mapping[str, Any]
Handler = Callable[[Event, Any], Reply]
Shape = Callable[[Invocation, ModelAnswer], ModelAnswer]

_log = logging.getLogger(__name__)
_log.setLevel(logging.INFO)


@cache
def settings() -> IntegrationSettings:
    return IntegrationSettings.from_environment(os.environ)


@cache
def _runtime() -> SageMakerRuntime:
    return SageMakerRuntime(clients.sagemaker_runtime(settings().answer_within_seconds))


def integration(shape: Shape | None = None) -> Handler:
    """A handler that passes each request to the model, and the answer back. `shape` may make
    another answer from the request and the answer."""

    def handle(event: Event, _context: object) -> Reply:
        if event["httpMethod"] != "POST":
            raise MethodNotAllowed("A model", event["httpMethod"], ("POST",))
        asked = invocation_of(event)
        answer = call_model(asked)
        return reply_of(shape(asked, answer) if shape else answer)

    return guarded(handle)


def guarded(handle: Handler) -> Handler:
    """A handler that answers warm-ups, and never raises."""

    def handler(event: Event, context: object) -> Reply:
        if event == WARM_UP:
            _runtime()
            return {}
        request_id = str(event["requestContext"].get("requestId", ""))
        reply = reply_or_error(event, _log, lambda: handle(event, context))
        _log.info("answered %s with %s", request_id, reply["statusCode"])
        return reply

    prepare(_runtime)
    return handler


def invocation_of(event: Event) -> Invocation:
    """The request that API Gateway passed on. Raises RequestRefused if no model could take it."""
    text = event.get("body") or ""
    body = (
        base64.b64decode(text)
        if event.get("isBase64Encoded")
        else text.encode("utf-8", "surrogatepass")
    )
    if len(body) > MAX_BODY_BYTES:
        raise BodyTooLarge(MAX_BODY_BYTES)
    return Invocation(body, **{field: _header(event, n) for field, n in REQUEST_HEADERS.items()})


def call_model(asked: Invocation) -> ModelAnswer:
    """Call the model of this function. Raises MeterError, which `guarded` turns into an answer. If
    SageMaker does not serve the endpoint now, `calls` makes another answer of that: the reason, and
    where the config says so it starts the endpoint."""
    return _runtime().invoke(settings().endpoint_name, asked)


def reply_of(answer: ModelAnswer) -> Reply:
    """The answer for API Gateway: the bytes of the model, as text if they are text."""
    given = {name: getattr(answer, field) for field, name in ANSWER_HEADERS.items()}
    headers = {name: value for name, value in given.items() if value}
    reply: Reply
    try:
        reply = {"statusCode": 200, "headers": headers, "body": answer.body.decode()}
    except UnicodeDecodeError:
        body = base64.b64encode(answer.body).decode()
        reply = {"statusCode": 200, "headers": headers, "body": body, "isBase64Encoded": True}
    # One byte of a control character takes six in JSON. To measure takes time: only if need be.
    if len(answer.body) * 6 > MAX_BODY_BYTES and _size(reply) > MAX_BODY_BYTES:
        raise AnswerTooLarge(len(answer.body))
    return reply


def _size(reply: Reply) -> int:
    return len(json.dumps(reply, ensure_ascii=False).encode())


def _header(event: Event, name: str) -> str | None:
    """The value of a header. If it was sent more than once: all values. Raises InvalidRequest if
    SageMaker takes no such value."""
    value = ", ".join(values_of(event, name.lower()))
    if len(value) > MAX_HEADER_LENGTH or not value.isascii():
        raise InvalidRequest(f"{name}: at most {MAX_HEADER_LENGTH} ASCII characters")
    return value or None
