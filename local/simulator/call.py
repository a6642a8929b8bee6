"""One call of the control plane as the pure core sees it: a valid request at an instant."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from local.simulator.lifecycle import Json, Outcome


@dataclass(frozen=True)
class Call:
    """`outcome` is how the change that the call asks for will end: well, but for a fault."""

    request: Json
    now: datetime
    outcome: Outcome = Outcome.SUCCESS


def epoch(instant: datetime) -> float:
    """Epoch seconds to the millisecond, as SageMaker writes timestamps."""
    return round(instant.timestamp(), 3)
