"""Small worlds in which nothing goes wrong but what a test asks for, and the situations in which
each use case is worth killing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from itertools import cycle
from typing import Any

from lambdas.aws.items import encode, spec_values
from lambdas.core.hints import Cause, Hint
from lambdas.core.ports import WakeShare
from lambdas.core.schedule import Schedule
from lambdas.core.settings import STACK_TAG_KEY
from lambdas.core.spec import Origin, Scaling, Spec
from local.simulator.lifecycle import Outcome
from tests.fakes import EVERY_SCOPE, by
from tests.simulation.faults import PEACE, Fault
from tests.simulation.kernel import Actor, Kernel
from tests.simulation.ledger import Payment
from tests.simulation.sagemaker import STACK_TAG, UPDATES, Moods
from tests.simulation.stack import Came, Stack
from tests.simulation.stage import OTHER_STACK, Stage
from tests.simulation.wire import Call, steady

MONDAY_NINE = datetime(2026, 3, 2, 9, tzinfo=UTC)
CLOCKS_FALL_BACK = datetime(2026, 10, 25, 0, 28, 20, tzinfo=UTC)
"""A Sunday; in Berlin it is half past two twice, in 100 seconds for the first time."""
KEY = "falcon"
SHARED = "shared-cfg"
BY_HAND = "by-hand-cfg"
MOODS = Moods(
    create_seconds=(8, 8),
    delete_seconds=(4, 4),
    update_seconds=(8, 8),
    failed=0,
    capacity=0,
    stuck=0,
    rolled_back=0,
    lingers=0,
)
FROM_TEN = Schedule("from ten", time(10), time(17), days=frozenset(range(7)))
AT_NINE = Schedule("at nine", time(8), time(17), days=frozenset(range(7)))
ENDS_SOON = Schedule("ends soon", time(8), time(9, 6), days=frozenset(range(7)))


class Scene:
    """A stage that ticks each minute, and sweeps when asked to."""

    def __init__(self, begin: datetime = MONDAY_NINE) -> None:
        self.stage = stage = Stage(0, begin, PEACE, replace(MOODS), page=2)
        stage.wire.latency = steady
        self.specs: dict[str, Spec] = {}
        self.made: list[str] = []
        """What Terraform made and has not destroyed."""
        self.told: list[str] = []
        """What the history of Falcon must come to say, while that runs."""
        self.outcome: Outcome | None = None
        self.failures = 0
        """How many creates from now on end in Failed."""
        self.ticking = True
        self._neighbour: Stack | None = None
        stage.sagemaker.outcome = self._outcome  # type: ignore[method-assign]
        stage.sagemaker.create_config(SHARED)
        stage.sagemaker.create_config(BY_HAND)
        stage.kernel.after(20, self._tick)

    def advance(self, seconds: float) -> None:
        self.stage.kernel.run_until(self.stage.kernel.now + timedelta(seconds=seconds))

    def spec(self, name: str = "Falcon", config: str = "falcon-1", **fields: Any) -> Spec:
        fields.setdefault("spec_hash", f"hash of {config} {sorted(fields)}")
        return Spec(name, config, Origin.CONFIG, **fields)

    def write(self, *specs: Spec) -> None:
        """What Terraform writes before it calls sync."""
        for spec in specs:
            self.specs[spec.key] = spec
            for config in spec.configs():
                if not self.stage.sagemaker.config_exists(config):
                    self.stage.sagemaker.create_config(config, ours=True)
                    self.made.append(config)
            where = {"pk": f"ENDPOINT#{spec.key}", "sk": "SPEC#config"}
            self.stage.declare(encode({**where, **spec_values(spec)}))
        self.stage.watch.flux([spec.key for spec in specs], begins=True)

    def withdraw(self, key: str = KEY) -> None:
        del self.specs[key]
        self.stage.watch.flux([key], begins=True)
        self.stage.withdraw(key)

    def deploy(self, *specs: Spec) -> None:
        self.write(*specs)
        self.sync()
        self.advance(3)

    def deploy_soon(self, *specs: Spec) -> None:
        """The same, while others act."""
        self.write(*specs)
        self.sync()

    def sync(self) -> Actor:
        def synced(came: Came) -> None:
            if came.result is not None:
                self.stage.watch.flux(sorted(self.stage.watch.cases), begins=False)

        manifest = self.manifest()
        deploys = self.stage.deploys()
        return self.stage.invoke("sweep", "sync", lambda _now: list(deploys.sync(manifest)), synced)

    def manifest(self) -> dict[str, str]:
        return {spec.name: spec.endpoint_config_name for spec in self.specs.values()}

    def drain(self) -> Actor:
        self.stage.watch.flux(sorted(self.stage.watch.cases), begins=True)
        return self.stage.invoke("sweep", "drain", lambda _now: self.stage.deploys().drain(300))

    def sweep(self) -> Actor:
        began = self.stage.kernel.now
        return self.stage.sweep(lambda _came: self.stage.watch.swept(began))

    def wait(self) -> Actor:
        def waited(came: Came) -> None:
            if came.result is not None and came.result.settled and not self._serves():
                self.stage.watch.violation("-", "a wait ended, though an old config is served")

        manifest = self.manifest()
        return self.stage.invoke(
            "sweep", "wait", lambda _now: self.stage.deploys().wait(manifest), waited
        )

    def settle(self) -> Actor:
        """The verdict; where it is good, Terraform destroys what is not declared any more."""

        def settled(came: Came) -> None:
            declared = {config for spec in self.specs.values() for config in spec.configs()}
            gone = [config for config in self.made if config not in declared]
            for config in gone if came.result is not None else ():
                self.made.remove(config)
                for served in self.stage.sagemaker.destroy_config(config):
                    self.stage.watch.violation(served, f"its config {config} was taken away")

        def settle(_now: datetime) -> bool:
            self.stage.deploys().settle(manifest)
            return True

        manifest = self.manifest()
        return self.stage.invoke("sweep", "settle", settle, settled)

    def update(self, name: str = "Falcon", config: str = BY_HAND, key: str | None = None) -> Actor:
        request = by().under(key, "update", {"config": config})
        updates = self.stage.updates
        return self.stage.invoke(
            "api", "update", lambda now: updates.update(name, config, {}, now, request)
        )

    def reweigh(self, name: str = "Falcon", weight: float = 3) -> Actor:
        desired = [{"VariantName": "all", "DesiredWeight": weight}]
        updates = self.stage.updates
        return self.stage.invoke(
            "api", "weights", lambda now: updates.reweigh(name, desired, now, by())
        )

    def renew(self, name: str = "Falcon", minutes: int = 4, key: str | None = None) -> Actor:
        request = by().under(key, "renew", {"minutes": minutes})
        return self._pay(
            "renew",
            Payment(minutes, key),
            lambda now: self.stage.meter.renew(name, minutes, now, request),
        )

    def add(
        self,
        name: str = "Mine",
        minutes: int = 4,
        config: str = SHARED,
        scopes: str = EVERY_SCOPE,
        *,
        adopt: bool = False,
    ) -> Actor:
        meter, request = self.stage.meter, by("ann", scopes)
        return self._pay(
            "add",
            Payment(minutes),
            lambda now: meter.add(name, config, minutes, now, request, adopt=adopt),
            adopt=adopt,
            scopes=scopes,
        )

    def stop(
        self,
        name: str = "Falcon",
        key: str | None = None,
        scopes: str = EVERY_SCOPE,
        *,
        forget: bool = False,
    ) -> Actor:
        meter = self.stage.meter
        request = by("ann", scopes).under(key, "stop", {"forget": forget})
        return self.stage.invoke(
            "api",
            "forget" if forget else "stop",
            lambda now: meter.stop(name, now, request, forget=forget),
            key=key,
            scopes=scopes,
        )

    def set_schedules(self, *schedules: Schedule, name: str = "Mine") -> Actor:
        meter = self.stage.meter
        return self.stage.invoke(
            "api",
            "schedules",
            lambda now: meter.set_schedules(name, list(schedules), now, by()),
        )

    def wake(self, name: str = "Falcon") -> Actor:
        share = WakeShare("ann", 5)
        return self.stage.invoke(
            "api", "wake", lambda now: self.stage.waking.wake(name, now, "ann", share)
        )

    def tick(self) -> Actor:
        return self.stage.tick()

    def hint(self, key: str = KEY, cause: Cause = Cause.SWEEP) -> None:
        """A hint of its own: the next invocation of the reconciler heeds it."""
        self.stage.queues["work"].put(Hint(key, cause).to_body(), 0)

    def foreign(self, name: str = "Falcon", config: str = SHARED, **tags: str) -> None:
        """An endpoint that somebody else made; `tags` by the part of their keys that differs."""
        self.stage.watch.meddled(name.lower())
        self.stage.sagemaker.perform(
            "CreateEndpoint", {"EndpointName": name, "EndpointConfigName": config}
        )
        if tags:
            self.retag(name.lower(), untag=False, **tags)

    def retag(self, key: str = KEY, *, untag: bool = False, **tags: str) -> None:
        """Somebody puts tags on, or takes that of the stack off; there may be nothing to tag."""
        self.stage.watch.meddled(key)
        if self.stage.sagemaker.status(key) is not None:
            add = {f"endpoint-meter:{name}": value for name, value in tags.items()}
            self.stage.sagemaker.retag(key, add, [STACK_TAG_KEY] if untag else [])

    def delete_by_hand(self, key: str = KEY) -> None:
        self.stage.watch.meddled(key)
        if self.stage.sagemaker.status(key) in ("InService", "Failed"):
            self.stage.sagemaker.perform("DeleteEndpoint", {"EndpointName": key})

    def replace_by_hand(self, key: str = KEY, config: str = SHARED) -> None:
        """Somebody deletes it and makes another of that name at once."""
        sagemaker = self.stage.sagemaker
        moods = sagemaker.moods
        sagemaker.moods = replace(moods, delete_seconds=(0, 0))
        self.delete_by_hand(key)
        sagemaker.release_stuck()  # as much as a look at the clock
        sagemaker.moods = moods
        if sagemaker.status(key) is None:
            self.foreign(key, config)

    @property
    def neighbour(self) -> Stack:
        """The second stack of the account, with a tick of its own."""
        if self._neighbour is None:
            self._neighbour = self.stage.neighbour
            self.stage.kernel.after(10, self._tick_next_door)
        return self._neighbour

    def adopt_next_door(self, name: str, config: str = SHARED) -> None:
        meter, request = self.neighbour.meter, by()
        self.neighbour.invoke(
            "api",
            "add",
            lambda now: meter.add(name, config, 4, now, request, adopt=True),
            adopt=True,
        )

    def mute(self) -> None:
        """No message arrives and no tick comes until `listen`."""
        self.ticking = False
        for queue in self.stage.queues.values():
            queue.deaf = True

    def listen(self) -> None:
        self.ticking = True
        for queue in self.stage.queues.values():
            queue.deaf = False

    def amiss(self) -> list[str]:
        """What is not as it should be, or on the way there."""
        stage = self.stage
        now, found = stage.kernel.now, [*stage.kernel.errors, *stage.watch.violations]
        found += [f"{key}: carries a tag without right" for key in stage.trespass.astray()]
        for tag in (STACK_TAG, OTHER_STACK):
            if stage.watch.restored is None:
                found += [f"{key}: is being adopted" for key in stage.trespass.pending(tag)]
        for key, case in sorted(stage.watch.cases.items()):
            status, wanted = stage.sagemaker.status(key), stage.watch.wanted(key, now)
            to_come = case.regained is not None and case.regained > now
            if not stage.watch.ours(key) or stage.watch.undecided(key) or to_come:
                continue
            right = ("InService", "Creating", "Updating") if wanted else (None, "Deleting")
            if status not in right:
                found.append(f"{key}: wanted {wanted}, but {status}")
            if case.outdated_since:
                found.append(f"{key}: serves an old config")
            if wanted and status == "InService" and not self._scaled(key):
                found.append(f"{key}: is not scaled")
            item = stage.tables.get("state", f"ENDPOINT#{key}", "STATE")
            if item and "lock_until" in item and float(item["lock_until"]["N"]) > now.timestamp():
                found.append(f"{key}: locked")
        if stage.sagemaker.status(KEY) == "InService":
            entries = stage.tables.history.get(f"ENDPOINT#{KEY}", {}).values()
            kinds = {entry["kind"]["S"] for entry in entries}
            found += [f"the history lacks '{kind}'" for kind in self.told if kind not in kinds]
        return found

    def _serves(self) -> bool:
        """Whether what runs serves what is declared, or what was set by hand."""
        sagemaker, ledger = self.stage.sagemaker, self.stage.watch.ledger
        return all(
            sagemaker.endpoint(key).config_name in {*spec.configs(), *ledger.account(key).configs}
            for key, spec in self.specs.items()
            if sagemaker.status(key) not in (None, "Deleting")
        )

    def _scaled(self, key: str) -> bool:
        spec = self.specs.get(key)
        if spec is None or not spec.scaling:
            return True
        request = {"ServiceNamespace": "sagemaker"}
        targets = self.stage.sagemaker.perform("DescribeScalableTargets", request)
        return bool(targets["ScalableTargets"])

    def _pay(
        self, use: str, payment: Payment, call: Callable[[datetime], Any], **notes: Any
    ) -> Actor:
        return self.stage.invoke("api", use, call, payment=payment, **notes)

    def _outcome(self, operation: str) -> Outcome:
        if operation == "CreateEndpoint" and self.failures:
            self.failures -= 1
            return Outcome.FAILED
        if self.outcome is Outcome.ROLLBACK and operation not in UPDATES:
            return Outcome.SUCCESS
        return self.outcome or Outcome.SUCCESS

    def _tick_next_door(self) -> None:
        self.neighbour.tick()
        self.stage.kernel.after(60, self._tick_next_door)

    def _tick(self) -> None:
        began = self.stage.kernel.now
        if self.ticking:
            self.stage.tick(
                lambda came: self.stage.watch.ticked(began, well=came.result is not None)
            )
        self.stage.kernel.after(60, self._tick)


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


def _falcon(scene: Scene, **fields: Any) -> None:
    scene.deploy(scene.spec(**fields))


def _running(scene: Scene, **fields: Any) -> None:
    _falcon(scene, **fields)
    scene.renew()
    scene.advance(30)


def _mine(scene: Scene, seconds: float = 30) -> None:
    scene.add()
    scene.advance(seconds)


def _withdrawn_over_mine(scene: Scene) -> None:
    """What the API put on the meter comes into force again; the entry's config is served yet."""
    _mine(scene)
    scene.renew("Mine", 9)
    scene.deploy(scene.spec("Mine", "mine-1"))
    scene.advance(60)  # also late events have come
    scene.withdraw("mine")


