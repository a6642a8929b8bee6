"""Each use case, killed before and after each of its calls: a tick later all is well again.

The calls are recorded from a run without faults, so that a new call is covered by itself.
"""

from __future__ import annotations

import pytest

from tests.simulation.faults import Fault
from tests.simulation.scenes import ONE_TICK, SITUATIONS, Situation, play

KILLS = (Fault.CRASH_BEFORE, Fault.CRASH_AFTER)


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda situation: situation.name)
def test_use_case_killed_at_any_call_heals_within_a_tick(situation: Situation) -> None:
    whole = play(situation)
    assert whole.calls, "nothing was recorded"
    assert whole.amiss == ()
    for number, call in enumerate(whole.calls):
        for kill in KILLS:
            played = play(situation, number, kill)
            where = f"{kill} at call {number} ({call})"
            assert played.amiss == (), where
            assert played.well_after is not None, where
            assert played.well_after <= ONE_TICK, where
