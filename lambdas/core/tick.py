"""The tick: once a minute, put hints for what is due by the next ticks on the queue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from lambdas.core.hints import ARM_AHEAD, Cause, Hint, hint_at
from lambdas.core.ports import Due, Hints, StateStore

CLAIM = timedelta(seconds=60)
"""A claimed entry is hinted at again if it is still due this long after its instant."""
_BATCH = 10
"""SQS takes at most ten messages a call."""


@dataclass(frozen=True, slots=True)
class Ticked:
    hinted: int


def tick(store: StateStore, hints: Hints, now: datetime) -> Ticked:
    """Send each due endpoint's hint with its exact delay, and the canary.

    The cost depends on what is due, not on how many endpoints there are.
    """
    hints.send([Hint(None, Cause.CANARY)])
    hinted = 0
    due = store.due(now + ARM_AHEAD, now)
    while batch := tuple(islice(due, _BATCH)):
        _arm(store, hints, batch, now)
        hinted += len(batch)
    store.beat("tick", now)
    return Ticked(hinted)


def _arm(store: StateStore, hints: Hints, batch: Sequence[Due], now: datetime) -> None:
    # Sent before claimed: a crash in between costs a second hint, never a lost one.
    hints.send(
        [hint_at(due.endpoint, Cause.TICK, due.next_step, due.next_due, now) for due in batch]
    )
    for due in batch:
        store.claim(due, max(due.next_due, now) + CLAIM)
