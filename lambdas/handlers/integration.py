"""What a function of an entry's own is made of: it hands requests to its model.

A `lambda_src` folder needs no more than `handler = integration()`, with a `shape` where requests
or answers are to look different from what the model takes and gives. An application of another
kind (a web framework's, say) is wrapped in `guarded` and calls its model with `call_model`.

Needs boto3 and the standard library alone, so that it starts quickly.
"""

from __future__ import annotations

import base64
import json
import logging
import os
from collections.abc import Callable, Mapping
from functools import cache
from http import HTTPStatus
from typing import Any

from lambdas.aws import clients
from lambdas.aws.runtime import SageMakerRuntime
from lambdas.core.errors import AwsRefused, MeterError
from lambdas.core.invocation import (
    MAX_ATTRIBUTES_LENGTH,
    MAX_BODY_BYTES,
    InvalidInvocation,
    Invocation,
    ModelAnswer,
    ModelFailed,
    ModelNotReady,
    ModelTimedOut,
    NotServed,
    TooManyInvocations,
)
from lambdas.core.settings import WARM_UP, IntegrationSettings
from lambdas.handlers.callers import caller_of
from lambdas.handlers.headers import values_of

ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
TARGET_VARIANT = "X-Amzn-SageMaker-Target-Variant"
ANSWERED_BY = "x-Amzn-Invoked-Production-Variant"

Event = Mapping[str, Any]
Reply = Mapping[str, Any]
Handler = Callable[[Event, Any], Reply]
Shape = Callable[[Invocation, ModelAnswer], ModelAnswer]

_log = logging.getLogger(__name__)
_log.setLevel(logging.INFO)


