"""Stands before the functions that call models: counts the calls of each token, hands them on, and
starts stopped endpoints. It does what those functions may not do, since they run code of others:
they reach no table, and do not see the caller's token.

Imports botocore and the standard library only, so that it starts quickly.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from http import HTTPStatus
from typing import Any

from lambdas.aws import clients
from lambdas.aws.functions import ModelFunctions
from lambdas.aws.rates import DynamoRates
from lambdas.core.answer_headers import answer_headers
from lambdas.core.called_models import CalledModel, CalledModels
from lambdas.core.errors import (
    Draining,
    EndpointStarting,
    MeterError,
    ScopeMissing,
    UnknownEndpoint,
)
from lambdas.core.invocation import NotServed
from lambdas.core.names import endpoint_key
from lambdas.core.ports import Hints, History, StateStore, WakeShare
from lambdas.core.serving import not_serving, refuse_stranger
from lambdas.core.settings import WARM_UP, CallsSettings
from lambdas.core.waking import EndpointWaking, Waking
from lambdas.handlers import wiring
from lambdas.handlers.at_import import prepare
from lambdas.handlers.bodies import without_coding
from lambdas.handlers.callers import Caller, caller_of, has_several_tokens
from lambdas.handlers.error_answers import reply_or_error
from lambdas.handlers.headers import answered_with, without_header
from lambdas.handlers.refusals import SeveralTokens
from lambdas.handlers.request_rate import within_rate

Event = Mapping[str, Any]
Reply = Mapping[str, Any]

SPARE_SECONDS = 1
"""Of those that API Gateway waits: time left to answer that the model did not respond."""

_log = logging.getLogger(__name__)
_log.setLevel(logging.INFO)


@dataclass(frozen=True, slots=True)
class Parts:
    """What a call needs, built once."""

    models: CalledModels
    functions: ModelFunctions
    rates: DynamoRates
    store: StateStore
    hasty: StateStore
    """The same table, for what must not delay a call."""
    history: History
    hints: Hints
    headers: Mapping[str, str]


@cache
def parts() -> Parts:
    settings = CallsSettings.from_environment(os.environ)
    history = wiring.history(settings.history_table, settings.history_days)
    most = settings.token_requests_per_minute
    models = CalledModels.parse(settings.models)
    waits = {model.seconds - SPARE_SECONDS for model in models.routes.values()}
    return Parts(
        models=models,
        functions=ModelFunctions(
            {seconds: clients.functions_that_call_models(seconds) for seconds in sorted(waits)}
        ),
        rates=DynamoRates(clients.dynamodb_hasty(), settings.history_table, most),
        store=wiring.store(settings.state_table, history),
        hasty=wiring.hasty_store(settings.state_table),
        history=history,
        hints=wiring.hints(settings.starts_queue_url, settings.work_queue_url),
        headers=answer_headers(settings.cors_origin),
    )


def handler(event: Event, _context: object) -> Reply:
    """Answer one request; every error is a JSON answer, never an exception."""
    if event == WARM_UP:
        parts()
        return {}
    reply = reply_or_error(event, _log, lambda: _answered(event))
    return answered_with(reply, parts().headers)


def _answered(event: Event) -> Reply:
    models, now = parts().models, datetime.now(UTC)
    model = models.routes[event["resource"].split("/")[1]]
    name = models.endpoint_name(model)
    who = None if model.public else _allowed(event, name)
    if who:
        within_rate(parts().rates, f"{endpoint_key(name)}#{who.identity}", now)
    request = without_coding(event)
    posted = event["httpMethod"] == "POST"  # health probes wake and extend nothing
    if who and model.extends and posted:
        _extend(model, name, now)
    # A function that runs code of others must not see the token.
    reply = parts().functions.call(
        models.function_name(model),
        without_header(request, "authorization"),
        model.seconds - SPARE_SECONDS,
    )
    if not _says_not_served(reply):
        return reply
    if who and model.wake_minutes and posted:
        raise _woken(model, name, who)
    raise _why_not_served(name)


def _allowed(event: Event, endpoint_name: str) -> Caller:
    """The caller. Raises SeveralTokens, and ScopeMissing if it may not call this model."""
    if has_several_tokens(event):
        raise SeveralTokens
    who = caller_of(event)
    if who is None or not who.scopes.allows("invoke", endpoint_name):
        raise ScopeMissing("invoke", endpoint_name)
    return who


def _says_not_served(reply: Reply) -> bool:
    """Whether the function found that SageMaker does not serve its endpoint."""
    if reply["statusCode"] != HTTPStatus.SERVICE_UNAVAILABLE:
        return False
    try:
        document = json.loads(reply.get("body") or "")
    except (ValueError, RecursionError):  # it is no answer of ours
        return False
    return isinstance(document, dict) and document.get("code") == NotServed.__name__


def _woken(model: CalledModel, name: str, who: Caller) -> MeterError:
    """Start the endpoint, unless somebody has done so. Returns the error for the caller."""
    now = datetime.now(UTC)
    waking = Waking(parts().store, parts().hints, parts().history, model.wake_minutes)
    share = WakeShare(who.identity, model.wakes_per_token_an_hour)
    record = waking.wake(name, now, who.name, share)
    why = not_serving(record, now)
    failing = record.state is not None and record.state.attempts
    if failing or not isinstance(why, EndpointStarting):
        return why
    return EndpointWaking(name, why.retry_after_seconds)


def _extend(model: CalledModel, name: str, now: datetime) -> None:
    """Move the end of the lease on. That neither fails nor delays a call."""
    waking = Waking(parts().hasty, parts().hints, parts().history, model.wake_minutes)
    try:
        waking.extend(name, now)
    except Exception:  # noqa: BLE001  # whatever it is, the call comes first
        _log.warning("the lease of %s is not extended", name, exc_info=True)


def _why_not_served(name: str) -> MeterError:
    store, now = parts().store, datetime.now(UTC)
    if store.control().draining(now):
        return Draining()
    record = store.load(endpoint_key(name))
    if record.spec is None:
        return UnknownEndpoint(name)
    refuse_stranger(record)
    return not_serving(record, now)


prepare(parts)