def _at_lease_end(scene: Scene) -> None:
    """The lease ends, and no message says so: the situation is for the hint that comes now."""
    _falcon(scene)
    scene.renew(minutes=1)
    scene.advance(30)
    scene.mute()
    scene.advance(31)


def _failed(scene: Scene) -> None:
    scene.outcome = Outcome.FAILED
    _falcon(scene)
    scene.renew()
    scene.advance(3)
    scene.mute()
    scene.advance(8)
    scene.outcome = None


def _paid_for(scene: Scene) -> None:
    scene.renew()


def _new(scene: Scene) -> None:
    scene.write(scene.spec(initial_provision_minutes=5))


def _second_config(scene: Scene) -> None:
    scene.write(scene.spec(config="falcon-2"))


def _hinted(scene: Scene) -> None:
    scene.hint()


def _changed_config(scene: Scene) -> None:
    _running(scene)
    scene.write(scene.spec(config="falcon-2"))
    scene.mute()
    scene.sync()
    scene.advance(1)


def _rolling_back(scene: Scene) -> None:
    _running(scene)
    scene.outcome = Outcome.ROLLBACK
    scene.deploy(scene.spec(config="falcon-2"))
    scene.advance(3)
    scene.mute()
    scene.advance(6)
    scene.outcome = None


