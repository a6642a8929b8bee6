"""Whether the machinery works: the costly failure is a dead scheduler that nobody notices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from lambdas.core.documents import iso
from lambdas.core.ports import Control

TICK_LATE = timedelta(minutes=3)
RECONCILE_LATE = timedelta(minutes=5)
SWEEP_LATE = timedelta(minutes=45)


@dataclass(frozen=True, slots=True)
class Health:
    """`late` names what has not worked for too long."""

    control: Control
    draining: bool
    late: Sequence[str]

    def document(self) -> Mapping[str, Any]:
        return {
            "status": "late" if self.late else "draining" if self.draining else "ok",
            "late": list(self.late),
            "lastTick": iso(self.control.last_tick),
            "lastReconcile": iso(self.control.last_reconcile),
            "lastSweep": iso(self.control.last_sweep),
        }


def health_of(control: Control, now: datetime) -> Health:
    """Judge the beats that CONTROL records."""
    beats = (
        ("tick", control.last_tick, TICK_LATE),
        ("reconcile", control.last_reconcile, RECONCILE_LATE),
        ("sweep", control.last_sweep, SWEEP_LATE),
    )
    # What never ran is late when it had as much time since the deploy.
    due = [(name, last or control.last_deploy, limit) for name, last, limit in beats]
    late = [name for name, last, limit in due if last is not None and now - last > limit]
    return Health(control, control.draining(now), late)