class Refused(Exception):
    """A request that is not carried out: the status, code and headers of its answer."""

    def __init__(
        self, status: HTTPStatus, code: str, sentence: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(sentence)
        self.status = status
        self.code = code
        self.headers = headers or {}


@cache
def settings() -> IntegrationSettings:
    return IntegrationSettings.from_environment(os.environ)


@cache
def _runtime() -> SageMakerRuntime:
    return SageMakerRuntime(clients.sagemaker_runtime(settings().answer_within_seconds))


def integration(shape: Shape | None = None) -> Handler:
    """A handler that gives requests to the model as they are, and its answers back, the way that
    `shape` makes them from both."""

    def handle(event: Event, _context: object) -> Reply:
        if event["httpMethod"] != "POST":
            sentence = "Models are called with POST."
            raise Refused(
                HTTPStatus.METHOD_NOT_ALLOWED, "MethodNotAllowed", sentence, {"Allow": "POST"}
            )
        asked = invocation_of(event)
        answer = call_model(event, asked)
        return reply_of(shape(asked, answer) if shape else answer)

    return guarded(handle)


def guarded(handle: Handler) -> Handler:
    """A handler that answers warm-ups, lets in only who may call this model, and never raises."""

    def handler(event: Event, context: object) -> Reply:
        if event == WARM_UP:
            _runtime()
            return {}
        request_id = str(event["requestContext"].get("requestId", ""))
        try:
            _require_scope(event)
            reply = handle(event, context)
        except (Refused, MeterError) as error:
            _log.info("refused %s: %r, caused by %r", request_id, error, error.__cause__)
            reply = _refusal(_as_refused(error), request_id)
        except Exception:  # noqa: BLE001  # whatever it is, the caller gets JSON, the log the rest
            _log.exception("a bug, in request %s", request_id)
            sentence = "The function failed to handle this request; its log has the reason."
            failed = Refused(HTTPStatus.INTERNAL_SERVER_ERROR, "InternalError", sentence)
            reply = _refusal(failed, request_id)
        _log.info("answered %s with %s", request_id, reply["statusCode"])
        return reply

    return handler


def invocation_of(event: Event) -> Invocation:
    """The request that API Gateway hands on; raises Refused where no model could take it."""
    text = event.get("body") or ""
    body = (
        base64.b64decode(text)
        if event.get("isBase64Encoded")
        else text.encode("utf-8", "surrogatepass")
    )
    if len(body) > MAX_BODY_BYTES:
        raise Refused(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            "BodyTooLarge",
            f"The body may have at most {MAX_BODY_BYTES:,} bytes.",
        )
    attributes = _header(event, ATTRIBUTES)
    if attributes and (len(attributes) > MAX_ATTRIBUTES_LENGTH or not attributes.isascii()):
        raise Refused(
            HTTPStatus.BAD_REQUEST,
            "InvalidRequest",
            f"{ATTRIBUTES}: at most {MAX_ATTRIBUTES_LENGTH} ASCII characters.",
        )
    return Invocation(
        body,
        _header(event, "Content-Type"),
        _header(event, "Accept"),
        attributes,
        _header(event, TARGET_VARIANT),
    )


def call_model(event: Event, asked: Invocation) -> ModelAnswer:
    """Give a request to this function's model. `event` is what API Gateway sent.

    Raises InvocationFailed, NotServing, Refused and AwsRefused, which `guarded` turns into
    answers.
    """
    del event
    try:
        return _runtime().invoke(settings().endpoint_name, asked)
    except NotServed as error:
        raise Refused(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "EndpointStopped",
            f"'{settings().endpoint_name}' is stopped.",
            {"Retry-After": "60"},
        ) from error


def reply_of(answer: ModelAnswer) -> Reply:
    """What API Gateway is told to answer: the bytes of the model, as text where they are text."""
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
        raise Refused(
            HTTPStatus.BAD_GATEWAY,
            "AnswerTooLarge",
            f"The model's answer has {len(answer.body):,} bytes, more than this route carries. "
            "Ask for less at once.",
        )
    return reply


def _size(reply: Reply) -> int:
    return len(json.dumps(reply, ensure_ascii=False).encode())


def _header(event: Event, name: str) -> str | None:
    """The value of a header; of one that was sent more than once, all of them."""
    return ", ".join(values_of(event, name.lower())) or None


def _require_scope(event: Event) -> None:
    if settings().public_route:
        return
    who = caller_of(event)
    if who is None or not who.scopes.allows("invoke", settings().endpoint_name):
        raise Refused(
            HTTPStatus.FORBIDDEN,
            "ScopeMissing",
            f"This token lacks the scope 'invoke' for '{settings().endpoint_name}'.",
        )


def _as_refused(error: Refused | MeterError) -> Refused:
    match error:
        case Refused():
            return error
        case ModelFailed():
            return Refused(HTTPStatus.FAILED_DEPENDENCY, "ModelError", str(error))
        case InvalidInvocation():
            return Refused(HTTPStatus.BAD_REQUEST, "InvalidInvocation", str(error))
        case ModelNotReady():
            status = HTTPStatus.SERVICE_UNAVAILABLE
            return Refused(status, "ModelNotReady", str(error), {"Retry-After": "5"})
        case TooManyInvocations():
            status = HTTPStatus.TOO_MANY_REQUESTS
            return Refused(status, "TooManyRequests", str(error), {"Retry-After": "1"})
        case ModelTimedOut():
            return Refused(HTTPStatus.GATEWAY_TIMEOUT, "ModelTimedOut", str(error))
        case AwsRefused():
            sentence = "AWS did not carry this out; the function's log has the reason."
            return Refused(HTTPStatus.BAD_GATEWAY, "AwsRefused", sentence)
        case _:
            status = HTTPStatus.SERVICE_UNAVAILABLE
            return Refused(status, type(error).__name__, str(error), {"Retry-After": "5"})


def _refusal(refused: Refused, request_id: str) -> Reply:
    body = {"error": str(refused), "code": refused.code, "requestId": request_id}
    headers = {"Content-Type": "application/json", **refused.headers}
    return {"statusCode": int(refused.status), "headers": headers, "body": json.dumps(body)}
