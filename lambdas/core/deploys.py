"""What Terraform asks of the meter while a deploy or a destroy is under way.

A manifest maps the names of declared endpoints to their endpoint configs. The order of the calls:
docs/decisions/0011.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from lambdas.core.errors import Conflict, MeterError
from lambdas.core.hints import Cause, Hint
from lambdas.core.names import endpoint_key
from lambdas.core.ports import Endpoints, Hints, StateStore
from lambdas.core.reconcile import load_or_create
from lambdas.core.state import Owner, Record, Status

DRAIN = timedelta(minutes=30)
WAIT_LIMIT = timedelta(minutes=10)
_PAUSE_SECONDS = 2.0
_HINT_EVERY = timedelta(seconds=30)


class DrainIncomplete(MeterError):
    """Some endpoints could not be deleted in time; Terraform must not go on."""

    def __init__(self, left: Sequence[str]) -> None:
        super().__init__(
            f"still there after the wait: {', '.join(left)}. Nothing was destroyed; wait until "
            "they can be deleted (an endpoint in Creating cannot) and destroy again."
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether all running endpoints serve what the manifest says; else who does not, and why."""

    settled: bool
    unsettled: Sequence[str]


@dataclass(frozen=True, slots=True)
class Deploys:
    """The use cases; `sleep` waits some seconds between two looks."""

    store: StateStore
    endpoints: Endpoints
    hints: Hints
    clock: Callable[[], datetime]
    sleep: Callable[[float], None]

    def sync(self, manifest: Mapping[str, str]) -> Sequence[str]:
        """After Terraform changed specs: end a drain, grant new endpoints their initial lease,
        and have every endpoint looked at whose spec was added, changed or withdrawn."""
        self.store.set_drain(None)
        self._pin_table()
        now = self.clock()
        keys = {endpoint_key(name) for name in manifest}
        keys.update(r.key for r in self.store.list().records if r.api_spec is None)
        looked_at = []
        for key in sorted(keys):
            if load_or_create(self.store, key, now).state is not None:
                self._touch(key, now)
                looked_at.append(key)
        self._hint(looked_at)
        return looked_at

    def wait(self, manifest: Mapping[str, str]) -> Verdict:
        """Wait until every running endpoint serves its manifest's config, 10 min at most.

        A destroy that failed left its drain behind and took Terraform's wait along: the deploy
        that brings the wait back ends the drain, since sync itself may have nothing to do.
        """
        if self.store.control().draining(self.clock()):
            self.sync(manifest)
        deadline = self.clock() + WAIT_LIMIT
        while True:
            verdict = self.verdict(manifest)
            if verdict.settled or self.clock() >= deadline:
                return verdict
            self.sleep(_PAUSE_SECONDS)

    def verdict(self, manifest: Mapping[str, str]) -> Verdict:
        """Compare the live endpoints of the config with the manifest; stopped ones are fine."""
        declared = {endpoint_key(name): config for name, config in manifest.items()}
        unsettled = []
        for record in self.store.list().records:
            if record.api_spec is not None and record.key not in declared:
                continue
            why = self._unsettled(record, declared.get(record.key))
            if why:
                unsettled.append(f"{_name(record)}: {why}")
        return Verdict(not unsettled, sorted(unsettled))

    def drain(self, wait_seconds: int) -> None:
        """Before a destroy: want nothing, and wait until every endpoint is gone.

        Raises DrainIncomplete naming those that could not be deleted within `wait_seconds`.
        """
        start = now = self.clock()
        self.store.set_drain(start + DRAIN)
        hint_at = start
        while left := self._still_there(now):
            if (now - start).total_seconds() >= wait_seconds:
                raise DrainIncomplete(left)
            if now >= hint_at:
                self.store.set_drain(now + DRAIN)
                self._hint([endpoint_key(name) for name in left])
                hint_at = now + _HINT_EVERY
            self.sleep(_PAUSE_SECONDS)
            now = self.clock()

    def _still_there(self, now: datetime) -> Sequence[str]:
        """Endpoints of ours that exist, or that a reconcile begun before the drain may create."""
        records = {record.key: record for record in self.store.list().records}
        left = {_name(r) for r in records.values() if r.locked_until and r.locked_until > now}
        for seen in self.endpoints.list():
            record = records.get(endpoint_key(seen.name))
            owned = record is not None and record.state is not None and record.state.owned_since
            if owned or self.endpoints.owner(seen.arn) is Owner.US:
                left.add(seen.name)
        return sorted(left)

    def _unsettled(self, record: Record, config: str | None) -> str | None:
        seen = self.endpoints.describe(_name(record))
        if seen is None or seen.status is Status.DELETING:
            return "being deleted" if seen and config is None else None
        reason = record.state.reason if record.state else "not looked at yet"
        if config is None:
            if record.state and record.state.owned_since == seen.created_at:
                return f"withdrawn from the config but {seen.status}"
            return None
        spec = record.spec
        fits = spec is not None and spec.endpoint_config_name == config
        allowed = spec.configs() if spec and fits else (config,)
        if seen.config_name not in allowed or seen.status in (Status.UPDATING, Status.ROLLING_BACK):
            return f"{seen.status} on {seen.config_name}, not {config} ({reason})"
        return None

    def _pin_table(self) -> None:
        """Record the id of a new table; from then on another id means that it was restored."""
        table_id = self.store.table_id()
        if self.store.control().table_id is None and table_id is not None:
            self.store.set_table_id(table_id, replacing=None)

    def _touch(self, key: str, now: datetime) -> None:
        try:
            self.store.touch(key, now)
        except Conflict:  # forgotten meanwhile: nothing to look at
            return

    def _hint(self, keys: Iterable[str]) -> None:
        self.hints.send([Hint(key, Cause.SWEEP) for key in keys])


def _name(record: Record) -> str:
    return record.spec.name if record.spec else record.key
