"""Requests that SageMaker refuses for good: the same request is refused each time. The meter drops
it, until something of it changes or somebody asks for another try (docs/decisions/0101)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from local.simulator.errors import ApiError
from tests.simulation.expressions import Item
from tests.simulation.faults import Faults
from tests.simulation.kernel import Kernel

UNREADABLE, INVALID = "SerializationException", "ValidationException"
MOST_TRIES = {UNREADABLE: 1, INVALID: 5}
"""How often the meter may hear of a refusal. What is invalid now may be valid a little later."""
_ODDS = 0.05
"""Of all refusals, so many are for good."""
_CREATE = "CreateEndpoint"
_ASKS_AGAIN = frozenset({"renew", "pay session", "add", "update", "weights"})
"""Uses that ask for another try."""


@dataclass
class Refusals:
    """`violation` is called if a request is made again, and `changed` for each endpoint with a
    request that is dropped now or may be made again."""

    kernel: Kernel
    faults: Faults
    rng: Random
    violation: Callable[[str, str], None] = lambda _key, _what: None
    changed: Callable[[str], None] = lambda _key: None
    by_chance: bool = True
    """Whether a request may be refused for good without being told to by `coming`."""
    coming: dict[tuple[str, str], str] = field(default_factory=dict)
    """By operation and key: the code with which the next request is refused for good."""
    _codes: dict[str, str] = field(default_factory=dict)
    """By the text of a request."""
    _heard: dict[str, Counter[str]] = field(default_factory=dict)
    """By key and request: how often the meter heard of the refusal since it last had a reason to
    try again."""
    _held: dict[tuple[str, str], str | None] = field(default_factory=dict)
    """By operation and key: the config of a request that was refused for good. Nothing has happened
    since that makes the meter try again."""

    def of(self, operation: str, key: str, request: Mapping[str, Any]) -> ApiError | None:
        """The error for a request that arrived, if it is refused for good."""
        text = json.dumps([operation, request], sort_keys=True)
        code = self._codes.get(text) or self._drawn(operation, key)
        actor = self.kernel.actor
        assert actor is not None
        actor.notes.pop(f"for good {key}", None)
        if code is None:
            return None
        self._codes[text] = code
        if self._heard.get(key, Counter())[text] >= MOST_TRIES[code]:
            self.violation(key, f"{operation} is tried again, though it was refused for good")
        self._held[operation, key] = request.get("EndpointConfigName")
        actor.notes[f"for good {key}"] = text
        self.changed(key)
        return ApiError(code, "this cannot be what you want")

    def heard(self, key: str, text: str) -> None:
        """The meter has recorded the refusal."""
        self._heard.setdefault(key, Counter())[text] += 1

    def holds(self, operation: str, key: str, configs: Collection[str]) -> bool:
        """Whether the meter must not make that call now, if it is for one of these configs."""
        config = self._held.get((operation, key), "")
        return config is None or config in configs

    def looked(self, key: str, status: str | None, *, wanted: bool) -> None:
        """Called at each instant at which these may change."""
        if not wanted:
            self._heard.pop(key, None)
        if status is None:
            self._let_go(key, lambda operation: operation != _CREATE)

    def written(self, pk: str, sk: str, before: Item | None, after: Item | None) -> None:
        """Called for each write to the state table."""
        key, actor = pk.partition("#")[2], self.kernel.actor
        if sk.startswith("SPEC#"):
            self._heard.pop(key, None)
        if sk != "STATE":
            return
        asks = actor is not None and actor.notes["use"] in _ASKS_AGAIN
        if before is None or after is None or (asks and before.get("rev") != after.get("rev")):
            self._heard.pop(key, None)
            self._let_go(key, lambda _operation: True)
        elif actor and actor.notes["function"] == "reconciler" and not after["last_wanted"]["BOOL"]:
            self._let_go(key, lambda operation: operation == _CREATE)  # the next start is a new one

    def _drawn(self, operation: str, key: str) -> str | None:
        coming = self.coming.pop((operation, key), None)
        if coming or not self.by_chance or self.rng.random() >= self.faults.profile.refusal * _ODDS:
            return coming
        self.faults.count(f"{operation} refused for good")
        return self.rng.choice((UNREADABLE, INVALID))

    def _let_go(self, key: str, applies: Callable[[str], bool]) -> None:
        held = [each for each in self._held if each[1] == key and applies(each[0])]
        for each in held:
            del self._held[each]
        if held:
            self.changed(key)
