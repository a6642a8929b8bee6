"""A region with the watched stack, and perhaps a second stack beside it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import cached_property
from random import Random
from types import SimpleNamespace
from typing import Any
from unittest import mock

from lambdas.aws import attribute_values, items, state_store
from lambdas.core.documents import endpoint_document
from local.simulator.fleet import StatusChange
from tests.simulation.conduct import Conduct
from tests.simulation.expressions import Item, once
from tests.simulation.faults import PEACE, Faults, Profile
from tests.simulation.kernel import Actor, Kernel
from tests.simulation.refusals import Refusals
from tests.simulation.sagemaker import STACK_TAG, Moods, SageMaker
from tests.simulation.stack import Came, Region, Stack
from tests.simulation.trespass import Trespass
from tests.simulation.versions import Versions
from tests.simulation.watch import Watch
from tests.simulation.wire import Wire

OTHER_STACK = "other"
_READ_ONCE = ("operations_of", "state_of")
_SKEW_SECONDS = 2.0


class Stage(Stack):
    """All events depend only on the seed."""

    def __init__(
        self,
        seed: int,
        start: datetime,
        profile: Profile = PEACE,
        moods: Moods | None = None,
        concurrency: int = 10,
        page: int | None = None,
    ) -> None:
        rng = Random(seed)  # noqa: S311  # no secrets here
        kernel = Kernel(start)
        faults = Faults(rng, profile, start - timedelta(days=1))
        wire = Wire(kernel, faults)
        apart = Random(f"refusals {seed}")  # noqa: S311
        refusals = Refusals(kernel, faults, apart)
        sagemaker = SageMaker(kernel, faults, moods or Moods(), rng, refusals)
        self.versions = Versions(kernel)
        trespass = Trespass(kernel, wire, faults, sagemaker, self.versions)
        self.region = Region(kernel, rng, faults, wire, sagemaker, trespass)
        super().__init__(
            self.region,
            STACK_TAG,
            concurrency=concurrency,
            page=page or rng.choice((10, 50, 200)),
            skew_seconds=0.0 if profile is PEACE else _SKEW_SECONDS,
        )
        self.watch = Watch(kernel, self.tables, faults, wire, self.versions)
        self.watch.follow(sagemaker)
        self.tables.watchers.append(self._control_written)
        trespass.report_to(self.watch)
        self.conduct = Conduct(kernel, self.tables, self.watch, sagemaker, wire)
        sagemaker.announce = self._announce

    @cached_property
    def neighbour(self) -> Stack:
        """A second stack of the same account, with its own tables, queues and functions."""
        return Stack(self.region, OTHER_STACK, skew_seconds=self.skew_seconds)

    @contextmanager
    def running(self) -> Iterator[None]:
        """A context in which waits of the adapters are simulated, items are read once, and
        nothing is logged."""
        reading: dict[str, Any] = {name: once(getattr(items, name)) for name in _READ_ONCE}
        reading["spec_of"] = self.versions.reading(items.spec_of)
        writing = self.versions.writing(items.spec_values)
        level = logging.root.manager.disable
        logging.disable(logging.CRITICAL)
        with (
            mock.patch.multiple(items, **reading),
            mock.patch.multiple(
                state_store,
                time=self._time(),
                decode=once(attribute_values.decode),
                spec_values=writing,
            ),
        ):
            try:
                yield
            finally:
                self.kernel.close()
                logging.disable(level)

    def tick(self, then: Callable[[Came], None] = lambda _came: None, **_notes: Any) -> Actor:
        hinted: list[str] = []
        asked: list[tuple[str, str | None]] = []

        def over(came: Came) -> None:
            for key in hinted if came.result is not None else ():
                if ("TransactWriteItems STATE", key) not in asked:
                    self.watch.violation(key, "the tick sent a hint and claimed nothing")
            then(came)

        return super().tick(over, hinted=hinted, asked=asked)

    def restore_table(self) -> None:
        """Restore the state table from a backup, which here contains all current items."""
        self.tables.table_id = f"restored at {self.kernel.now:%H:%M:%S}"
        self.watch.restored = self.trespass.restored = self.kernel.now
        self.watch.look_at_all()

    def show(self, key: str) -> None:
        """Look at what GET would answer now, without a call that takes time."""
        record = self.store.load(key)
        spec = record.spec
        if spec is None or record.state is None or spec.unreadable or self.watch.undecided(key):
            return
        now = self.kernel.now
        draining = self.watch.ledger.draining(now)
        if not draining:
            self.watch.causes.shown(key, endpoint_document(record, now))

    def roll(self, *behind: str) -> None:
        """Deploy or roll back code: from now on these functions run older code."""
        self.versions.roll(behind)
        self.watch.rolled()

    def _control_written(self, pk: str, _sk: str, _before: Item | None, after: Item | None) -> None:
        """Perhaps the restored table was accepted."""
        trusted = after is not None and after.get("table_id", {}).get("S") == self.tables.table_id
        if pk == "CONTROL" and trusted and self.watch.restored is not None:
            self.watch.restored = self.trespass.restored = None
            self.watch.causes.accepted = self.kernel.now
            self.watch.regained(sorted(self.watch.cases))

    def _named(self, function: str) -> str:
        return function

    def _sent(self, queue: str, key: str, delay_seconds: float) -> None:
        self.conduct.sent(queue, key, delay_seconds)
        actor = self.kernel.actor
        if actor is not None and actor.notes["use"] == "tick" and key:
            actor.notes["hinted"].append(key)

    def _announce(self, change: StatusChange) -> None:
        """SageMaker's event reaches the queue through EventBridge."""
        body = f'{{"endpoint": "{change.endpoint.name}", "cause": "event"}}'
        delay = self.rng.uniform(0.2, 3.0)
        self.kernel.after(delay, lambda: self._sqs.post("work", body, 0))

    def _time(self) -> SimpleNamespace:
        start = self.kernel.now

        def monotonic() -> float:
            return (self.kernel.now - start).total_seconds()

        return SimpleNamespace(sleep=self.kernel.pause, monotonic=monotonic)
