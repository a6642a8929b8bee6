"""Which config runs after updates by hand, from outside and after rollbacks, on plain values."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lambdas.core.spec import Origin, OutsideUpdates
from lambdas.core.state import Intent, Override, Reweighing, Rollback, State, Step, Update
from lambdas.core.wanted_config import (
    after_rollback,
    chosen_config,
    declaration,
    fitting_configs,
    is_rolled_back,
    next_fallback,
    override_in_force,
    rollback_mark,
    rollback_reason,
    rolled_back,
    set_outside,
    wanted_config,
    weights_undone,
    with_served,
    without_missing,
)
from tests.fakes import a_spec, clock

SPEC = a_spec("falcon", fallback_configs=("small", "tiny"))
BY_HAND = Override("chosen", {"a": 1}, declaration(SPEC))
KEEPING = replace(SPEC, outside_updates=OutsideUpdates.KEEP)


def test_declaration_changes_with_configs_and_update_options_only() -> None:
    same = replace(SPEC, max_lease_minutes=5, tags={"a": "b"}, spec_hash="other")
    added = replace(SPEC, origin=Origin.API)

    assert declaration(same) == declaration(SPEC)
    assert declaration(replace(SPEC, update={"a": 1})) != declaration(SPEC)
    assert declaration(replace(SPEC, fallback_configs=())) != declaration(SPEC)
    assert declaration(added) == "api:falcon-1"


def test_override_counts_until_the_declaration_changes() -> None:
    state = State(override=BY_HAND)
    other = replace(SPEC, update={"a": 1})

    assert override_in_force(SPEC, state) == BY_HAND
    assert (chosen_config(SPEC, state), wanted_config(SPEC, state)) == ("chosen", "chosen")
    assert fitting_configs(SPEC, state) == ("falcon-1", "small", "tiny", "chosen")
    assert override_in_force(other, state) is None
    assert chosen_config(other, state) == "falcon-1"


def test_fallback_runs_while_the_spec_lists_it_and_nothing_else_is_chosen() -> None:
    small = State(fallback_config="small")

    assert wanted_config(SPEC, small) == "small"
    assert wanted_config(replace(SPEC, fallback_configs=()), small) == "falcon-1"
    assert wanted_config(SPEC, replace(small, override=BY_HAND)) == "chosen"


@pytest.mark.parametrize(
    ("tried", "expected"),
    [("falcon-1", "small"), ("small", "tiny"), ("tiny", None), ("other", "small"), (None, "small")],
)
def test_fallbacks_are_tried_in_turn(tried: str | None, expected: str | None) -> None:
    assert next_fallback(SPEC, State(), tried) == expected
    assert next_fallback(SPEC, State(override=BY_HAND), tried) is None
    assert next_fallback(replace(SPEC, fallback_configs=()), State(), tried) is None


@pytest.mark.parametrize(
    ("before", "served"),
    [
        (State(), "anything"),
        (State(asked_config="falcon-1"), "falcon-1"),
        (State(asked_config="old"), "small"),
        (State(asked_config="old", intent=Intent(Step.UPDATE, "next", clock(9))), "next"),
        (State(asked_config="old", updating=Update("next", "mark")), "next"),
        (State(asked_config="old", override=BY_HAND), "chosen"),
    ],
)
def test_config_that_the_meter_asked_for_is_no_update_from_outside(
    before: State, served: str
) -> None:
    after = with_served(KEEPING, before, before, served)

    assert after == replace(before, asked_config=served)


def test_update_from_outside_is_an_override_only_if_the_entry_keeps_it() -> None:
    begun = Reweighing([], clock(9), begun=True)
    before = State(
        asked_config="falcon-1",
        observed_config="falcon-1",
        fallback_config="small",
        rolled_back=Rollback("mark", "why"),
        reweighing=begun,
    )

    kept = with_served(KEEPING, before, before, "theirs")

    assert with_served(SPEC, before, before, "theirs") == before
    assert kept.override == Override("theirs", {}, declaration(KEEPING))
    assert (kept.fallback_config, kept.rolled_back, kept.reweighing) == (None, None, None)
    assert kept.asked_config == "falcon-1"
    pending = replace(before, reweighing=replace(begun, begun=False))
    assert with_served(KEEPING, before, pending, "theirs").reweighing == pending.reweighing
    assert with_served(KEEPING, replace(before, observed_config="theirs"), before, "theirs") == (
        before
    ), "it was seen before"


def test_config_set_by_hand_is_declared_again_from_outside_only_while_it_is_in_force() -> None:
    before = State(asked_config="chosen", observed_config="chosen", override=BY_HAND)

    assert with_served(SPEC, before, before, "falcon-1") == before, "somebody outside set it"


@pytest.mark.parametrize(
    ("asked", "served", "outside"),
    [(None, "a", None), ("a", "a", None), ("a", "b", "b"), ("a", None, None)],
)
def test_config_that_nobody_asked_the_meter_for_was_set_outside(
    asked: str | None, served: str | None, outside: str | None
) -> None:
    assert set_outside(State(asked_config=asked, observed_config=served)) == outside


@pytest.mark.parametrize(
    ("served", "changes"),
    [
        ("falcon-1", {"override": None, "fallback_config": None}),
        ("small", {"override": None, "fallback_config": "small"}),
        ("before", {"override": replace(BY_HAND, config_name="before", options={})}),
        (None, {}),
    ],
)
def test_rolled_back_update_by_hand_leaves_what_is_served(
    served: str | None, changes: dict[str, Any]
) -> None:
    state = State(override=BY_HAND, updating=Update("chosen", "mark"), fallback_config="tiny")

    assert after_rollback(SPEC, state, served) == replace(state, **changes)
    for other in (
        replace(state, override=None),
        replace(state, updating=None),
        replace(state, updating=Update("another", "mark")),
    ):
        assert after_rollback(SPEC, other, served) == other


@pytest.mark.parametrize(("times", "kept"), [(4, True), (5, False)])
def test_config_set_by_hand_that_stays_missing_is_given_up(times: int, kept: bool) -> None:
    state = State(override=BY_HAND, attempts=9)

    assert (without_missing(SPEC, state, times).override is not None) is kept
    old = State(override=replace(BY_HAND, declaration="an older one"))
    assert without_missing(SPEC, old, 9) == old


def test_rollback_is_told_while_the_declaration_is_the_same() -> None:
    mark = rollback_mark(SPEC, "falcon-2")
    state = State(rolled_back=Rollback(mark, "an alarm"))

    assert rolled_back(SPEC, state) == "the update to falcon-2 was rolled back: an alarm"
    assert rolled_back(replace(SPEC, update={"a": 1}), state) is None
    assert rolled_back(SPEC, State()) is None
    assert rollback_reason(Rollback(mark, None)).endswith(": SageMaker gave no reason")
    assert is_rolled_back(SPEC, state, "falcon-2")
    assert not is_rolled_back(SPEC, state, "falcon-1")
    assert not is_rolled_back(SPEC, State(), "falcon-2")


def test_weights_that_were_undone_are_told() -> None:
    undone = Reweighing([], clock(9), begun=True, undone="no instances")

    assert weights_undone(State(reweighing=undone)) == (
        "the weights and capacities set by hand were rolled back: no instances"
    )
    assert weights_undone(State(reweighing=replace(undone, undone=None))) is None
    assert weights_undone(State()) is None
