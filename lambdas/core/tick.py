"""The tick: once a minute, send hints for all endpoints that are due before the next ticks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from lambdas.core.decision import TURN
from lambdas.core.hints import ARM_AHEAD, Cause, Hint, hint_at
from lambdas.core.ports import Due, Hints, StateStore
from lambdas.core.state import Step

CLAIM = timedelta(seconds=60)
"""If a claimed endpoint is still due this long after its instant, another hint is sent."""
CROWD = 20
"""If more endpoints than this start at one instant, their hints are spread. Fewer do no harm, and
need no extra call."""


@dataclass(frozen=True, slots=True)
class Ticked:
    hinted: int


def tick(store: StateStore, hints: Hints, now: datetime) -> Ticked:
    """Send a hint with its exact delay for each due endpoint, and the canary.

    The cost depends on how many are due, not on how many endpoints exist.
    """
    hints.send([Hint(None, Cause.CANARY)])
    every = sorted(store.due(now + ARM_AHEAD, now), key=lambda due: (due.next_due, due.next_step))
    arrivals = dict(_arrivals(store, every, now))
    # Send all hints before the claims: a crash in between repeats hints and loses none.
    hints.send(hint_at(due.endpoint, Cause.TICK, due.next_step, at) for due, at in arrivals.items())
    store.claim({due: max(at, now) + CLAIM for due, at in arrivals.items()})
    store.beat("tick", now)
    return Ticked(len(every))


def _arrivals(
    store: StateStore, every: Iterable[Due], now: datetime
) -> Iterator[tuple[Due, datetime]]:
    """When each hint should arrive: when the endpoint is due.

    Many starts at once take their turns in the line of throttled endpoints. Without this, SageMaker
    would throttle them, and they would fill the queue faster than it is emptied.
    """
    for (due_at, step), group in groupby(every, key=lambda due: (due.next_due, due.next_step)):
        crowd = list(group)
        place, gap = due_at, timedelta()
        if step is Step.CREATE and len(crowd) > CROWD:
            place, gap = store.take_place(step, max(due_at, now), TURN * len(crowd)), TURN
        yield from ((due, place + gap * number) for number, due in enumerate(crowd))