def _set_by_hand(scene: Scene, **fields: Any) -> None:
    _running(scene, **fields)
    scene.mute()
    scene.update()
    scene.advance(1)


def _reweighed(scene: Scene) -> None:
    _running(scene)
    scene.mute()
    scene.reweigh()
    scene.advance(1)


def _weights_roll_back(scene: Scene) -> None:
    _reweighed(scene)
    scene.outcome = Outcome.ROLLBACK
    scene.told = ["rolled back"]


def _undone(scene: Scene, ask: Callable[[Scene], object]) -> None:
    """What was asked for by hand was begun and rolled back, and nobody has seen that yet."""
    _running(scene)
    scene.outcome = Outcome.ROLLBACK
    ask(scene)
    scene.advance(3)
    scene.mute()
    scene.advance(7)


def _weights_rolled_back(scene: Scene) -> None:
    _undone(scene, Scene.reweigh)


def _rolls_back(scene: Scene) -> None:
    _changed_config(scene)
    scene.outcome = Outcome.ROLLBACK
    scene.told = ["rolled back"]


def _rolled_back(scene: Scene) -> None:
    """The deploy of falcon-2 came to nothing; falcon-1 is served, and that is known."""
    _rolling_back(scene)
    scene.listen()
    scene.advance(20)
    scene.told = ["rolled back"]


