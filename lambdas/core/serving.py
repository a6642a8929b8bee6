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
"""How soon to ask about an endpoint that is being started."""


def require_serving(record: Record, now: datetime) -> None:
    """Raise EndpointStopped, or EndpointStarting where it is to run, unless the endpoint serves."""
    assert record.spec is not None
    state = record.state or State()
    if state.observed_status in _SERVING:
        return
    meter = meter_of(record.spec, state)
    if meter.wanted(now):
        raise EndpointStarting(record.spec.name, STARTING_SECONDS)
    opens = meter.next_transition(now)
    wait = math.ceil((opens - now).total_seconds()) if opens else ASK_AGAIN_SECONDS
    raise EndpointStopped(record.spec.name, wait)
