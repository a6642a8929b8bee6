"""The base of all use cases of the REST API: what they do before and after their one write."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Self

from lambdas.core.decision import is_metered
from lambdas.core.errors import (
    AwsRefused,
    Busy,
    Conflict,
    Draining,
    NotOurs,
    SpecUnreadable,
    UnknownEndpoint,
)
from lambdas.core.hints import Cause, Hint
from lambdas.core.history import Event
from lambdas.core.idempotency import Answer, Request, replayed
from lambdas.core.meter import last_stop
from lambdas.core.name_patterns import ANY_NAME, NamePatterns
from lambdas.core.names import endpoint_key, sagemaker_name
from lambdas.core.ports import Endpoints, Hints, History, StateStore
from lambdas.core.reconcile import load_or_create
from lambdas.core.spec import Spec
from lambdas.core.state import Observed, Record, State, Status, cut_at
from lambdas.core.strangers import not_ours
from lambdas.core.wanted_config import chosen_config

_log = logging.getLogger(__name__)

TRIES = 10
"""How often a write is tried if concurrent writes come first."""


@dataclass(frozen=True, slots=True)
class UseCases:
    """Base of the use cases, with their adapters."""

    store: StateStore
    endpoints: Endpoints
    hints: Hints
    history: History

    @classmethod
    def over(cls, adapters: UseCases, **more: Any) -> Self:
        """These use cases with the adapters of others. `more` are their own fields."""
        return cls(adapters.store, adapters.endpoints, adapters.hints, adapters.history, **more)

    def record(self, name: str, now: datetime) -> Record:
        """The record of a known endpoint, with a STATE. `name` may be in any case. Raises
        UnknownEndpoint and SpecUnreadable."""
        record = load_or_create(self.store, known_key(name), now)
        if record.spec is not None and record.spec.unreadable and record.state is None:
            raise SpecUnreadable(record.spec.name, record.spec.unreadable)
        if record.spec is None or record.state is None:
            raise UnknownEndpoint(name)
        return record

    def record_for(self, name: str, now: datetime, request: Request) -> Record | Answer:
        """The record for a request. If the request repeats one from before the endpoint was
        forgotten (same Idempotency-Key): its answer."""
        try:
            return self.record(name, now)
        except UnknownEndpoint:
            replay = replayed(self.store.load(known_key(name)), request) if request.key_id else None
            if replay is None:
                raise
            return replay

    def until_written(
        self,
        name: str,
        now: datetime,
        request: Request,
        write: Callable[[Record, Spec, State], Answer],
    ) -> Answer:
        """Answer a repeated request as the first time. Else make the one write of the use case, and
        try again if a concurrent write was first (Conflict), a forget among them (UnknownEndpoint:
        then it is unknown by now, or somebody added it again)."""
        for _ in range(TRIES):
            record = self.record_for(name, now, request)
            if isinstance(record, Answer):
                return record
            replay = replayed(record, request)
            if replay:
                return replay
            assert record.spec is not None
            assert record.state is not None
            with suppress(Conflict, UnknownEndpoint):
                settle(self.store, record, now)
                return write(record, record.spec, record.state)
        raise Busy

    def refuse_stranger(
        self, record: Record, request: Request, adoptable: NamePatterns = ANY_NAME
    ) -> None:
        """Raise NotOurs if the meter could not stop what is to be paid for. If no endpoint of ours
        is on record, look: the record may be older than a live one, or than its end."""
        spec, state = record.spec, record.state
        assert spec is not None
        assert state is not None
        if state.stranger is None and state.observed_status is not Status.ABSENT:
            return
        try:
            live = self.live(spec.name)
        except AwsRefused:
            if state.stranger is None:  # as far as is known
                return
            raise
        if live is None or live.status is Status.DELETING or is_metered(state, live):
            return
        if state.stranger is None:  # it is not on record yet: let the reconciler see it
            send_hint(self.hints, Hint(record.key, Cause.EVENT))
        if request.scopes.allows("manage", spec.name) and adoptable.allows(spec.name):
            raise not_ours(spec.name, live, chosen_config(spec, state))
        raise NotOurs(spec.name)

    def live(self, name: str) -> Observed | None:
        """The live endpoint of that name, with its owner."""
        live = self.endpoints.describe(name)
        return replace(live, owner=self.endpoints.owner(live.arn)) if live else None

    def refuse_while_draining(self, now: datetime) -> None:
        if self.store.control().draining(now):
            raise Draining

    def look_at(self, key: str, state: State) -> None:
        make_known(self.hints, key, state)

    def note(self, key: str, now: datetime, kind: str, reason: str, request: Request) -> None:
        write_down(self.history, Event(key, now, kind, reason, request.actor))


def settle(store: StateStore, record: Record, now: datetime) -> None:
    """If a lone stop cut the lease, write that down, and raise Conflict: the record is another one
    now. A payment would bring back what the stop cut."""
    spec, state = record.spec, record.state
    if spec is None or state is None or state.paid_at is None or state.lease_end is None:
        return
    stop = last_stop(spec.schedules, now)
    if stop and state.paid_at < stop < state.lease_end:
        store.settle(record.key, cut_at(state, stop), now)
        raise Conflict("a stop of its schedules is written down now")


def make_known(hints: Hints, key: str, state: State) -> None:
    """Send a hint after a write to an endpoint."""
    send_hint(hints, Hint(key, Cause.API, state.observed_status is Status.ABSENT))


def send_hint(hints: Hints, hint: Hint) -> None:
    try:
        hints.send([hint])
    except AwsRefused:  # the write is done; the tick finds it due within a minute
        _log.warning("hint for %s not sent", hint.endpoint, exc_info=True)


def write_down(history: History, event: Event) -> None:
    """Add an event to the history after a write."""
    try:
        history.append(event)
    except AwsRefused:  # the write is done: the answer must say so
        _log.warning("history of %s lacks '%s'", event.endpoint, event.kind, exc_info=True)


def known_key(name: str) -> str:
    """The key of an endpoint that may be known. Raises InvalidField if it is no name."""
    return endpoint_key(sagemaker_name(name, "EndpointName"))
