"""Each use case with each fault at each of its calls, above all killed before and after the call:
one tick later everything is right again. And each against rivals that work while one of its calls
waits.

The calls are recorded in a run without faults, so that new calls are covered automatically.
"""

from __future__ import annotations

import pytest

from tests.simulation.trials import CRASHES, RACES, findings


@pytest.mark.parametrize("situation", CRASHES)
def test_use_case_killed_at_any_call_heals_within_a_tick(situation: str) -> None:
    assert findings(situation) == ()


@pytest.mark.parametrize("race", RACES)
def test_use_case_and_a_rival_that_comes_in_between_both_have_their_way(race: str) -> None:
    assert findings(race) == ()
