"""People who want endpoints of others on a meter: with and without the right to, with and without
the scopes, at the one stack and at the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from random import Random
from typing import Any

from tests.fakes import EVERY_SCOPE, by
from tests.simulation.ledger import Payment
from tests.simulation.people import API_CONFIG, BY_HAND, NAMES
from tests.simulation.stack import Came, Stack

_MINUTES = (1, 3, 5, 10, 30, 60)
_TOO_MANY = 50_000
_SWEEP = timedelta(hours=1)


@dataclass
class Takers:
    """`names` are the endpoints that they want, `stacks` the stacks that they call."""

    stacks: tuple[Stack, ...]
    names: list[str]
    until: datetime
    every: timedelta = timedelta(minutes=12)
    asked: int = 0
    accepted: int = 0
    rng: Random = field(init=False)

    def __post_init__(self) -> None:
        self.kernel, self.rng = self.stacks[0].kernel, self.stacks[0].rng

    def begin(self) -> None:
        seconds = self.rng.expovariate(1 / self.every.total_seconds())

        def visit() -> None:
            self._visit()
            self.begin()

        if self.kernel.now + timedelta(seconds=seconds) < self.until:
            self.kernel.after(seconds, visit)

    def _visit(self) -> None:
        """Send a request, and sometimes the same to both stacks at once."""
        name = self.rng.choice(self.names)
        asked = self.stacks if self.rng.random() < 0.3 else (self.rng.choice(self.stacks),)
        for stack in asked:
            act = self.rng.choices((self._take, self._renew, self._stop), (6, 2, 2))[0]
            self.kernel.after(self.rng.choice((0.0, 0.02, 0.5)), partial(act, stack, name))

    def _take(self, stack: Stack, name: str) -> None:
        rng = self.rng
        config = rng.choices((API_CONFIG, *BY_HAND, "nowhere"), (8, 1, 1, 1))[0]
        minutes = rng.choices((rng.choice(_MINUTES), _TOO_MANY), (8, 1))[0]
        adopt = rng.random() < 0.75
        self._ask(
            stack,
            "add",
            name,
            lambda now, request: stack.expiry.add(name, config, minutes, now, request, adopt=adopt),
            minutes,
            adopt=adopt,
        )

    def _renew(self, stack: Stack, name: str) -> None:
        minutes = self.rng.choice(_MINUTES)
        self._ask(
            stack,
            "renew",
            name,
            lambda now, request: stack.expiry.renew(name, minutes, now, request),
            minutes,
        )

    def _stop(self, stack: Stack, name: str) -> None:
        forget = self.rng.random() < 0.6
        self._ask(
            stack,
            "forget" if forget else "stop",
            name,
            lambda now, request: stack.expiry.stop(name, now, request, forget=forget),
        )

    def _ask(
        self,
        stack: Stack,
        use: str,
        name: str,
        call: Callable[[datetime, Any], Any],
        minutes: int = 0,
        **notes: Any,
    ) -> None:
        """Half of the tokens have all scopes, the others fewer."""
        actor, key = self.rng.choice(NAMES), None
        scopes = EVERY_SCOPE if self.rng.random() < 0.5 else self._fewer(name)
        if self.rng.random() < 0.3:
            key = f"taker-{self.asked}"
        self.asked += 1
        request = by(actor, scopes).under(key, use, {"name": name, "minutes": minutes, **notes})
        stack.invoke(
            "api",
            use,
            lambda now: call(now, request),
            self._answered,
            subjects=(name.lower(),),
            payment=Payment(minutes, key),
            key=key,
            scopes=scopes,
            identity=actor,
            **notes,
        )

    def _answered(self, came: Came) -> None:
        self.accepted += came.result is not None

    def _fewer(self, name: str) -> str:
        words = self.rng.sample(
            ("read", "renew", "add", "manage", "invoke"), self.rng.randint(1, 3)
        )
        whose = ("", "", f":{name}", ":model-0", f":{name.upper()}")
        return " ".join(f"{word}{self.rng.choice(whose)}" for word in words)


@dataclass
class NextDoor:
    """The timers of a second stack: a tick each minute, a sweep each hour."""

    stack: Stack

    def begin(self) -> None:
        self.stack.kernel.after(self.stack.rng.uniform(0, 60), self._tick)
        self.stack.kernel.after(self.stack.rng.uniform(0, 3600), self._sweep)

    def _tick(self) -> None:
        self.stack.tick()
        self.stack.kernel.after(60, self._tick)

    def _sweep(self) -> None:
        self.stack.sweep()
        self.stack.kernel.after(_SWEEP.total_seconds(), self._sweep)