def _rolled_back_by_hand(scene: Scene) -> None:
    _undone(scene, Scene.update)
    scene.outcome = None
    scene.told = ["rolled back"]


def _scaled_update(scene: Scene) -> None:
    _running(scene, scaling=_SCALED)
    scene.write(scene.spec(config="falcon-2", scaling=_SCALED))
    scene.mute()
    scene.sync()
    scene.advance(1)


def _withdrawn(scene: Scene) -> None:
    _running(scene)
    scene.withdraw()
    scene.mute()
    scene.sync()
    scene.advance(1)


def _drained(scene: Scene) -> None:
    _running(scene)
    _mine(scene)
    scene.drain()
    scene.advance(20)


def _two_due(scene: Scene) -> None:
    """One is to start and one to stop within the next two minutes; a third is overdue."""
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


def _windows(scene: Scene) -> None:
    """Half past midnight: of the windows that began yesterday one ends, and two open by clocks
    elsewhere."""
    midnight, half_past, noon = time(0), time(0, 30), time(12)
    every_day, today = frozenset(range(7)), frozenset({CLOCKS_FALL_BACK.date()})
    schedules = {
        "Yesterday": Schedule("saturday", time(23), half_past, days=frozenset({5})),
        "Night": Schedule("till four", time(23), time(4), days=frozenset({5})),
        "Always": Schedule("24 hours", midnight, midnight, days=every_day),
        "Holiday": Schedule("but today", midnight, noon, days=every_day, except_dates=today),
        "Kolkata": Schedule("six", time(6), noon, days=every_day, timezone="Asia/Kolkata"),
        "Berlin": Schedule("half", time(2, 30), noon, days=every_day, timezone="Europe/Berlin"),
    }
    scene.deploy(*(scene.spec(name, "cfg", schedules=(s,)) for name, s in schedules.items()))
    scene.advance(25)


