"""Hints: messages that say "look at this endpoint". Losing or repeating one does no harm."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from lambdas.core.names import endpoint_key
from lambdas.core.state import Step

ARM_AHEAD = timedelta(seconds=120)
"""How far ahead an instant is put on the queue with its exact delay (SQS allows 15 min)."""


class Cause(StrEnum):
    """Who sent the hint. Only EVENT and SWEEP are heeded where nothing is due."""

    TICK = "tick"
    API = "api"
    EVENT = "event"
    SWEEP = "sweep"
    RETRY = "retry"
    CANARY = "canary"
    """Sent by the tick to no endpoint: the reconciler answers it with the heartbeat."""


@dataclass(frozen=True, slots=True)
class Hint:
    """`endpoint` is the case-folded name, None for the canary. `start` chooses the queue:
    a flood of starts must not delay the stops. `at` is when it should arrive; None: at once."""

    endpoint: str | None
    cause: Cause
    start: bool = False
    at: datetime | None = None

    def delay_seconds(self, now: datetime) -> int:
        """How long to delay it at `now`, so that it arrives at `at` and never before: SQS
        counts whole seconds."""
        remaining = (self.at - now).total_seconds() if self.at else 0.0
        return int(-(-max(remaining, 0.0) // 1))

    def to_body(self) -> str:
        at = self.at and self.at.isoformat()
        return json.dumps({"endpoint": self.endpoint, "cause": self.cause, "at": at})

    @classmethod
    def from_body(cls, body: str) -> Hint:
        """Read a message; raises ValueError where it is no hint."""
        document = json.loads(body)
        if not isinstance(document, dict):
            raise ValueError("a hint must be a JSON object")  # noqa: TRY004 (bad data, not code)
        endpoint, cause = document.get("endpoint"), Cause(str(document.get("cause")))
        at = document.get("at")
        if cause is Cause.CANARY:
            return cls(None, cause)
        if not isinstance(endpoint, str) or not endpoint:
            raise ValueError("a hint must name its endpoint")
        return cls(
            endpoint_key(endpoint), cause, at=datetime.fromisoformat(str(at)) if at else None
        )


def hint_at(endpoint: str, cause: Cause, step: Step, due: datetime) -> Hint:
    """A hint that arrives when `step` is due."""
    return Hint(endpoint, cause, step is Step.CREATE, due)
