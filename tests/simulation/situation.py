"""What is led up to, and then gone through with a fault or a rival at one of its calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from tests.simulation.faults import Fault
from tests.simulation.kernel import Actor, Kernel
from tests.simulation.scene import MONDAY_NINE, Scene
from tests.simulation.wire import Call

Rival = Callable[[Scene, str], object]
"""What may happen to an endpoint while an invocation waits for the answer to one of its calls."""


@dataclass(frozen=True)
class Situation:
    """`prepare` leads up to it; `act` begins what is to be killed: what it returns, or (None) the
    next invocation of the reconciler. `again`: whoever called it calls once more, as Terraform
    and the schedule of the sweep do. `about` names the endpoint that rivals go for; `rivals` are
    those that matter here, None: what users do everywhere; `killed` says whether faults do."""

    name: str
    prepare: Callable[[Scene], object]
    act: Callable[[Scene], Actor | None]
    again: bool = False
    about: str = "Falcon"
    begin: datetime = MONDAY_NINE
    rivals: Mapping[str, Rival] | None = None
    killed: bool = True


@dataclass
class Aim:
    """Records the calls of one invocation, or puts a fault on its `number`th call."""

    kernel: Kernel
    actor: Actor | None = None
    number: int | None = None
    fault: Fault | None = None
    meanwhile: Callable[[], object] | None = None
    reconciler: bool = False

    def __post_init__(self) -> None:
        self.calls: list[Call] = []

    def __call__(self, actor: Actor, call: Call) -> Fault | None:
        if self.actor is None and self.reconciler and actor.name.startswith("reconciler"):
            self.actor = actor
        if actor is not self.actor:
            return None
        self.calls.append(call)
        if len(self.calls) - 1 != self.number:
            return None
        if self.meanwhile is not None:
            self.kernel.actor = None  # it is not this one who does it
            self.meanwhile()
            self.kernel.actor = actor
            self.kernel.pause(SLOW)
        return self.fault


def play(
    situation: Situation,
    number: int | None = None,
    fault: Fault | None = None,
    rival: Rival | None = None,
) -> Played:
    """Lead up to the situation and let its invocation meet the fault, or wait at that call while
    a rival does its whole work."""
    scene = Scene(situation.begin)
    with scene.stage.running():
        situation.prepare(scene)
        scene.listen()
        began = scene.stage.kernel.now
        aim = Aim(scene.stage.kernel, number=number, fault=fault)
        if rival is not None:
            aim.meanwhile = lambda: rival(scene, situation.about)
        scene.stage.wire.intercept = aim
        aim.actor = situation.act(scene)
        aim.reconciler = aim.actor is None
        scene.advance(0 if fault is None else 1)
        return _outcome(scene, situation, aim, began)


@dataclass(frozen=True)
class Played:
    """The calls that were made, when all was well again, and what was still amiss at the end."""

    calls: tuple[Call, ...]
    well_after: float | None
    amiss: tuple[str, ...]


SLOW = 1.0
"""Seconds that one call takes while the rival works."""
LOOKS = tuple(range(5, 151, 5))
"""Seconds after which a scene is looked at."""
ONE_TICK = 90
"""The first tick that finds the lock and the claims of the dead run out, and a reconcile."""
LATER = 7 * 60


def _outcome(scene: Scene, situation: Situation, aim: Aim, began: datetime) -> Played:
    kernel = scene.stage.kernel
    well_after: float | None = None
    amiss: list[str] = []
    for look in LOOKS:
        kernel.run_until(began + timedelta(seconds=look))
        if look == 30 and situation.again and aim.fault is not None:
            situation.act(scene)
        amiss = scene.amiss()
        well_after = None if amiss else well_after or look
        if aim.number is not None and well_after and look - well_after >= 20 and look > 60:
            break  # what comes later was seen without faults
    scene.advance(LATER)  # what comes later is still found: a lease that ends, a window
    amiss += [text for text in scene.stage.watch.violations if text not in amiss]
    return Played(tuple(aim.calls), well_after, tuple(amiss))
