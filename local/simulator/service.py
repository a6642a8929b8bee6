"""The simulator for callers: the world with a lock, a clock, faults and recorded calls."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from local.simulator.authority import Authority
from local.simulator.errors import UNKNOWN_OPERATION, ApiError
from local.simulator.faults import TIMEOUT_AFTER, FaultBook
from local.simulator.fleet import StatusChange
from local.simulator.inferences import Inference, Inferences, new_id
from local.simulator.injected import injected_error
from local.simulator.journal import RELEASE, Change
from local.simulator.lifecycle import Json, Outcome
from local.simulator.permissions import needs
from local.simulator.requests import RequestRules
from local.simulator.world import World

INVOKE = "InvokeEndpoint"
INVOKE_ASYNC = "InvokeEndpointAsync"
CALLS_KEPT = 20_000
READING = ("Describe", "List")
"""How the names of operations begin that change nothing."""
Answer = TypeVar("Answer")


class NoReplyError(Exception):
    """The call took effect, but its caller must get no answer (TimeoutAfter)."""


@dataclass(frozen=True)
class RecordedCall:
    """A received call. `error` is the error code of the answer, None if it succeeded."""

    at: datetime
    operation: str
    endpoint: str | None
    error: str | None

    def as_json(self) -> Json:
        return {
            "time": self.at.isoformat(timespec="microseconds"),
            "operation": self.operation,
            "endpoint": self.endpoint,
            "error": self.error,
        }


def system_clock() -> datetime:
    """The current time of this machine."""
    return datetime.now(UTC)


def nobody(_change: StatusChange, _detail: Json) -> None:
    """A listener for status changes that does nothing."""


def forget(_change: Change) -> AbstractContextManager[None]:
    """Keep no change: the world ends with the process."""
    return nullcontext()


class Simulator:
    """Thread-safe. `on_change` gets each status change in order and must not block. Each
    change is made in a context of `keeping`."""

    def __init__(
        self,
        world: World,
        on_change: Callable[[StatusChange, Json], None] = nobody,
        clock: Callable[[], datetime] = system_clock,
        inferences: Inferences | None = None,
        authority: Authority | None = None,
        keeping: Callable[[Change], AbstractContextManager[None]] = forget,
    ) -> None:
        self._world = world
        self._keeping = keeping
        self._inferences = inferences
        self._authority = authority
        self._on_change = on_change
        self._clock = clock
        self._rules = RequestRules()
        self._faults = FaultBook(world.operations | {INVOKE, INVOKE_ASYNC})
        self._calls: deque[RecordedCall] = deque(maxlen=CALLS_KEPT)
        self._calls_seen = 0
        self._changed = threading.Condition()
        self._stopped = False

    def call(self, operation: str, request: object, session: str | None = None) -> Json:
        """Run an operation of the control plane for a role's session, or for the root user.

        Raises ApiError, or NoReplyError after the call took effect.
        """

        def effect(outcome: Outcome, now: datetime) -> Json:
            if operation not in self._world.operations:
                raise UNKNOWN_OPERATION.error()
            change = Change(operation, now, self._rules.parse(operation, request), outcome)
            if operation.startswith(READING):
                return change.make(self._world)
            with self._keeping(change):
                return change.make(self._world)

        return self._answer(operation, request, effect, session)

    def invoke(
        self, endpoint_name: str, variant_name: str | None, session: str | None = None
    ) -> str:
        """The variant that answers an invocation. Raises like `call`."""

        def effect(_outcome: Outcome, now: datetime) -> str:
            return self._world.route(endpoint_name, variant_name, now)

        return self._answer(INVOKE, {"EndpointName": endpoint_name}, effect, session)

    def invoke_later(
        self,
        endpoint_name: str,
        content_type: str,
        payload: bytes | None,
        location: str | None,
        session: str | None = None,
    ) -> Inference:
        """Accept an asynchronous inference. Raises like `call`."""

        def effect(outcome: Outcome, now: datetime) -> Inference:
            settings = self._world.asynchronous(endpoint_name, now)
            fails = outcome is Outcome.FAILED
            return Inference(
                new_id(), endpoint_name, settings, content_type, payload, location, fails, now
            )

        taken = self._answer(INVOKE_ASYNC, {"EndpointName": endpoint_name}, effect, session)
        if self._inferences:
            self._inferences.take(taken)
        return taken

    def post_fault(self, body: object) -> Json:
        """Raises FaultRefusedError."""
        with self._changed:
            return self._faults.post(body).as_json()

    def faults(self) -> list[Json]:
        with self._changed:
            return [fault.as_json() for fault in self._faults]

    def clear_faults(self) -> None:
        """Remove all faults, and let stuck endpoints continue."""
        with self._changed:
            self._faults.clear()
            release = Change(RELEASE, self._clock(), {})
            with self._keeping(release):
                release.make(self._world)
            self._announce()

    def calls(self) -> Json:
        """The recorded calls, oldest first, and how many older ones were dropped."""
        with self._changed:
            kept = [call.as_json() for call in self._calls]
            return {"calls": kept, "dropped": self._calls_seen - len(kept)}

    def forget_calls(self) -> None:
        with self._changed:
            self._calls.clear()
            self._calls_seen = 0

    def health(self) -> Json:
        with self._changed:
            return {"status": "ok", "endpoints": self._world.endpoint_count}

    def run_changes(self) -> None:
        """Make changes happen when they are due, until `stop`. A thread runs this."""
        with self._changed:
            while not self._stopped:
                now = self._clock()
                self._world.settle(now)
                self._tell()
                due = self._world.next_change()
                self._changed.wait(None if due is None else max(0.0, (due - now).total_seconds()))

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _answer(
        self,
        operation: str,
        request: object,
        effect: Callable[[Outcome, datetime], Answer],
        session: str | None,
    ) -> Answer:
        """Run the effect under the lock, subject to IAM and the faults, and record the call."""
        named = request.get("EndpointName") if isinstance(request, dict) else None
        endpoint = named if isinstance(named, str) else None
        denied = self._denied(operation, request, session)
        with self._changed:
            now = self._clock()
            error: str | None = None
            try:
                if denied:
                    raise denied
                return self._with_faults(operation, endpoint, request, effect, now)
            except ApiError as refusal:
                error = refusal.code
                raise
            finally:
                self._calls.append(RecordedCall(now, operation, endpoint, error))
                self._calls_seen += 1
                self._announce()

    def _denied(self, operation: str, request: object, session: str | None) -> ApiError | None:
        """IAM's refusal, if any. IAM is asked without holding the lock, because it may be slow."""
        if self._authority is None or session is None or not isinstance(request, dict):
            return None
        with self._changed:
            self._world.settle(self._clock())
            wanted = list(needs(operation, request, self._world))
        try:
            self._authority.check(session, wanted)
        except ApiError as refusal:
            return refusal
        return None

    def _with_faults(
        self,
        operation: str,
        endpoint: str | None,
        request: object,
        effect: Callable[[Outcome, datetime], Answer],
        now: datetime,
    ) -> Answer:
        fault = self._faults.find(operation, endpoint)
        if fault is None:
            return effect(Outcome.SUCCESS, now)
        if fault.outcome is None and fault.failure != TIMEOUT_AFTER:
            self._faults.use(fault)
            raise injected_error(fault.failure, operation, request, self._world)
        answer = effect(fault.outcome or Outcome.SUCCESS, now)
        self._faults.use(fault)
        if fault.failure == TIMEOUT_AFTER:
            raise NoReplyError(operation)
        return answer

    def _announce(self) -> None:
        self._tell()
        self._changed.notify_all()

    def _tell(self) -> None:
        for change in self._world.take_changes():
            self._on_change(change, self._world.event_detail(change))
