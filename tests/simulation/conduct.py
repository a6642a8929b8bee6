"""Rules for how the meter works, apart from its results: locks, queues, waits and notices."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from tests.simulation.expressions import Item
from tests.simulation.kernel import Kernel
from tests.simulation.ledger import PREFIX
from tests.simulation.sagemaker import SageMaker
from tests.simulation.tables import Tables
from tests.simulation.watch import Watch
from tests.simulation.wire import Call, Wire

_LONGEST_LOCK = timedelta(seconds=90)
_PATIENCE = timedelta(seconds=11)
"""The first wait after a failure, 15 s, minus the errors of two clocks."""
_SKEW_SECONDS = 2.0
_ONE_SEND = timedelta(seconds=30)
"""How old the data behind a hint may be when it is sent."""
_OF_LOCKS = ("lock_owner", "lock_until")


@dataclass
class Conduct:
    """Watches the state table, the queues and SageMaker. Reports violations to `watch`."""

    kernel: Kernel
    tables: Tables
    watch: Watch
    sagemaker: SageMaker
    wire: Wire
    _failed: dict[str, datetime] = field(default_factory=dict)
    _known_to_run: dict[str, datetime] = field(default_factory=dict)
    """When the state was written."""

    def __post_init__(self) -> None:
        """Subscribe to the same events as the watch."""
        self.tables.watchers += [self._locked, self._saved]
        sagemaker = self.sagemaker
        refused, changed, asked = sagemaker.refused, sagemaker.changed, sagemaker.asked

        def on_refused(operation: str, key: str, code: str) -> None:
            refused(operation, key, code)
            gone_soon = sagemaker.lingering.get(key, self.kernel.now) > self.kernel.now
            if code != "ThrottlingException" and not gone_soon and self.kernel.actor:
                self.kernel.actor.notes[f"refused {key}"] = operation

        def on_changed(key: str) -> None:
            changed(key)
            if sagemaker.status(key) == "Failed":
                self._failed[key] = self.kernel.now

        def on_asked(operation: str, key: str) -> None:
            asked(operation, key)
            if self.kernel.actor:  # a new try: the result of the last one no longer matters
                self.kernel.actor.notes.pop(f"refused {key}", None)
            if operation == "CreateEndpoint":
                self._patient(key)

        failed = self.wire.failed

        def on_failed(call: Call) -> None:
            """Called before a refusal, which then does not reach the meter."""
            failed(call)
            if self.kernel.actor:
                self.kernel.actor.notes["unanswered"] = call.key, call.operation

        self.wire.failed = on_failed
        sagemaker.refused, sagemaker.changed, sagemaker.asked = on_refused, on_changed, on_asked

    def sent(self, queue: str, key: str, delay_seconds: float) -> None:
        """Many starts must not delay a stop: no reconcile sends a stop to the queue of the
        starts."""
        actor = self.kernel.actor
        if queue != "starts" or actor is None or not actor.name.startswith("reconciler"):
            return
        since = self._known_to_run.get(key, self.kernel.now)
        known = key in self._known_to_run and (
            actor.notes.get(f"runs {key}") or self.kernel.now - since > _ONE_SEND
        )
        running = known and self.sagemaker.status(key) is not None and self.sagemaker.ours(key)
        arrives = self.kernel.now + timedelta(seconds=delay_seconds + _SKEW_SECONDS)
        if running and not self.watch.wanted(key, arrives):
            self.watch.violation(key, "is to be stopped by a hint in the queue of starts")

    def _note_running(self, key: str, item: Item) -> None:
        if item.get("observed_status", {}).get("S") == "InService":
            self._known_to_run.setdefault(key, self.kernel.now)
        else:
            self._known_to_run.pop(key, None)
        if self.kernel.actor:
            self.kernel.actor.notes[f"runs {key}"] = key in self._known_to_run

    def _patient(self, key: str) -> None:
        """After a failure the meter waits before the next create, unless a user asked for it."""
        failed, written = self._failed.get(key), self.watch.ledger.account(key).written_at
        if failed is None or self.kernel.now - failed >= _PATIENCE:
            return
        if written is None or written < failed:
            self.watch.violation(key, "failed and was made again at once")

    def _locked(self, pk: str, sk: str, before: Item | None, after: Item | None) -> None:
        """A lock has one owner, and lasts longer than the function that took it."""
        before, after, actor = before or {}, after or {}, self.kernel.actor
        if actor is None or sk != "STATE" or "lock_owner" not in after:
            return
        if after["lock_owner"] == before.get("lock_owner"):
            return
        key, until = pk.removeprefix(PREFIX), _until(after)
        if until < actor.deadline or until > self.kernel.now + _LONGEST_LOCK:
            self.watch.violation(key, f"locked until {until}")
        assert actor.reading is not None
        if "lock_owner" in before and _until(before) > actor.reading:
            self.watch.violation(key, f"locked, though another's lock lasts until {_until(before)}")

    def _saved(self, pk: str, sk: str, before: Item | None, after: Item | None) -> None:
        """The state shows a refusal of SageMaker, unless a user wrote meanwhile."""
        actor, key = self.kernel.actor, pk.removeprefix(PREFIX)
        if sk == "STATE":
            self._note_running(key, after or {})
        if actor is None or sk != "STATE" or before is None or after is None:
            return
        if after.get("intent") != before.get("intent"):
            actor.notes.setdefault(f"begun {key}", self.kernel.now)
        if not _is_save(before, after):
            return
        operation = actor.notes.pop(f"refused {key}", None)
        for_good = actor.notes.pop(f"for good {key}", None)
        begun, written = actor.notes.get(f"begun {key}"), self.watch.ledger.account(key).written_at
        if operation is None or actor.notes.get("unanswered") == (key, operation):
            return
        if begun is None or (written is not None and written >= begun):
            return
        troubles = after.get("troubles", {}).get("M", {}).values()
        said = [trouble["M"]["why"]["S"] for trouble in troubles]
        if not any("refused" in why for why in said):
            self.watch.violation(key, f"SageMaker refused it, but the state says {said}")
        elif for_good:
            self.sagemaker.refusals.heard(key, for_good)


def _is_save(before: Item, after: Item) -> bool:
    """Whether this write of a reconcile released its lock."""
    given_back = "lock_owner" in before and "lock_owner" not in after
    return given_back and _without_lock(before) != _without_lock(after)


def _without_lock(item: Item) -> Item:
    return {name: value for name, value in item.items() if name not in _OF_LOCKS}


def _until(item: Item) -> datetime:
    return datetime.fromtimestamp(float(item["lock_until"]["N"]), UTC)
