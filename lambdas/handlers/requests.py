"""What the routes share: who asks, when, with which right, and the checks on a raw request
that come before any route."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from http import HTTPStatus
from typing import Any, Literal

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.router import APIGatewayRouter

from lambdas.aws import clients
from lambdas.aws.sagemaker import AdopterFunction
from lambdas.core.errors import InvalidField, MeterError
from lambdas.core.meter import ParkingMeter, Request
from lambdas.core.settings import ApiSettings
from lambdas.handlers import wiring
from lambdas.handlers.problems import problem

Scope = Literal["read", "renew", "manage", "invoke"]
MAX_BODY_BYTES = 128_000
_MAX_KEY_LENGTH = 255


class ScopeMissing(MeterError):
    """The token may not do this."""

    def __init__(self, scope: Scope) -> None:
        super().__init__(f"This token lacks the scope '{scope}'.")


@cache
def settings() -> ApiSettings:
    return ApiSettings.from_environment(os.environ)


@cache
def parking_meter() -> ParkingMeter:
    told = settings()
    history = wiring.history(told.history_table, told.history_days)
    return ParkingMeter(
        store=wiring.store(told.state_table, history),
        endpoints=wiring.endpoints(told.stack_tag),
        adopter=AdopterFunction(clients.functions(), told.adopter_function),
        hints=wiring.hints(told.starts_queue_url, told.work_queue_url),
        history=history,
        max_lease_minutes=told.max_lease_minutes,
    )


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose token it is: `name` for people, `identity` to tell one token from another."""

    name: str
    identity: str


def caller(router: APIGatewayRouter, scope: Scope) -> Caller:
    """The token's holder; raises ScopeMissing unless it has `scope`."""
    context = router.current_event.raw_event["requestContext"].get("authorizer") or {}
    if scope not in str(context.get("scopes", "")).split():
        raise ScopeMissing(scope)
    name = str(context.get("principal", "unknown"))
    return Caller(name, str(context.get("identity", name)))


def keyed_request(
    router: APIGatewayRouter, who: Caller, route: str, body: Mapping[str, Any]
) -> Request:
    """The request with its Idempotency-Key; raises InvalidField for an unusable one."""
    headers = router.current_event.raw_event.get("headers") or {}
    key = next((v for name, v in headers.items() if name.lower() == "idempotency-key"), None)
    if key is not None and not (0 < len(key) <= _MAX_KEY_LENGTH and key.isprintable()):
        raise InvalidField(
            "Idempotency-Key", f"must be 1 to {_MAX_KEY_LENGTH} printable characters"
        )
    return Request.of(who.name, route, key, body, identity=who.identity)


def refuse_raw(event: Mapping[str, Any], request_id: str) -> Response[str] | None:
    """The answer to a body that no route could read; None for a readable one."""
    body = event.get("body")
    if not body:
        return None
    if len(body.encode("utf-8", "surrogatepass")) > MAX_BODY_BYTES:
        return problem(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            "BodyTooLarge",
            f"The body may have at most {MAX_BODY_BYTES} bytes.",
            request_id,
        )
    headers = event.get("headers") or {}
    kind = next((v for name, v in headers.items() if name.lower() == "content-type"), None)
    if kind and kind.split(";")[0].strip().lower() not in _READ_AS_JSON:
        return problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "UnsupportedMediaType",
            "Send JSON with 'Content-Type: application/json'.",
            request_id,
        )
    try:
        document = json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        return problem(
            HTTPStatus.BAD_REQUEST, "MalformedJson", f"The body is no JSON: {error}.", request_id
        )
    if not isinstance(document, dict):
        return problem(
            HTTPStatus.BAD_REQUEST, "InvalidBody", "The body must be a JSON object.", request_id
        )
    return None


_READ_AS_JSON = frozenset({"application/json", "application/x-www-form-urlencoded"})
"""The second is what curl's `--data` says of itself; the body is JSON all the same."""


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
