"""The sweep: the slow comparison of all records with all endpoints. If it finds a disagreement, it
makes the endpoint due, and the reconciler repairs it. It reports the rest."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from lambdas.core.decision import ORPHAN_GRACE, meter_of, undecided
from lambdas.core.documents import iso
from lambdas.core.errors import Conflict, MeterError
from lambdas.core.hints import Cause, Hint
from lambdas.core.history import Event
from lambdas.core.idempotency import OPERATION_LIFE
from lambdas.core.in_the_way import RESTORED
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
"""The tick handles what became due within this time: its hints come in turn and are repeated."""
SOON = timedelta(minutes=15)
"""An endpoint that is due within this time waits for its turn or its retry: it needs no hint."""
_UNMANAGED = frozenset({Owner.NOBODY, Owner.ADOPTED})
"""Owners of unmanaged endpoints: nobody, or this stack by an adoption of which it has no record.
Only endpoints that this stack created are deleted as orphans."""


class Unmanaged(StrEnum):
    """What to do about unmanaged endpoints."""

    IGNORE = "ignore"
    REPORT = "report"
    METER = "meter"
    """Adopt them with a lease, so that endpoints that nobody remembers end too."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The settings of the sweep. `late_after` is how long wanted and observed may differ.
    `adoptable` are the names of endpoints that it may adopt."""

    unmanaged: Unmanaged = Unmanaged.IGNORE
    unmanaged_lease: timedelta = timedelta(hours=24)
    late_after: timedelta = timedelta(minutes=30)
    adoptable: NamePatterns = ANY_NAME
    max_lease_minutes: int = DEFAULT_MAX_LEASE_MINUTES


@dataclass(frozen=True, slots=True)
class Swept:
    """The names of what a sweep found. `late` endpoints have been different from what is wanted for
    too long."""

    endpoints: int
    hinted: Sequence[str]
    orphans: Sequence[str]
    unmanaged: Sequence[str]
    late: Sequence[str]
    restored: bool


@dataclass(frozen=True, slots=True)
class Sweep:
    """The use case. Strangers are endpoints without a record."""

    store: StateStore
    endpoints: Endpoints
    hints: Hints
    history: History
    notices: Notices
    clock: Callable[[], datetime]
    policy: Policy = Policy()

    def sweep(self) -> Swept:
        """Make every endpoint due that disagrees with its record, and handle those without a
        record."""
        now = self.clock()
        listed = {endpoint_key(seen.name): seen for seen in self.endpoints.list()}
        page = self.store.list()
        records = [self._with_state(record, now) for record in page.records]
        self._drop_forgotten(page.forgotten, now)
        control = self.store.control()
        draining = control.draining(now)
        disagreeing = [
            r for r in records if _disagrees(r, listed.get(r.key), now, draining=draining)
        ]
        # An endpoint that does not exist needs no stop. Many of them may have to start.
        likely = [(r, Step.DELETE if r.key in listed else Step.CREATE) for r in disagreeing]
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
            [r.key for r in disagreeing],
            [*orphans, *new_orphans],
            unmanaged,
            late,
            restored,
        )

    def _strangers(
        self, strangers: Sequence[Listed], now: datetime, *, adopts: bool
    ) -> tuple[Sequence[str], Sequence[str]]:
        """The names of new orphans and of unmanaged endpoints. A failure of one stops no other."""
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
        """Create its STATE: it is deleted after a grace period unless somebody adds it."""
        key = endpoint_key(seen.name)
        deleted_at = now + ORPHAN_GRACE
        self.store.create_state(key, State(next_due=deleted_at, orphaned_at=now))
        text = f"it carries our tag, but nobody declared it; it is deleted at {iso(deleted_at)}"
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
        """Whether its owner asked all meters to leave it alone."""
        try:
            return seen is not None and self.endpoints.owner(seen.arn) is Owner.IGNORED
        except MeterError:  # a false alarm is better than a late stop without one
            _log.exception("could not read the tags of %s", seen and seen.name)
            return False

    def _is_late(
        self, record: Record, seen: Listed | None, now: datetime, *, draining: bool
    ) -> bool:
        """Whether an endpoint has run unwanted, or was wanted and not in service, for too long."""
        state = record.state
        if state is None or draining or undecided(record.spec, state, now):
            return False
        wanted = meter_of(record.spec, state).wanted(now)
        right = seen is not None and seen.status.serves if wanted else seen is None
        if right:
            return False
        late_since = now - self.policy.late_after
        last = state.last_wanted
        if wanted is (last is not None and last.running):
            return last is not None and last.since <= late_since
        return state.next_due is not None and state.next_due <= late_since

    def accept_restored_table(self) -> bool:
        """Accept the restored table, and make due what it kept from a step. Returns whether there
        was one."""
        recorded, actual = self.store.control().table_id, self.store.table_id()
        if actual is None or recorded == actual:
            return False
        self.store.set_table_id(actual, replacing=recorded)
        kept = [
            (record, Step(step))
            for record in self.store.list().records
            for step, trouble in (record.state.troubles if record.state else {}).items()
            if trouble.kind == RESTORED
        ]
        self._make_due(kept, self.clock())
        return recorded is not None

    def _drop_forgotten(self, records: Sequence[Record], now: datetime) -> None:
        for record in records:
            if record.forgotten and record.forgotten.at <= now - OPERATION_LIFE:
                try:
                    self.store.drop_forgotten(record.key, record.forgotten.at)
                except MeterError:  # the next sweep tries again
                    _log.warning("still kept of %s", record.key, exc_info=True)

    def _with_state(self, record: Record, now: datetime) -> Record:
        return record if record.state else load_or_create(self.store, record.key, now)

    def _make_due(self, disagreeing: Sequence[tuple[Record, Step]], now: datetime) -> None:
        """Send a hint for each, on the queue of its likely step. A hint may be lost, and the next
        sweep is far away: so each also becomes due, and the tick sends another hint."""
        for record, step in disagreeing:
            due = record.state and record.state.next_due
            if due and due <= now:
                continue  # keep `next_due`: `_is_late` needs it
            try:
                self.store.touch(record.key, now, step)
            except Conflict:  # forgotten meanwhile
                continue
            except MeterError:
                _log.exception("could not make %s due", record.key)
        self.hints.send(Hint(r.key, Cause.SWEEP, step is Step.CREATE) for r, step in disagreeing)


def _disagrees(record: Record, seen: Listed | None, now: datetime, *, draining: bool) -> bool:
    """Whether the record, or what is wanted, does not fit what SageMaker lists."""
    state = record.state
    if state is None:
        return False
    if state.next_due is not None and now - JUST_DUE <= state.next_due <= now:
        return False  # a hint is on its way; another would cost it its place in the line
    status = seen.status if seen else Status.ABSENT
    meter = meter_of(None if draining else record.spec, state)
    transition = meter.next_transition(now)
    soon = state.next_due is not None and state.next_due <= now + SOON
    return (
        (state.next_due is not None and state.next_due <= now)
        or (transition is not None and (state.next_due is None or state.next_due > transition))
        or state.observed_status is not status
        or (seen is not None and state.observed_modified != seen.modified_at)
        or (
            meter.wanted(now) is (status is Status.ABSENT)
            and not soon
            and not undecided(record.spec, state, now)
        )
        or (record.spec is None and seen is None)
        or _runs_with_other_logs(state, seen)
    )


def _runs_with_other_logs(state: State, seen: Listed | None) -> bool:
    """Whether the log group of a running endpoint of ours is not known to be as it should."""
    if seen is None or seen.created_at is None or seen.status is not Status.IN_SERVICE:
        return False
    return seen.created_at == state.owned_since != state.logs_kept
