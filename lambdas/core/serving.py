"""Whether an endpoint answers calls of its model now. If not: why, and when to try again."""

from __future__ import annotations

import math
from datetime import datetime

from lambdas.core.decision import meter_of
from lambdas.core.errors import EndpointStarting, EndpointStopped, NotOurs
from lambdas.core.state import Record, State, Status

ASK_AGAIN_SECONDS = 60
"""How soon to ask again about a stopped endpoint without a next window."""
STARTING_SECONDS = 15
"""How soon to ask again about an endpoint in its first known start."""
OVERDUE_SECONDS = 5
"""How soon to ask again if the start takes longer than the last one."""


def require_serving(record: Record, now: datetime) -> None:
    """If the endpoint does not serve, raise EndpointStarting (it is wanted) or EndpointStopped.
    Raise NotOurs if it is not this stack's: our calls may not reach it."""
    refuse_stranger(record)
    if not (record.state or State()).observed_status.serves:
        raise not_serving(record, now)


def refuse_stranger(record: Record) -> None:
    """Raise NotOurs if a live endpoint of that name is on record that is not this stack's. It may
    run: nobody should be told that it is stopped."""
    assert record.spec is not None
    if record.state and record.state.stranger:
        raise NotOurs(record.spec.name)


def not_serving(record: Record, now: datetime) -> EndpointStarting | EndpointStopped:
    """The error for an endpoint of ours that does not serve."""
    assert record.spec is not None
    state = record.state or State()
    meter = meter_of(record.spec, state)
    if meter.wanted(now):
        return EndpointStarting(record.spec.name, starts_within_seconds(state, now))
    opens = meter.next_transition(now)
    wait = math.ceil((opens - now).total_seconds()) if opens else ASK_AGAIN_SECONDS
    return EndpointStopped(record.spec.name, wait)


def starts_within_seconds(state: State, now: datetime) -> int:
    """When to ask again about an endpoint that is wanted: after the time of its last start, or at
    the retry of a failed start."""
    if state.retry_at and state.retry_at > now:
        return math.ceil((state.retry_at - now).total_seconds())
    if state.start_seconds is None:
        return STARTING_SECONDS
    creating = state.observed_status is Status.CREATING
    since = state.owned_since if creating and state.owned_since else now
    left = state.start_seconds - (now - since).total_seconds()
    return math.ceil(left) if left > 0 else OVERDUE_SECONDS
