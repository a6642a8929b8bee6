"""The two SQS queues, and the event source mappings that pass their messages to the reconciler."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

from lambdas.core.hints import Hint
from tests.simulation.faults import Faults
from tests.simulation.kernel import Kernel
from tests.simulation.wire import Call, Wire

VISIBILITY = timedelta(seconds=180)
MAX_RECEIVES = 5
BATCH = 10


@dataclass
class Message:
    id: str
    body: str
    visible_at: datetime
    lineage: int = 0
    """How many invocations of the reconciler led to it, as Lambda counts them: each by a message of
    the one before."""
    receives: int = 0


class Queue:
    """A standard queue with its mapping: at most `concurrency` batches are delivered at once.

    The messages of a batch are chosen by chance, as in SQS.
    """

    def __init__(
        self,
        name: str,
        kernel: Kernel,
        rng: Random,
        deliver: Callable[[Queue, list[Message]], None],
        concurrency: int,
    ) -> None:
        self.name = name
        self.dead: list[Message] = []
        self.in_order = False
        self.deaf = False
        """While it is set, messages that become visible are lost."""
        self._kernel = kernel
        self._rng = rng
        self._deliver = deliver
        self._free = concurrency
        self._ready: list[Message] = []
        self._sent = 0
        self._polling = False

    def put(self, body: str, delay_seconds: float, lineage: int = 0) -> None:
        self._sent += 1
        visible_at = self._kernel.now + timedelta(seconds=delay_seconds)
        self._show(Message(f"{self.name}-{self._sent}", body, visible_at, lineage))

    def over(self, batch: Sequence[Message], failed: Sequence[Message], began: datetime) -> None:
        """A batch is done. Failed messages become visible again after their time."""
        self._free += 1
        for message in batch:
            if message not in failed:
                continue
            if message.receives >= MAX_RECEIVES:
                self.dead.append(message)
            else:
                message.visible_at = began + VISIBILITY
                self._show(message)
        self._poll_soon()

    def _show(self, message: Message) -> None:
        def visible() -> None:
            if not self.deaf:
                self._ready.append(message)
                self._poll_soon()

        self._kernel.at(message.visible_at, visible)

    def _poll_soon(self) -> None:
        if not self._polling and self._ready and self._free:
            self._polling = True
            self._kernel.after(self._rng.uniform(0.001, 0.05), self._poll)

    def _poll(self) -> None:
        self._polling = False
        while self._ready and self._free:
            size = BATCH if self.in_order else self._rng.randint(1, BATCH)
            if not self.in_order and len(self._ready) > 1:
                self._rng.shuffle(self._ready)
            batch, self._ready = self._ready[:size], self._ready[size:]
            for message in batch:
                message.receives += 1
            self._free -= 1
            self._deliver(self, batch)


class SqsClient:
    """boto3's client, as far as the adapter uses it. The URL of a queue is its name."""

    def __init__(self, queues: dict[str, Queue], wire: Wire, faults: Faults) -> None:
        self._queues = queues
        self._wire = wire
        self._faults = faults
        self.sent: Callable[[str, str, float], None] = lambda _queue, _subject, _delay: None

    def send_message_batch(self, *, QueueUrl: str, Entries: list[Any]) -> dict[str, Any]:  # noqa: N803
        def effect() -> dict[str, Any]:
            failed = []
            for entry in Entries:
                if self._faults.refuses("message not taken"):
                    failed.append({"Id": entry["Id"]})
                else:
                    self.post(QueueUrl, entry["MessageBody"], entry["DelaySeconds"])
            return {"Failed": failed}

        keys = {Hint.from_body(entry["MessageBody"]).endpoint for entry in Entries}
        key = keys.pop() if len(keys) == 1 else f"{len(Entries)} hints"
        return self._wire.send(
            Call("sqs", f"SendMessageBatch {QueueUrl}", key, repeats=True), effect
        )

    def post(self, queue: str, body: str, delay_seconds: float) -> None:
        """What SQS does with an accepted message."""
        subject = Hint.from_body(body).endpoint or ""
        self.sent(queue, subject, delay_seconds)
        actor = self._wire.kernel.actor
        lineage = actor.notes.get("lineage", 0) if actor else 0
        lost, late, doubled = self._faults.of_message(subject, self._wire.kernel.now)
        fate = "lost" if lost else f"{late:.0f} s late" if late else "twice" if doubled else "once"
        self._wire.trace(f"{queue} takes {subject or 'canary'} in {delay_seconds} s, {fate}")
        if lost:
            return
        self._queues[queue].put(body, delay_seconds + late, lineage)
        if doubled:
            extra = self._faults.rng.choice([0.0, 0.01, 1.0, 30.0])
            self._queues[queue].put(body, delay_seconds + extra, lineage)
