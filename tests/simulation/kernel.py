"""Simulated time, and actors that take turns in it.

An actor is a function (one invocation of a Lambda, say) in a thread of its own; one thread alone
holds the baton at any moment. Each call to AWS lets simulated time pass, and where something else
comes first in that time the actor hands the baton on: any two calls of two actors may interleave
in any order, and the order depends on the seed alone (docs/decisions/0040).
"""

from __future__ import annotations

import heapq
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any


class Killed(BaseException):
    """The process of an actor ended: nothing that it does from here on reaches the world."""


@dataclass
class Actor:
    """One invocation. Its clock is `skew` off; it is killed at `deadline`."""

    name: str
    skew: timedelta
    deadline: datetime
    dead: bool = False
    calls: int = 0
    reading: datetime | None = None
    """What it last read from its clock."""
    notes: dict[str, Any] = field(default_factory=dict)
    """What those who watch attach to it."""


class Kernel:
    """The heap of what happens when, and the clock that it moves."""

    def __init__(self, start: datetime) -> None:
        self.now = start
        self.actor: Actor | None = None
        self.errors: list[str] = []
        self._horizon = start
        self._events: list[tuple[datetime, int, Callable[[], None]]] = []
        self._pushed = 0
        self._idle: list[_Worker] = []
        self._workers: list[_Worker] = []
        self._main = threading.Lock()
        self._main.acquire()

    def at(self, when: datetime, act: Callable[[], None]) -> None:
        """Have `act` happen at `when`; equal instants keep the order of their calls."""
        self._pushed += 1
        heapq.heappush(self._events, (max(when, self.now), self._pushed, act))

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        self.at(self.now + timedelta(seconds=seconds), act)

    def run_until(self, end: datetime) -> None:
        """Let everything happen that is due by `end`."""
        self._horizon = end
        while self._events and self._events[0][0] <= end:
            when, _, act = heapq.heappop(self._events)
            self.now = when
            act()
        self.now = end

    def spawn(self, actor: Actor, body: Callable[[], None]) -> None:
        """Begin an actor now; returns when it first waits, or is over."""
        if self._idle:
            worker = self._idle.pop()
        else:
            worker = _Worker(self)
            self._workers.append(worker)
        worker.begin(actor, body)
        self._hand_to(worker)

    def clock(self) -> datetime:
        """What the running actor's own clock reads."""
        actor = self._running()
        actor.reading = self.now + actor.skew
        return actor.reading

    def skewed(self) -> datetime:
        """The same for those whose reading decides nothing."""
        return self.now + self._running().skew

    def pause(self, seconds: float) -> None:
        """Let time pass for the running actor, and others act in it."""
        actor = self._running()
        if actor.dead:
            raise Killed
        until = self.now + timedelta(seconds=seconds)
        out_of_time = until >= actor.deadline
        until = min(until, actor.deadline)
        if until > self._horizon or (self._events and self._events[0][0] <= until):
            worker = actor.notes["worker"]
            self.at(until, lambda: self._hand_to(worker))
            worker.wait()
        else:  # nothing comes first: the actor may as well go on by itself
            self.now = until
        if out_of_time:
            self.kill(actor)

    def kill(self, actor: Actor) -> None:
        """End the running actor here."""
        actor.dead = True
        raise Killed

    def close(self) -> None:
        """End all threads, those of unfinished actors too."""
        for worker in self._workers:
            if worker.actor is not None:
                worker.actor.dead = True
                self._hand_to(worker)
            worker.end()

    def _running(self) -> Actor:
        assert self.actor is not None, "only actors have a clock and calls to wait for"
        return self.actor

    def _hand_to(self, worker: _Worker) -> None:
        self.actor = worker.actor
        worker.go.release()
        self._main.acquire()
        self.actor = None

    def hand_back(self, worker: _Worker) -> None:
        if worker.actor is None:
            self._idle.append(worker)
        self._main.release()


class _Worker:
    """A thread that runs one actor after another; it stands still unless it holds the baton."""

    def __init__(self, kernel: Kernel) -> None:
        self.go = threading.Lock()
        self.go.acquire()
        self.actor: Actor | None = None
        self._kernel = kernel
        self._body: Callable[[], None] | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def begin(self, actor: Actor, body: Callable[[], None]) -> None:
        actor.notes["worker"] = self
        self.actor, self._body = actor, body

    def wait(self) -> None:
        self._kernel.hand_back(self)
        self.go.acquire()
        if self.actor is not None and self.actor.dead:
            raise Killed

    def end(self) -> None:
        self.go.release()
        self._thread.join()

    def _run(self) -> None:
        while True:
            self.go.acquire()
            if self._body is None:
                return
            try:
                self._body()
            except Killed:
                pass
            except BaseException:  # noqa: BLE001  # whatever it is, it is the run's finding
                self._kernel.errors.append(traceback.format_exc())
            self.actor = self._body = None
            self._kernel.hand_back(self)
