"""Preparations of the situations: endpoints that run, fail, are stopped, updated, withdrawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import time, timedelta
from itertools import cycle
from typing import Any

from lambdas.core.days import WEEKDAYS
from lambdas.core.schedule import Schedule
from lambdas.core.spec import Scaling
from local.simulator.lifecycle import Outcome
from tests.simulation.kernel import Actor
from tests.simulation.scene import (
    AT_NINE,
    CLOCKS_FALL_BACK,
    FROM_TEN,
    KEY,
    STOPS_SOON,
    Scene,
)


def falcon_alone(scene: Scene, **fields: Any) -> None:
    scene.deploy(scene.spec(**fields))


def running(scene: Scene, **fields: Any) -> None:
    falcon_alone(scene, **fields)
    scene.renew()
    scene.advance(30)


def in_session(scene: Scene) -> None:
    falcon_alone(scene)
    scene.pay_session()
    scene.advance(30)


def mine(scene: Scene, seconds: float = 30) -> None:
    scene.add()
    scene.advance(seconds)


def withdrawn_over_mine(scene: Scene) -> None:
    """The API's spec is in force again, and the config of the entry is still served."""
    mine(scene)
    scene.renew("Mine", 9)
    scene.deploy(scene.spec("Mine", "mine-1"))
    scene.advance(60)  # late events have come, too
    scene.withdraw("mine")


def at_lease_end(scene: Scene) -> None:
    """The lease ends without a message: the hint comes only in the situation."""
    falcon_alone(scene)
    scene.renew(minutes=1)
    scene.advance(30)
    scene.mute()
    scene.advance(31)


def failed(scene: Scene) -> None:
    scene.outcome = Outcome.FAILED
    falcon_alone(scene)
    scene.renew()
    scene.advance(3)
    scene.mute()
    scene.advance(8)
    scene.outcome = None


def paid_for(scene: Scene) -> None:
    scene.renew()


def paid_long(scene: Scene) -> None:
    scene.renew(minutes=30)


def new_entry(scene: Scene) -> None:
    scene.write(scene.spec(initial_provision_minutes=5))


def second_config(scene: Scene) -> None:
    scene.write(scene.spec(config="falcon-2"))


def moved_outside(scene: Scene, **fields: Any) -> None:
    running(scene, **fields)
    scene.mute()
    scene.move_outside()
    scene.advance(9)


def hinted(scene: Scene) -> None:
    scene.hint()


def changed_config(scene: Scene) -> None:
    running(scene)
    scene.write(scene.spec(config="falcon-2"))
    scene.mute()
    scene.sync()
    scene.advance(1)


def rolling_back(scene: Scene) -> None:
    running(scene)
    scene.outcome = Outcome.ROLLBACK
    scene.deploy(scene.spec(config="falcon-2"))
    scene.advance(3)
    scene.mute()
    scene.advance(6)
    scene.outcome = None


def set_by_hand(scene: Scene, **fields: Any) -> None:
    running(scene, **fields)
    scene.mute()
    scene.update()
    scene.advance(1)


def reweighed(scene: Scene) -> None:
    running(scene)
    scene.mute()
    scene.reweigh()
    scene.advance(1)


def weights_roll_back(scene: Scene) -> None:
    reweighed(scene)
    scene.outcome = Outcome.ROLLBACK
    scene.told = ["rolled back"]


def undone(scene: Scene, ask: Callable[[Scene], object]) -> None:
    """A change by hand was begun and rolled back, and the meter has not seen that yet."""
    running(scene)
    scene.outcome = Outcome.ROLLBACK
    ask(scene)
    scene.advance(3)
    scene.mute()
    scene.advance(7)


def weights_rolled_back(scene: Scene) -> None:
    undone(scene, Scene.reweigh)


def rolls_back(scene: Scene) -> None:
    changed_config(scene)
    scene.outcome = Outcome.ROLLBACK
    scene.told = ["rolled back"]


def rolled_back(scene: Scene) -> None:
    """The update to falcon-2 failed. falcon-1 is served, and the meter knows that."""
    rolling_back(scene)
    scene.listen()
    scene.advance(20)
    scene.told = ["rolled back"]


def rolled_back_by_hand(scene: Scene) -> None:
    undone(scene, Scene.update)
    scene.outcome = None
    scene.told = ["rolled back"]


def scaled_update(scene: Scene) -> None:
    running(scene, scaling=SCALED)
    scene.write(scene.spec(config="falcon-2", scaling=SCALED))
    scene.mute()
    scene.sync()
    scene.advance(1)


def withdrawn(scene: Scene) -> None:
    running(scene)
    scene.withdraw()
    scene.mute()
    scene.sync()
    scene.advance(1)


def drained(scene: Scene) -> None:
    running(scene)
    mine(scene)
    scene.drain()
    scene.advance(20)


def drained_in_session(scene: Scene) -> None:
    in_session(scene)
    scene.drain()
    scene.advance(20)


