"""All calls of adapters to the simulated AWS go through this: time passes here, and calls fail."""

from __future__ import annotations

import hashlib
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import Any

from botocore.exceptions import ClientError, ReadTimeoutError

from tests.simulation.faults import Fault, Faults
from tests.simulation.kernel import Actor, Kernel

_THROTTLES = {
    "dynamodb": "ProvisionedThroughputExceededException",
    "sqs": "RequestThrottled",
    "sagemaker": "ThrottlingException",
    "scaling": "ThrottlingException",
}
_TIMEOUT_SECONDS, _SLOW_TIMEOUT_SECONDS = 5.0, 8.0
"""As in `lambdas/aws/clients.py`. The longer one is for calls that change endpoints."""
_SDK_GIVES_UP = 0.25
"""The odds that a client with retries meets the same fault in all of them."""
_KEPT_LINES = 30_000
_TOLD_LINES = 80


@dataclass(frozen=True, slots=True)
class Call:
    """One call to AWS. `key` names its endpoint, if it has one."""

    service: str
    operation: str
    key: str | None
    repeats: bool = False
    others: Sequence[str] = ()
    """More endpoints of the call."""

    @property
    def name(self) -> str:
        return f"{self.service} {self.operation}"


class Wire:
    """During each call others may act, time passes, and the caller may be killed.

    `intercept` may choose the fault of a call. Otherwise `faults` draws one.
    """

    def __init__(self, kernel: Kernel, faults: Faults) -> None:
        self.kernel = kernel
        self.faults = faults
        self.steps = 0
        self.calls: Counter[str] = Counter()
        self.lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self.failed: Callable[[Call], None] = lambda _call: None
        """Called for each call that fails though its service would have accepted it."""
        self.intercept: Callable[[Actor, Call], Fault | None] | None = None
        self.latency: Callable[[Random], float] = latency
        self._digest = hashlib.sha256()
        self._start = kernel.now

    def send(self, call: Call, effect: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """The answer to a call. Raises what boto3 raises, or Killed."""
        actor = self.kernel.actor
        if actor is None:  # a preparation, outside of any actor
            return effect()
        fault = self._fault(actor, call)
        self.kernel.pause(self.latency(self.faults.rng))
        if call.repeats and fault in (Fault.THROTTLE, Fault.NO_ANSWER, Fault.LOST_ANSWER):
            fault = self._after_repeats(fault, effect)
        return self._answer(actor, call, fault, effect)

    def staleness(self) -> timedelta:
        """How far an eventually consistent read is behind."""
        rng = self.faults.rng
        if rng.random() < 0.7 or self.faults.profile.name == "peace":
            return timedelta()
        self.faults.count("stale read")
        return timedelta(seconds=rng.uniform(0, 2))

    def trace(self, line: str) -> None:
        """Log an event. Two runs of a seed must log the same."""
        microseconds = (self.kernel.now - self._start) // timedelta(microseconds=1)
        text = f"{microseconds} {line}"
        self.lines.append(text)
        self._digest.update(text.encode())

    def story(self, key: str) -> list[str]:
        """The last log lines about an endpoint; for "-", the last of all."""
        told = [line for line in self.lines if key == "-" or f" {key} " in f"{line} "]
        return [_in_seconds(line) for line in told[-_TOLD_LINES:]]

    def digest(self) -> str:
        return self._digest.hexdigest()

    def _fault(self, actor: Actor, call: Call) -> Fault | None:
        self.steps += 1
        actor.calls += 1
        if "asked" in actor.notes:
            keys = [call.key, *call.others]
            actor.notes["asked"] += [(call.operation, key) for key in keys]
        self.calls[call.name] += 1
        if self.intercept is not None:
            return self.intercept(actor, call)
        subjects: Sequence[str] = actor.notes.get("subjects", ())
        return self.faults.of_call(subjects, self.kernel.now)

    def _after_repeats(self, fault: Fault, effect: Callable[[], dict[str, Any]]) -> Fault | None:
        """The fault that is left after the retries of the SDK."""
        if self.intercept is not None or self.faults.rng.random() < _SDK_GIVES_UP:
            return fault
        if fault is Fault.LOST_ANSWER:
            effect()
        self.kernel.pause(0.5)
        return None

    def _answer(
        self,
        actor: Actor,
        call: Call,
        fault: Fault | None,
        effect: Callable[[], dict[str, Any]],
    ) -> dict[str, Any]:
        label = f"{actor.name} {call.name} {call.key}"
        if fault is Fault.CRASH_BEFORE:
            self.trace(f"{label} †")
            self.kernel.kill(actor)
        if fault in (Fault.THROTTLE, Fault.BROKEN, Fault.NO_ANSWER, Fault.LOST_ANSWER):
            self.failed(call)
        if fault is Fault.THROTTLE:
            self.trace(f"{label} throttled")
            raise refusal(_THROTTLES[call.service], "Rate exceeded", call.operation)
        if fault is Fault.BROKEN:
            self.trace(f"{label} broken")
            code = "InternalServerError" if call.service == "dynamodb" else "InternalFailure"
            raise refusal(code, "Request to service failed.", call.operation)
        if fault is Fault.NO_ANSWER:
            self._time_out(call, label)
        try:
            answer = effect()
        except ClientError as error:
            self.trace(f"{label} {error.response['Error']['Code']}")
            self._after_effect(actor, call, fault, label)
            raise
        self.trace(f"{label} ok")
        self._after_effect(actor, call, fault, label)
        return answer

    def _after_effect(self, actor: Actor, call: Call, fault: Fault | None, label: str) -> None:
        if fault is Fault.CRASH_AFTER:
            self.trace(f"{label} †")
            self.kernel.kill(actor)
        if fault is Fault.LOST_ANSWER:
            self._time_out(call, label)
        self.kernel.pause(self.latency(self.faults.rng) / 4)

    def _time_out(self, call: Call, label: str) -> None:
        slow = call.service == "sagemaker" and not call.repeats
        self.kernel.pause(_SLOW_TIMEOUT_SECONDS if slow else _TIMEOUT_SECONDS)
        self.trace(f"{label} unanswered")
        raise ReadTimeoutError(endpoint_url=f"https://{call.service}.simulated")


def _in_seconds(line: str) -> str:
    microseconds, text = line.split(" ", 1)
    return f"{int(microseconds) / 1_000_000:12.3f} {text}"


def refusal(code: str, message: str, operation: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


def latency(rng: Random) -> float:
    """The seconds until a call has its effect: mostly milliseconds, sometimes much longer."""
    draw = rng.random()
    if draw < 0.985:
        return 0.004 + 0.03 * draw
    if draw < 0.9985:
        return rng.uniform(0.2, 2.0)
    return rng.uniform(2.0, 12.0)


def steady(_rng: Random) -> float:
    """A fixed duration, so that each run is the same."""
    return 0.01
