"""The meter as deployed, on simulated AWS: the real use cases, the real adapters, and what
EventBridge, SQS and Lambda do around them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from types import SimpleNamespace
from typing import Any, cast
from unittest import mock

from lambdas.aws import items, state_store
from lambdas.aws.history import DynamoHistory
from lambdas.aws.queues import SqsHints
from lambdas.aws.sagemaker import SageMakerEndpoints
from lambdas.aws.state_store import DynamoStateStore
from lambdas.core.deploys import Deploys
from lambdas.core.errors import MeterError
from lambdas.core.hints import Hint
from lambdas.core.live_updates import LiveUpdates
from lambdas.core.meter import ParkingMeter
from lambdas.core.name_patterns import NamePatterns
from lambdas.core.reconcile import Reconciler
from lambdas.core.sweep import Sweep
from lambdas.core.takeover import Limits
from lambdas.core.tick import tick
from lambdas.core.waking import Waking
from local.simulator.fleet import StatusChange
from tests.simulation.conduct import Conduct
from tests.simulation.expressions import from_wire, once, to_wire
from tests.simulation.faults import PEACE, Faults, Profile
from tests.simulation.kernel import Actor, Kernel, Killed
from tests.simulation.ledger import WAKE_MINUTES
from tests.simulation.queues import Message, Queue, SqsClient
from tests.simulation.sagemaker import STACK_TAG, Moods, SageMaker, SageMakerClient, ScalingClient
from tests.simulation.tables import DynamoClient, Tables
from tests.simulation.watch import Watch
from tests.simulation.wire import Wire

MAX_LEASE_MINUTES = 43_200
LIMITS = Limits(
    adoptable=NamePatterns(("model-*", "mine*", "theirs-*", "falcon")),
    max_added=25,
    max_added_per_token_per_day=400,
)
_READ_ONCE = ("operations_of", "spec_of", "state_of")
SECONDS_BY_FUNCTION = {"api": 28, "tick": 55, "reconciler": 30, "sweep": 900}
"""The functions' time-outs, as `constructs_lib/functions.py` sets them."""
NEEDED = timedelta(seconds=24)
"""The reconciler's handler begins no hint with less time than this."""


@dataclass(frozen=True)
class Came:
    """What an invocation came to: its result, a refusal, or (neither) its death."""

    result: Any = None
    refusal: MeterError | None = None
    died: bool = False