def _two_due_and_sqs_moody(scene: Scene) -> None:
    """SQS takes only every other message."""
    _two_due(scene)
    moods = cycle((True, False))
    scene.stage.faults.refuses = lambda kind: kind == "message not taken" and next(moods)  # type: ignore[method-assign]


def _without_state(scene: Scene) -> None:
    scene.write(scene.spec(schedules=(AT_NINE,), initial_provision_minutes=5))
    scene.stage.watch.flux([KEY], begins=False)


def _forgets(scene: Scene) -> Actor:
    return scene.stop("Mine", forget=True)


def _gone_by_hand(scene: Scene) -> None:
    _running(scene)
    scene.mute()
    scene.delete_by_hand()
    scene.advance(10)


def _stopped_mine(scene: Scene) -> None:
    _mine(scene)
    scene.stop("Mine")
    scene.advance(30)


def _failed_before(scene: Scene) -> None:
    """It failed three times and was well since; now it is gone, and will fail once more."""
    scene.failures = 3
    _falcon(scene, schedules=(AT_NINE,))
    scene.advance(170)
    scene.mute()
    scene.delete_by_hand()
    scene.advance(10)
    scene.failures = 1


def _unseen_config(scene: Scene) -> None:
    """SageMaker does not know its endpoint config yet."""
    _falcon(scene)
    seen_from = scene.stage.kernel.now + timedelta(seconds=20)
    scene.stage.sagemaker.config_seen_from["falcon-1"] = seen_from
    scene.mute()
    scene.renew()
    scene.advance(1)


