"""The tick: once a minute, put hints for what is due by the next ticks on the queue."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from lambdas.core.hints import ARM_AHEAD, Cause, Hint, hint_at
from lambdas.core.ports import Hints, StateStore

CLAIM = timedelta(seconds=60)
"""A claimed entry is hinted at again if it is still due this long after its instant."""


@dataclass(frozen=True, slots=True)
class Ticked:
    hinted: int


def tick(store: StateStore, hints: Hints, now: datetime) -> Ticked:
    """Send each due endpoint's hint with its exact delay, and the canary.

    The cost depends on what is due, not on how many endpoints there are.
    """
    hints.send([Hint(None, Cause.CANARY)])
    every = sorted(store.due(now + ARM_AHEAD, now), key=lambda due: due.next_due)
    # All are sent before any is claimed: claims take their time, and a crash in between costs
    # second hints, never lost ones.
    hints.send(hint_at(due.endpoint, Cause.TICK, due.next_step, due.next_due) for due in every)
    for due in every:
        store.claim(due, max(due.next_due, now) + CLAIM)
    store.beat("tick", now)
    return Ticked(len(every))
