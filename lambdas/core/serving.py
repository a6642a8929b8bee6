"""Whether an endpoint answers calls of its model now, and if not, when and how it will."""

from __future__ import annotations

import math
from datetime import datetime

from lambdas.core.decision import meter_of
from lambdas.core.errors import EndpointStarting, EndpointStopped
from lambdas.core.state import Record, State, Status

_SERVING = frozenset(
    {Status.IN_SERVICE, Status.UPDATING, Status.SYSTEM_UPDATING, Status.ROLLING_BACK}
)
ASK_AGAIN_SECONDS = 60
"""While nobody has paid for it."""
STARTING_SECONDS = 15
"""How soon to ask about an endpoint that is being started, and was never seen to start before."""
OVERDUE_SECONDS = 5
"""And about one that takes longer than the last time."""


def require_serving(record: Record, now: datetime) -> None:
    """Raise EndpointStopped, or EndpointStarting where it is to run, unless the endpoint serves."""
    assert record.spec is not None
    state = record.state or State()
    if state.observed_status not in _SERVING:
        raise not_serving(record, now)


def not_serving(record: Record, now: datetime) -> EndpointStarting | EndpointStopped:
    """Why an endpoint that does not answer calls does not."""
    assert record.spec is not None
    state = record.state or State()
    meter = meter_of(record.spec, state)
    if meter.wanted(now):
        return EndpointStarting(record.spec.name, starts_within_seconds(state, now))
    opens = meter.next_transition(now)
    wait = math.ceil((opens - now).total_seconds()) if opens else ASK_AGAIN_SECONDS
    return EndpointStopped(record.spec.name, wait)


def starts_within_seconds(state: State, now: datetime) -> int:
    """When to ask again about an endpoint that is wanted: it takes as long to start as it took
    the last time, and a failed start is tried again when that is due."""
    if state.retry_at and state.retry_at > now:
        return math.ceil((state.retry_at - now).total_seconds())
    if state.start_seconds is None:
        return STARTING_SECONDS
    creating = state.observed_status is Status.CREATING
    since = state.owned_since if creating and state.owned_since else now
    left = state.start_seconds - (now - since).total_seconds()
    return math.ceil(left) if left > 0 else OVERDUE_SECONDS
