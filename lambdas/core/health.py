"""Whether tick, reconciler and sweep work, and SageMaker answers them: a dead scheduler that nobody
notices costs money."""

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
    """`late` lists what has not worked for too long, and SageMaker if it does not answer."""

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
            "lastSageMaker": iso(self.control.last_sagemaker),
        }


def health_of(control: Control, now: datetime) -> Health:
    """The health by the times in CONTROL."""
    beats = (
        ("tick", control.last_tick, TICK_LATE),
        ("reconcile", control.last_reconcile, RECONCILE_LATE),
        ("sweep", control.last_sweep, SWEEP_LATE),
    )
    # If it never ran, the time counts from the deploy.
    due = [(name, last or control.last_deploy, limit) for name, last, limit in beats]
    late = [name for name, last, limit in due if last is not None and now - last > limit]
    if _silent(control):
        late.append("sagemaker")
    return Health(control, control.draining(now), late)


def _silent(control: Control) -> bool:
    """Whether SageMaker did not answer the latest canary, which comes every minute."""
    answered, silence = control.last_sagemaker, control.last_silence
    return silence is not None and (answered is None or answered < silence)
