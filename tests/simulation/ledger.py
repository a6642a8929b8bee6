"""An exact model of every lease, which is compared with each write to the state table."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from lambdas.aws.attribute_values import decode, instant
from lambdas.aws.items import FORGOTTEN
from lambdas.core.schedule import Schedule
from lambdas.core.spec import digest
from lambdas.core.state import MAX_SESSIONS
from tests.simulation import oracle
from tests.simulation.expressions import Item, plain
from tests.simulation.kernel import Actor, Kernel
from tests.simulation.versions import Versions, in_old_form, is_newer

PREFIX = "ENDPOINT#"
_PAYS = frozenset({"pay session", "renew", "add", "wake", "extend"})
_LATELY = timedelta(seconds=60)
MAX_LEASE_MINUTES = 43_200
METERED = timedelta(hours=24)
"""The lease of endpoints that a sweep adopts."""
_DAY = timedelta(days=1)
_NEVER = datetime.min.replace(tzinfo=UTC)
WAKE_MINUTES = 10
"""The lease after a call of a model that starts its endpoint."""


_OF_USERS = frozenset(
    {"renew", "add", "pay session", "end session", "wake", "extend", "stop", "update", "weights"}
)
"""The writes that are for endpoints on the meter."""


Session = tuple[str, str]
"""The caller and the name that it gave to the session."""


@dataclass
class Payment:
    """A request of a user, its Idempotency-Key, and its results: the ends of the lease, and when
    each was paid. With `session` it pays for that session of its caller. `until` is instead of
    minutes."""

    minutes: int
    key: str | None = None
    ends: list[datetime] = field(default_factory=list)
    paid_at: list[datetime] = field(default_factory=list)
    session: Session | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class Declared:
    """A spec as it is in the table."""

    name: str
    configs: tuple[str, ...]
    schedules: tuple[Schedule, ...]
    initial_minutes: int
    mark: str
    """The declaration that an override must name to be in force."""
    newer: bool
    """Whether older code cannot read it."""
    keeps: bool
    """Whether configs that others set are kept."""
    since: datetime


@dataclass(frozen=True)
class Override:
    """A config set by hand. It is in force while the declaration has this mark."""

    config: str
    mark: str


@dataclass(frozen=True)
class Weights:
    """Weights set by hand with the write of revision `rev`, for the endpoint created then."""

    by_variant: Mapping[str, float]
    life: datetime
    rev: int


@dataclass(frozen=True)
class Adoption:
    """An adoption: the minutes that were paid with it, and the hold that it ended."""

    created_at: Any
    declared: bool
    minutes: int = 0
    held_since: datetime | None = None

    def given_back(
        self, end: datetime | None, held: datetime | None
    ) -> tuple[datetime | None, datetime | None]:
        """Lease and hold after it was void. What it brought is removed completely."""
        left = None if end is None or self.declared else end - timedelta(minutes=self.minutes)
        return left, held or self.held_since


@dataclass
class Account:
    """The data about one endpoint. `paid` says whether there is a STATE."""

    key: str
    exists: bool = False
    expires_at: datetime | None = None
    sessions: Mapping[str, datetime] = field(default_factory=dict)
    lease_paid_at: datetime | None = None
    """When the lease was last paid, by the clock of who did."""
    session_ids: dict[Session, str] = field(default_factory=dict)
    """The id in the table of each session that was ever paid."""
    lease_ends: set[datetime] = field(default_factory=set)
    """All ends that the lease ever had."""
    held_since: datetime | None = None
    rev: int = 0
    override: Override | None = None
    weights: Weights | None = None
    asked: int = 0
    """How often somebody set a config by hand."""
    config_spec: Declared | None = None
    config_until: datetime | None = None
    """When the deployed config last took it out."""
    api_spec: Declared | None = None
    former: list[tuple[datetime, Declared | None]] = field(default_factory=list)
    forgotten: int = 0
    written_at: datetime | None = None
    """The time of the last write of a user."""
    stopped_at: datetime | None = None
    """The time of the last stop by a person."""
    orphaned: bool = False
    """Whether a sweep found it as an orphan: it has a grace period."""
    adopting: bool = False
    """Whether an adoption is under way."""
    adoption: Adoption | None = None
    """What is restored if the adoption is void."""
    on_trial: bool = False
    """Whether an adoption declared it, and no adoption is complete yet."""
    paid_at: datetime | None = None
    paid_keys: set[tuple[str, str]] = field(default_factory=set)
    """The keys of payments and stops."""

    @property
    def spec(self) -> Declared | None:
        return self.config_spec or self.api_spec

    @property
    def lease_end(self) -> datetime | None:
        ends = [*([self.expires_at] if self.expires_at else []), *self.sessions.values()]
        schedules = self.spec.schedules if self.spec else ()
        return oracle.lease_end(schedules, max(ends, default=None), self.lease_paid_at)

    @property
    def configs(self) -> tuple[str, ...]:
        """The configs that it may serve; the wanted one is first."""
        if self.spec is None:
            return ()
        by_hand = self.override is not None and self.override.mark == self.spec.mark
        return (self.override.config,) if self.override and by_hand else self.spec.configs

    def specs_since(self, when: datetime) -> list[Declared | None]:
        """The specs that were in force at any time since then."""
        return [self.spec] + [spec for until, spec in self.former if until >= when]


class Ledger:
    """Watches the state table. Calls `violation` for each violation, and `changed` if an endpoint
    has another lease, hold or spec."""

    def __init__(
        self,
        kernel: Kernel,
        versions: Versions,
        violation: Callable[[str, str], None],
        changed: Callable[[str], None],
    ) -> None:
        self.accounts: dict[str, Account] = {}
        self.renewals = 0
        self.drain_until: datetime | None = None
        self.drained_lately: datetime | None = None
        self._kernel = kernel
        self._versions = versions
        self._violation = violation
        self._changed = changed

    def account(self, key: str) -> Account:
        if key not in self.accounts:
            self.accounts[key] = Account(key)
        return self.accounts[key]

    def draining(self, now: datetime) -> bool:
        return self.drain_until is not None and self.drain_until > now

    def watch(self, pk: str, sk: str, before: Item | None, after: Item | None) -> None:
        """Called for each write to the state table."""
        if not pk.startswith(PREFIX):
            self._control(after or {})
            return
        account = self.account(pk.removeprefix(PREFIX))
        if sk == "STATE":
            self._state(account, before, after)
        elif sk != FORGOTTEN:
            self._spec(account, sk, after)

    def _control(self, item: Item) -> None:
        drain_until = instant(plain(item["drain_until"])) if "drain_until" in item else None
        if drain_until != self.drain_until:
            self.drain_until = drain_until
            self.drained_lately = self._kernel.now
            for key in sorted(self.accounts):
                self._changed(key)

    def _spec(self, account: Account, sk: str, item: Item | None) -> None:
        now = self._kernel.now
        account.former = [one for one in account.former if one[0] >= now - 2 * _LATELY]
        account.former.append((now, account.spec))
        account.weights = None  # an update may follow, which ends them
        declared = _declared(item, now) if item else None
        if sk == "SPEC#config":
            account.config_spec = declared
            account.config_until = None if declared else now
        else:
            account.api_spec = declared
            account.on_trial = False
        self._changed(account.key)

    def _state(self, account: Account, before: Item | None, after: Item | None) -> None:
        actor = self._kernel.actor
        if after is None:
            self._forgotten(account)
        elif before is None:
            self._granted(account, after, actor)
        else:
            self._written(account, after, actor)
        account.orphaned = after is not None and "orphaned_at" in after
        adopting = after is not None and "adopting" in after
        if adopting and self._declared_now(account):
            account.on_trial = True
        elif not adopting:  # the adoption is complete, or it is void and its spec is gone
            account.on_trial, account.adoption = False, None
        if adopting is not account.adopting:
            account.adopting = adopting
            self._changed(account.key)

    def _forgotten(self, account: Account) -> None:
        now = self._kernel.now
        spec = account.spec
        if spec is not None and spec.since < now - _LATELY:
            self._violation(account.key, "its state was forgotten while it is declared")
        elif spec is not None and account.paid_at and account.paid_at >= spec.since:
            self._violation(account.key, "its state was forgotten though it was paid for")
        account.exists, account.expires_at, account.held_since = False, None, None
        account.rev, account.paid_at, account.sessions = 0, None, {}
        account.lease_paid_at = None
        account.override = account.weights = None
        account.forgotten += 1
        self._changed(account.key)

    def _declared_now(self, account: Account) -> bool:
        """Whether this write created the API's spec."""
        return account.api_spec is not None and account.api_spec.since == self._kernel.now

    def _in_config(self, account: Account) -> bool:
        """Whether the deployed config has it, or had it when the request was read."""
        until = account.config_until
        return account.config_spec is not None or (
            until is not None and until >= self._kernel.now - _LATELY
        )

    def _granted(self, account: Account, item: Item, actor: Actor | None) -> None:
        """A new STATE has exactly the lease that was paid with it, or the initial one of the
        spec."""
        end = _instant(item, "expires_at")
        now = actor.reading if actor and actor.reading else self._kernel.now
        if actor and self._declared_now(account):
            expected, _ = self._expected(account, actor.notes["use"], now, actor, None)
            if end != expected:
                self._violation(account.key, f"declared with a lease until {end}, not {expected}")
            account.exists, account.expires_at, account.rev = True, end, _rev(item)
            self._paid(account, actor.notes["use"], now, _instant(item, "paid_at"))
            account.lease_ends |= {end} if end else set()
            account.adoption = self._adoption(account, item, "", actor)
            account.written_at = self._kernel.now
            self._changed(account.key)
            return
        whole = now.replace(microsecond=0)
        minutes = {
            spec.initial_minutes
            for spec in account.specs_since(self._kernel.now - _LATELY)
            if spec is not None
        }
        # If nobody declares it, a sweep creates it as an orphan.
        allowed = {whole + timedelta(minutes=m) if m else None for m in minutes or (0,)}
        if end not in allowed:
            self._violation(account.key, f"a first lease until {end}, not one of {allowed}")
        account.exists, account.expires_at, account.rev = True, end, _rev(item)
        account.lease_paid_at = whole if end else None
        account.lease_ends |= {end} if end else set()
        self._changed(account.key)

    def _written(self, account: Account, item: Item, actor: Actor | None) -> None:
        end, held, rev = _instant(item, "expires_at"), _instant(item, "held_since"), _rev(item)
        sessions = _sessions(item)
        self._by_hand(account, item, actor)
        if rev < account.rev:
            self._violation(account.key, f"revision {account.rev} became {rev}")
        before = (account.expires_at, account.sessions, account.held_since, account.rev)
        if (end, sessions, held, rev) == before:
            return
        use = actor.notes.get("use", "") if actor else ""
        if rev != account.rev + 1:
            self._violation(account.key, f"{use or 'a reconcile'} changed the lease, no revision")
        assert actor is not None
        assert actor.reading is not None
        paid_at = _instant(item, "paid_at")
        if self._is_settled(account, item, actor.reading):
            account.expires_at, account.sessions, account.rev = end, sessions, rev
            account.lease_paid_at = paid_at
            self._changed(account.key)
            return
        if use in _PAYS and self._was_cut(account, actor.reading):
            self._violation(account.key, f"{use} brought back what a lone stop had cut")
        if use == "forget" and before[:3] == (end, sessions, held) and self._in_config(account):
            use = ""  # it removed a spec that the config hides: nothing was stopped
        self._check_is_on_the_meter(account, use)
        expected = self._expected(account, use, actor.reading, actor, held)
        if use == "" and account.adoption and "adopting" not in item:
            expected = account.adoption.given_back(account.expires_at, account.held_since)
        paid_for = self._expected_sessions(account, use, actor.reading, actor, sessions)
        if sessions != paid_for:
            self._violation(account.key, f"{use} left {sessions}, the ledger says {paid_for}")
        account.adoption = self._adoption(account, item, use, actor)
        if (end, held) != expected:
            self._violation(
                account.key,
                f"{use or 'a reconcile'} left a lease until {end} held {held}, "
                f"the ledger says {expected}",
            )
        account.expires_at, account.held_since, account.rev = end, held, rev
        account.sessions = sessions
        self._paid(account, use, actor.reading, paid_at)
        account.lease_ends |= {account.lease_end} if account.lease_end else set()
        account.written_at = self._kernel.now
        self._changed(account.key)

    def _is_settled(self, account: Account, item: Item, now: datetime) -> bool:
        """Whether this write only says that a lone stop cut the lease."""
        paid_at, before = _instant(item, "paid_at"), account.lease_paid_at
        if paid_at is None or before is None or paid_at <= before or account.spec is None:
            return False
        stops = oracle.stops(account.spec.schedules, before.date() - _DAY, now.date() + _DAY)
        last = max((at for at, _ in stops if before < at <= now), default=None)
        if last != paid_at or now - last < timedelta(seconds=1):
            return False
        end, sessions = account.expires_at, account.sessions
        cut = {session: min(at, last) for session, at in sessions.items()}
        return _instant(item, "held_since") == account.held_since and (
            _instant(item, "expires_at"),
            _sessions(item),
        ) == (min(end, last) if end else None, cut)

    def _was_cut(self, account: Account, now: datetime) -> bool:
        """Whether a lone stop cut the lease, and nobody wrote that down."""
        end = max((e for e in (account.expires_at, *account.sessions.values()) if e), default=None)
        cuts = {
            oracle.lease_end(spec.schedules, end, account.lease_paid_at)
            for spec in account.specs_since(self._kernel.now - _LATELY)
            if spec is not None
        }
        return bool(cuts) and all(cut and end and cut < end and cut <= now for cut in cuts)

    def _paid(self, account: Account, use: str, now: datetime, paid_at: datetime | None) -> None:
        """A payment is recorded with its time, which never goes back."""
        before, whole = account.lease_paid_at, now.replace(microsecond=0)
        pays = use in _PAYS or (use == "sweep" and self._declared_now(account))
        expected = max(whole, before or whole) if pays else before
        if use == "wake" and paid_at == whole:
            expected = whole
        if paid_at != expected:
            self._violation(account.key, f"{use} was recorded as paid at {paid_at}, not {expected}")
        account.lease_paid_at = paid_at
        payment = actor.notes.get("payment") if (actor := self._kernel.actor) else None
        if payment and paid_at and len(payment.paid_at) < len(payment.ends):
            payment.paid_at.append(paid_at)

    def _adoption(self, account: Account, item: Item, use: str, actor: Actor) -> Adoption | None:
        """The adoption that is under way after this write of a user."""
        if "adopting" not in item:
            return None
        before, told = account.adoption, decode(item)["adopting"]
        assert actor.reading is not None
        lapsed = account.expires_at is None or account.expires_at <= actor.reading
        earlier = 0 if before is None or lapsed else before.minutes
        begun = before is None or before.created_at != told["created_at"]
        if begun and use == "add":
            held = account.held_since or (before.held_since if before else None)
            minutes = earlier + actor.notes["payment"].minutes
            return Adoption(told["created_at"], bool(told["declared"]), minutes, held)
        if before is not None and use in ("renew", "add", "pay session"):
            return replace(before, minutes=earlier, held_since=None)
        return before or Adoption(told["created_at"], bool(told["declared"]))

    def _by_hand(self, account: Account, item: Item, actor: Actor | None) -> None:
        """What was set by hand, or has ended because it was rolled back."""
        by_hand = decode({k: item[k] for k in ("override", "reweighing") if k in item})
        told = by_hand.get("override")
        override = Override(told["config_name"], told["declaration"]) if told else None
        use = actor.notes.get("use", "") if actor else ""
        if use == "update" and _rev(item) > account.rev:
            account.asked += 1
            account.weights = None
            specs = account.specs_since(self._kernel.now - _LATELY)
            if override and override.mark not in {spec.mark for spec in specs if spec}:
                self._violation(account.key, "what was set by hand is of no declaration")
        if use == "weights" and _rev(item) > account.rev:
            asked = by_hand["reweighing"]
            weights = {w["VariantName"]: w["DesiredWeight"] for w in json.loads(asked["desired"])}
            life = instant(asked["life"])
            assert life is not None
            account.weights = Weights(weights, life, _rev(item))
        if override != account.override:
            spec = account.spec
            if use == "" and account.override is None and not (spec and spec.keeps):
                self._violation(account.key, "a config that nobody asked for became an override")
            account.override = override
            self._changed(account.key)

    def _expected(
        self,
        account: Account,
        use: str,
        now: datetime,
        actor: Actor,
        held: datetime | None,
    ) -> tuple[datetime | None, datetime | None]:
        """The lease and hold after this write of a user."""
        end, whole = account.expires_at, now.replace(microsecond=0)
        if use == "pay session":
            payment: Payment = actor.notes["payment"]
            payment.ends.append(whole + timedelta(minutes=payment.minutes))
            account.paid_at = self._kernel.now
            self._enter(account, use, payment.key)
            return end, None
        if use == "end session":
            self._enter(account, use, actor.notes.get("key"))
            return end, account.held_since
        if use in ("renew", "add"):
            payment = actor.notes["payment"]
            base = end if end is not None and end > now else whole
            paid = base + timedelta(minutes=payment.minutes)
            if payment.until:
                paid = max(end or payment.until, payment.until)
            if paid > whole + timedelta(minutes=MAX_LEASE_MINUTES):
                self._violation(account.key, f"a {use} was accepted until {paid}")
            payment.ends.append(paid)
            account.paid_at = self._kernel.now
            self._enter(account, use, payment.key)
            self.renewals += 1
            return paid, None
        if use == "sweep" and self._declared_now(account):
            account.paid_at = self._kernel.now
            return whole + METERED, None
        if use in ("wake", "extend"):
            until = whole + timedelta(minutes=WAKE_MINUTES)
            self._check_call(account, use, now, until)
            account.paid_at = self._kernel.now
            return until, account.held_since
        if use in ("stop", "forget"):
            account.stopped_at = self._kernel.now
            self._enter(account, use, actor.notes.get("key"))
            stopped = whole if end is not None and end > now else end
            specs = account.specs_since(self._kernel.now - _LATELY)
            behind = self._versions.is_behind(actor)
            holds = {
                now if (behind and spec.newer) or _window_open(account, spec, now) else None
                for spec in specs
                if spec is not None
            }
            allowed = {hold or account.held_since for hold in holds}
            return stopped, held if held in allowed else min(allowed, key=str)
        return end, account.held_since

    def _expected_sessions(
        self,
        account: Account,
        use: str,
        now: datetime,
        actor: Actor,
        told: Mapping[str, datetime],
    ) -> Mapping[str, datetime]:
        """The sessions after this write. `told` are those that it left."""
        before, whole = account.sessions, now.replace(microsecond=0)
        if use in ("stop", "forget"):
            return {session: whole if end > now else end for session, end in before.items()}
        if use == "end session":
            session = account.session_ids.get(actor.notes["session"], "")
            ended = {session: whole} if before.get(session, now) > now else {}
            return {**before, **ended}
        if use == "pay session":
            payment: Payment = actor.notes["payment"]
            assert payment.session is not None
            new = sorted(told.keys() - before.keys())
            session = account.session_ids.setdefault(payment.session, new[0] if new else "")
            if list(account.session_ids.values()).count(session) > 1:
                self._violation(account.key, f"two sessions are one: {session}")
            kept = dict(before)
            if session not in before and len(before) >= MAX_SESSIONS:
                oldest = min(before.values())
                gone = [each for each in before.keys() - told.keys() if before[each] == oldest]
                if oldest > now or len(gone) != 1:
                    self._violation(account.key, f"{gone} made room for a session")
                kept = {each: end for each, end in before.items() if each not in gone}
            return {**kept, session: whole + timedelta(minutes=payment.minutes)}
        if use == "" and account.adoption and account.adoption.declared and not told:
            return {}  # it was void, with all that was paid for it
        return before

    def _enter(self, account: Account, use: str, key: str | None) -> None:
        """An Idempotency-Key acts once on each route."""
        if key is None:
            return
        if (use, key) in account.paid_keys:
            self._violation(account.key, f"a {use} was entered twice by one key")
        account.paid_keys.add((use, key))

    def _check_is_on_the_meter(self, account: Account, use: str) -> None:
        if use in _OF_USERS and account.spec is None and not self._in_config(account):
            self._violation(account.key, f"a {use} was accepted though it is on no meter")

    def _check_call(self, account: Account, use: str, now: datetime, until: datetime) -> None:
        if use == "extend":
            self._check_extended(account, now, until)
        else:
            self._check_woken(account, now)

    def _check_woken(self, account: Account, now: datetime) -> None:
        """A call of a model does not undo a stop by a person, and wakes nothing that is paid."""
        if account.expires_at is not None and account.expires_at > now:
            self._violation(account.key, "it was woken though its lease was paid")
        specs = account.specs_since(self._kernel.now - _LATELY)
        held = {
            spec is not None
            and not _window_open(account, spec, now)
            and oracle.wanted(spec.schedules, None, None, now)
            for spec in specs
        }
        if held == {True}:
            self._violation(account.key, "it was woken though a person stopped it")

    def _check_extended(self, account: Account, now: datetime, until: datetime) -> None:
        """A call of a model moves a lease that runs, by a minute or more, and none that was
        stopped."""
        ends = [*([account.expires_at] if account.expires_at else []), *account.sessions.values()]
        if not ends or max(ends) <= now:
            self._violation(account.key, "a call extended a lease that did not run")
        elif until - max(ends) < timedelta(minutes=1):
            self._violation(account.key, f"a call moved the lease from {max(ends)} to {until}")


def _window_open(account: Account, spec: Declared, now: datetime) -> bool:
    return oracle.wanted(spec.schedules, None, account.held_since, now)


def _declared(item: Item, since: datetime) -> Declared:
    told = decode(item)
    newer, values = is_newer(told), in_old_form(told)
    configs = [values["endpoint_config_name"], *json.loads(values.get("fallback_configs", "[]"))]
    of_api = values["sk"] == "SPEC#api"
    return Declared(
        values["name"],
        tuple(configs),
        tuple(Schedule.parse(document) for document in json.loads(values["schedules"])),
        int(values.get("initial_provision_minutes", 0)),
        f"api:{configs[0]}" if of_api else digest([*configs, json.loads(values["update"])]),
        newer,
        values.get("outside_updates") == "keep",
        since,
    )


def _instant(item: Item, name: str) -> datetime | None:
    value: Any = item.get(name)
    return instant(plain(value)) if value else None


def _sessions(item: Item) -> Mapping[str, datetime]:
    ends: Any = item.get("sessions", {"M": {}})
    return {session: instant(plain(end)) or _NEVER for session, end in ends["M"].items()}


def _rev(item: Item) -> int:
    return int(item.get("rev", {"N": "0"})["N"])
