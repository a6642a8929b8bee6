"""The sweep: the slow, full comparison with reality. What it can explain it makes due, to be mended
by the reconciler; the rest it reports."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from lambdas.core.decision import ORPHAN_GRACE, meter_of, undecided
from lambdas.core.documents import iso
from lambdas.core.errors import Conflict, MeterError
from lambdas.core.hints import Cause, Hint
from lambdas.core.history import Event
from lambdas.core.idempotency import OPERATION_LIFE
from lambdas.core.name_patterns import ANY_NAME, NamePatterns
from lambdas.core.names import endpoint_key
from lambdas.core.ports import (
    Declaration,
    Endpoints,
    Hints,
    History,
    Listed,
    Notices,
    StateStore,
)
from lambdas.core.reconcile import load_or_create
from lambdas.core.spec import DEFAULT_MAX_LEASE_MINUTES, Origin, Spec, with_hash
from lambdas.core.state import Owner, Record, State, Status, Step
from lambdas.core.takeover import adoption_of

_log = logging.getLogger(__name__)

JUST_DUE = timedelta(minutes=5)
"""What was due no longer ago is the tick's to see to: its hints come in turn, and again."""
SOON = timedelta(minutes=15)
"""What is known and looked at again so soon waits for its turn or its next try."""
_UNMANAGED = frozenset({Owner.NOBODY, Owner.ADOPTED})
"""Endpoints that no record knows and that are nobody's, or that we took over and then lost sight
of: only what we made is ever deleted as an orphan."""
_SERVING = frozenset(
    {Status.IN_SERVICE, Status.UPDATING, Status.SYSTEM_UPDATING, Status.ROLLING_BACK}
)


