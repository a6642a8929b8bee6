"""What the health of the meter says, by the times in CONTROL."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from lambdas.core.health import health_of
from lambdas.core.ports import Control
from tests.fakes import clock

NOW = clock(9)
SECOND = timedelta(seconds=1)
FRESH: dict[str, Any] = {"last_tick": NOW, "last_reconcile": NOW, "last_sweep": NOW}
LIMITS = {"tick": 3, "reconcile": 5, "sweep": 45}


@pytest.mark.parametrize(("part", "minutes"), LIMITS.items())
def test_part_is_late_once_it_has_not_worked_for_longer_than_its_limit(
    part: str, minutes: int
) -> None:
    limit = timedelta(minutes=minutes)

    assert health_of(Control(**{**FRESH, f"last_{part}": NOW - limit}), NOW).late == []
    late = health_of(Control(**{**FRESH, f"last_{part}": NOW - limit - SECOND}), NOW)
    assert late.late == [part]
    assert late.document()["status"] == "late"


def test_part_that_never_ran_is_late_after_its_limit_from_the_deploy() -> None:
    assert health_of(Control(), NOW).late == []
    assert health_of(Control(last_deploy=NOW - timedelta(minutes=4)), NOW).late == ["tick"]
    assert health_of(Control(**FRESH, last_deploy=clock(1)), NOW).late == []


@pytest.mark.parametrize(
    ("answered", "silence", "late"),
    [
        (None, None, False),
        (NOW, None, False),
        (None, NOW, True),
        (NOW - SECOND, NOW, True),
        (NOW, NOW, False),
        (NOW, NOW - SECOND, False),
    ],
)
def test_sagemaker_is_late_if_it_did_not_answer_the_latest_canary(
    answered: object, silence: object, late: bool
) -> None:
    times: dict[str, Any] = {**FRESH, "last_sagemaker": answered, "last_silence": silence}

    assert health_of(Control(**times), NOW).late == (["sagemaker"] if late else [])


def test_health_is_told_with_the_times_of_the_last_work() -> None:
    healthy = Control(**FRESH, last_sagemaker=clock(8))

    assert health_of(healthy, NOW).document() == {
        "status": "ok",
        "late": [],
        "lastTick": "2026-03-02T09:00:00Z",
        "lastReconcile": "2026-03-02T09:00:00Z",
        "lastSweep": "2026-03-02T09:00:00Z",
        "lastSageMaker": "2026-03-02T08:00:00Z",
    }
    drained = health_of(Control(**FRESH, drain_until=NOW + SECOND), NOW)
    assert drained.document()["status"] == "draining"
