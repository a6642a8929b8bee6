"""Single decisions, on plain values: when the next look or try is, and what happens at the edges.
Stories of whole lives are in `test_stories.py`."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from lambdas.core.decision import backoff, decide, dropped, not_seen, undecided
from lambdas.core.errors import AwsRefused
from lambdas.core.in_the_way import call_mark
from lambdas.core.spec import Scaling
from lambdas.core.state import (
    ABSENT,
    Adoption,
    Dropped,
    Intent,
    Observed,
    Owner,
    State,
    Status,
    Step,
    Trouble,
    Wanted,
)
from tests.fakes import a_spec, clock

NOW = clock(9)
SPEC = a_spec("falcon")
PAID = State(expires_at=clock(20))


def seen(
    status: Status, *, age: timedelta = timedelta(hours=1), owner: Owner = Owner.US
) -> Observed:
    began = NOW - age
    return Observed(status, "falcon-1", "", began, began, "arn", owner)


def look_after(state: State, observed: Observed, now: datetime = NOW) -> float:
    """The seconds until the next look."""
    due = decide(SPEC, state, observed, now).next_due
    assert due is not None
    return (due - now).total_seconds()


@pytest.mark.parametrize(
    ("age_seconds", "expected"), [(0, 15), (15, 15), (40, 40), (60, 60), (61, 60), (600, 60)]
)
def test_looks_at_a_start_become_rarer_up_to_one_a_minute(age_seconds: int, expected: int) -> None:
    starting = seen(Status.CREATING, age=timedelta(seconds=age_seconds))

    assert look_after(PAID, starting) == expected
    assert decide(SPEC, PAID, starting, NOW).state.next_step is Step.CREATE


@pytest.mark.parametrize(
    ("state", "observed", "expected"),
    [
        (State(), seen(Status.CREATING), 15),
        (PAID, seen(Status.UPDATING), 15),
        (State(), seen(Status.DELETING), 5),
        (PAID, seen(Status.DELETING), 2),
        (PAID, seen(Status.DELETING, owner=Owner.NOBODY), 5),
        (PAID, seen(Status.IN_SERVICE, owner=Owner.NOBODY), 60),
        (State(), seen(Status.IN_SERVICE, owner=Owner.NOBODY), 900),
        (PAID, seen(Status.UPDATE_ROLLBACK_FAILED), 900),
        (State(intent=Intent(Step.CREATE, "falcon-1", NOW)), ABSENT, 15),
    ],
    ids=[
        "a start that is no longer wanted",
        "an update",
        "a deletion",
        "a deletion of what is wanted again",
        "a deletion of another's endpoint",
        "another's endpoint in the way",
        "another's endpoint",
        "what only support can mend",
        "a create that may have worked",
    ],
)
def test_next_look_comes_as_soon_as_something_may_have_changed(
    state: State, observed: Observed, expected: int
) -> None:
    assert look_after(state, observed) == expected


def test_create_without_an_answer_is_looked_for_two_minutes_long() -> None:
    begun = State(intent=Intent(Step.CREATE, "falcon-1", NOW))

    late = decide(SPEC, begun, ABSENT, NOW + timedelta(seconds=119))
    too_late = decide(SPEC, begun, ABSENT, NOW + timedelta(seconds=120))

    assert "may have been created" in late.reason
    assert "may have been created" not in too_late.reason


def test_adoption_is_certain_ten_seconds_after_its_tag_was_seen() -> None:
    live = seen(Status.IN_SERVICE, owner=Owner.ADOPTED)
    assert live.created_at is not None
    adopting = replace(PAID, adopting=Adoption("arn", live.created_at, declared=True))

    tagged = decide(SPEC, adopting, live, NOW)
    assert tagged.next_due == NOW + timedelta(seconds=10)
    before = decide(SPEC, tagged.state, live, NOW + timedelta(seconds=9))
    after = decide(SPEC, tagged.state, live, NOW + timedelta(seconds=10))
    assert before.state.adopting is not None
    assert after.state.adopting is None


def test_backoff_doubles_from_a_quarter_of_a_minute_to_a_quarter_of_an_hour() -> None:
    waits = [backoff(attempts).total_seconds() for attempts in range(1, 9)]

    assert waits == [15, 30, 60, 120, 240, 480, 900, 900]
    assert backoff(5000) == timedelta(minutes=15)


def test_endpoint_that_sagemaker_does_not_describe_is_looked_at_within_a_minute() -> None:
    waits = []
    state = State()
    for _ in range(4):
        state = not_seen(state, AwsRefused("Throttling", "too fast"), NOW)
        assert state.next_due is not None
        waits.append((state.next_due - NOW).total_seconds())

    assert waits == [15, 30, 60, 60]
    assert state.attempts == 0, "a look is no try of a start"
    assert state.troubles[Step.WAIT].why == "not seen: Throttling: too fast"


UNREADABLE = a_spec("falcon", unreadable="window 1")


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (State(), True),
        (PAID, False),
        (State(held_since=clock(8)), False),
        (State(held_since=clock(8), last_wanted=Wanted(True, clock(8, 30))), True),
        (State(held_since=clock(8), last_wanted=Wanted(True, clock(8))), False),
        (State(held_since=clock(8), last_wanted=Wanted(True, clock(7))), False),
        (State(last_wanted=Wanted(True, clock(7))), True),
    ],
    ids=[
        "nobody stopped it",
        "it is paid for",
        "it was stopped, and nobody knew before",
        "it was stopped before that was known",
        "it was stopped at that very instant",
        "it was stopped after that was known",
        "it is not held",
    ],
)
def test_endpoint_with_unreadable_schedules_is_undecided_unless_paid_for_or_stopped(
    state: State, expected: bool
) -> None:
    assert undecided(UNREADABLE, state, NOW) is expected
    assert not undecided(SPEC, state, NOW)
    assert not undecided(None, state, NOW)


def test_restored_table_does_not_keep_a_destroy_from_deleting() -> None:
    running = seen(Status.IN_SERVICE)

    drained = decide(SPEC, PAID, running, NOW, draining=True, restored=True)
    kept = decide(SPEC, State(), running, NOW, restored=True)

    assert drained.step is Step.DELETE
    assert (kept.step, kept.next_due) == (Step.GIVE_UP, NOW + timedelta(minutes=15))


def test_scaling_of_an_endpoint_is_unsure_while_it_is_put_in_place() -> None:
    """The text is in tables of stacks that are deployed: it cannot change."""
    scaled = a_spec("falcon", scaling=(Scaling("all", 1, 2, {}),))

    decision = decide(scaled, PAID, seen(Status.IN_SERVICE), NOW)

    assert (decision.step, decision.state.restored) == (Step.RESTORE, "maybe")


def test_rest_forgets_the_failures_of_the_start_before() -> None:
    before = State(
        attempts=3,
        retry_at=clock(10),
        fallback_config="falcon-2",
        dropped={Step.CREATE: Dropped("mark", "why")},
    )

    rest = decide(SPEC, before, ABSENT, NOW).state

    assert (rest.attempts, rest.retry_at, rest.fallback_config, rest.dropped) == (0, None, None, {})


def test_dropped_call_is_not_pending_any_more_and_is_looked_at_at_once() -> None:
    begun = State(
        intent=Intent(Step.CREATE, "falcon-1", NOW), retry_at=clock(10), attempts=1, next_due=None
    )

    trouble = Trouble("mark", "no")
    start = dropped(begun, Step.CREATE, trouble, NOW)
    update = dropped(begun, Step.UPDATE, trouble, NOW)

    assert (start.intent, start.retry_at, start.next_due) == (None, None, NOW)
    assert (start.attempts, update.attempts) == (2, 0), "one that does not start is a failure"
    assert start.dropped[Step.CREATE].mark == "mark"


def test_mark_of_a_start_is_that_of_the_next_one_and_others_are_of_one_life() -> None:
    first = seen(Status.IN_SERVICE)
    second = replace(first, created_at=NOW)

    def same(step: Step) -> bool:
        lives = (first.created_at, second.created_at)
        one, other = (call_mark(SPEC, life, step, "c") for life in lives)
        return one == other

    assert (same(Step.CREATE), same(Step.UPDATE)) == (True, False)
