"""A small world in which only those things fail that a test asks for."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any

from lambdas.aws.attribute_values import encode
from lambdas.aws.items import spec_values
from lambdas.core.days import WEEKDAYS
from lambdas.core.hints import Cause, Hint
from lambdas.core.ports import WakeShare
from lambdas.core.schedule import Schedule
from lambdas.core.settings import STACK_TAG_KEY
from lambdas.core.spec import Origin, Spec
from local.simulator.lifecycle import Outcome
from tests.fakes import EVERY_SCOPE, by
from tests.simulation.faults import PEACE
from tests.simulation.kernel import Actor
from tests.simulation.ledger import Payment
from tests.simulation.sagemaker import STACK_TAG, UPDATES, Moods
from tests.simulation.stack import Came, Stack
from tests.simulation.stage import OTHER_STACK, Stage
from tests.simulation.wire import steady

MONDAY_NINE = datetime(2026, 3, 2, 9, tzinfo=UTC)
CLOCKS_FALL_BACK = datetime(2026, 10, 25, 0, 28, 20, tzinfo=UTC)
"""A Sunday. In Berlin half past two comes twice, the first time in 100 seconds."""
KEY = "falcon"
SHARED = "shared-cfg"
BY_HAND = "by-hand-cfg"
THEIRS = "theirs-cfg"
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
FROM_TEN = Schedule("from ten", time(10), time(17), days=frozenset(WEEKDAYS))
AT_NINE = Schedule("at nine", time(8), time(17), days=frozenset(WEEKDAYS))
CLOSED = Schedule("closed", time(8), time(9, 1), days=frozenset(WEEKDAYS))
STOPS_SOON = Schedule("stops soon", None, time(9, 2), days=frozenset(WEEKDAYS))
LAST_MONDAY = replace(STOPS_SOON, name="last monday", days=frozenset({"last mon"}))
ENDS_SOON = Schedule("ends soon", time(8), time(9, 6), days=frozenset(WEEKDAYS))


class Scene:
    """A stage with a tick each minute, and sweeps on request."""

    def __init__(self, begin: datetime = MONDAY_NINE) -> None:
        self.stage = stage = Stage(0, begin, PEACE, replace(MOODS), page=2)
        stage.wire.latency = steady
        self.specs: dict[str, Spec] = {}
        self.made: list[str] = []
        """The configs that Terraform created and has not deleted."""
        self.told: list[str] = []
        """What the history of Falcon must say at the end, if it runs."""
        self.outcome: Outcome | None = None
        self.failures = 0
        """How many of the next creates end in Failed."""
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
        """Write what Terraform writes before it calls sync."""
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
        """The verdict. If it is good, Terraform deletes what is no longer declared."""

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
            lambda now: self.stage.expiry.renew(name, minutes, now, request),
        )

    def renew_until(self, minutes: int) -> Actor:
        until = self.stage.kernel.now.replace(microsecond=0) + timedelta(minutes=minutes)
        return self._pay(
            "renew",
            Payment(minutes, until=until),
            lambda now: self.stage.expiry.renew_until("Falcon", until, now, by()),
        )

    def pay_session(
        self, name: str = "Falcon", minutes: int = 4, key: str | None = None, who: str = "ann"
    ) -> Actor:
        request = by(who).under(key, "pay session", {"minutes": minutes})
        return self._pay(
            "pay session",
            Payment(minutes, key, session=(who, "job")),
            lambda now: self.stage.sessions.pay(name, "job", minutes, now, request),
        )

    def end_session(self, name: str = "Falcon", key: str | None = None) -> Actor:
        request = by().under(key, "end session", {})
        return self.stage.invoke(
            "api",
            "end session",
            lambda now: self.stage.sessions.end(name, "job", now, request),
            key=key,
            session=("ann", "job"),
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
        expiry, request = self.stage.expiry, by("ann", scopes)
        return self._pay(
            "add",
            Payment(minutes),
            lambda now: expiry.add(name, config, minutes, now, request, adopt=adopt),
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
        expiry = self.stage.expiry
        request = by("ann", scopes).under(key, "stop", {"forget": forget})
        return self.stage.invoke(
            "api",
            "forget" if forget else "stop",
            lambda now: expiry.stop(name, now, request, forget=forget),
            key=key,
            scopes=scopes,
        )

    def set_schedules(self, *schedules: Schedule, name: str = "Mine") -> Actor:
        changes = self.stage.schedules
        return self.stage.invoke(
            "api",
            "schedules",
            lambda now: changes.replace(name, list(schedules), now, by()),
        )

    def wake(self, name: str = "Falcon") -> Actor:
        share = WakeShare("ann", 5)
        return self.stage.invoke(
            "api", "wake", lambda now: self.stage.waking.wake(name, now, "ann", share)
        )

    def extend(self, name: str = "Falcon") -> Actor:
        return self.stage.invoke("api", "extend", lambda now: self.stage.waking.extend(name, now))

    def tick(self) -> Actor:
        return self.stage.tick()

    def hint(self, key: str = KEY, cause: Cause = Cause.SWEEP) -> None:
        """Send a single hint: the next invocation of the reconciler handles it."""
        self.stage.queues["work"].put(Hint(key, cause).to_body(), 0)

    def foreign(self, name: str = "Falcon", config: str = SHARED, **tags: str) -> None:
        """Create an endpoint of somebody else. `tags` has only the last part of each key."""
        self.stage.watch.meddled(name.lower())
        self.stage.sagemaker.perform(
            "CreateEndpoint", {"EndpointName": name, "EndpointConfigName": config}
        )
        if tags:
            self.retag(name.lower(), untag=False, **tags)

    def retag(self, key: str = KEY, *, untag: bool = False, **tags: str) -> None:
        """Somebody adds tags, or removes the stack tag. The endpoint may be gone."""
        self.stage.watch.meddled(key)
        if self.stage.sagemaker.status(key) is not None:
            add = {f"endpoint-meter:{name}": value for name, value in tags.items()}
            self.stage.sagemaker.retag(key, add, [STACK_TAG_KEY] if untag else [])

    def delete_by_hand(self, key: str = KEY) -> None:
        self.stage.watch.meddled(key)
        if self.stage.sagemaker.status(key) in ("InService", "Failed"):
            self.stage.sagemaker.perform("DeleteEndpoint", {"EndpointName": key})

    def move_outside(self, key: str = KEY) -> None:
        """Somebody calls UpdateEndpoint, with a config that the meter does not know."""
        self.stage.watch.meddled(key)
        self.stage.watch.updated_outside(key)
        self.stage.sagemaker.create_config(THEIRS)
        self.stage.sagemaker.perform(
            "UpdateEndpoint", {"EndpointName": key, "EndpointConfigName": THEIRS}
        )

    def replace_by_hand(self, key: str = KEY, config: str = SHARED) -> None:
        """Somebody deletes it and creates another of that name at once."""
        sagemaker = self.stage.sagemaker
        moods = sagemaker.moods
        sagemaker.moods = replace(moods, delete_seconds=(0, 0))
        self.delete_by_hand(key)
        sagemaker.release_stuck()  # reading the clock is enough
        sagemaker.moods = moods
        if sagemaker.status(key) is None:
            self.foreign(key, config)

    @property
    def neighbour(self) -> Stack:
        """The second stack of the account, with its own tick."""
        if self._neighbour is None:
            self._neighbour = self.stage.neighbour
            self.stage.kernel.after(10, self._tick_next_door)
        return self._neighbour

    def adopt_next_door(self, name: str, config: str = SHARED) -> None:
        expiry, request = self.neighbour.expiry, by()
        self.neighbour.invoke(
            "api",
            "add",
            lambda now: expiry.add(name, config, 4, now, request, adopt=True),
            adopt=True,
        )

    def refuse_for_good(self, operation: str, code: str, key: str = KEY) -> None:
        """The next such call about it meets an error that no retry changes."""
        self.stage.sagemaker.refusals.coming[operation, key] = code

    def mute(self) -> None:
        """Drop all messages and ticks until `listen`."""
        self.ticking = False
        for queue in self.stage.queues.values():
            queue.deaf = True

    def listen(self) -> None:
        self.ticking = True
        for queue in self.stage.queues.values():
            queue.deaf = False

    def amiss(self) -> list[str]:
        """Everything that is not as wanted, and not on its way there."""
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
            if status not in self._right(key, wanted=wanted):
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

    def _right(self, key: str, *, wanted: bool) -> Collection[str | None]:
        """The statuses that an endpoint may have."""
        if wanted and self.stage.watch.is_refused("CreateEndpoint", key):
            return (None,)
        return ("InService", "Creating", "Updating") if wanted else (None, "Deleting")

    def _serves(self) -> bool:
        """Whether all running endpoints serve the declared configs, or those set by hand."""
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
        if self.stage.watch.is_refused("PutScalingPolicy", key):
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
