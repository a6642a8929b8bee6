"""Each use case, with each fault at each of its calls, above all killed before and after it: a tick
later all is well again. And each against rivals that do their work while one of its calls waits.

The calls are recorded from a run without faults, so that a new call is covered by itself.
"""

from __future__ import annotations

import pytest

from tests.simulation.scenes import SITUATIONS, Situation, rivals
from tests.simulation.trials import against, in_situation

RACES = [
    pytest.param(situation, rival, id=f"{situation.name} against {rival}")
    for situation in SITUATIONS
    for rival in rivals(situation)
]


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda situation: situation.name)
def test_use_case_killed_at_any_call_heals_within_a_tick(situation: Situation) -> None:
    assert in_situation(situation) == ()


@pytest.mark.parametrize(("situation", "rival"), RACES)
def test_use_case_and_a_rival_that_comes_in_between_both_have_their_way(
    situation: Situation, rival: str
) -> None:
    assert against(situation, rival) == ()