class Unmanaged(StrEnum):
    """What to do about endpoints that nobody put on a meter."""

    IGNORE = "ignore"
    REPORT = "report"
    METER = "meter"
    """Adopt them with a lease: forgotten endpoints end too."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How a sweep judges. `late_after` is how long wanted and observed may differ; `adoptable` are
    the names of endpoints that it may put on the meter."""

    unmanaged: Unmanaged = Unmanaged.IGNORE
    unmanaged_lease: timedelta = timedelta(hours=24)
    late_after: timedelta = timedelta(minutes=30)
    adoptable: NamePatterns = ANY_NAME
    max_lease_minutes: int = DEFAULT_MAX_LEASE_MINUTES


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep found, as names: `orphans` carry our tag though nobody declared them,
    `unmanaged` carry no tag, `late` are not what they should be for too long."""

    endpoints: int
    hinted: Sequence[str]
    orphans: Sequence[str]
    unmanaged: Sequence[str]
    late: Sequence[str]
    restored: bool


@dataclass(frozen=True, slots=True)
class Sweep:
    """The use case. Strangers are endpoints that no record knows."""

    store: StateStore
    endpoints: Endpoints
    hints: Hints
    history: History
    notices: Notices
    clock: Callable[[], datetime]
    policy: Policy = Policy()

    def sweep(self) -> Swept:
        """Make due every endpoint whose record disagrees with what SageMaker lists, and see to
        those that no record knows."""
        now = self.clock()
        listed = {endpoint_key(seen.name): seen for seen in self.endpoints.list()}
        page = self.store.list()
        records = [self._with_state(record, now) for record in page.records]
        self._drop_forgotten(page.forgotten, now)
        control = self.store.control()
        draining = control.draining(now)
        astray = [r for r in records if _disagrees(r, listed.get(r.key), now, draining=draining)]
        # What is not there is never stopped, and may be a crowd that is to start.
        likely = [(r, Step.DELETE if r.key in listed else Step.CREATE) for r in astray]
        self._make_due(likely, now)
        late = [
            r.key
            for r in records
            if self._is_late(r, listed.get(r.key), now, draining=draining)
            and not self._ignored(listed.get(r.key))
        ]
        orphans = [r.key for r in records if r.spec is None and r.state and r.state.orphaned_at]
        known = {record.key for record in records}
        restored = control.table_id not in (None, self.store.table_id())
        new_orphans, unmanaged = self._strangers(
            [seen for key, seen in listed.items() if key not in known],
            now,
            adopts=self.policy.unmanaged is Unmanaged.METER and not restored and not draining,
        )
        self.store.beat("sweep", now)
        return Swept(
            len(records),
            [r.key for r in astray],
            [*orphans, *new_orphans],
            unmanaged,
            late,
            restored,
        )

    def _strangers(
        self, strangers: Sequence[Listed], now: datetime, *, adopts: bool
    ) -> tuple[Sequence[str], Sequence[str]]:
        """The names of new orphans and of unmanaged endpoints; one that fails stops no other."""
        orphans, unmanaged = [], []
        for seen in strangers:
            try:
                owner = self.endpoints.owner(seen.arn)
                if owner is Owner.US:
                    self._note_orphan(seen, now)
                    orphans.append(seen.name)
                elif owner in _UNMANAGED and self.policy.unmanaged is not Unmanaged.IGNORE:
                    unmanaged.append(seen.name)
                    if adopts and self.policy.adoptable.allows(seen.name):
                        self._put_on_the_meter(seen, now)
            except MeterError:
                _log.exception("could not see to %s", seen.name)
        return orphans, unmanaged

    def _note_orphan(self, seen: Listed, now: datetime) -> None:
        """Give it a STATE: it is deleted after a grace period unless somebody adds it."""
        key = endpoint_key(seen.name)
        leaves = now + ORPHAN_GRACE
        self.store.create_state(key, State(next_due=leaves, orphaned_at=now))
        text = f"it carries our tag, but nobody declared it; it is deleted at {iso(leaves)}"
        self.history.append(Event(key, now, "orphan", text))
        self.notices.tell(f"Orphaned endpoint {seen.name}", f"{seen.name}: {text}")

    def _put_on_the_meter(self, seen: Listed, now: datetime) -> None:
        """Adopt a running endpoint with the default lease."""
        if seen.status is not Status.IN_SERVICE:
            return
        described = self.endpoints.describe(seen.name)
        if described is None or described.config_name is None:
            return
        key = endpoint_key(seen.name)
        spec = with_hash(
            Spec(
                seen.name,
                described.config_name,
                Origin.API,
                max_lease_minutes=self.policy.max_lease_minutes,
            )
        )
        ends = now.replace(microsecond=0) + self.policy.unmanaged_lease
        adoption = adoption_of(described, declared=True)
        declaration = Declaration(spec, ends, observed=described, adopting=adoption)
        self.store.declare(declaration, now)
        self.hints.send([Hint(key, Cause.SWEEP)])
        text = f"nobody had it on a meter; it stops at {iso(ends)} unless it is renewed"
        self.history.append(Event(key, now, "adopted", text))
        self.notices.tell(f"Endpoint {seen.name} is on the meter now", f"{seen.name}: {text}")

    def _ignored(self, seen: Listed | None) -> bool:
        """Whether its owner asked every meter to leave it alone."""
        try:
            return seen is not None and self.endpoints.owner(seen.arn) is Owner.IGNORED
        except MeterError:  # better an alarm too many than a late stop that nobody hears of
            _log.exception("could not read the tags of %s", seen and seen.name)
            return False

    def _is_late(
        self, record: Record, seen: Listed | None, now: datetime, *, draining: bool
    ) -> bool:
        """Whether an endpoint runs unwanted, or is wanted and not in service, for too long."""
        state = record.state
        if state is None or draining or undecided(record.spec, state, now):
            return False
        wanted = meter_of(record.spec, state).wanted(now)
        right = seen is not None and seen.status in _SERVING if wanted else seen is None
        if right:
            return False
        patience = now - self.policy.late_after
        last = state.last_wanted
        if wanted is (last is not None and last.running):
            return last is not None and last.since <= patience
        return state.next_due is not None and state.next_due <= patience

    def accept_restored_table(self) -> bool:
        """Say that the restored table may be trusted; whether there was one."""
        recorded, actual = self.store.control().table_id, self.store.table_id()
        if actual is None or recorded == actual:
            return False
        self.store.set_table_id(actual, replacing=recorded)
        return recorded is not None

    def _drop_forgotten(self, records: Sequence[Record], now: datetime) -> None:
        for record in records:
            if record.forgotten and record.forgotten.at <= now - OPERATION_LIFE:
                with suppress(Conflict):  # forgotten again meanwhile
                    self.store.drop_forgotten(record.key, record.forgotten.at)

    def _with_state(self, record: Record, now: datetime) -> Record:
        return record if record.state else load_or_create(self.store, record.key, now)

    def _make_due(self, astray: Sequence[tuple[Record, Step]], now: datetime) -> None:
        """Hint at each, by the queue of the step that it likely needs. The hint may be lost and
        the next sweep is far: so each is due besides, and the tick hints at it again."""
        for record, step in astray:
            due = record.state and record.state.next_due
            if due and due <= now:
                continue  # how long it has been due says whether it is late
            try:
                self.store.touch(record.key, now, step)
            except Conflict:  # forgotten meanwhile
                continue
            except MeterError:
                _log.exception("could not make %s due", record.key)
        self.hints.send(Hint(r.key, Cause.SWEEP, step is Step.CREATE) for r, step in astray)


def _disagrees(record: Record, seen: Listed | None, now: datetime, *, draining: bool) -> bool:
    """Whether what is recorded or wanted does not fit what SageMaker lists."""
    state = record.state
    if state is None:
        return False
    if state.next_due is not None and now - JUST_DUE <= state.next_due <= now:
        return False  # a look at it is on its way; one of a crowd would lose its turn by another
    status = seen.status if seen else Status.ABSENT
    meter = meter_of(None if draining else record.spec, state)
    turn = meter.next_transition(now)
    soon = state.next_due is not None and state.next_due <= now + SOON
    return (
        (state.next_due is not None and state.next_due <= now)
        or (turn is not None and (state.next_due is None or state.next_due > turn))
        or state.observed_status is not status
        or (seen is not None and state.observed_modified != seen.modified_at)
        or (
            meter.wanted(now) is (status is Status.ABSENT)
            and not soon
            and not undecided(record.spec, state, now)
        )
        or (record.spec is None and seen is None)
    )
