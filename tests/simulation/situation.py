"""A situation is prepared, and then runs with a fault or a rival at one of its calls."""

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
    """`prepare` comes first. `act` starts the invocation to kill and returns it; None: it is the
    next invocation of the reconciler. `again`: the caller repeats the call, as Terraform and the
    schedule of the sweep do. `about` names the endpoint of the rivals. `rivals` are those that
    apply here; None: what users do in every situation. `killed` says whether faults apply."""

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
    """Records the calls of one invocation, or makes its `number`th call fail."""

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
            self.kernel.actor = None  # the rival is no part of this actor
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
    """Prepare the situation. Then its invocation meets the fault, or waits at that call while a
    rival does all of its work."""
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
    """The calls, when everything was right again, and what was still wrong at the end."""

    calls: tuple[Call, ...]
    well_after: float | None
    amiss: tuple[str, ...]


SLOW = 1.0
"""How long the call takes, in seconds, during which the rival works."""
LOOKS = tuple(range(5, 151, 5))
"""The times of the looks at a scene, in seconds."""
ONE_TICK = 90
"""Time for the first tick after the lock and the claims of a killed invocation expire, and for a
reconcile."""
LATER = 7 * 60


def _outcome(scene: Scene, situation: Situation, aim: Aim, began: datetime) -> Played:
    kernel = scene.stage.kernel
    well_after: float | None = None
    amiss: list[str] = []
    for look in LOOKS:
        kernel.run_until(began + timedelta(seconds=look))
        if look == 30 and situation.again and aim.fault is not None:
            situation.act(scene)
        for key in sorted(scene.stage.watch.cases):
            scene.stage.show(key)
        amiss = scene.amiss()
        well_after = None if amiss else well_after or look
        if aim.number is not None and well_after and look - well_after >= 20 and look > 60:
            break  # the run without faults covers what comes later
    scene.advance(LATER)  # later transitions must still be found: the end of a lease, a window
    amiss += [text for text in scene.stage.watch.violations if text not in amiss]
    return Played(tuple(aim.calls), well_after, tuple(amiss))