def _going(scene: Scene) -> None:
    """It is being deleted when it is wanted again."""
    _running(scene)
    scene.stop()
    scene.advance(0.2)


_SCALED = (Scaling("all", 1, 2, {"by load": {"TargetValue": 70.0}}),)


def _scaled_soon(scene: Scene) -> None:
    _falcon(scene, scaling=_SCALED)
    scene.renew()
    scene.advance(3)
    scene.mute()
    scene.advance(9)


def steps(*acts: Callable[[Scene], object]) -> Callable[[Scene], None]:
    """One after the other."""

    def act(scene: Scene) -> None:
        for each in acts:
            each(scene)

    return act


def after(seconds: float) -> Callable[[Scene], None]:
    return lambda scene: scene.advance(seconds)


def falcon(**fields: Any) -> Callable[[Scene], None]:
    """One endpoint of the config, deployed."""
    return lambda scene: _falcon(scene, **fields)


_renewed = steps(_falcon, lambda s: s.renew())
_held = steps(falcon(schedules=(AT_NINE,)), lambda s: s.stop(), after(30))
_stopping = steps(_running, lambda s: s.stop(), after(2), Scene.mute)
_to_falcon_2 = falcon(config="falcon-2")


SITUATIONS: tuple[Situation, ...] = (
    Situation("renew: absent", _falcon, lambda s: s.renew()),
    Situation("renew: with a key", _falcon, lambda s: s.renew(key="k")),
    Situation("renew: running", _running, lambda s: s.renew()),
    Situation("renew: being deleted", _going, lambda s: s.renew()),
    Situation("renew: held", _held, lambda s: s.renew()),
    Situation("wake: absent", _falcon, lambda s: s.wake()),
    Situation("wake: running", _running, lambda s: s.wake()),
    Situation("wake: being deleted", _going, lambda s: s.wake()),
    Situation("stop: leased", _running, lambda s: s.stop()),
    Situation(
        "stop: in a window", steps(falcon(schedules=(AT_NINE,)), after(20)), lambda s: s.stop()
    ),
    Situation("stop: being created", steps(_renewed, after(3)), lambda s: s.stop()),
    Situation("forget: running", _mine, _forgets, about="Mine"),
    Situation("forget: absent", _stopped_mine, _forgets, about="Mine"),
    Situation("add: new", steps(), lambda s: s.add(), about="Mine"),
    Situation("add: again", _mine, lambda s: s.add(), about="Mine"),
    Situation(
        "add: while an earlier life ends",
        steps(_mine, _forgets, after(0.3)),
        lambda s: s.add(),
        about="Mine",
    ),
    Situation(
        "schedules: opening", _stopped_mine, lambda s: s.set_schedules(AT_NINE), about="Mine"
    ),
    Situation(
        "schedules: later",
        _stopped_mine,
        lambda s: s.set_schedules(ENDS_SOON, FROM_TEN),
        about="Mine",
    ),
    Situation(
        "schedules: closing",
        steps(_stopped_mine, lambda s: s.set_schedules(AT_NINE), after(30)),
        lambda s: s.set_schedules(),
        about="Mine",
    ),
    Situation("update: running", _running, lambda s: s.update()),
    Situation("update: with a key", _running, lambda s: s.update(key="k")),
    Situation("update: absent", _falcon, lambda s: s.update()),
    Situation("update: being updated", steps(_running, _to_falcon_2), lambda s: s.update()),
    Situation(
        "update: again after a rollback", _rolled_back, lambda s: s.update(config="falcon-2")
    ),
    Situation("update: added", _mine, lambda s: s.update("Mine"), about="Mine"),
    Situation("weights: running", _running, lambda s: s.reweigh()),
    Situation("tick: two due", _two_due, lambda s: s.tick()),
    Situation(
        "tick: hints were lost",
        steps(_two_due, lambda s: s.tick(), after(45)),
        lambda s: s.tick(),
    ),
    Situation(
        "tick: hints of a sweep were lost",
        steps(_gone_by_hand, lambda s: s.sweep(), after(2)),
        lambda s: s.tick(),
    ),
    Situation("tick: windows", _windows, lambda s: s.tick(), begin=CLOCKS_FALL_BACK),
    Situation("tick: messages not taken", _two_due_and_sqs_moody, lambda s: s.tick()),
    Situation("reconcile: create", steps(_falcon, Scene.mute, _paid_for, after(1)), _hinted),
    Situation("reconcile: being created", steps(_renewed, after(3), Scene.mute), _hinted),
    Situation("reconcile: in service", steps(_renewed, after(3), Scene.mute, after(9)), _hinted),
    Situation("reconcile: delete", _at_lease_end, _hinted),
    Situation("reconcile: being deleted", _stopping, _hinted),
    Situation("reconcile: gone", steps(_stopping, after(4)), _hinted),
    Situation("reconcile: update", _changed_config, _hinted),
    Situation("reconcile: being updated", steps(_running, _to_falcon_2, Scene.mute), _hinted),
    Situation("reconcile: updated", steps(_running, _to_falcon_2, Scene.mute, after(8)), _hinted),
    Situation("reconcile: update that is rolled back", _rolls_back, _hinted),
    Situation("reconcile: update of what is scaled", _scaled_update, _hinted),
    Situation("reconcile: update by hand", _set_by_hand, _hinted),
    Situation(
        "reconcile: update by hand of what is scaled",
        lambda s: _set_by_hand(s, scaling=_SCALED),
        _hinted,
    ),
    Situation("reconcile: weights by hand", _reweighed, _hinted),
    Situation(
        "reconcile: weights for an earlier life",
        steps(_reweighed, Scene.delete_by_hand, after(6)),
        _hinted,
    ),
    Situation("reconcile: weights that are rolled back", _weights_roll_back, _hinted),
    Situation("reconcile: weights rolled back", _weights_rolled_back, _hinted),
    Situation("reconcile: rolled back", _rolling_back, _hinted),
    Situation("reconcile: rolled back by hand", _rolled_back_by_hand, _hinted),
    Situation("reconcile: failed", _failed, _hinted),
    Situation(
        "reconcile: again after a failure",
        steps(_failed, Scene.listen, _hinted, after(6), Scene.mute, after(15)),
        _hinted,
    ),
    Situation("reconcile: failed again after a while", _failed_before, _hinted, again=True),
    Situation("reconcile: config not seen", _unseen_config, _hinted),
    Situation(
        "reconcile: stopped while created",
        steps(_renewed, after(3), Scene.mute, lambda s: s.stop(), after(9)),
        _hinted,
    ),
    Situation("reconcile: withdrawn", _withdrawn, _hinted),
    Situation(
        "reconcile: forget",
        steps(_withdrawn, Scene.listen, _hinted, after(3), Scene.mute, after(4)),
        _hinted,
    ),
    Situation(
        "reconcile: forget what was added",
        steps(_stopped_mine, Scene.mute, _forgets, after(1)),
        lambda s: s.hint("mine"),
        about="Mine",
    ),
    Situation(
        "reconcile: foreign",
        steps(lambda s: s.foreign(), after(10), _falcon, Scene.mute, _paid_for, after(1)),
        _hinted,
    ),
    Situation("reconcile: scaling", _scaled_soon, _hinted),
    Situation("reconcile: early", steps(_running, after(206)), lambda s: s.hint(cause=Cause.TICK)),
    Situation("sweep: gone by hand", _gone_by_hand, lambda s: s.sweep(), again=True),
    Situation("sweep: without state", _without_state, lambda s: s.sweep(), again=True),
    Situation("sweep: withdrawn", _withdrawn, lambda s: s.sweep(), again=True),
    Situation("sync: new", _new, lambda s: s.sync(), again=True),
    Situation("sync: changed", steps(_running, _second_config), lambda s: s.sync(), again=True),
    Situation(
        "sync: withdrawn", steps(_running, lambda s: s.withdraw()), lambda s: s.sync(), again=True
    ),
    Situation(
        "sync: withdrawn from over the API's",
        _withdrawn_over_mine,
        lambda s: s.sync(),
        again=True,
        about="Mine",
    ),
    Situation("sync: after a drain", _drained, lambda s: s.sync(), again=True),
    Situation(
        "sync: changed after an update by hand",
        steps(_running, lambda s: s.update(), after(12), _second_config),
        lambda s: s.sync(),
        again=True,
    ),
    Situation("sync: the same after a rollback", _rolled_back, lambda s: s.sync(), again=True),
    Situation(
        "sync: taken back after a rollback",
        steps(_rolled_back, lambda s: s.write(s.spec())),
        lambda s: s.sync(),
        again=True,
    ),
    Situation("wait: for an update", steps(_running, _to_falcon_2), lambda s: s.wait(), again=True),
    Situation("wait: for one that is rolled back", _rolling_back, lambda s: s.wait(), again=True),
    Situation("settle: while updated", steps(_running, _to_falcon_2), Scene.settle, again=True),
    Situation(
        "settle: updated", steps(_running, _to_falcon_2, after(12)), Scene.settle, again=True
    ),
    Situation(
        "settle: taken back while updated",
        steps(_running, _to_falcon_2, _falcon),
        Scene.settle,
        again=True,
    ),
    Situation(
        "settle: withdrawn from over the API's",
        steps(_withdrawn_over_mine, Scene.sync, after(2)),
        Scene.settle,
        again=True,
        about="Mine",
    ),
    Situation("settle: rolled back", _rolled_back, Scene.settle, again=True),
    Situation("settle: taken back", steps(_rolled_back, _falcon), Scene.settle, again=True),
    Situation(
        "settle: set to an old config by hand",
        steps(_rolled_back, lambda s: s.update(config="falcon-1"), after(5)),
        Scene.settle,
        again=True,
    ),
    Situation("drain", steps(_running, _mine), lambda s: s.drain(), again=True),
)

RIVALS: dict[str, Rival] = {
    "a renewal": lambda s, name: s.renew(name),
    "a renewal with its key": lambda s, name: s.renew(name, key="k"),
    "a stop": lambda s, name: s.stop(name),
    "another hint": lambda s, name: s.hint(name.lower()),
    "a tick": lambda s, _: s.tick(),
    "an update by hand": lambda s, name: s.update(name),
    "other weights": lambda s, name: s.reweigh(name),
}
RIVALS_FOR_ADDED: dict[str, Rival] = {
    "an add": lambda s, name: s.add(name),
    "a forget": lambda s, name: s.stop(name, forget=True),
    "new schedules": lambda s, name: s.set_schedules(FROM_TEN, name=name),
}
"""What users may do only to endpoints that they added."""


RIVALS_OF_WAKES: dict[str, Rival] = {"another call of the model": lambda s, name: s.wake(name)}


def rivals(situation: Situation) -> Mapping[str, Rival]:
    if situation.rivals is not None:
        return situation.rivals
    found = RIVALS | (RIVALS_FOR_ADDED if situation.about == "Mine" else {})
    return found | (RIVALS_OF_WAKES if situation.name.startswith("wake:") else {})