class Stage:
    """One stack in one region. Functions are invoked, messages delivered, endpoints live and
    die; what happens is a function of the seed alone."""

    def __init__(
        self,
        seed: int,
        start: datetime,
        profile: Profile = PEACE,
        moods: Moods | None = None,
        concurrency: int = 10,
        page: int | None = None,
    ) -> None:
        self.rng = Random(seed)  # noqa: S311  # no secrets here
        self.kernel = kernel = Kernel(start)
        self.faults = faults = Faults(self.rng, profile, start - timedelta(days=1))
        self.wire = wire = Wire(kernel, faults)
        self.tables = tables = Tables(lambda: kernel.now)
        self.watch = Watch(kernel, tables, faults, wire)
        self.sagemaker = SageMaker(kernel, faults, moods or Moods(), self.rng)
        self.watch.follow(self.sagemaker)
        self.conduct = Conduct(kernel, tables, self.watch, self.sagemaker, wire)
        self.sagemaker.announce = self._announce
        self.queues = {
            name: Queue(name, kernel, self.rng, self._reconcile, concurrency)
            for name in ("starts", "work")
        }
        page = page or self.rng.choice((10, 50, 200))
        client = DynamoClient(tables, wire, repeats=True, page=page)
        once = DynamoClient(tables, wire, repeats=False, page=page)
        self._sqs = SqsClient(self.queues, wire, faults)
        self._sqs.sent = self._sent
        self.history = DynamoHistory(cast("Any", client), "history", timedelta(days=90))
        self.store = DynamoStateStore(cast("Any", client), cast("Any", once), "state", self.history)
        self.hints = SqsHints(cast("Any", self._sqs), "starts", "work", kernel.skewed)
        self.endpoints = SageMakerEndpoints(
            cast("Any", SageMakerClient(self.sagemaker, wire, repeats=True)),
            cast("Any", SageMakerClient(self.sagemaker, wire, repeats=False)),
            STACK_TAG,
            lambda: ScalingClient(self.sagemaker, wire),
        )
        self.meter = ParkingMeter(
            self.store, self.endpoints, self.hints, self.history, MAX_LEASE_MINUTES, LIMITS
        )
        self.waking = Waking(self.store, self.hints, self.history, WAKE_MINUTES)
        self.updates = LiveUpdates(self.store, self.endpoints, self.hints, self.history)
        self.skew_seconds = 0.0 if profile is PEACE else 2.0
        self._invoked = 0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Within this, waits of the adapters are simulated, items are read faster, and nothing is
        logged."""
        reading: dict[str, Any] = {name: once(getattr(items, name)) for name in _READ_ONCE}
        level = logging.root.manager.disable
        logging.disable(logging.CRITICAL)
        with (
            mock.patch.multiple(items, _to_wire=to_wire, _from_wire=from_wire, **reading),
            mock.patch.multiple(state_store, time=self._time(), decode=once(items.decode)),
        ):
            try:
                yield
            finally:
                self.kernel.close()
                logging.disable(level)

    def invoke(
        self,
        function: str,
        use: str,
        call: Callable[[datetime], Any],
        then: Callable[[Came], None] = lambda _came: None,
        **notes: Any,
    ) -> Actor:
        """Begin an invocation; `then` is told what it came to."""
        actor = self._actor(function, use, notes)
        self.kernel.spawn(actor, lambda: then(self._outcome(actor, call)))
        return actor

    def tick(self, then: Callable[[Came], None] = lambda _came: None) -> Actor:
        hinted: list[str] = []
        asked: list[tuple[str, str | None]] = []

        def over(came: Came) -> None:
            for key in hinted if came.result is not None else ():
                if ("TransactWriteItems STATE", key) not in asked:
                    self.watch.violation(key, "the tick sent a hint and claimed nothing")
            then(came)

        return self.invoke(
            "tick",
            "tick",
            lambda now: tick(self.store, self.hints, now),
            over,
            hinted=hinted,
            asked=asked,
        )

    def sweep(self, then: Callable[[Came], None] = lambda _came: None) -> Actor:
        sweeper = Sweep(
            store=self.store,
            endpoints=self.endpoints,
            hints=self.hints,
            history=self.history,
            notices=self,
            clock=self.kernel.clock,
        )
        return self.invoke("sweep", "sweep", lambda _now: sweeper.sweep(), then)

    def deploys(self) -> Deploys:
        return Deploys(self.store, self.endpoints, self.hints, self.kernel.clock, self.kernel.pause)

    def tell(self, subject: str, text: str) -> None:
        """Notices to people: in a stack whose machinery works there is nothing to tell."""
        self.watch.violation("-", f"people were told: {subject}: {text}")

    def declare(self, item: Mapping[str, Any]) -> None:
        """What Terraform does: write a SPEC#config."""
        self.tables.put("state", item["pk"]["S"], item["sk"]["S"], dict(item))

    def withdraw(self, key: str) -> None:
        self.tables.put("state", f"ENDPOINT#{key}", "SPEC#config", None)

    def _actor(self, function: str, use: str, notes: dict[str, Any]) -> Actor:
        self._invoked += 1
        skew = self.rng.uniform(-self.skew_seconds, self.skew_seconds)
        seconds = SECONDS_BY_FUNCTION[function]
        return Actor(
            f"{function}-{self._invoked}",
            timedelta(seconds=round(skew, 6)),
            self.kernel.now + timedelta(seconds=seconds),
            notes={"use": use, "subjects": (), **notes},
        )

    def _outcome(self, actor: Actor, call: Callable[[datetime], Any]) -> Came:
        use = actor.notes["use"]
        try:
            result = call(self.kernel.clock())
        except Killed:
            self.wire.trace(f"{actor.name} {use} died")
            return Came(died=True)
        except MeterError as refusal:
            self.wire.trace(f"{actor.name} {use} {type(refusal).__name__}")
            return Came(refusal=refusal)
        self.wire.trace(f"{actor.name} {use} done")
        return Came(result)

    def _reconcile(self, queue: Queue, batch: list[Message]) -> None:
        """One invocation of the reconciler; its handler does the same with a batch."""
        actor = self._actor("reconciler", "", {})
        began = self.kernel.now

        def heed_all() -> None:
            failed, hints = list(batch), [Hint.from_body(message.body) for message in batch]
            try:
                for number, (message, hint) in enumerate(zip(batch, hints, strict=True)):
                    # A crash undoes what is done for all that are left of the batch.
                    actor.notes["subjects"] = [left.endpoint or "" for left in hints[number:]]
                    if self._heed(actor, message, hint):
                        failed.remove(message)
            finally:
                queue.over(batch, failed, began)

        self.kernel.spawn(actor, heed_all)

    def _heed(self, actor: Actor, message: Message, hint: Hint) -> bool:
        if actor.deadline - self.kernel.now < NEEDED:
            return self._send_back(actor, hint)
        owner = f"{actor.name}/{message.id}"
        reconciler = Reconciler(
            self.store,
            self.endpoints,
            self.endpoints,
            self.hints,
            self.history,
            owner,
            self.kernel.clock,
        )
        try:
            outcome = reconciler.heed(hint)
        except MeterError as refusal:
            self.wire.trace(f"{actor.name} {hint.endpoint} {type(refusal).__name__}")
            return False
        self.wire.trace(f"{actor.name} {hint.endpoint} {hint.cause} {outcome.word}")
        return True

    def _sent(self, queue: str, key: str, delay_seconds: float) -> None:
        self.conduct.sent(queue, key, delay_seconds)
        actor = self.kernel.actor
        if actor is not None and actor.notes["use"] == "tick" and key:
            actor.notes["hinted"].append(key)

    def _send_back(self, actor: Actor, hint: Hint) -> bool:
        try:
            self.hints.send([hint])
        except MeterError:
            return False
        self.wire.trace(f"{actor.name} {hint.endpoint} sent again")
        return True

    def _announce(self, change: StatusChange) -> None:
        """SageMaker's event reaches the queue by EventBridge."""
        body = f'{{"endpoint": "{change.endpoint.name}", "cause": "event"}}'
        delay = self.rng.uniform(0.2, 3.0)
        self.kernel.after(delay, lambda: self._sqs.post("work", body, 0))

    def _time(self) -> SimpleNamespace:
        start = self.kernel.now

        def monotonic() -> float:
            return (self.kernel.now - start).total_seconds()

        return SimpleNamespace(sleep=self.kernel.pause, monotonic=monotonic)
