"""Hints: messages that say "look at this endpoint". A lost or repeated hint does no harm."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from lambdas.core.names import endpoint_key
from lambdas.core.state import Step

ARM_AHEAD = timedelta(seconds=120)
"""How far ahead a hint is put on the queue, with the exact delay (SQS allows 15 min)."""
MAX_HOPS = 2_000
"""How many hints in a row the reconciler sends to itself for one endpoint. An update may take eight
hours, with a look every 15 s: that is 1,920. Then the tick goes on, within a minute."""


class Cause(StrEnum):
    """Who sent the hint. Only EVENT and SWEEP lead to a reconcile if nothing is due."""

    TICK = "tick"
    API = "api"
    EVENT = "event"
    SWEEP = "sweep"
    RETRY = "retry"
    CANARY = "canary"
    """Sent by the tick, without an endpoint. The reconciler answers it with the heartbeat."""


@dataclass(frozen=True, slots=True)
class Hint:
    """`endpoint` is the case-folded name, None for the canary. `start` selects the queue: many
    starts must not delay the stops. `at` is when it should arrive. None: at once. `hops` counts
    the hints in a row that the reconciler sent to itself, up to this one."""

    endpoint: str | None
    cause: Cause
    start: bool = False
    at: datetime | None = None
    hops: int = 0

    def delay_seconds(self, now: datetime) -> int:
        """The delay of a hint that is sent at `now`, rounded up: it arrives at `at` or later, as
        SQS counts whole seconds."""
        remaining = (self.at - now).total_seconds() if self.at else 0.0
        return int(-(-max(remaining, 0.0) // 1))

    def to_body(self) -> str:
        at = self.at and self.at.isoformat()
        return json.dumps(
            {"endpoint": self.endpoint, "cause": self.cause, "at": at, "hops": self.hops}
        )

    @classmethod
    def from_body(cls, body: str) -> Hint:
        """Read a message. Raises ValueError if it is no hint."""
        document = json.loads(body)
        if not isinstance(document, dict):
            raise ValueError("a hint must be a JSON object")  # noqa: TRY004 (bad data, not code)
        endpoint, cause = document.get("endpoint"), Cause(str(document.get("cause")))
        at = document.get("at")
        if cause is Cause.CANARY:
            return cls(None, cause)
        if not isinstance(endpoint, str) or not endpoint:
            raise ValueError("a hint must name its endpoint")
        due = datetime.fromisoformat(str(at)) if at else None
        return cls(endpoint_key(endpoint), cause, at=due, hops=int(str(document.get("hops", 0))))


def hint_at(endpoint: str, cause: Cause, step: Step, due: datetime) -> Hint:
    """A hint that arrives when `step` is due."""
    return Hint(endpoint, cause, step is Step.CREATE, due)
