"""The use case of /endpoint-events: the history of an endpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lambdas.core.errors import UnknownEndpoint
from lambdas.core.history import Event
from lambdas.core.use_cases import UseCases, known_key


@dataclass(frozen=True, slots=True)
class EventUseCases(UseCases):
    def newest(self, name: str, limit: int) -> Sequence[Event]:
        """The newest events first. Forgotten endpoints have events too."""
        key = known_key(name)
        events = self.history.newest(key, limit)
        if not events and self.store.load(key).spec is None:
            raise UnknownEndpoint(name)
        return events
