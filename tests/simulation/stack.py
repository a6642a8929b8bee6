"""One deployed stack: the real use cases and adapters on simulated AWS, with the parts of SQS and
Lambda around them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random
from typing import Any, cast

from lambdas.aws.autoscaler import Autoscaler
from lambdas.aws.history import DynamoHistory
from lambdas.aws.queues import SqsHints
from lambdas.aws.sagemaker import AdopterFunction, SageMakerEndpoints
from lambdas.aws.state_store import DynamoStateStore
from lambdas.core.deploys import Deploys
from lambdas.core.errors import MeterError
from lambdas.core.expiry import ExpiryUseCases
from lambdas.core.hints import Hint
from lambdas.core.name_patterns import NamePatterns
from lambdas.core.reconcile import Reconciler
from lambdas.core.schedule_changes import ScheduleUseCases
from lambdas.core.sessions import SessionUseCases
from lambdas.core.sweep import Policy, Sweep
from lambdas.core.takeover import Limits
from lambdas.core.tick import tick
from lambdas.core.updates import UpdateUseCases
from lambdas.core.waking import Waking
from tests.simulation.faults import Faults
from tests.simulation.kernel import Actor, Kernel, Killed
from tests.simulation.ledger import MAX_LEASE_MINUTES, WAKE_MINUTES
from tests.simulation.queues import Message, Queue, SqsClient
from tests.simulation.sagemaker import (
    AdopterClient,
    AlarmsClient,
    SageMaker,
    SageMakerClient,
    ScalingClient,
)
from tests.simulation.tables import DynamoClient, Tables
from tests.simulation.trespass import Trespass
from tests.simulation.wire import Wire

LIMITS = Limits(
    adoptable=NamePatterns(("model-*", "mine*", "theirs*", "falcon")),
    max_added=25,
    max_added_per_token_per_day=40,
)
"""`tests.simulation.trespass` checks independently what they allow."""
SECONDS_BY_FUNCTION = {"api": 28, "tick": 55, "reconciler": 30, "sweep": 900}
"""The time-outs of the functions, as in `constructs_lib/meter_functions.py`."""
NEEDED = timedelta(seconds=27)
"""With less time than this the handler of the reconciler begins no hint."""


@dataclass(frozen=True)
class Came:
    """The end of an invocation: its result, a refusal, or neither if it was killed."""

    result: Any = None
    refusal: MeterError | None = None
    died: bool = False


@dataclass(frozen=True)
class Region:
    """The parts that all stacks of one account share."""

    kernel: Kernel
    rng: Random
    faults: Faults
    wire: Wire
    sagemaker: SageMaker
    trespass: Trespass


class Stack:
    """Its functions are invoked and its messages delivered. `tag` is the value of its stack tag."""

    def __init__(
        self,
        region: Region,
        tag: str,
        *,
        concurrency: int = 10,
        page: int = 50,
        skew_seconds: float = 0.0,
    ) -> None:
        self.kernel = kernel = region.kernel
        self.rng, self.faults, self.wire = region.rng, region.faults, region.wire
        self.sagemaker, self.trespass = region.sagemaker, region.trespass
        self.tag = tag
        self.policy = Policy()
        self.longest_chain: int | None = None
        """How many invocations in a chain Lambda allows. None: any number."""
        self.lineage = 0
        """The longest chain so far."""
        self.skew_seconds = skew_seconds
        self.tables = tables = Tables(lambda: kernel.now)
        self.queues = {
            name: Queue(name, kernel, self.rng, self._reconcile, concurrency)
            for name in ("starts", "work")
        }
        wire = self.wire
        client = DynamoClient(tables, wire, repeats=True, page=page)
        once = DynamoClient(tables, wire, repeats=False, page=page)
        self._sqs = SqsClient(self.queues, wire, self.faults)
        self._sqs.sent = self._sent
        self.history = DynamoHistory(cast("Any", client), "history", timedelta(days=90))
        self.store = DynamoStateStore(cast("Any", client), cast("Any", once), "state", self.history)
        self.hints = SqsHints(cast("Any", self._sqs), "starts", "work", kernel.skewed)
        scaled = cast("Any", SageMakerClient(self.sagemaker, wire, tag, repeats=True))
        self.endpoints = SageMakerEndpoints(
            scaled,
            cast("Any", SageMakerClient(self.sagemaker, wire, tag, repeats=False)),
            tag,
            Autoscaler(
                scaled,
                lambda: ScalingClient(self.sagemaker, wire, tag),
                AlarmsClient,
            ),
        )
        self._adopter = AdopterFunction(cast("Any", AdopterClient(self.endpoints)), "adopter")
        self.expiry = ExpiryUseCases(
            self.store, self.endpoints, self.hints, self.history, MAX_LEASE_MINUTES, LIMITS
        )
        self.waking = Waking(self.store, self.hints, self.history, WAKE_MINUTES)
        self.sessions = SessionUseCases.over(self.expiry)
        self.updates = UpdateUseCases.over(self.expiry)
        self.schedules = ScheduleUseCases.over(self.expiry)
        self._invoked = 0
        self.trespass.follow(self)

    def invoke(
        self,
        function: str,
        use: str,
        call: Callable[[datetime], Any],
        then: Callable[[Came], None] = lambda _came: None,
        **notes: Any,
    ) -> Actor:
        """Begin an invocation. `then` is called with its end."""
        actor = self._actor(function, use, notes)
        self.kernel.spawn(actor, lambda: then(self._outcome(actor, call)))
        return actor

    def tick(self, then: Callable[[Came], None] = lambda _came: None, **notes: Any) -> Actor:
        def ticked(now: datetime) -> Any:
            return tick(self.store, self.hints, now)

        return self.invoke("tick", "tick", ticked, then, **notes)

    def sweep(self, then: Callable[[Came], None] = lambda _came: None) -> Actor:
        sweeper, began = self.sweeper(), self.kernel.now

        def swept(came: Came) -> None:
            if came.result is not None:
                self.trespass.reported(self.tag, came.result, began)
            then(came)

        return self.invoke("sweep", "sweep", lambda _now: sweeper.sweep(), swept)

    def sweeper(self) -> Sweep:
        return Sweep(
            store=self.store,
            endpoints=self.endpoints,
            hints=self.hints,
            history=self.history,
            notices=self,
            clock=self.kernel.clock,
            policy=self.policy,
        )

    def accept_restored_table(self, then: Callable[[Came], None] = lambda _came: None) -> Actor:
        sweeper = self.sweeper()
        return self.invoke("sweep", "accept", lambda _now: sweeper.accept_restored_table(), then)

    def deploys(self) -> Deploys:
        return Deploys(self.store, self.endpoints, self.hints, self.kernel.clock, self.kernel.pause)

    def tell(self, subject: str, text: str) -> None:
        """A notice to people."""
        self.trespass.told(self.tag, subject, text)

    def declare(self, item: Mapping[str, Any]) -> None:
        """Do what Terraform does: write a SPEC#config."""
        self.tables.put("state", item["pk"]["S"], item["sk"]["S"], dict(item))
        self.tables.written()

    def withdraw(self, key: str) -> None:
        self.tables.put("state", f"ENDPOINT#{key}", "SPEC#config", None)
        self.tables.written()

    def _actor(self, function: str, use: str, notes: dict[str, Any]) -> Actor:
        self._invoked += 1
        skew = self.rng.uniform(-self.skew_seconds, self.skew_seconds)
        seconds = SECONDS_BY_FUNCTION[function]
        told = {"use": use, "function": function, "stack": self.tag, "began": self.kernel.now}
        return Actor(
            f"{self._named(function)}-{self._invoked}",
            timedelta(seconds=round(skew, 6)),
            self.kernel.now + timedelta(seconds=seconds),
            notes={**told, "subjects": (), **notes},
        )

    def _named(self, function: str) -> str:
        return f"{self.tag}-{function}"

    def _outcome(self, actor: Actor, call: Callable[[datetime], Any]) -> Came:
        use = actor.notes["use"]
        try:
            result = call(self.kernel.clock())
        except Killed:
            self.wire.trace(f"{actor.name} {use} died")
            return Came(died=True)
        except MeterError as refusal:
            self.wire.trace(f"{actor.name} {use} {type(refusal).__name__}")
            self.trespass.refused(actor, refusal)
            return Came(refusal=refusal)
        self.wire.trace(f"{actor.name} {use} done")
        return Came(result)

    def _reconcile(self, queue: Queue, batch: list[Message]) -> None:
        """One invocation of the reconciler, as its handler does it with a batch."""
        batch = self._allowed(queue, batch)
        # The messages of an invocation continue the longest chain that led to it.
        lineage = 1 + max((message.lineage for message in batch), default=0)
        self.lineage = max(self.lineage, lineage)
        actor = self._actor("reconciler", "", {"lineage": lineage})
        began = self.kernel.now

        def handle_all() -> None:
            failed, hints = list(batch), [Hint.from_body(message.body) for message in batch]
            try:
                for number, (message, hint) in enumerate(zip(batch, hints, strict=True)):
                    # A crash disrupts all endpoints that are left in the batch.
                    actor.notes["subjects"] = [left.endpoint or "" for left in hints[number:]]
                    if self._handle(actor, message, hint):
                        failed.remove(message)
            finally:
                queue.over(batch, failed, began)

        self.kernel.spawn(actor, handle_all)

    def _allowed(self, queue: Queue, batch: list[Message]) -> list[Message]:
        """Lambda does not invoke the function for a message at the end of too long a chain. It goes
        to the dead-letter queue."""
        most = self.longest_chain
        cut = [message for message in batch if most is not None and message.lineage >= most]
        queue.dead += cut
        return [message for message in batch if message not in cut]

    def _handle(self, actor: Actor, message: Message, hint: Hint) -> bool:
        if actor.deadline - self.kernel.now < NEEDED:
            return self._send_back(actor, hint)
        owner = f"{actor.name}/{message.id}"
        reconciler = Reconciler(
            self.store,
            self.endpoints,
            self._adopter,
            self.hints,
            owner,
            self.kernel.clock,
            hint.hops,
        )
        self.trespass.begins(actor)
        try:
            outcome = reconciler.handle(hint)
        except MeterError as refusal:
            self.wire.trace(f"{actor.name} {hint.endpoint} {type(refusal).__name__}")
            return False
        self.wire.trace(f"{actor.name} {hint.endpoint} {hint.cause} {outcome.word}")
        return True

    def _sent(self, queue: str, key: str, delay_seconds: float) -> None:
        """A message was sent."""

    def _send_back(self, actor: Actor, hint: Hint) -> bool:
        try:
            self.hints.send([replace(hint, hops=hint.hops + 1)])
        except MeterError:
            return False
        self.wire.trace(f"{actor.name} {hint.endpoint} sent again")
        return True
