"""What the routes share: who asks, when, and the meter."""

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
from lambdas.core.expiry import ExpiryUseCases
from lambdas.core.idempotency import Request
from lambdas.core.name_patterns import NamePatterns
from lambdas.core.settings import ApiSettings
from lambdas.core.takeover import Limits
from lambdas.handlers import wiring
from lambdas.handlers.callers import Caller, caller_of
from lambdas.handlers.headers import values_of

MAX_KEY_LENGTH = 255


@cache
def settings() -> ApiSettings:
    return ApiSettings.from_environment(os.environ)


@cache
def parking_meter() -> ExpiryUseCases:
    told = settings()
    history = wiring.history(told.history_table, told.history_days)
    return ExpiryUseCases(
        store=wiring.store(told.state_table, history),
        endpoints=wiring.endpoints(told.stack_tag),
        hints=wiring.hints(told.starts_queue_url, told.work_queue_url),
        history=history,
        max_lease_minutes=told.max_lease_minutes,
        limits=Limits(
            NamePatterns.stored(told.adoptable),
            NamePatterns.stored(told.addable_configs),
            told.max_added_endpoints,
            told.max_added_per_token_per_day,
        ),
    )


@cache
def rates() -> DynamoRates:
    told = settings()
    return DynamoRates(clients.dynamodb_hasty(), told.history_table, told.token_requests_per_minute)


@cache
def headers_of_answers() -> Mapping[str, str]:
    return answer_headers(settings().cors_origin)


def utc_now() -> datetime:
    return datetime.now(UTC)


def caller(router: APIGatewayRouter) -> Caller:
    """The holder of the token of the request at hand."""
    found = caller_of(router.current_event.raw_event)
    assert found is not None, "the scope was checked before the route"
    return found


def requested(
    router: APIGatewayRouter, route: str = "", body: Mapping[str, Any] | None = None
) -> Request:
    """Who asks, and where a `route` is given under which Idempotency-Key; raises InvalidField for
    an unusable one."""
    who = caller(router)
    request = Request(who.name, who.identity, who.scopes)
    return request.under(idempotency_key(router), route, body or {}) if route else request


def idempotency_key(router: APIGatewayRouter) -> str | None:
    """The Idempotency-Key of the request at hand; raises InvalidField for an unusable one."""
    keys = values_of(router.current_event.raw_event, "idempotency-key")
    if len(keys) > 1:
        raise InvalidField("Idempotency-Key", "send it once")
    key = keys[0] if keys else None
    if key is not None and not (0 < len(key) <= MAX_KEY_LENGTH and key.isprintable()):
        raise InvalidField("Idempotency-Key", f"must be 1 to {MAX_KEY_LENGTH} printable characters")
    return key