def two_due(scene: Scene) -> None:
    """One must start and one must stop within the next two minutes. A third is overdue."""
    scene.deploy(
        scene.spec(),
        scene.spec("Other", "other-1", schedules=(replace(FROM_TEN, start_time=time(9, 3)),)),
        scene.spec("Third", "third-1"),
    )
    scene.renew(minutes=3)
    scene.advance(30)
    scene.mute()
    scene.advance(70)
    scene.renew("Third")
    scene.advance(1)


def windows(scene: Scene) -> None:
    """Half past midnight: a window that began yesterday ends, and two open in other time zones."""
    midnight, half_past, noon = time(0), time(0, 30), time(12)
    every_day, today = frozenset(WEEKDAYS), frozenset({CLOCKS_FALL_BACK.date()})
    schedules = {
        "Yesterday": Schedule("saturday", time(23), half_past, days=frozenset({"sat"})),
        "Night": Schedule("till four", time(23), time(4), days=frozenset({"sat"})),
        "Always": Schedule("24 hours", midnight, midnight, days=every_day),
        "Holiday": Schedule("but today", midnight, noon, days=every_day, except_dates=today),
        "Kolkata": Schedule("six", time(6), noon, days=every_day, timezone="Asia/Kolkata"),
        "Berlin": Schedule("half", time(2, 30), noon, days=every_day, timezone="Europe/Berlin"),
    }
    scene.deploy(*(scene.spec(name, "cfg", schedules=(s,)) for name, s in schedules.items()))
    scene.advance(25)


def two_due_and_sqs_moody(scene: Scene) -> None:
    """SQS accepts only every second message."""
    two_due(scene)
    moods = cycle((True, False))
    scene.stage.faults.refuses = lambda kind: kind == "message not taken" and next(moods)  # type: ignore[method-assign]


def without_state(scene: Scene) -> None:
    scene.write(scene.spec(schedules=(AT_NINE,), initial_provision_minutes=5))
    scene.stage.watch.flux([KEY], begins=False)


def forgets(scene: Scene) -> Actor:
    return scene.stop("Mine", forget=True)


def gone_by_hand(scene: Scene) -> None:
    running(scene)
    scene.mute()
    scene.delete_by_hand()
    scene.advance(10)


def stopped_mine(scene: Scene) -> None:
    mine(scene)
    scene.stop("Mine")
    scene.advance(30)


def failed_before(scene: Scene) -> None:
    """It failed three times and then was in service. Now it is gone, and will fail once more."""
    scene.failures = 3
    falcon_alone(scene, schedules=(AT_NINE,))
    scene.advance(170)
    scene.mute()
    scene.delete_by_hand()
    scene.advance(10)
    scene.failures = 1


def unseen_config(scene: Scene) -> None:
    """SageMaker does not know its endpoint config yet."""
    falcon_alone(scene)
    seen_from = scene.stage.kernel.now + timedelta(seconds=20)
    scene.stage.sagemaker.config_seen_from["falcon-1"] = seen_from
    scene.mute()
    scene.renew()
    scene.advance(1)


def going(scene: Scene) -> None:
    """It becomes wanted again while it is being deleted."""
    running(scene)
    scene.stop()
    scene.advance(0.2)


_BY_LOAD = {
    "TargetValue": 70.0,
    "PredefinedMetricSpecification": {
        "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"
    },
}
SCALED = (Scaling("all", 1, 2, {"by load": _BY_LOAD}),)


def scaled_soon(scene: Scene) -> None:
    falcon_alone(scene, scaling=SCALED)
    scene.renew()
    scene.advance(3)
    scene.mute()
    scene.advance(9)


def steps(*acts: Callable[[Scene], object]) -> Callable[[Scene], None]:
    """Run one preparation after the other."""

    def act(scene: Scene) -> None:
        for each in acts:
            each(scene)

    return act


def after(seconds: float) -> Callable[[Scene], None]:
    return lambda scene: scene.advance(seconds)


def falcon(**fields: Any) -> Callable[[Scene], None]:
    """One endpoint of the config, deployed."""
    return lambda scene: falcon_alone(scene, **fields)


def start_refused_for_good(code: str) -> Callable[[Scene], None]:
    """It was paid for, and the first try is to come."""
    return steps(
        falcon_alone,
        Scene.mute,
        refused_for_good("CreateEndpoint", code),
        lambda s: s.renew(minutes=20),
        after(1),
    )


def refused_for_good(operation: str, code: str) -> Callable[[Scene], None]:
    return lambda scene: scene.refuse_for_good(operation, code)


renewed = steps(falcon_alone, lambda s: s.renew())
stops_soon = falcon(schedules=(STOPS_SOON,))
held = steps(falcon(schedules=(AT_NINE,)), lambda s: s.stop(), after(30))
stopping = steps(running, lambda s: s.stop(), after(2), Scene.mute)
to_falcon_2 = falcon(config="falcon-2")
