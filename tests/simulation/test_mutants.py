"""Each deliberate bug is found at the place that the list names."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.simulation.mutants import MUTANTS, Mutant, MutantMisfit, findings
from tests.simulation.mutants_of_causes import CAUSE_MUTANTS
from tests.simulation.mutants_of_lone_stops import LONE_STOP_MUTANTS
from tests.simulation.mutants_of_sessions import SESSION_MUTANTS
from tests.simulation.mutants_of_takeovers import TAKEOVER_MUTANTS
from tests.simulation.trials import CRASHES, LIVES, RACES

EVERY_MUTANT = (*MUTANTS, *TAKEOVER_MUTANTS, *SESSION_MUTANTS, *CAUSE_MUTANTS, *LONE_STOP_MUTANTS)


@pytest.mark.parametrize("mutant", EVERY_MUTANT, ids=lambda mutant: mutant.name)
def test_deliberate_bug_is_found(mutant: Mutant) -> None:
    found = findings(mutant, mutant.caught_by)
    assert found, "it got away: what would have shown it?"
    assert not any("Traceback" in text for text in found), "a bug that only crashes shows little"


def test_without_a_bug_nothing_is_found_in_any_of_these_places() -> None:
    """`test_crashes.py` and `test_lives.py` check all of these places without a bug."""
    assert {mutant.caught_by for mutant in EVERY_MUTANT} <= {*CRASHES, *RACES, LIVES}


def test_bug_that_no_longer_fits_the_code_is_an_error_not_a_success() -> None:
    misfit = replace(MUTANTS[0], old="text that stands nowhere")
    with pytest.raises(MutantMisfit, match="stands 0 times"):
        findings(misfit, misfit.caught_by)
