"""The tick: once a minute, put hints for what is due by the next ticks on the queue."""

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
"""A claimed entry is hinted at again if it is still due this long after its instant."""
CROWD = 20
"""More starts than these at one instant are spread: fewer do no harm, and cost no call."""


@dataclass(frozen=True, slots=True)
class Ticked:
    hinted: int


def tick(store: StateStore, hints: Hints, now: datetime) -> Ticked:
    """Send each due endpoint's hint with its exact delay, and the canary.

    The cost depends on what is due, not on how many endpoints there are.
    """
    hints.send([Hint(None, Cause.CANARY)])
    every = sorted(store.due(now + ARM_AHEAD, now), key=lambda due: (due.next_due, due.next_step))
    arrivals = dict(_arrivals(store, every, now))
    # All are sent before any is claimed: a crash in between costs second hints, never lost ones.
    hints.send(hint_at(due.endpoint, Cause.TICK, due.next_step, at) for due, at in arrivals.items())
    store.claim({due: max(at, now) + CLAIM for due, at in arrivals.items()})
    store.beat("tick", now)
    return Ticked(len(every))


def _arrivals(
    store: StateStore, every: Iterable[Due], now: datetime
) -> Iterator[tuple[Due, datetime]]:
    """When the hint of each should arrive: when it is due.

    A crowd of starts comes in turn, in the line of those whom SageMaker throttled: all at once
    they would only be refused, and fill the queue faster than it is emptied.
    """
    for (due_at, step), group in groupby(every, key=lambda due: (due.next_due, due.next_step)):
        crowd = list(group)
        place, gap = due_at, timedelta()
        if step is Step.CREATE and len(crowd) > CROWD:
            place, gap = store.take_place(step, max(due_at, now), TURN * len(crowd)), TURN
        yield from ((due, place + gap * number) for number, due in enumerate(crowd))
