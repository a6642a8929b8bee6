"""Every sentence that `Reason` may say besides those of the rule of running, and when it is true.
It is read against what the simulation knows, and against the status that the meter saw last."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass

_ANY = ("Absent", "Creating", "InService", "Updating", "RollingBack", "Deleting", "Failed")


@dataclass(frozen=True)
class Shown:
    """What is so when a sentence is shown. `configs` are those that it is to serve. `deleted_for`
    is what the history says of its last deletion."""

    status: str
    served: str | None
    configs: Collection[str]
    wanted: bool
    adopting: bool = False
    deleted_for: str | None = None
    restored: bool = False
    """Whether the state table was a restored one until a moment ago."""


Test = Callable[[Shown, "re.Match[str]"], bool]


def _starts(shown: Shown, _: re.Match[str]) -> bool:
    return shown.wanted and shown.status in ("Absent", "Creating", "Failed")


def _runs(shown: Shown, _: re.Match[str]) -> bool:
    return shown.wanted and shown.status == "InService"


def _to_stop(shown: Shown, _: re.Match[str]) -> bool:
    unwanted = not shown.wanted and shown.status in ("InService", "Failed")
    return unwanted or shown.status == "Failed"


def _is_to_serve(shown: Shown, found: re.Match[str]) -> bool:
    return _runs(shown, found) and found["config"] in shown.configs


def _moves(shown: Shown, found: re.Match[str]) -> bool:
    another = found["served"] == shown.served != found["config"]
    return another and _is_to_serve(shown, found)


def _to_update(shown: Shown, found: re.Match[str]) -> bool:
    return _runs(shown, found) and shown.served not in tuple(shown.configs)[:1]


def _in(*statuses: str) -> Test:
    return lambda shown, _: shown.status in statuses


_TRIES = (
    r"( \(tries that failed: [1-9]\d*; the next one (at \S+|is under way"
    r"|would be at \S+, and it is not wanted until then)\))?"
)
_SAID = r"(?:(?!; (?:created|deleted) after that: ).)*"
"""What is in the way, without a word on what comes after that."""
_UNTIL = r"( \(it is tried again [^()]+\))?"
SENTENCES: dict[str, Test] = {
    rf"Failed: .*?{_TRIES}": _starts,
    rf"create (refused: .*?|throttled: it waits for its turn){_TRIES}{_UNTIL}": _starts,
    rf"delete (refused: .*?|throttled: it waits for its turn){_TRIES}": _to_stop,
    rf"update (refused: .*?|throttled: it waits for its turn){_TRIES}{_UNTIL}": _to_update,
    rf"(restore|reweigh) (refused: .*?|throttled: it waits for its turn){_TRIES}{_UNTIL}": _runs,
    rf"(adopt|void) (refused: {_SAID}|throttled: it waits for its turn){_TRIES}": _in(*_ANY),
    rf"not seen: {_SAID}": _in(*_ANY),
    r"the state table was restored: until that is accepted, no \S+": lambda shown, _: (
        shown.restored
    ),
    rf"the meter cannot act: {_SAID}": _in(*_ANY),
    r"it is being put on the meter": lambda shown, _: shown.adopting,
    r"it may have been created without our knowing": (
        lambda shown, _: not shown.wanted and shown.status == "Absent"
    ),
    r"the update to \S+ was rolled back: .*": _runs,
    r"the weights and capacities set by hand were rolled back: .*": _runs,
    r"the update to (?P<config>\S+) may take longer than the endpoint is wanted: .*": _is_to_serve,
    r"it serves (?P<served>\S+), and the move to (?P<config>\S+) is still to come": _moves,
    r"SageMaker is deleting another's endpoint": _in("Deleting"),
    r"an update failed and so did its rollback; SageMaker support can mend it": (
        _in("UpdateRollbackFailed")
    ),
}
CHANGES: dict[str, Test] = {
    r"being created: (?P<rule>.*)": lambda shown, _: shown.wanted and shown.status == "Creating",
    r"being created, and deleted after that: (?P<rule>.*)": (
        lambda shown, _: not shown.wanted and shown.status == "Creating"
    ),
    r"being deleted; created after that: (?P<rule>.*)": (
        lambda shown, _: shown.wanted and shown.status == "Deleting" and shown.deleted_for is None
    ),
    r"(SageMaker is deleting another's endpoint|being deleted: (?P<why>.*)); "
    r"created after that: (?P<rule>.*)": (
        lambda shown, found: (
            shown.wanted
            and shown.status == "Deleting"
            and found["why"] in (None, shown.deleted_for)
        )
    ),
    r"(being updated to \S+|SageMaker is updating it|SageMaker is rolling an update back"
    r"|being given the weights or capacities that were set by hand)"
    r"(; deleted after that: (?P<rule>.*))?": (
        lambda shown, found: (
            shown.status in ("Updating", "RollingBack") and shown.wanted is (found["rule"] is None)
        )
    ),
}
"""Sentences on what SageMaker does, with what the rule of running says of it."""


def rule_in(reason: str, shown: Shown) -> str | None:
    """What the reason says by the rule of running; empty if it says only what is in the way or
    under way. None: it is not true."""
    if reason == f"being deleted: {shown.deleted_for}":
        true = not shown.wanted and shown.status == "Deleting"
        return "" if true else None
    for pattern, is_true in CHANGES.items():
        if found := re.fullmatch(pattern, reason):
            return (found["rule"] or "") if is_true(shown, found) else None
    for pattern, is_true in SENTENCES.items():
        if found := re.fullmatch(pattern, reason):
            return "" if is_true(shown, found) else None
    deleted = re.fullmatch(r"being deleted: (?P<rule>.*)", reason)
    if deleted is None:
        moves = shown.wanted and shown.status == "InService" and shown.served not in shown.configs
        return None if moves else reason
    unexplained = shown.status == "Deleting" and not shown.wanted and shown.deleted_for is None
    return deleted["rule"] if unexplained else None
