"""The whole meter on fakes: a clock that the test moves, a tick every minute, a queue."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from lambdas.core.deploys import Deploys
from lambdas.core.events import EventUseCases
from lambdas.core.expiry import ExpiryUseCases
from lambdas.core.idempotency import Answer
from lambdas.core.reconcile import Outcome, Reconciler
from lambdas.core.schedule_changes import ScheduleUseCases
from lambdas.core.sessions import SessionUseCases
from lambdas.core.spec import Spec
from lambdas.core.state import State, Status
from lambdas.core.sweep import Policy, Sweep
from lambdas.core.tick import tick
from lambdas.core.updates import UpdateUseCases
from tests.fakes import FakeEndpoints, FakeHints, FakeHistory, FakeStateStore, by, clock

MINUTE = timedelta(minutes=1)


class World:
    """A test calls its methods for what users do. It moves the clock and runs the functions."""

    def __init__(self, start: datetime | None = None) -> None:
        self.now = start or clock(9)
        self.history = FakeHistory()
        self.store = FakeStateStore(self.history)
        self.endpoints = FakeEndpoints(self.now)
        self.hints = FakeHints(self.now)
        self.expiry = ExpiryUseCases(self.store, self.endpoints, self.hints, self.history, 43_200)
        self.sessions = SessionUseCases.over(self.expiry)
        self.updates = UpdateUseCases.over(self.expiry)
        self.schedules = ScheduleUseCases.over(self.expiry)
        self.events = EventUseCases.over(self.expiry)
        self.notices: list[str] = []
        self.deploys = Deploys(
            self.store, self.endpoints, self.hints, lambda: self.now, self._sleep
        )
        self.sweeper = self.sweep_with(Policy())
        self.outcomes: list[Outcome] = []
        self._next_tick = self.now
        self._runs = 0

    def sweep_with(self, policy: Policy) -> Sweep:
        return Sweep(
            store=self.store,
            endpoints=self.endpoints,
            hints=self.hints,
            history=self.history,
            notices=self,
            clock=lambda: self.now,
            policy=policy,
        )

    def tell(self, subject: str, text: str) -> None:
        self.notices.append(f"{subject}: {text}")

    def deploy(self, *specs: Spec) -> None:
        """Do what Terraform does: write the specs, remove others, call sync."""
        for record in list(self.store.records.values()):
            if record.config_spec and record.key not in {spec.key for spec in specs}:
                self.store.withdraw(record.config_spec.name)
        for spec in specs:
            self.store.deploy(spec)
            self.endpoints.configs.add(spec.endpoint_config_name)
        self.deploys.sync({spec.name: spec.endpoint_config_name for spec in specs})
        self.settle()

    def renew(self, name: str, minutes: int, key: str | None = None) -> Answer:
        body = {"EndpointName": name, "minutes": minutes}
        request = by().under(key, "POST", body)
        answer = self.expiry.renew(name, minutes, self.now, request)
        self.settle()
        return answer

    def pay_session(self, name: str, session: str, minutes: int, who: str = "ann") -> Answer:
        answer = self.sessions.pay(name, session, minutes, self.now, by(who))
        self.settle()
        return answer

    def end_session(self, name: str, session: str, who: str = "ann") -> Answer:
        answer = self.sessions.end(name, session, self.now, by(who))
        self.settle()
        return answer

    def add(self, name: str, config: str, minutes: int, **options: bool) -> Answer:
        answer = self.expiry.add(name, config, minutes, self.now, by(), **options)
        self.settle()
        return answer

    def stop(self, name: str, *, forget: bool = False) -> Answer:
        answer = self.expiry.stop(name, self.now, by(), forget=forget)
        self.settle()
        return answer

    def update(self, name: str, config: str, key: str | None = None, **options: Any) -> Answer:
        request = by().under(key, "update", {"config": config, **options})
        answer = self.updates.update(name, config, options, self.now, request)
        self.settle()
        return answer

    def reweigh(self, name: str, *desired: Mapping[str, Any], key: str | None = None) -> Answer:
        request = by().under(key, "weights", {"desired": list(desired)})
        answer = self.updates.reweigh(name, list(desired), self.now, request)
        self.settle()
        return answer

    def get(self, name: str) -> Mapping[str, Any]:
        return self.expiry.get(name, self.now)

    def status(self, name: str) -> Status:
        seen = self.endpoints.describe(name)
        return seen.status if seen else Status.ABSENT

    def state(self, name: str) -> State:
        state = self.store.load(name).state
        assert state is not None, f"{name} has no STATE"
        return state

    def advance(self, **delta: float) -> None:
        self.advance_to(self.now + timedelta(**delta))

    def advance_to(self, end: datetime) -> None:
        """Move the clock from event to event: each tick and each message comes at its instant."""
        while True:
            message = self.hints.next_at()
            upcoming = min(self._next_tick, message) if message else self._next_tick
            if upcoming > end:
                break
            self._move(max(upcoming, self.now))
            if self._next_tick <= self.now:
                tick(self.store, self.hints, self.now)
                self._next_tick += MINUTE
            self.settle()
        self._move(end)

    def settle(self) -> None:
        """Let the reconciler handle all hints that are on the queue now."""
        while ready := self.hints.receive():
            for hint in ready:
                self.outcomes.append(self.reconciler(hint.hops).handle(hint))

    def reconciler(self, hops: int = 0) -> Reconciler:
        self._runs += 1
        owner = f"run-{self._runs}"
        return Reconciler(
            self.store,
            self.endpoints,
            self.endpoints,
            self.hints,
            owner,
            lambda: self.now,
            hops,
        )

    def _move(self, to: datetime) -> None:
        self.now = self.endpoints.now = self.hints.now = to

    def _sleep(self, seconds: float) -> None:
        self.advance(seconds=seconds)
