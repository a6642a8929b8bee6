"""The use cases of /endpoint-schedule: read and replace the schedules of an endpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from lambdas.core.errors import Busy, ConfigOwned, Conflict, SpecUnreadable
from lambdas.core.idempotency import Request
from lambdas.core.schedule import Schedule
from lambdas.core.spec import Origin, Spec, with_hash
from lambdas.core.state import State
from lambdas.core.use_cases import TRIES, UseCases


@dataclass(frozen=True, slots=True)
class ScheduleUseCases(UseCases):
    """The methods raise above all UnknownEndpoint, ConfigOwned and Busy; see `errors`."""

    def read(self, name: str, now: datetime) -> Spec:
        """The spec in force, with its schedules."""
        spec = self.record(name, now).spec
        assert spec is not None
        return spec

    def replace(
        self, name: str, schedules: Sequence[Schedule], now: datetime, request: Request
    ) -> Spec:
        """Replace the schedules of an endpoint that was added over the API."""
        self.refuse_while_draining(now)
        for _ in range(TRIES):
            record = self.record(name, now)
            spec = record.spec
            assert spec is not None
            if spec.unreadable:
                raise SpecUnreadable(spec.name, spec.unreadable)
            if spec.origin is Origin.CONFIG:
                raise ConfigOwned(spec.name)
            changed = with_hash(replace(spec, schedules=tuple(schedules)))
            try:
                self.store.replace_api_spec(changed, replacing=spec.spec_hash, due=now)
            except Conflict:
                continue
            names = ", ".join(schedule.name for schedule in schedules) or "none"
            self.note(record.key, now, "schedules set", f"schedules: {names}", request)
            self.look_at(record.key, record.state or State())
            return changed
        raise Busy
