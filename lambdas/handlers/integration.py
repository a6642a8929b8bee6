"""The building blocks of a function that calls the model of its entry.

A `lambda_src` folder needs no more than `handler = integration()`. A `shape` changes the answers of
the model. Another kind of application, such as one of a web framework, is wrapped in `guarded` and
calls its model with `call_model`.

Imports boto3 and the standard library only, so that it starts quickly.
"""

from __future__ import annotations

import base64
import json
import logging
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

from lambdas.aws import clients
from lambdas.aws.runtime import SageMakerRuntime
from lambdas.core.answer_headers import answer_headers
from lambdas.core.errors import (
    Draining,
    EndpointStarting,
    MeterError,
    ScopeMissing,
    UnknownEndpoint,
)
from lambdas.core.invocation import (
    MAX_ATTRIBUTES_LENGTH,
    MAX_BODY_BYTES,
    Invocation,
    ModelAnswer,
    NotServed,
)
from lambdas.core.names import endpoint_key
from lambdas.core.ports import WakeShare
from lambdas.core.serving import not_serving, refuse_stranger
from lambdas.core.settings import WARM_UP, IntegrationSettings, WakingSettings
from lambdas.core.waking import EndpointWaking, Waking
from lambdas.handlers import wiring
from lambdas.handlers.callers import Caller, caller_of, has_several_tokens
from lambdas.handlers.error_answers import answer_to
from lambdas.handlers.headers import answered_with, values_of
from lambdas.handlers.refusals import (
    AnswerTooLarge,
    BodyTooLarge,
    InternalError,
    InvalidRequest,
    MethodNotAllowed,
    SeveralTokens,
)

ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
TARGET_VARIANT = "X-Amzn-SageMaker-Target-Variant"
ANSWERED_BY = "x-Amzn-Invoked-Production-Variant"

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
        answer = call_model(event, asked)
        return reply_of(shape(asked, answer) if shape else answer)

    return guarded(handle)


def guarded(handle: Handler) -> Handler:
    """A handler that answers warm-ups, refuses callers who may not call this model, and never
    raises."""

    def handler(event: Event, context: object) -> Reply:
        if event == WARM_UP:
            _runtime()
            return {}
        request_id = str(event["requestContext"].get("requestId", ""))
        try:
            _require_scope(event)
            reply = handle(event, context)
        except MeterError as error:
            _log.info("refused %s: %r, caused by %r", request_id, error, error.__cause__)
            reply = answer_to(error, request_id, changes=False)
        except Exception:  # noqa: BLE001  # whatever it is, the caller gets JSON, the log the rest
            _log.exception("a bug, in request %s", request_id)
            reply = answer_to(InternalError(), request_id, changes=False)
        _log.info("answered %s with %s", request_id, reply["statusCode"])
        return answered_with(reply, answer_headers(settings().cors_origin))

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
    attributes = _header(event, ATTRIBUTES)
    if attributes and (len(attributes) > MAX_ATTRIBUTES_LENGTH or not attributes.isascii()):
        raise InvalidRequest(f"{ATTRIBUTES}: at most {MAX_ATTRIBUTES_LENGTH} ASCII characters")
    return Invocation(
        body,
        _header(event, "Content-Type"),
        _header(event, "Accept"),
        attributes,
        _header(event, TARGET_VARIANT),
    )


def call_model(event: Event, asked: Invocation) -> ModelAnswer:
    """Call the model of this function. `event` is what API Gateway sent.

    A stopped endpoint is woken if the config says so and the request is a POST: health probes are
    not. Raises MeterError, which `guarded` turns into an answer.
    """
    try:
        return _runtime().invoke(settings().endpoint_name, asked)
    except NotServed:
        who = caller_of(event)
        if who is not None and event["httpMethod"] == "POST" and _may_wake():
            raise _woken(who) from None
        raise _why_not_served() from None


def _may_wake() -> bool:
    return "WAKE_MINUTES" in os.environ and not settings().public_route


def _woken(who: Caller) -> MeterError:
    """Start the endpoint, unless somebody has done so. Returns the error for the caller."""
    environment, now = _waking_settings(), datetime.now(UTC)
    history = wiring.history(environment.history_table, environment.history_days)
    waking = Waking(
        wiring.store(settings().state_table, history),
        wiring.hints(environment.starts_queue_url, environment.work_queue_url),
        history,
        environment.wake_minutes,
    )
    share = WakeShare(who.identity, environment.wakes_per_token_an_hour)
    record = waking.wake(settings().endpoint_name, now, who.name, share)
    why = not_serving(record, now)
    failing = record.state is not None and record.state.attempts
    if failing or not isinstance(why, EndpointStarting):
        return why
    return EndpointWaking(settings().endpoint_name, why.retry_after_seconds)


@cache
def _waking_settings() -> WakingSettings:
    return WakingSettings.from_environment(os.environ)


def _why_not_served() -> MeterError:
    store, now = wiring.store(settings().state_table), datetime.now(UTC)
    if store.control().draining(now):
        return Draining()
    record = store.load(endpoint_key(settings().endpoint_name))
    if record.spec is None:
        return UnknownEndpoint(settings().endpoint_name)
    refuse_stranger(record)
    return not_serving(record, now)


def reply_of(answer: ModelAnswer) -> Reply:
    """The answer for API Gateway: the bytes of the model, as text if they are text."""
    headers = {"Content-Type": answer.content_type}
    if answer.custom_attributes:
        headers[ATTRIBUTES] = answer.custom_attributes
    if answer.variant:
        headers[ANSWERED_BY] = answer.variant
    reply: Reply
    try:
        reply = {"statusCode": 200, "headers": headers, "body": answer.body.decode()}
    except UnicodeDecodeError:
        body = base64.b64encode(answer.body).decode()
        reply = {"statusCode": 200, "headers": headers, "body": body, "isBase64Encoded": True}
    if len(answer.body) * 2 > MAX_BODY_BYTES and _size(reply) > MAX_BODY_BYTES:
        raise AnswerTooLarge(len(answer.body))
    return reply


def _size(reply: Reply) -> int:
    return len(json.dumps(reply, ensure_ascii=False).encode())


def _header(event: Event, name: str) -> str | None:
    """The value of a header. If it was sent more than once: all values."""
    return ", ".join(values_of(event, name.lower())) or None


def _require_scope(event: Event) -> None:
    if settings().public_route:
        return
    if has_several_tokens(event):
        raise SeveralTokens
    who = caller_of(event)
    if who is None or not who.scopes.allows("invoke", settings().endpoint_name):
        raise ScopeMissing("invoke", settings().endpoint_name)
