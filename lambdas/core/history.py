"""Events of an endpoint, for people: every start and stop with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Event:
    """One event of the history. `kind` is a word such as 'renewed', 'create' or 'Failed'. `actor`
    is the name of a token, or 'meter'."""

    endpoint: str
    at: datetime
    kind: str
    reason: str
    actor: str = "meter"
