"""Idempotency-Keys: a repeated request gets the same answer and has no second effect.

The answer is built again from what the write recorded: docs/decisions/0031.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from lambdas.core.decision import meter_of, paying_sessions
from lambdas.core.documents import endpoint_document
from lambdas.core.errors import IdempotencyConflict, ScopeMissing
from lambdas.core.in_the_way import in_the_way
from lambdas.core.ports import Keyed
from lambdas.core.reasons import last_end
from lambdas.core.scopes import Scope, Scopes
from lambdas.core.spec import AsyncMode, Spec
from lambdas.core.state import (
    Forgotten,
    Operation,
    Override,
    Record,
    State,
    Wanted,
)
from lambdas.core.wanted_config import chosen_config, declaration

OPERATION_LIFE = timedelta(hours=24)
_MAX_PRUNED_AT_ONCE = 20
_MAX_TEXT = 100
"""The length of a name in an answer, and in what is kept of it for its repetitions."""
_MAX_REASON = 200
"""The length of what is in the way or under way there."""
_MAX_OPERATIONS = 48
"""If there are more, the oldest are removed. They are part of STATE, and each write costs by the
size of the item: this limit keeps it below 32 KB (docs/decisions/0091)."""


@dataclass(frozen=True, slots=True)
class Request:
    """The caller with its scopes, and the Idempotency-Key. `actor` is a name for people, `identity`
    is unique for each caller, `body_hash` for each body."""

    actor: str
    identity: str
    scopes: Scopes
    key_id: str | None = None
    body_hash: str = ""

    def under(self, key: str | None, route: str, body: Mapping[str, Any]) -> Request:
        """The request with its Idempotency-Key, if it has one."""
        if key is None:
            return self
        text = json.dumps(body, sort_keys=True)
        scoped_key = json.dumps([self.identity, route, key])
        return replace(
            self,
            key_id=hashlib.sha256(scoped_key.encode()).hexdigest()[:32],
            body_hash=hashlib.sha256(text.encode()).hexdigest()[:32],
        )

    def require(self, scope: Scope, endpoint: str) -> None:
        """Raise ScopeMissing if the caller may not do this with the endpoint."""
        if not self.scopes.allows(scope, endpoint):
            raise ScopeMissing(scope, endpoint)


@dataclass(frozen=True, slots=True)
class Answer:
    http_status: int
    document: Mapping[str, Any]


def operation_of(
    spec: Spec,
    state: State,
    request: Request,
    now: datetime,
    http_status: int,
    *,
    draining: bool = False,
) -> Operation:
    """The data of the answer and of its repetitions. `state` is that after the write."""
    meter, chosen = meter_of(spec, state), chosen_config(spec, state)
    wanted = meter.wanted(now) and not draining
    told = in_the_way(spec, state, meter_of(None if draining else spec, state), now)
    ended = None if wanted else last_end(meter, state, now)
    if ended:
        ended = replace(ended, detail=ended.detail[:_MAX_TEXT])
    return Operation(
        request.body_hash,
        now,
        http_status,
        state.observed_status,
        state.observed_config,
        told[:_MAX_REASON],
        state.expires_at,
        chosen if chosen != spec.endpoint_config_name else None,
        state.held_since,
        paying_sessions(state, meter, now),
        max(state.sessions.values(), default=None),
        ended,
        state.stranger,
        draining,
        spec.async_api is not AsyncMode.OFF,
        state.paid_at,
    )


def keyed_with(record: Record, request: Request, operation: Operation) -> Keyed | None:
    """The Idempotency-Key to record with the write. None if the request has none."""
    if request.key_id is None:
        return None
    by_age = sorted(record.operations, key=lambda name: record.operations[name].at)
    old = [name for name in by_age if record.operations[name].at < operation.at - OPERATION_LIFE]
    surplus = by_age[: max(len(by_age) + 1 - _MAX_OPERATIONS, 0)]
    stale = by_age[: max(len(old), len(surplus))][:_MAX_PRUNED_AT_ONCE]
    return Keyed(request.key_id, operation, stale)


def replayed(record: Record, request: Request) -> Answer | None:
    """The answer to the first request with this key. None if this is the first one."""
    key, before = request.key_id or "", record.forgotten
    if before and key in before.operations:
        operation = before.operations[key]
        record = replace(record, config_spec=None, api_spec=before.spec)
    elif key in record.operations and record.spec is not None:
        operation = record.operations[key]
    else:
        return None
    if operation.body_hash != request.body_hash:
        raise IdempotencyConflict
    return answered(record, operation)


def forgotten(record: Record, spec: Spec, now: datetime, keyed: Keyed | None = None) -> Forgotten:
    """What is kept of an endpoint when its API spec is removed. `keyed` is the Idempotency-Key of
    the request that removes it. Operations of earlier lives are kept too, for a day each."""
    before = record.forgotten
    earlier = dict(before.operations) if before else {}
    if before and before.spec.endpoint_config_name != spec.endpoint_config_name:
        config = before.spec.endpoint_config_name
        earlier = {
            key: replace(operation, chosen_config=operation.chosen_config or config)
            for key, operation in earlier.items()
        }
    # If the deployed config declares the name too, STATE stays, with its operations.
    own = {**record.operations, **({keyed.id: keyed.operation} if keyed else {})}
    kept = {**earlier, **(own if record.config_spec is None else {})}
    recent = sorted(kept, key=lambda key: kept[key].at)[-_MAX_OPERATIONS:]
    young = {key: kept[key] for key in recent if kept[key].at > now - OPERATION_LIFE}
    return Forgotten(spec, young, now)


def answered(record: Record, operation: Operation) -> Answer:
    """Build the answer only from what the write knew, so that a replay is equal."""
    assert record.spec is not None, "nothing is answered about what is not known"
    at, chosen = operation.at, operation.chosen_config
    # Of the sessions an answer says only how many live, and until when.
    ended_last = [operation.sessions_end] if operation.sessions_end else []
    sessions = {str(number): end for end in ended_last for number in range(operation.sessions or 1)}
    state = State(
        override=Override(chosen, {}, declaration(record.spec)) if chosen else None,
        expires_at=operation.expires_at,
        sessions=sessions,
        paid_at=operation.paid_at,
        held_since=operation.held_since,
        set_up_at=record.state.set_up_at if record.state else operation.at,
        observed_status=operation.endpoint_status,
        observed_config=operation.observed_config,
        ended=operation.ended,
        # If it is not wanted, nothing else ended it than what was recorded.
        last_wanted=Wanted(running=False, since=at, seen=at),
        stranger=operation.stranger,
    )
    document = endpoint_document(
        replace(record, state=state), at, draining=operation.draining, told=operation.reason
    )
    if operation.async_api is not None:
        document = {**document, "AsyncApi": operation.async_api}
    return Answer(operation.http_status, document)
