"""Events of an endpoint, for people: every start and stop with its reason."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Event:
    """One event of the history. `kind` is a word such as 'renewed', 'create' or 'Failed'. `actor`
    is the name of a token, or 'meter'. `place` orders the events of one instant: what people did is
    0, and comes before what the meter does about it."""

    endpoint: str
    at: datetime
    kind: str
    reason: str
    actor: str = "meter"
    place: int = 0


def in_order(events: Iterable[Event], after: int = 0) -> Iterator[Event]:
    """What the meter writes down at one instant, `after` so many other events: causes first."""
    for place, event in enumerate(events, after + 1):
        yield replace(event, place=place)
