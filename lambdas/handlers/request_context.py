"""What the routes share: the caller, the time, and the adapters of the use cases."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

from aws_lambda_powertools.event_handler.router import APIGatewayRouter

from lambdas.aws import clients
from lambdas.aws.rates import DynamoRates
from lambdas.core.answer_headers import answer_headers
from lambdas.core.errors import InvalidField
from lambdas.core.idempotency import Request
from lambdas.core.settings import ApiSettings
from lambdas.core.use_cases import UseCases
from lambdas.handlers import wiring
from lambdas.handlers.at_import import prepare
from lambdas.handlers.callers import Caller, caller_of
from lambdas.handlers.headers import values_of

MAX_KEY_LENGTH = 255


@cache
def settings() -> ApiSettings:
    return ApiSettings.from_environment(os.environ)


@cache
def adapters() -> UseCases:
    """The adapters that all use cases need."""
    environment = settings()
    history = wiring.history(environment.history_table, environment.history_days)
    return UseCases(
        store=wiring.store(environment.state_table, history),
        endpoints=wiring.endpoints(environment.stack_tag),
        hints=wiring.hints(environment.starts_queue_url, environment.work_queue_url),
        history=history,
    )


@cache
def rates() -> DynamoRates:
    environment = settings()
    most = environment.token_requests_per_minute
    return DynamoRates(clients.dynamodb_hasty(), environment.history_table, most)


@cache
def headers_of_answers() -> Mapping[str, str]:
    return answer_headers(settings().cors_origin)


def utc_now() -> datetime:
    return datetime.now(UTC)


def caller(router: APIGatewayRouter) -> Caller:
    """The holder of the token of this request."""
    found = caller_of(router.current_event.raw_event)
    assert found is not None, "the scope was checked before the route"
    return found


def requested(
    router: APIGatewayRouter, route: str = "", body: Mapping[str, Any] | None = None
) -> Request:
    """The caller; if a `route` is given, with the Idempotency-Key of this request. Raises
    InvalidField if the key is not usable."""
    who = caller(router)
    request = Request(who.name, who.identity, who.scopes)
    return request.under(idempotency_key(router), route, body or {}) if route else request


def idempotency_key(router: APIGatewayRouter) -> str | None:
    """The Idempotency-Key of this request. Raises InvalidField if it is not usable."""
    keys = values_of(router.current_event.raw_event, "idempotency-key")
    if len(keys) > 1:
        raise InvalidField("Idempotency-Key", "send it once")
    key = keys[0] if keys else None
    if key is not None and not (0 < len(key) <= MAX_KEY_LENGTH and key.isprintable()):
        raise InvalidField("Idempotency-Key", f"must be 1 to {MAX_KEY_LENGTH} printable characters")
    return key


prepare(adapters, rates, headers_of_answers)
