"""A call of the control plane: a valid request at an instant."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from local.simulator.lifecycle import Json, Outcome


@dataclass(frozen=True)
class Call:
    """`outcome` is how the requested change will end: with success, unless there is a fault."""

    request: Json
    now: datetime
    outcome: Outcome = Outcome.SUCCESS


def epoch(instant: datetime) -> float:
    """Epoch seconds, rounded to milliseconds, as SageMaker writes timestamps."""
    return round(instant.timestamp(), 3)
