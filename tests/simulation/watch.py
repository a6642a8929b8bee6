"""The invariants, which are checked all the time, and their bounds."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tests.simulation import oracle
from tests.simulation.causes import Causes
from tests.simulation.expressions import Item
from tests.simulation.faults import CALM, Faults
from tests.simulation.kernel import Kernel
from tests.simulation.ledger import PREFIX, Account, Declared, Ledger, Weights
from tests.simulation.sagemaker import SageMaker
from tests.simulation.tables import Tables
from tests.simulation.versions import Versions
from tests.simulation.wire import Call, Wire

BOUND = timedelta(minutes=3)
CALM_BOUND = timedelta(seconds=75)
"""Without faults nothing that is due waits for a second tick."""
_MAX_BACKOFF_SECONDS = 900
_LATELY = timedelta(seconds=90)
_FAR_AGO = timedelta(days=1)
_TICKS_MISSED = timedelta(seconds=120)
"""A tick takes 55 seconds at most, and comes every 60."""
_DELETABLE = ("InService", "Failed")
_HAMMERING = timedelta(seconds=3)
"""The shortest time between two calls to SageMaker, with the errors of clocks."""
_PRECISION = timedelta(milliseconds=2)
_LOOKED_AT_AGAIN = timedelta(minutes=15)
"""How soon the meter looks again after a person has solved a problem."""
_SETTLES = timedelta(seconds=12)
_READS_OF_A_LOOK = frozenset({"GetItem", "DescribeTable"})
"""How a reconcile reads whether the stack is drained, and whether its table was restored."""
_OF_TAGS = frozenset({"AddTags", "DeleteTags"})
_STEPS = {
    "CreateEndpoint": "create",
    "DeleteEndpoint": "delete",
    "UpdateEndpoint": "update",
    "UpdateEndpointWeightsAndCapacities": "reweigh",
}


@dataclass
class Case:
    """The watched data of one endpoint. A `since` is None if its condition does not hold."""

    overrun_since: datetime | None = None
    missing_since: datetime | None = None
    outdated_since: datetime | None = None
    adopting_since: datetime | None = None
    refused: dict[str, datetime] = field(default_factory=dict)
    failed_at: dict[str, datetime] = field(default_factory=dict)
    """When SageMaker last refused for another reason than throttling."""
    failures: int = 0
    rolled_back: tuple[str, str, int] | None = None
    """The declaration, the wanted config, and how often a config was set by hand."""
    undone: Weights | None = None
    """The weights set by hand that SageMaker rolled back."""
    undone_times: int = 0
    moving_outside: bool = False
    """Whether somebody outside began the update that is under way."""
    outside: str | None = None
    """The config that somebody outside set, while it is served."""
    ever_outside: bool = False
    """Whether anybody outside ever updated it."""
    outside_since: datetime | None = None
    outside_asked: int = 0
    let_go: bool = False
    """Whether it was off the meter at any time since that update began, such as by its ignore tag.
    Then its owner chose the config, and nobody has to be told."""
    asked: set[str] = field(default_factory=set)
    """All configs that anybody asked the meter for, in this life."""
    updated_by_us: bool = False
    """Whether the meter began the update that is under way."""
    meddled: datetime | None = None
    """When an outsider last did something that only a sweep is sure to find."""
    swept: datetime | None = None
    regained: datetime | None = None
    """The latest time of the next look after a 'give up'."""
    was_ours: bool = True
    restarted: datetime | None = None
    in_flux: bool = False
    look_at: datetime | None = None
    checked_at: set[datetime] = field(default_factory=set)


class Watch:
    """Follows the ledger and SageMaker. `violations` holds a sentence for each violation."""

    def __init__(
        self, kernel: Kernel, tables: Tables, faults: Faults, wire: Wire, versions: Versions
    ) -> None:
        self.restored: datetime | None = None
        """Since when the state table is a restored one that is not accepted."""
        self.violations: list[str] = []
        self.story: list[str] = []
        """The last events before the first violation."""
        self._ticking_since = self._last_tick = kernel.now
        self.cases: dict[str, Case] = {}
        self.ledger = Ledger(kernel, versions, self.violation, self.look)
        self.sagemaker: SageMaker
        self._kernel = kernel
        self._tables = tables
        self._faults = faults
        self._versions = versions
        self._wire = wire
        self._trace = wire.trace
        wire.failed = self._unseen
        self.causes = Causes(kernel, self.ledger, self.violation, self.undecided)
        tables.watchers += [self.ledger.watch, self.causes.written, self._begun]

    def follow(self, sagemaker: SageMaker) -> None:
        self.sagemaker = sagemaker
        sagemaker.refused = self._refused
        sagemaker.changed = self._changed
        sagemaker.accepted = self._accepted
        sagemaker.asked = self._asked
        sagemaker.refusals.violation, sagemaker.refusals.changed = self.violation, self.look
        self._tables.watchers.append(sagemaker.refusals.written)

    def violation(self, key: str, what: str) -> None:
        text = f"{self._kernel.now:%Y-%m-%d %H:%M:%S} {key}: {what}"
        if not self.violations:
            self.story = self._wire.story(key.lower())
        self.violations.append(text)
        self._trace(f"VIOLATION {text}")

    def case(self, key: str) -> Case:
        if key not in self.cases:
            self.cases[key] = Case()
        return self.cases[key]

    def wanted(self, key: str, now: datetime) -> bool:
        account = self.ledger.account(key)
        return not self.ledger.draining(now) and _wanted(account, account.spec, now)

    def flux(self, keys: list[str], *, begins: bool) -> None:
        """A deploy writes specs until its sync is done. They count from then."""
        if not begins and self.ledger.draining(self._kernel.now):
            self.violation("-", "a deploy left the stack drained")
        for key in keys:
            case = self.case(key)
            case.in_flux = begins
            case.restarted = self._kernel.now
            self.look(key)

    def meddled(self, key: str) -> None:
        self.case(key).meddled = self._kernel.now

    def look_at_all(self) -> None:
        for key in sorted(self.cases):
            self.look(key)

    def regained(self, keys: list[str]) -> None:
        """From its next look on, nothing keeps the meter from handling these endpoints."""
        for key in keys:
            self.case(key).regained = self._kernel.now + _LOOKED_AT_AGAIN
            self.look(key)

    def rolled(self) -> None:
        """The code of functions was changed."""
        newer = [
            key
            for key in sorted(self.cases)
            if (spec := self.ledger.account(key).spec) and spec.newer
        ]
        self.regained(newer)

    def ticked(self, began: datetime, *, well: bool) -> None:
        """A tick is done. If the tick before it was missing, ticks run again from now on."""
        if not well:
            self._last_tick -= _TICKS_MISSED
            return
        if not self._ticking():
            self._ticking_since = self._kernel.now
        self._last_tick = began

    def _ticking(self) -> bool:
        return self._kernel.now - self._last_tick < _TICKS_MISSED

    def swept(self, began: datetime) -> None:
        """A sweep is done. It has found what outsiders did before it began."""
        for case in self.cases.values():
            if case.meddled is not None and case.meddled < began - timedelta(seconds=30):
                case.meddled, case.swept = None, self._kernel.now

    def _remember_asked(self, key: str) -> None:
        account, case = self.ledger.account(key), self.case(key)
        case.asked |= {*account.configs, *(account.spec.configs if account.spec else ())}

    def look(self, key: str) -> None:
        """Something changed: check which conditions hold now, and check again at their
        deadlines."""
        now, case = self._kernel.now, self.case(key)
        account = self.ledger.account(key)
        status, wanted = self.sagemaker.status(key), self.wanted(key, now)
        self.causes.looked(key, wanted=wanted)
        self.sagemaker.refusals.looked(key, status, wanted=wanted)
        self._remember_asked(key)
        ours = self.ours(key)
        case.let_go |= not ours
        if ours and not case.was_ours:
            case.regained = now + _LOOKED_AT_AGAIN
        case.was_ours = ours
        if status is None and not wanted:
            case.failures = 0
        if status is None or not account.exists:
            case.rolled_back = None
        watched = ours and not case.in_flux and not self.undecided(key)
        overrun = watched and not wanted and status in _DELETABLE
        missing = watched and wanted and status in (None, "Failed")
        missing = missing and not self.is_refused("CreateEndpoint", key)
        outdated = watched and wanted and status == "InService" and self._outdated(account)
        outdated = outdated and not self.is_refused("UpdateEndpoint", key)
        case.overrun_since = (case.overrun_since or now) if overrun else None
        case.missing_since = (case.missing_since or now) if missing else None
        case.outdated_since = (case.outdated_since or now) if outdated else None
        adopting = account.adopting and self.restored is None and not self.ledger.draining(now)
        case.adopting_since = (case.adopting_since or now) if adopting else None
        self._check_later(key, case)
        if account.spec:
            look_at = oracle.next_look(
                account.spec.schedules, account.lease_end, account.held_since, now
            )
            if look_at is not None and look_at != case.look_at:
                case.look_at = look_at
                self._kernel.at(look_at, lambda: self.look(key))

    def is_refused(self, operation: str, key: str) -> bool:
        """Whether SageMaker refused for good what is wanted now."""
        configs = self.ledger.account(key).configs
        return self.sagemaker.refusals.holds(operation, key, configs)

    def ours(self, key: str) -> bool:
        """Whether the meter must act on it. An endpoint without a record is reported and gets some
        time."""
        account = self.ledger.account(key)
        known = account.spec is not None or (account.exists and not account.orphaned)
        return self.sagemaker.status(key) is None or (known and self.sagemaker.ours(key))

    def undecided(self, key: str) -> bool:
        """Whether it is unknown now if it is wanted: the table was restored, or some functions
        cannot read its spec."""
        spec = self.ledger.account(key).spec
        unread = spec is not None and spec.newer and bool(self._versions.behind)
        return unread or self.restored is not None

    def _outdated(self, account: Account) -> bool:
        endpoint = self.sagemaker.endpoint(account.key)
        if endpoint.config_name not in account.configs:
            # The wanted one is a fallback if SageMaker had no capacity for the first one.
            tried = {self._mark(account, config) for config in account.configs}
            return self.case(account.key).rolled_back not in tried
        asked = account.weights
        if asked is None or endpoint.serving is None or not self._lives(account.key, asked):
            return False
        if asked == self.case(account.key).undone:
            return False
        return not _weighed(endpoint.serving.variants, asked)

    def _lives(self, key: str, asked: Weights) -> bool:
        """Whether the weights are for this endpoint, and not for an earlier one."""
        created_at: datetime = self.sagemaker.endpoint(key).created_at
        return abs(created_at - asked.life) < _PRECISION

    def _mark(self, account: Account, config: str) -> tuple[str, str, int]:
        return account.spec.mark if account.spec else "", config, account.asked

    def _check_later(self, key: str, case: Case) -> None:
        for deadline, _ in self._deadlines(key, case):
            if deadline not in case.checked_at:
                case.checked_at.add(deadline)
                self._kernel.at(deadline, lambda at=deadline: self._check(key, at))  # type: ignore[misc]

    def _check(self, key: str, at: datetime) -> None:
        case = self.case(key)
        case.checked_at.discard(at)
        for deadline, what in self._deadlines(key, case):
            if deadline <= self._kernel.now:
                self.violation(key, what)
                case.restarted = self._kernel.now  # once is enough
        self._check_later(key, case)

    def _deadlines(self, key: str, case: Case) -> list[tuple[datetime, str]]:
        """The deadline of each condition that holds now."""
        found, bound = [], CALM_BOUND if self._faults.profile is CALM else BOUND
        if case.overrun_since:
            since = self._since(key, case, case.overrun_since, "DeleteEndpoint")
            found.append((since + bound, f"runs though not wanted since {since:%H:%M:%S}"))
        if case.missing_since:
            since = self._since(key, case, case.missing_since, "CreateEndpoint")
            lingers = self.sagemaker.lingering.get(key)
            since = max(since, lingers) if lingers else since
            patience = bound + _backoff(case.failures)
            found.append((since + patience, f"wanted since {since:%H:%M:%S} and not started"))
        if case.outdated_since:
            since = self._since(key, case, case.outdated_since, "UpdateEndpoint")
            patience = bound + _backoff(case.failures)
            found.append((since + patience, f"serves an old config since {since:%H:%M:%S}"))
        if case.adopting_since:
            since = self._since(key, case, case.adopting_since, "AddTags")
            patience = bound + _SETTLES + _backoff(case.failures)
            found.append((since + patience, f"is being adopted since {since:%H:%M:%S}"))
        return found

    def _since(self, key: str, case: Case, since: datetime, operation: str) -> datetime:
        """Since when the meter had all that it needs: SageMaker accepts calls, ticks run, and in a
        storm there was no disruption."""
        instants = [
            since,
            case.refused.get(operation),
            case.swept,
            case.restarted,
            case.regained,
        ]
        instants.append(self._ticking_since if self._ticking() else self._kernel.now)
        if case.meddled is not None:
            instants.append(self._kernel.now)
        if not self._faults.profile.strict:
            instants.append(self._faults.last_hit(key))
        return max(instant for instant in instants if instant is not None)

    def _refused(self, operation: str, key: str, code: str) -> None:
        case = self.case(key)
        case.refused[operation] = self._kernel.now
        # The adopter does not say why its call failed: a throttled call counts as a failure there.
        if code != "ThrottlingException" or operation in _OF_TAGS:
            case.failures += 1
            case.failed_at[operation] = self._kernel.now

    def _asked(self, operation: str, key: str) -> None:
        """A create, delete or update reached SageMaker, which may accept it or not."""
        if operation in _OF_TAGS:
            return
        case, now = self.case(key), self._kernel.now
        if operation == "CreateEndpoint":
            refused = case.failed_at.get(operation)
            written_at = self.ledger.account(key).written_at
            excuses = (self._faults.last_hit(key), written_at)
            excused = any(at and at > now - 2 * _HAMMERING for at in excuses)
            # A user wrote while the call was under way: so it is decided again at once.
            begun = actor.notes.get(f"begun {key}") if (actor := self._kernel.actor) else None
            excused |= bool(begun and written_at and written_at >= begun)
            if refused and now - refused < _HAMMERING and not excused:
                self.violation(key, "SageMaker refused to create it and was asked again at once")
            return
        lately = case.meddled is not None and now - case.meddled < _LATELY
        if self.sagemaker.status(key) and not self.sagemaker.ours(key) and not lately:
            self.violation(key, f"{operation} of an endpoint that is not ours")

    def _unseen(self, call: Call) -> None:
        """A look without all its answers counts as a failure, and the next wait is longer."""
        if call.service == "sagemaker" and call.key is not None:
            self.case(call.key).failures += 1
        actor = self._kernel.actor
        if call.operation in _READS_OF_A_LOOK and actor and actor.notes["function"] == "reconciler":
            self.case(actor.notes["subjects"][0]).failures += 1

    def _changed(self, key: str) -> None:
        status, case = self.sagemaker.status(key), self.case(key)
        self._trace(f"{key} is {status}")
        if status == "Failed":
            case.failures += 1
        elif status == "InService":
            served = self.sagemaker.endpoint(key).config_name
            if case.moving_outside and served != case.outside:
                case.outside, case.outside_since = served, self._kernel.now
                case.outside_asked = self.ledger.account(key).asked
            elif case.updated_by_us:
                case.outside = None
            case.failures, case.updated_by_us, case.moving_outside = 0, False, False
        elif status == "Creating":
            self.causes.created(key)
        elif status is None:
            case.outside, case.asked = None, set()
        elif status == "RollingBack" and case.updated_by_us:
            endpoint, account = self.sagemaker.endpoint(key), self.ledger.account(key)
            target = endpoint.pending.target
            if target.config_name == endpoint.config_name:
                if account.weights and _weighed(target.variants, account.weights):
                    again = case.undone == account.weights
                    case.undone_times = case.undone_times + 1 if again else 1
                    case.undone = account.weights
            else:
                case.rolled_back = self._mark(account, target.config_name)
        self.look(key)

    def _accepted(self, operation: str, key: str) -> None:
        """SageMaker accepted a change: the history must explain it."""
        actor = self._kernel.actor
        assert actor is not None
        assert actor.reading is not None
        step = _STEPS[operation]
        self.case(key).updated_by_us = step in ("update", "reweigh")
        entries = self._tables.history.get(PREFIX + key, {})
        told = (f"{actor.reading:%Y-%m-%dT%H:%M:%S.%fZ}#", f"#{step}#meter")
        entry = next((entries[sk] for sk in entries if (sk[:28], sk[29:]) == told), None)
        if entry is None or not entry["reason"]["S"]:
            self.violation(key, f"the history does not explain this {step}")
            return
        if step == "delete":
            self.causes.told(key, entry["reason"]["S"])
        self._explained(key, step, entry["reason"]["S"], entries)
        account = self.ledger.account(key)
        asked = account.weights
        if step == "reweigh" and asked and not self._lives(key, asked):
            self.violation(key, "weights that were meant for an earlier life are given")
        # It may do so once more after a crash in which it did not learn that they were accepted.
        if step == "reweigh" and asked == self.case(key).undone and self.case(key).undone_times > 1:
            self.violation(key, "weights that were rolled back are asked for again and again")
        if step == "update" and account.spec:
            target = self.sagemaker.endpoint(key).pending.target.config_name
            if self.case(key).rolled_back == self._mark(account, target):
                self.violation(key, "an update that was rolled back is tried again")

    def updated_outside(self, key: str) -> None:
        """Somebody outside began an update."""
        case = self.case(key)
        case.moving_outside = case.ever_outside = True
        case.let_go = not self.ours(key)

    def _explained(self, key: str, step: str, reason: str, entries: Mapping[str, Item]) -> None:
        """Whether our step says what somebody outside did, and blames nobody for what we did."""
        case, served = self.case(key), self.sagemaker.endpoint(key).config_name
        account = self.ledger.account(key)
        blamed = re.match(r"somebody outside moved it to (\S+);", reason)
        if blamed and (blamed[1] != served or case.outside != served):
            self.violation(key, f"is told that {reason!r}, and it serves {served}")
        events = [e["reason"]["S"] for e in entries.values() if "outside" in e["kind"]["S"]]
        if events and not case.ever_outside:
            self.violation(key, f"{events} is told, and nobody outside updated it")
        if step != "update" or case.outside != served or served in case.asked or case.let_go:
            return
        if not blamed or not any(f"to {served}" in told for told in events):
            self.violation(key, f"nobody is told that somebody outside moved it to {served}")
        before = case.outside_since
        spec = account.spec
        kept = spec is not None and spec.keeps and before is not None and spec.since < before
        if kept and account.asked == case.outside_asked:
            self.violation(key, "what somebody outside set is reverted, though it is to be kept")

    def _begun(self, pk: str, sk: str, before: Item | None, after: Item | None) -> None:
        """A reconcile writes its intent: by its own clock it must be right."""
        intent, former = (after or {}).get("intent"), (before or {}).get("intent")
        actor = self._kernel.actor
        if sk != "STATE" or intent is None or intent == former or actor is None:
            return
        step, now = intent["M"]["step"]["S"], actor.reading
        assert now is not None
        key = pk.removeprefix(PREFIX)
        account = self.ledger.account(key)
        specs = account.specs_since(self._kernel.now - _LATELY)
        said = {_wanted(account, spec, now) for spec in specs}
        if self.drained_lately():
            said.add(False)
            said |= {self.wanted(key, now)}
        if step == "create" and True not in said:
            self.violation(key, "is started though not wanted")
        if step == "delete" and False not in said and self.sagemaker.status(key) != "Failed":
            self.violation(key, "is stopped though wanted")

    def drained_lately(self) -> bool:
        lately = self.ledger.drained_lately
        now = self._kernel.now
        return self.ledger.draining(now) or (lately is not None and now - lately < _LATELY)


def _weighed(variants: Iterable[Any], asked: Weights) -> bool:
    return all(asked.by_variant.get(each.name, each.weight) == each.weight for each in variants)


def _wanted(account: Account, spec: Declared | None, now: datetime) -> bool:
    return spec is not None and oracle.wanted(
        spec.schedules, account.lease_end, account.held_since, now
    )


def _backoff(failures: int) -> timedelta:
    """The longest wait after so many failures in a row."""
    if failures == 0:
        return timedelta()
    return timedelta(seconds=min(15 * 2 ** min(failures - 1, 10), _MAX_BACKOFF_SECONDS))
