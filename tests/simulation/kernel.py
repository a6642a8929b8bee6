"""Simulated time, and actors that take turns in it.

An actor is a function (such as one invocation of a Lambda) in its own thread. Only one thread at a
time holds the baton. Each call to AWS lets simulated time pass. If something else comes first in
that time, the actor passes the baton on. So the calls of two actors may interleave in any order,
and the order depends only on the seed (docs/decisions/0040).

A thread that waits or has ended runs the next events itself, so that most events need no change of
thread.
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
    """The process of an actor was killed: nothing that it does after this has an effect."""


@dataclass
class Actor:
    """One invocation. Its clock is wrong by `skew`. It is killed at `deadline`."""

    name: str
    skew: timedelta
    deadline: datetime
    dead: bool = False
    calls: int = 0
    reading: datetime | None = None
    """The last time that it read from its clock."""
    notes: dict[str, Any] = field(default_factory=dict)
    """Data of the watchers about it."""
    turn: _Turn | None = None


class _Turn:
    """A thread in the order: it runs while it holds the baton, and otherwise waits here."""

    def __init__(self) -> None:
        self.baton = threading.Lock()
        self.baton.acquire()
        self.actor: Actor | None = None
        self.body: Callable[[], None] | None = None


@dataclass(frozen=True, slots=True)
class _Start:
    actor: Actor
    body: Callable[[], None]


_Event = Callable[[], None] | _Turn | _Start
"""An event, an actor that goes on, or an actor that begins."""


class Kernel:
    """The heap of coming events, and the clock."""

    def __init__(self, start: datetime) -> None:
        self.now = start
        self.actor: Actor | None = None
        self.errors: list[str] = []
        self._horizon = start
        self._events: list[tuple[datetime, int, _Event]] = []
        self._pushed = 0
        self._main = _Turn()
        self._idle: list[_Turn] = []
        self._threads: list[threading.Thread] = []
        self._suspended: list[_Turn] = []
        self._closing = False
        self._broken: BaseException | None = None

    def at(self, when: datetime, act: Callable[[], None]) -> None:
        """Call `act` at `when`. Events at equal instants keep the order in which they were
        added."""
        self._push(when, act)

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        self._push(self.now + timedelta(seconds=seconds), act)

    def spawn(self, actor: Actor, body: Callable[[], None]) -> None:
        """Start an actor now, after all other events of this instant."""
        self._push(self.now, _Start(actor, body))

    def run_until(self, end: datetime) -> None:
        """Run everything that is due by `end`."""
        self._horizon = end
        self._drive(self._main)
        self.actor = None
        if self._broken is not None:
            raise self._broken
        self.now = end

    def clock(self) -> datetime:
        """The time on the clock of the running actor."""
        actor = self._running()
        actor.reading = self.now + actor.skew
        return actor.reading

    def skewed(self) -> datetime:
        """The same, for readings that decide nothing."""
        return self.now + self._running().skew

    def pause(self, seconds: float) -> None:
        """Let time pass for the running actor. Others may act meanwhile."""
        actor = self._running()
        if actor.dead:
            raise Killed
        until = self.now + timedelta(seconds=seconds)
        out_of_time = until >= actor.deadline
        until = min(until, actor.deadline)
        if until > self._horizon or (self._events and self._events[0][0] <= until):
            self._wait(actor, until)
        else:  # nothing comes first: the actor goes on itself
            self.now = until
        if out_of_time:
            self.kill(actor)

    def kill(self, actor: Actor) -> None:
        """Kill the running actor here."""
        actor.dead = True
        raise Killed

    def close(self) -> None:
        """End all threads, also those of unfinished actors."""
        self._closing = True
        for turn in list(self._suspended):
            assert turn.actor is not None
            turn.actor.dead = True
            self.actor = turn.actor
            self._hand(self._main, turn)
        for turn in self._idle:
            turn.baton.release()
        for thread in self._threads:
            thread.join()

    def _running(self) -> Actor:
        assert self.actor is not None, "only actors have a clock and calls to wait for"
        return self.actor

    def _push(self, when: datetime, event: _Event) -> None:
        self._pushed += 1
        heapq.heappush(self._events, (max(when, self.now), self._pushed, event))

    def _wait(self, actor: Actor, until: datetime) -> None:
        turn = actor.turn
        assert turn is not None
        self._push(until, turn)
        self._suspended.append(turn)
        self._drive(turn)
        self._suspended.remove(turn)
        if actor.dead:
            raise Killed

    def _drive(self, me: _Turn) -> None:
        """Run events until it is the turn of this thread: its actor goes on, or it had none and got
        one, or (for the main thread) all is done."""
        while not self._over():
            self.now, _, event = heapq.heappop(self._events)
            if isinstance(event, _Turn):
                self.actor = event.actor
                if event is not me:
                    self._hand(me, event)
                return
            if isinstance(event, _Start):
                self.actor = event.actor
                self._begin(me, event)
                return
            self.actor = None
            try:
                event()
            except BaseException as error:  # noqa: BLE001  # raised again in the main thread
                self._broken = error
        if me is not self._main:
            self._hand(me, self._main)

    def _over(self) -> bool:
        none_left = not self._events or self._events[0][0] > self._horizon
        return none_left or self._closing or self._broken is not None

    def _begin(self, me: _Turn, start: _Start) -> None:
        """Run it in this thread if that is free, else in another."""
        free = me.actor is None and me is not self._main
        turn = me if free else self._idle.pop() if self._idle else self._new_turn()
        turn.actor, turn.body = start.actor, start.body
        start.actor.turn = turn
        if turn is not me:
            self._hand(me, turn)

    def _hand(self, me: _Turn, other: _Turn) -> None:
        """Pass the baton on and wait until it comes back."""
        if me.actor is None and me is not self._main:
            self._idle.append(me)
        other.baton.release()
        me.baton.acquire()

    def _new_turn(self) -> _Turn:
        turn = _Turn()
        thread = threading.Thread(target=self._work, args=(turn,), daemon=True)
        self._threads.append(thread)
        thread.start()
        return turn

    def _work(self, turn: _Turn) -> None:
        """The loop of a thread: one actor after another."""
        turn.baton.acquire()
        while turn.body is not None:
            try:
                turn.body()
            except Killed:
                pass
            except BaseException:  # noqa: BLE001  # whatever it is, it is the run's finding
                self.errors.append(traceback.format_exc())
            turn.actor = turn.body = None
            self._drive(turn)
