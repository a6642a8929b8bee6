"""Live endpoints that are not this stack's, under a name that is on the meter or is to be.

The meter does not act on them: docs/decisions/0090. What is said about one says what would help.
"""

from __future__ import annotations

from lambdas.core.errors import Ignored, NotAdopted, NotOurs, NotYetAdoptable, OfAnotherStack
from lambdas.core.state import Observed, Owner, Status


def not_ours(name: str, live: Observed, wanted: str | None = None) -> NotOurs:
    """The error about it, for callers who may adopt. `wanted` is the config that the endpoint is to
    run, if its name is on the meter."""
    if live.owner is Owner.IGNORED:
        return Ignored(name)
    if live.owner is Owner.ANOTHER_STACK:
        return OfAnotherStack(name)
    if live.status is not Status.IN_SERVICE:
        return NotYetAdoptable(name, live.status)
    return NotAdopted(name, live.config_name or "", wanted)


def cannot_act(name: str) -> str:
    """The reason for people, while it has the name of an endpoint on the meter. Everybody who may
    read sees it: it says no more than `NotOurs`."""
    text = str(NotOurs(name))
    return f"the meter cannot act: {text[0].lower()}{text[1:]}"
