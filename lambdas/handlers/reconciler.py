"""Takes hints from both queues and reconciles the endpoints that they name."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from lambdas.aws import clients
from lambdas.aws.endpoint_logs import EndpointLogs
from lambdas.aws.queues import SqsHints
from lambdas.aws.sagemaker import AdopterFunction
from lambdas.core.hints import MAX_HOPS, Cause, Hint
from lambdas.core.reconcile import THROTTLED, Outcome, Reconciler
from lambdas.core.settings import HEARTBEAT_METRIC, ReconcilerSettings
from lambdas.core.state import Step
from lambdas.handlers import wiring
from lambdas.handlers.at_import import prepare
from lambdas.handlers.metrics import count

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

_log = Logger()
_NEEDED_MILLISECONDS = 27_000
"""The longest time for one hint: a describe and a create that both time out, and the logs."""


@cache
def _settings() -> ReconcilerSettings:
    return ReconcilerSettings.from_environment(os.environ)


def _hints() -> SqsHints:
    return wiring.hints(_settings().starts_queue_url, _settings().work_queue_url)


def _reconciler(owner: str, hops: int) -> Reconciler:
    settings = _settings()
    history = wiring.history(settings.history_table, settings.history_days)
    return Reconciler(
        store=wiring.store(settings.state_table, history),
        endpoints=wiring.endpoints(
            settings.stack_tag,
            EndpointLogs(settings.log_days, settings.log_key_arn),
            json.loads(settings.tags),
        ),
        adopter=AdopterFunction(clients.functions(), settings.adopter_function),
        hints=_hints(),
        owner=owner,
        clock=lambda: datetime.now(UTC),
        hops=hops,
    )


def handler(event: Mapping[str, Any], context: LambdaContext) -> Mapping[str, Any]:
    """Reconcile the endpoint of each hint. A hint that fails is delivered again, and stops no
    other."""
    failed = []
    for record in event["Records"]:
        try:
            _handle(record, context)
        except Exception:  # noqa: BLE001  # one bad hint must not stop the others
            _log.exception("failed", body=record["body"][:200])
            failed.append(record["messageId"])
    return {"batchItemFailures": [{"itemIdentifier": each} for each in failed]}


def _handle(record: Mapping[str, Any], context: LambdaContext) -> None:
    try:
        hint = Hint.from_body(record["body"])
    except ValueError:
        # A second delivery would not help.
        _log.exception("not a hint", body=record["body"][:200])
        return
    if context.get_remaining_time_in_millis() < _NEEDED_MILLISECONDS:
        # Slow answers to earlier hints left too little time: send it again instead of stopping
        # halfway.
        _hints().send([replace(hint, hops=hint.hops + 1)])
        return
    # The message id is part of the owner: two hints of one batch must not share a lock.
    owner = f"{context.aws_request_id}/{record['messageId']}"
    _report(hint, _reconciler(owner, hint.hops).handle(hint))


def _report(hint: Hint, outcome: Outcome) -> None:
    decision = outcome.decision
    _log.info(
        outcome.word,
        endpoint=hint.endpoint,
        cause=hint.cause,
        step=decision and decision.step,
        reason=decision and decision.reason,
        next_due=decision and decision.next_due,
    )
    if hint.cause is Cause.CANARY:
        count(HEARTBEAT_METRIC)
    elif decision and decision.step is Step.GIVE_UP:
        count("GaveUp")
    elif decision and decision.state.attempts:
        count("Failures")
    if outcome.word == THROTTLED:
        count("Throttled")
    if hint.hops >= MAX_HOPS:
        count("LongChains")


prepare(partial(_reconciler, owner="import", hops=0))
