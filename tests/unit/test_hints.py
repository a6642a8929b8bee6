"""Hints as messages: they come back as they were sent, and never too early."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from lambdas.core.hints import Cause, Hint, hint_at
from lambdas.core.state import Step
from tests.fakes import clock

NOW = clock(9)


@pytest.mark.parametrize(
    "hint",
    [
        Hint("falcon", Cause.TICK),
        Hint("falcon", Cause.RETRY, at=NOW + timedelta(seconds=30), hops=7),
        Hint(None, Cause.CANARY),
    ],
)
def test_hint_comes_back_from_its_message(hint: Hint) -> None:
    assert Hint.from_body(hint.to_body()) == hint


def test_message_from_before_there_were_hops_is_the_first_one() -> None:
    hint = Hint.from_body('{"endpoint": "Falcon", "cause": "event"}')

    assert hint == Hint("falcon", Cause.EVENT)


@pytest.mark.parametrize(
    "body",
    [
        "no JSON",
        "[]",
        "{}",
        json.dumps({"endpoint": "falcon", "cause": "whim"}),
        json.dumps({"endpoint": "", "cause": "tick"}),
        json.dumps({"endpoint": None, "cause": "tick"}),
        json.dumps({"endpoint": 1, "cause": "tick"}),
        json.dumps({"endpoint": "falcon", "cause": "tick", "at": "soon"}),
        json.dumps({"endpoint": "falcon", "cause": "tick", "hops": "many"}),
    ],
)
def test_message_that_is_no_hint_is_told(body: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Hint.from_body(body)


@pytest.mark.parametrize(
    ("seconds", "delay"), [(None, 0), (-5, 0), (0, 0), (0.001, 1), (1, 1), (1.2, 2), (30, 30)]
)
def test_delay_is_rounded_up_so_that_no_hint_comes_early(seconds: float | None, delay: int) -> None:
    at = None if seconds is None else NOW + timedelta(seconds=seconds)

    assert Hint("falcon", Cause.TICK, at=at).delay_seconds(NOW) == delay


def test_only_starts_go_to_the_queue_of_the_starts() -> None:
    assert hint_at("falcon", Cause.TICK, Step.CREATE, NOW) == Hint(
        "falcon", Cause.TICK, start=True, at=NOW
    )
    assert hint_at("falcon", Cause.TICK, Step.DELETE, NOW).start is False
