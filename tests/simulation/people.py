"""People who use the meter: users, and a team that deploys."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from random import Random
from typing import Any

from lambdas.aws.attribute_values import encode
from lambdas.aws.items import spec_values
from lambdas.core.days import WEEKDAYS, Day, names_of
from lambdas.core.documents import iso
from lambdas.core.errors import AwsRefused, Busy, MeterError, UnknownEndpoint
from lambdas.core.idempotency import Request
from lambdas.core.ports import WakeShare
from lambdas.core.schedule import Schedule
from lambdas.core.spec import Origin, OutsideUpdates, Spec
from tests.fakes import by
from tests.simulation import oracle
from tests.simulation.ledger import Payment, Session
from tests.simulation.stack import Came
from tests.simulation.stage import Stage
from tests.simulation.versions import FUNCTIONS, Form, in_new_form

ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Australia/Melbourne",
    "America/St_Johns",
    "Asia/Kolkata",
    "Pacific/Auckland",
    "America/Santiago",
)
API_CONFIG = "shared-cfg"
BY_HAND = ("hand-1", "hand-2")
"""Configs of users, for updates by hand."""
NAMES = ("ann", "bob", "cleo")
"""The names of users. Each has a token."""
_MINUTES = (1, 2, 3, 5, 10, 10, 30, 60, 60, 180)
_TRIES = 3
_LATELY = timedelta(seconds=60)
"""How old the schedules behind an answer may be."""


def a_schedule(rng: Random, name: str, around: date) -> Schedule:
    """A schedule with windows in the days around `around`. Often it is near 02:00, when clocks
    change, and often short."""
    hour = rng.choice((0, 1, 2, 2, 3, 8, 9, 17, 22, 23))
    start = time(hour, rng.choice((0, 0, 15, 30, 59)))
    length = rng.choice((1, 5, 30, 60, 120, 480, 1440))
    stop_minute = (start.hour * 60 + start.minute + length) % 1440
    stop = time(stop_minute // 60, stop_minute % 60)
    zone = rng.choice(ZONES)
    begin, end, minutes = rng.choice(
        (*[(start, stop, None)] * 5, (None, stop, None), (start, None, length))
    )
    if rng.random() < 0.3:
        day = around + timedelta(days=rng.randint(0, 2))
        return Schedule(name, begin, end, on_date=day, timezone=zone, minutes=minutes)
    days: set[Day] = set(rng.sample(WEEKDAYS, rng.randint(1, 7)))
    if rng.random() < 0.2:
        days = set(
            rng.choice([sorted(names_of(around + timedelta(days=n)), key=str) for n in range(3)])
        )
    left_out = frozenset({around + timedelta(days=1)} if rng.random() < 0.2 else ())
    return Schedule(
        name,
        begin,
        end,
        days=frozenset(days),
        timezone=zone,
        except_dates=left_out,
        minutes=minutes,
    )


@dataclass
class Users:
    """Users of the REST API. Each endpoint has its usual users. Some requests come many at once,
    some in the same second in which a lease ends."""

    stage: Stage
    names: list[str]
    visits_a_day: float
    until: datetime
    asked: int = 0
    rng: Random = field(init=False)

    def __post_init__(self) -> None:
        self.rng = self.stage.rng

    def begin(self) -> None:
        for name in self.names:
            self._next_visit(name)

    def _next_visit(self, name: str) -> None:
        seconds = self.rng.expovariate(self.visits_a_day / 86_400)
        self._later(seconds, lambda: self._visit(name))

    def _visit(self, name: str) -> None:
        self._act(name)
        if self.rng.random() < 0.15:  # a crowd
            for _ in range(self.rng.randint(1, 4)):
                self._later(self.rng.choice((0.0, 0.01, 0.05, 0.5, 2.0)), lambda: self._act(name))
        account = self.stage.watch.ledger.account(name.lower())
        if account.expires_at is not None and self.rng.random() < 0.4:  # at the last moment
            left = (account.expires_at - self.stage.kernel.now).total_seconds()
            if left > 3:
                moment = left + self.rng.uniform(-3, 3)
                self._later(moment, lambda: self._act(name))
        self._next_visit(name)

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        if self.stage.kernel.now + timedelta(seconds=seconds) < self.until:
            self.stage.kernel.after(seconds, act)

    def _act(self, name: str) -> None:
        account = self.stage.watch.ledger.account(name.lower())
        draw = self.rng.random()
        of_api = account.config_spec is None
        if account.spec is None or (of_api and draw < 0.1):
            self._add(name)
        elif draw < 0.56:
            self._renew(name)
        elif draw < 0.6:
            self._renew_until(name)
        elif draw < 0.68:
            self._run_a_program(name)
        elif draw < 0.86:
            self._stop(name, forget=of_api and self.rng.random() < 0.4)
        elif draw < 0.96 and of_api:
            self._set_schedules(name)
        elif draw < 0.968:
            self._wake(name)
        elif draw < 0.975:
            self._extend(name)
        elif draw < 0.99:
            self._update(name)
        else:
            self._ask("get", name, lambda now, _request: self.stage.expiry.get(name, now))

    def _update(self, name: str) -> None:
        updates, rng = self.stage.updates, self.rng
        if rng.random() < 0.6:
            config = rng.choice(BY_HAND)
            self._ask(
                "update",
                name,
                lambda now, request: updates.update(name, config, {}, now, request),
            )
        else:
            wishes = [{"VariantName": "all", "DesiredWeight": rng.choice((0.5, 2, 3))}]
            self._ask(
                "weights", name, lambda now, request: updates.reweigh(name, wishes, now, request)
            )

    def _add(self, name: str) -> None:
        minutes = self.rng.choice(_MINUTES)
        expiry = self.stage.expiry
        self._pay(
            "add",
            name,
            minutes,
            lambda now, request: expiry.add(name, API_CONFIG, minutes, now, request),
        )

    def _renew(self, name: str) -> None:
        minutes = self.rng.choice(_MINUTES)
        expiry = self.stage.expiry
        self._pay(
            "renew", name, minutes, lambda now, request: expiry.renew(name, minutes, now, request)
        )

    def _renew_until(self, name: str) -> None:
        expiry, minutes = self.stage.expiry, self.rng.choice(_MINUTES)
        until = self.stage.kernel.now.replace(microsecond=0) + timedelta(minutes=minutes)
        self._pay(
            "renew",
            name,
            minutes,
            lambda now, request: expiry.renew_until(name, until, now, request),
            until=until,
        )

    def _run_a_program(self, name: str) -> None:
        """A program pays for a session again and again while it runs. Some die, the others end
        their session. Programs of one person may use the same name for it."""
        sessions, rng = self.stage.sessions, self.rng
        session = (rng.choice(NAMES), rng.choice(("training", "notebook", f"job-{self.asked}")))
        left, dies = rng.randint(1, 6), rng.random() < 0.2
        key = f"end-{self.asked}" if rng.random() < 0.5 else None
        request = by(session[0]).under(key, "end session", {"session": session[1]})

        def pay() -> None:
            nonlocal left
            minutes = rng.choice((1, 2, 5, 15))
            self._pay(
                "pay session",
                name,
                minutes,
                lambda now, request: sessions.pay(name, session[1], minutes, now, request),
                session=session,
            )
            left -= 1
            seconds = rng.uniform(0.1, 1.3) * minutes * 60
            if left:
                self._later(seconds, pay)
            elif not dies:
                self._later(seconds, end)
                if key is not None and rng.random() < 0.4:
                    self._later(seconds + rng.choice((0.0, 0.02, 1.0, 30.0, 600.0)), end)

        def end() -> None:
            self._ask(
                "end session",
                name,
                lambda now, request: sessions.end(name, session[1], now, request),
                request=request,
                key=key,
                session=session,
            )

        pay()

    def _stop(self, name: str, *, forget: bool) -> None:
        """Half of the requests have an Idempotency-Key. Some of these are repeated later."""
        expiry, use = self.stage.expiry, "forget" if forget else "stop"
        key = f"key-{self.asked}" if self.rng.random() < 0.5 else None
        request = by(self.rng.choice(NAMES)).under(key, use, {"EndpointName": name})

        def attempt() -> None:
            self._ask(
                use,
                name,
                lambda now, request: expiry.stop(name, now, request, forget=forget),
                request=request,
                key=key,
            )

        attempt()
        if key is not None and self.rng.random() < 0.4:
            self._later(self.rng.choice((0.0, 0.02, 1.0, 30.0, 600.0)), attempt)

    def _wake(self, name: str) -> None:
        """Call its model, which wakes the endpoint."""
        waking = self.stage.waking
        self._ask(
            "wake",
            name,
            lambda now, request: waking.wake(name, now, request.actor, WakeShare("ann", 5)),
        )

    def _extend(self, name: str) -> None:
        """Call its model, which moves the end of its lease on."""
        waking = self.stage.waking
        self._ask("extend", name, lambda now, _request: waking.extend(name, now))

    def _set_schedules(self, name: str) -> None:
        today = self.stage.kernel.now.date()
        count = self.rng.randint(0, 2)
        schedules = [a_schedule(self.rng, f"s{number}", today) for number in range(count)]
        changes = self.stage.schedules
        self._ask(
            "schedules",
            name,
            lambda now, request: changes.replace(name, schedules, now, request),
        )

    def _pay(
        self,
        use: str,
        name: str,
        minutes: int,
        call: Callable[[datetime, Request], Any],
        *,
        session: Session | None = None,
        until: datetime | None = None,
    ) -> None:
        """Renew, add or pay for a session. Half of the requests have an Idempotency-Key and are
        repeated until one succeeds."""
        key = f"key-{self.asked}" if self.rng.random() < 0.5 else None
        payment = Payment(minutes, key, session=session, until=until)
        body = {"EndpointName": name, "minutes": minutes}
        actor = session[0] if session else self.rng.choice(NAMES)
        request = by(actor).under(key, use, body)
        account = self.stage.watch.ledger.account(name.lower())
        forgotten = account.forgotten
        tries = _TRIES if key else 1
        repeats = key is not None and self.rng.random() < 0.1
        twice = key is not None and self.rng.random() < 0.1

        def done(came: Came) -> None:
            nonlocal tries
            tries -= 1
            kept = account.forgotten == forgotten
            self._check_payment(use, name, payment, came, keyed=key is not None, kept=kept)
            failed = came.died or isinstance(came.refusal, (AwsRefused, Busy))
            if tries > 0 and (failed or repeats) and kept:
                self._later(self.rng.choice((0.0, 1.0, 5.0, 40.0)), attempt)

        def attempt() -> None:
            notes = {"request": request, "identity": actor, "payment": payment}
            self._ask(use, name, call, done, **notes)

        attempt()
        if twice:  # the client sends it again before the answer
            self._later(self.rng.choice((0.0, 0.005, 0.02, 0.05)), attempt)

    def _check_payment(
        self, use: str, name: str, payment: Payment, came: Came, *, keyed: bool, kept: bool
    ) -> None:
        """The answer must agree with the ledger, and a key must not pay twice."""
        violation = self.stage.watch.violation
        if came.result is not None:
            end = came.result.document["LeaseExpiresAt"]
            if not payment.ends and kept:
                violation(name, f"{use} was accepted and not entered")
            elif kept and not self._is_lease_end(name, payment, end):
                violation(name, f"{use} was answered {end}, entered {payment.ends}")
        elif use == "add" and isinstance(came.refusal, UnknownEndpoint):
            violation(name, "an add was refused as unknown")
        elif payment.ends and not keyed and _says_no(came.refusal):
            violation(name, f"{use} was refused and entered: {came.refusal}")
        if len(payment.ends) > 1 and kept and (keyed or came.result is not None):
            violation(name, f"one {use} was entered {len(payment.ends)} times")

    def _is_lease_end(self, name: str, payment: Payment, told: str) -> bool:
        """The answer tells the end that was paid, or that a lone stop cuts it, or a later one that
        something else had."""
        account = self.stage.watch.ledger.account(name.lower())
        specs = account.specs_since(self.stage.kernel.now - _LATELY)
        paid = {
            oracle.lease_end(spec.schedules, end, paid_at)
            for spec in specs
            if spec is not None
            for end, paid_at in zip(payment.ends, payment.paid_at, strict=True)
        } or {*payment.ends}
        first = min(end for end in paid if end)
        return told in {iso(end) for end in (*paid, *account.lease_ends) if end and end >= first}

    def _ask(
        self,
        use: str,
        name: str,
        call: Callable[[datetime, Request], Any],
        then: Callable[[Came], None] = lambda _came: None,
        **notes: Any,
    ) -> None:
        self.asked += 1
        request = notes.pop("request", by())
        notes["person"] = request.actor
        self.stage.invoke(
            "api",
            use,
            lambda now: call(now, request),
            then,
            subjects=(name.lower(),),
            endpoint=name,
            **notes,
        )


@dataclass
class Team:
    """The owners of the config: sometimes they deploy, and rarely they destroy the stack."""

    stage: Stage
    names: list[str]
    others: list[str]
    """More names, which they declare later."""
    until: datetime
    manifest: dict[str, Spec] = field(default_factory=dict)
    deploys: int = 0
    at_work: bool = False
    form: Form | None = None
    """The form in which specs are written. None: the old one."""
    rng: Random = field(init=False)

    def __post_init__(self) -> None:
        self.rng = self.stage.rng

    def begin(self) -> None:
        """The first deploy, before the time starts."""
        for config in (API_CONFIG, *BY_HAND):
            self.stage.sagemaker.create_config(config)
        for name in self.names:
            self.manifest[name] = self._spec(name)
        self._deploy(list(self.names))

    def plan(self, hours: float) -> None:
        """Deploy some hours from now, and again and again."""
        seconds = self.rng.uniform(0.3, 1.7) * hours * 3600

        def change() -> None:
            if not self.at_work and self.stage.kernel.now < self.until:
                self._change_something()
            self.plan(hours)

        if self.stage.kernel.now + timedelta(seconds=seconds) < self.until:
            self.stage.kernel.after(seconds, change)

    def destroy(self) -> None:
        """Drain the stack, as a destroy does first. Deploy it again some minutes later."""
        if self.at_work:
            return
        self.at_work = True
        self.stage.watch.flux(sorted(self.stage.watch.cases), begins=True)

        def drained(came: Came) -> None:
            if came.result == "drained":
                watch, status = self.stage.watch, self.stage.sagemaker.status
                left = [key for key in watch.cases if status(key) and watch.ours(key)]
                if left:
                    self.stage.watch.violation(left[0], "is left though the drain went well")
            self.stage.kernel.after(
                self.rng.uniform(30, 600), lambda: self._deploy(list(self.names))
            )

        def drain(_now: datetime) -> str:
            self.stage.deploys().drain(200)
            return "drained"

        self.stage.invoke("sweep", "drain", drain, drained)

    def update_code(self) -> None:
        """Deploy newer code, and specs in a form that older code does not know. For some minutes
        some functions run newer code and some older. The sync comes at the end."""
        if self.at_work:
            return
        stage, rng = self.stage, self.rng
        stage.roll(*FUNCTIONS)
        stage.faults.count("code deployed")
        stage.versions.form = self.form = rng.choice(list(Form))
        changed = [name for name in self.names if name in self.manifest and rng.random() < 0.5]
        self._deploy(changed, self._roll(240))

    def roll_back(self) -> None:
        """Let the functions run older code for some minutes, with new specs."""
        if self.form is not None and not self.at_work:
            self.stage.faults.count("code rolled back")
            self.stage.roll(*FUNCTIONS)
            self._roll(600)

    def _roll(self, seconds: float) -> float:
        """Update the functions to the newest code one by one. Returns when the last one has it."""
        moments = sorted((self.rng.uniform(0, seconds), name) for name in FUNCTIONS)
        for number, (moment, _) in enumerate(moments, 1):
            behind = [name for _, name in moments[number:]]
            self.stage.kernel.after(moment, lambda behind=behind: self.stage.roll(*behind))  # type: ignore[misc]
        return moments[-1][0]

    def restore_table(self) -> None:
        """Restore the state table, and accept it some time later."""
        stage = self.stage
        if stage.watch.restored is not None:
            return
        stage.faults.count("table restored")
        stage.restore_table()

        def accept() -> None:
            stage.accept_restored_table(accepted)

        def accepted(_came: Came) -> None:
            if stage.watch.restored is not None:
                stage.kernel.after(self.rng.uniform(20, 120), accept)

        stage.kernel.after(self.rng.uniform(60, 2400), accept)

    def _change_something(self) -> None:
        names = self.names + self.others
        changed = self.rng.sample(names, self.rng.randint(1, min(4, len(names))))
        running = [
            name
            for name in self.names
            if self.stage.sagemaker.status(name.lower()) and name not in changed
        ]
        changed += self.rng.sample(running, min(len(running), 2))
        for name in changed:
            if name not in self.manifest:
                self.manifest[name] = self._spec(name)
            elif self.rng.random() < 0.35:
                del self.manifest[name]
            elif self.rng.random() < 0.6:
                self.manifest[name] = self._spec(name)
            else:
                today = self.stage.kernel.now.date()
                schedules = (a_schedule(self.rng, "other", today),)
                self.deploys += 1
                self.manifest[name] = replace(
                    self.manifest[name], schedules=schedules, spec_hash=f"hash-{self.deploys}"
                )
        self._deploy(changed)

    def _spec(self, name: str) -> Spec:
        self.deploys += 1
        today = self.stage.kernel.now.date()
        count = self.rng.choice((0, 0, 0, 1, 2))
        config = f"{name}-{self.deploys}".lower()
        fallbacks = (f"{config}-b",) if self.rng.random() < 0.2 else ()
        return Spec(
            name,
            config,
            Origin.CONFIG,
            schedules=tuple(a_schedule(self.rng, f"s{n}", today) for n in range(count)),
            initial_provision_minutes=self.rng.choice((0, 0, 5, 60)),
            fallback_configs=fallbacks,
            outside_updates=self.rng.choice(list(OutsideUpdates)),
            spec_hash=f"hash-{self.deploys}",
        )

    def _deploy(self, changed: list[str], code_seconds: float = 0) -> None:
        """First the configs, then the specs. When all functions have the new code, call sync until
        it succeeds, and then wait."""
        self.at_work = True
        stage = self.stage
        for spec in self.manifest.values():
            for config in spec.configs():
                if not stage.sagemaker.config_exists(config):
                    stage.sagemaker.create_config(config, ours=True)
        keys = [name.lower() for name in changed]
        stage.watch.flux(keys, begins=True)
        for name in changed:
            stage.kernel.after(self.rng.uniform(0, 5), lambda name=name: self._write(name))  # type: ignore[misc]
        stage.kernel.after(6 + code_seconds, lambda: self._sync(keys))

    def _write(self, name: str) -> None:
        spec = self.manifest.get(name)
        if spec is None:
            self.stage.withdraw(name.lower())
        else:
            where = {"pk": f"ENDPOINT#{spec.key}", "sk": "SPEC#config"}
            values = spec_values(spec)
            written = in_new_form(values, self.form) if self.form else values
            self.stage.declare(encode({**where, **written}))

    def _sync(self, keys: list[str]) -> None:
        configs = {spec.name: spec.endpoint_config_name for spec in self.manifest.values()}

        def synced(came: Came) -> None:
            if came.result is None:  # Terraform failed: run it again
                self.stage.kernel.after(self.rng.uniform(20, 120), lambda: self._sync(keys))
                return
            self.stage.watch.flux(sorted(self.stage.watch.cases), begins=False)
            self.stage.kernel.after(1, lambda: self._await(configs))

        deploys = self.stage.deploys()
        self.stage.invoke("sweep", "sync", lambda _now: list(deploys.sync(configs)), synced)

    def _await(self, configs: dict[str, str]) -> None:
        def waited(_came: Came) -> None:
            self.stage.invoke("sweep", "settle", settle, settled)

        def settled(came: Came) -> None:
            self.at_work = False
            if came.result is not None:
                self._drop_old_configs()

        def settle(_now: datetime) -> bool:
            deploys.settle(configs)
            return True

        if self.rng.random() < 0.8:
            self.at_work = False
            return
        deploys = self.stage.deploys()
        self.stage.invoke("sweep", "wait", lambda _now: deploys.wait(configs), waited)

    def _drop_old_configs(self) -> None:
        """The configs that Terraform deletes as soon as no endpoint serves them."""
        kept = {c for spec in self.manifest.values() for c in spec.configs()}
        kept |= {API_CONFIG, *BY_HAND}
        names = [record.name for record in self.stage.sagemaker.world._catalog.configs]
        for name in names:
            for served in () if name in kept else self.stage.sagemaker.destroy_config(name):
                let_go = self.stage.watch.ledger.account(served).spec is None
                if not let_go or self.stage.sagemaker.ours(served):
                    self.stage.watch.violation(served, f"its config {name} was taken away")


def _says_no(refusal: MeterError | None) -> bool:
    """Whether the answer says that nothing was done."""
    return refusal is not None and not isinstance(refusal, AwsRefused)
