"""Each use case with each fault at each of its calls, above all killed before and after the call:
one tick later everything is right again. And each against rivals that work while one of its calls
waits.

The calls are recorded in a run without faults, so that new calls are covered automatically.
"""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from tests.simulation.test_mutants import EVERY_MUTANT
from tests.simulation.trials import CRASHES, RACES, a_race_of_each, findings

IN_EACH_RUN = {*a_race_of_each(), *(mutant.caught_by for mutant in EVERY_MUTANT)}
MATRIX = [
    pytest.param(race, id=race, marks=() if race in IN_EACH_RUN else pytest.mark.prove)
    for race in RACES
]


@pytest.mark.parametrize("situation", CRASHES)
def test_use_case_killed_at_any_call_heals_within_a_tick(situation: str) -> None:
    assert findings(situation) == ()


@pytest.mark.parametrize("race", MATRIX)
def test_use_case_and_a_rival_that_comes_in_between_both_have_their_way(race: str) -> None:
    assert findings(race) == ()


def test_each_situation_and_each_rival_has_a_race_in_each_run() -> None:
    def names(races: Iterable[str]) -> set[str]:
        return {name for race in races for name in race.split(" against ")}

    assert names(IN_EACH_RUN & set(RACES)) == names(RACES)
