"""In-memory fakes of the ports. `tests/contract` checks that they behave like the adapters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from lambdas.core.errors import (
    AlreadyExists,
    AwsRefused,
    Conflict,
    Gone,
    InProgress,
    LeaseTooLong,
    Locked,
    TooManyAdded,
    TooManyAddedToday,
    TooManySessions,
    UnknownEndpoint,
)
from lambdas.core.hints import Hint
from lambdas.core.history import Event
from lambdas.core.idempotency import Request
from lambdas.core.names import endpoint_key
from lambdas.core.ports import (
    Control,
    Declaration,
    Due,
    Keyed,
    Listed,
    RecordPage,
    WakeShare,
)
from lambdas.core.reasons import ended_at
from lambdas.core.rollout import Variant
from lambdas.core.schedule import Schedule
from lambdas.core.scopes import Scopes
from lambdas.core.spec import Origin, Scaling, Spec
from lambdas.core.state import (
    MAX_SESSIONS,
    Forgotten,
    Intent,
    Observed,
    Override,
    Owner,
    Record,
    Reweighing,
    State,
    Status,
    Step,
    changed_by_hand,
    paid_again,
    paid_second,
)

ONE = (Variant("all", 1),)


class FakeHistory:
    def __init__(self) -> None:
        self.entries: dict[tuple[str, datetime, int, str, str], Event] = {}

    def append(self, event: Event) -> None:
        place = (event.endpoint, event.at, event.place, event.kind, event.actor)
        self.entries[place] = event

    def newest(self, key: str, limit: int) -> Sequence[Event]:
        mine = sorted(place for place in self.entries if place[0] == key)
        return [self.entries[place] for place in reversed(mine)][:limit]

    def kinds(self, key: str) -> list[str]:
        """The kinds of all events, oldest first."""
        return [event.kind for event in reversed(self.newest(key, 1000))]


@dataclass
class FakeStateStore:
    """The state table as a dictionary. Every write checks the same conditions as the adapter."""

    history: FakeHistory = field(default_factory=FakeHistory)
    records: dict[str, Record] = field(default_factory=dict)
    claims: dict[str, datetime] = field(default_factory=dict)
    control_item: Control = field(default_factory=Control)
    id: str | None = "table-1"
    lines: dict[Step, datetime] = field(default_factory=dict)
    wakes: dict[tuple[str, str], int] = field(default_factory=dict)
    added: set[str] = field(default_factory=set)
    adds: dict[tuple[str, str], int] = field(default_factory=dict)

    def deploy(self, spec: Spec) -> None:
        """Do what Terraform does: write SPEC#config."""
        self.records[spec.key] = replace(self.load(spec.key), config_spec=spec)

    def declare(self, declaration: Declaration, now: datetime) -> State:
        spec, limits, keyed = declaration.spec, declaration.limits, declaration.keyed
        record = self.load(spec.key)
        loaded = declaration.over.rev if declaration.over else None
        if record.spec or (record.state.rev if record.state else None) != loaded:
            raise Conflict("there is a spec, or another STATE")
        if keyed and keyed.id in record.operations:
            raise Conflict("the key was recorded meanwhile")
        if limits:
            today = (limits.identity, f"{now:%Y-%m-%d}")
            if len(self.added) >= limits.most:
                raise TooManyAdded(limits.most)
            if self.adds.get(today, 0) >= limits.most_a_day:
                raise TooManyAddedToday(limits.most_a_day, now)
            self.added.add(spec.key)
            self.adds[today] = self.adds.get(today, 0) + 1
        state = declaration.state(now)
        self.records[spec.key] = replace(_keyed(record, keyed), api_spec=spec, state=state)
        self.claims.pop(spec.key, None)
        return state

    def void(
        self,
        key: str,
        owner: str,
        state: State,
        forgetting: Forgotten | None,
        events: Sequence[Event],
    ) -> None:
        record, saved = self._under_lock(key, owner, state.rev)
        if forgetting is not None:
            record = self._forgotten(record, forgetting)
            saved = replace(saved, override=None, reweighing=None)
        record = replace(record, lock_owner=None, locked_until=None)
        back = replace(
            saved,
            expires_at=state.expires_at,
            sessions=state.sessions,
            held_since=state.held_since,
            cuts=saved.cuts + 1,
            last_wanted=state.last_wanted,
            ended=state.ended,
        )
        self._user_write(record, replace(back, adopting=None, owned_since=None), events[-1].at)
        self._append(events)

    def withdraw(self, name: str) -> None:
        """Do what Terraform does when an entry leaves the config."""
        self._put(replace(self.load(endpoint_key(name)), config_spec=None))

    def load(self, key: str) -> Record:
        return self.records.get(key, Record(key))

    def list(self, limit: int | None = None, after: str | None = None) -> RecordPage:
        there = [key for key, record in self.records.items() if record.state or record.spec]
        keys = [key for key in sorted(there) if after is None or key > after]
        page = keys if limit is None else keys[:limit]
        more = page[-1] if len(page) < len(keys) else None
        left = [record for record in self.records.values() if record.forgotten]
        return RecordPage([self.records[key] for key in page], more, left)

    def create_state(self, key: str, state: State) -> None:
        if self.load(key).state is not None:
            raise Conflict("there is a STATE")
        self.records[key] = replace(self.load(key), state=state)

    def renew(
        self,
        key: str,
        minutes: int,
        now: datetime,
        max_lease_minutes: int,
        keyed: Keyed | None,
        over: State | None = None,
        live: Observed | None = None,
    ) -> State:
        if minutes > max_lease_minutes:
            raise LeaseTooLong(max_lease_minutes)
        record, state = self._renewing(key, keyed, over)
        if live:
            config = live.config_name
            state = replace(
                state, observed_status=live.status, observed_config=config, asked_config=config
            )
        whole_second = now.replace(microsecond=0)
        base = state.expires_at or now
        end = (base if base > now else whole_second) + timedelta(minutes=minutes)
        if end > whole_second + timedelta(minutes=max_lease_minutes):
            raise LeaseTooLong(max_lease_minutes)
        return self._renewed(record, replace(state, expires_at=end), now, keyed)

    def renew_until(
        self,
        key: str,
        until: datetime,
        now: datetime,
        keyed: Keyed | None,
        over: State | None = None,
    ) -> State:
        record, state = self._renewing(key, keyed, over)
        end = max(state.expires_at or until, until)
        return self._renewed(record, replace(state, expires_at=end), now, keyed)

    def pay_session(
        self,
        key: str,
        session: str,
        end: datetime,
        now: datetime,
        keyed: Keyed | None,
        over: State | None = None,
    ) -> State:
        record, state = self._renewing(key, keyed, over)
        sessions = dict(state.sessions)
        if session not in sessions and len(sessions) >= MAX_SESSIONS:
            oldest = min(sessions, key=lambda each: sessions[each])
            if sessions.pop(oldest) > now:
                raise TooManySessions(key, MAX_SESSIONS)
        sessions[session] = end
        return self._renewed(record, replace(state, sessions=sessions), now, keyed)

    def _renewing(self, key: str, keyed: Keyed | None, over: State | None) -> tuple[Record, State]:
        record = self.load(key)
        if record.state is None:
            raise UnknownEndpoint(key)
        if over and over.cuts != record.state.cuts:
            raise Conflict("something was cut")
        if keyed and keyed.id in record.operations:
            raise Conflict("the key was recorded meanwhile")
        if over and over.adopting and over.rev != record.state.rev:
            raise Conflict("another revision")
        adopting = (over.adopting if over else None) or record.state.adopting
        return record, replace(record.state, adopting=adopting)

    def _renewed(self, record: Record, state: State, now: datetime, keyed: Keyed | None) -> State:
        if keyed:
            keyed = replace(keyed, operation=replace(keyed.operation, expires_at=state.expires_at))
        return self._user_write(_keyed(record, keyed), paid_again(state, now), now)

    def stop(
        self,
        key: str,
        state: State,
        now: datetime,
        keyed: Keyed | None = None,
        forgetting: Forgotten | None = None,
    ) -> State:
        record = self.load(key)
        if record.state is None or record.state.rev != state.rev:
            raise Conflict("another revision")
        if keyed and keyed.id in record.operations:
            raise Conflict("the key was recorded meanwhile")
        changed = replace(
            record.state,
            expires_at=state.expires_at,
            sessions=state.sessions,
            held_since=state.held_since,
            cuts=record.state.cuts + 1,
        )
        if ended_at(state, now):
            changed = replace(changed, last_wanted=state.last_wanted, ended=state.ended)
        if forgetting is not None:
            record = self._forgotten(record, forgetting)
            changed = replace(changed, override=state.override)
        return self._user_write(_keyed(record, keyed), changed, now)

    def settle(self, key: str, state: State, now: datetime) -> None:
        self._set_lease(key, replace(state, cuts=state.cuts + 1), now)

    def extend(self, key: str, state: State, now: datetime) -> None:
        self._set_lease(key, state, now)

    def _set_lease(self, key: str, state: State, now: datetime) -> None:
        record = self.load(key)
        if record.state is None or record.state.rev != state.rev:
            raise Conflict("another revision")
        lease = {
            name: getattr(state, name) for name in ("expires_at", "sessions", "paid_at", "cuts")
        }
        self._user_write(record, replace(record.state, **lease), now)

    def _forgotten(self, record: Record, forgetting: Forgotten) -> Record:
        if record.api_spec is None or record.api_spec.spec_hash != forgetting.spec.spec_hash:
            raise Conflict("another spec")
        self.added.discard(record.key)
        return replace(record, api_spec=None, forgotten=forgetting)

    def drop_forgotten(self, key: str, at: datetime) -> None:
        record = self.load(key)
        if record.forgotten is None or record.forgotten.at != at:
            raise Conflict("forgotten again")
        self._put(replace(record, forgotten=None))

    def change_running(
        self,
        key: str,
        change: Override | Reweighing,
        now: datetime,
        keyed: Keyed | None,
        over: State | None = None,
    ) -> State:
        record = self.load(key)
        if record.state is None:
            raise UnknownEndpoint(key)
        if over and over.cuts != record.state.cuts:
            raise Conflict("something was cut")
        if keyed and keyed.id in record.operations:
            raise Conflict("the key was recorded meanwhile")
        return self._user_write(_keyed(record, keyed), changed_by_hand(record.state, change), now)

    def wake(self, key: str, rev: int, until: datetime, now: datetime, share: WakeShare) -> None:
        record = self.load(key)
        counter = (share.identity, f"{now:%Y-%m-%dT%H}")
        if record.state is None or record.state.rev != rev:
            raise Conflict("another revision")
        if self.wakes.get(counter, 0) >= share.most_an_hour:
            raise Conflict("the share is used up")
        self.wakes[counter] = self.wakes.get(counter, 0) + 1
        self._user_write(
            record, replace(record.state, expires_at=until, paid_at=paid_second(now)), now
        )

    def touch(self, key: str, now: datetime, step: Step | None = None) -> None:
        record = self.load(key)
        if record.state is None:
            raise Conflict("there is no STATE")
        step = step or record.state.next_step
        self._user_write(record, replace(record.state, next_step=step), now)

    def replace_api_spec(self, spec: Spec, *, replacing: str, due: datetime) -> None:
        record = self.load(spec.key)
        if record.api_spec is None or record.api_spec.spec_hash != replacing:
            raise Conflict("another spec")
        if record.state is None:
            raise Conflict("there is no STATE")
        self._user_write(replace(record, api_spec=spec), record.state, due)

    def lock(self, key: str, owner: str, now: datetime, until: datetime) -> None:
        record = self.load(key)
        if record.state is None:
            raise Conflict("there is no STATE")
        if record.locked_until and record.locked_until > now:
            raise Locked(record.locked_until)
        self.records[key] = replace(record, lock_owner=owner, locked_until=until)

    def unlock(self, key: str, owner: str) -> None:
        record = self.load(key)
        if record.lock_owner == owner:
            self.records[key] = replace(record, lock_owner=None, locked_until=None)

    def begin(
        self, key: str, owner: str, state: State, intent: Intent, events: Sequence[Event]
    ) -> None:
        record, current = self._under_lock(key, owner, state.rev)
        begun = _keeping_lease(current, replace(state, intent=intent, next_due=current.next_due))
        self.records[key] = replace(record, state=begun)
        self._append(events)

    def save(
        self,
        key: str,
        owner: str,
        state: State,
        claimed_until: datetime | None,
        events: Sequence[Event] = (),
    ) -> None:
        record, current = self._under_lock(key, owner, state.rev)
        saved = _keeping_lease(current, state)
        self.records[key] = replace(record, state=saved, lock_owner=None, locked_until=None)
        self.claims.pop(key, None)
        if claimed_until:
            self.claims[key] = claimed_until
        self._append(events)

    def forget(self, key: str, owner: str, rev: int, events: Sequence[Event] = ()) -> None:
        record, _ = self._under_lock(key, owner, rev)
        self._append(events)
        self._put(replace(record, state=None, operations={}, lock_owner=None, locked_until=None))

    def due(self, until: datetime, now: datetime) -> Iterator[Due]:
        for key, record in sorted(self.records.items()):
            state = record.state
            claimed = key in self.claims and self.claims[key] > now
            if state and state.next_due and state.next_due <= until and not claimed:
                yield Due(key, state.next_due, state.next_step)

    def claim(self, claims: Mapping[Due, datetime]) -> None:
        for due, until in claims.items():
            state = self.load(due.endpoint).state
            if state is not None and state.next_due == due.next_due:
                self.claims[due.endpoint] = until

    def control(self) -> Control:
        return self.control_item

    def table_id(self) -> str | None:
        return self.id

    def set_table_id(self, table_id: str, *, replacing: str | None) -> None:
        if self.control_item.table_id != replacing:
            raise Conflict("another table id")
        self.control_item = replace(self.control_item, table_id=table_id)

    def set_drain(self, until: datetime | None) -> None:
        self.control_item = replace(self.control_item, drain_until=until)

    def take_place(self, step: Step, earliest: datetime, gap: timedelta) -> datetime:
        place = max(self.lines.get(step, earliest), earliest)
        self.lines[step] = place + gap
        return place

    def beat(self, what: str, now: datetime) -> None:
        name = f"last_{what}"
        last: datetime | None = getattr(self.control_item, name)
        if last is None or last < now:
            changes: dict[str, Any] = {name: now}
            self.control_item = replace(self.control_item, **changes)

    def _append(self, events: Sequence[Event]) -> None:
        for event in events:
            self.history.append(event)

    def _user_write(self, record: Record, state: State, now: datetime) -> State:
        written = replace(state, rev=state.rev + 1, next_due=now)
        self.records[record.key] = replace(record, state=written)
        self.claims.pop(record.key, None)
        return written

    def _under_lock(self, key: str, owner: str, rev: int) -> tuple[Record, State]:
        record = self.load(key)
        if record.state is None or record.lock_owner != owner or record.state.rev != rev:
            raise Conflict("another revision or lock")
        return record, record.state

    def _put(self, record: Record) -> None:
        if record.state or record.spec or record.forgotten:
            self.records[record.key] = record
        else:
            self.records.pop(record.key, None)


def _weighed(
    variants: Sequence[Variant], desired: Mapping[str, Mapping[str, Any]]
) -> tuple[Variant, ...]:
    """The variants with the weights and counts that the endpoint serves."""
    weighed = []
    for variant in variants:
        changed = desired.get(variant.name, {})
        count = changed.get("DesiredInstanceCount", variant.instance_count)
        weighed.append(Variant(variant.name, count, changed.get("DesiredWeight", 1.0)))
    return tuple(weighed)


def _keyed(record: Record, keyed: Keyed | None) -> Record:
    """The record with the new operation and without stale ones."""
    if keyed is None:
        return record
    kept = {name: o for name, o in record.operations.items() if name not in keyed.stale}
    return replace(record, operations={**kept, keyed.id: keyed.operation})


def _keeping_lease(current: State, state: State) -> State:
    return replace(
        state,
        rev=current.rev,
        expires_at=current.expires_at,
        sessions=current.sessions,
        paid_at=current.paid_at,
        held_since=current.held_since,
        cuts=current.cuts,
    )


@dataclass
class FakeEndpoint:
    name: str
    config_name: str
    status: Status
    created_at: datetime
    settles_at: datetime | None
    owner: Owner = Owner.US
    modified_at: datetime | None = None
    failure_reason: str = ""
    settles_as: Status = Status.IN_SERVICE
    next_config: str = ""
    weights: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Weights and capacities set by hand, by variant."""


@dataclass
class FakeEndpoints:
    """SageMaker with lifecycles, on a clock that the test moves. `refusals` holds the exceptions
    for the next calls of an operation. If `failing` is set, creates end in Failed with that
    reason."""

    now: datetime
    create_seconds: float = 3
    delete_seconds: float = 1
    live: dict[str, FakeEndpoint] = field(default_factory=dict)
    configs: set[str] = field(default_factory=set)
    variants: dict[str, tuple[Variant, ...]] = field(default_factory=dict)
    """The variants of a config, if they are not one variant with one instance."""
    config_owners: dict[str, Owner] = field(default_factory=dict)
    options: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    weights: dict[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    calls: list[tuple[str, str]] = field(default_factory=list)
    refusals: dict[str, list[Exception]] = field(default_factory=dict)
    failing: str = ""
    full: set[str] = field(default_factory=set)
    """Configs with an instance type that has no capacity."""
    rolling_back: str = ""
    last_deployment: Mapping[str, Any] | None = None
    scaled: dict[str, tuple[Scaling, ...]] = field(default_factory=dict)
    tags: dict[str, dict[str, str]] = field(default_factory=dict)
    logs_kept: list[str] = field(default_factory=list)
    """The endpoints whose log group was to be kept, and whether that is done."""
    logs_answer: bool = True

    def describe(self, name: str) -> Observed | None:
        self._refuse("describe")
        found = self._find(name)
        if found is None:
            return None
        return Observed(
            found.status,
            found.config_name,
            found.failure_reason,
            found.created_at,
            found.modified_at or found.created_at,
            f"arn:{endpoint_key(name)}",
            variants=_weighed(self.variants.get(found.config_name, ONE), found.weights),
            last_deployment=self.last_deployment,
        )

    def owner(self, arn: str) -> Owner:
        found = self._find(arn.removeprefix("arn:"))
        return found.owner if found else Owner.NOBODY

    def config_owner(self, config_name: str) -> Owner:
        return self.config_owners.get(config_name, Owner.NOBODY)

    def config_variants(self, config_name: str) -> Sequence[Variant] | None:
        return self.variants.get(config_name, ONE) if config_name in self.configs else None

    def create(self, name: str, config_name: str, tags: Mapping[str, str] | None = None) -> None:
        self._refuse("create")
        self.tags[endpoint_key(name)] = dict(tags or {})
        self.calls.append(("create", name))
        if self._find(name):
            raise AlreadyExists("ValidationException", "Cannot create already existing endpoint")
        fails = self.failing or config_name in self.full
        end = Status.FAILED if fails else Status.IN_SERVICE
        self.live[endpoint_key(name)] = FakeEndpoint(
            name,
            config_name,
            Status.CREATING,
            self.now,
            self.now + timedelta(seconds=self.create_seconds),
            settles_as=end,
        )

    def delete(self, name: str) -> None:
        self._refuse("delete")
        self.calls.append(("delete", name))
        found = self._existing(name)
        found.status = Status.DELETING
        found.settles_at = self.now + timedelta(seconds=self.delete_seconds)

    def update(self, name: str, config_name: str, options: Mapping[str, Any]) -> None:
        self.options[endpoint_key(name)] = options
        self._refuse("update")
        self.calls.append(("update", name))
        found = self._existing(name)
        found.status = Status.UPDATING
        found.next_config = found.config_name if self.rolling_back else config_name
        found.weights = found.weights if self.rolling_back else {}
        found.settles_as = Status.IN_SERVICE
        found.settles_at = self.now + timedelta(seconds=self.create_seconds)
        found.modified_at = found.settles_at

    def reweigh(self, name: str, desired: Sequence[Mapping[str, Any]]) -> None:
        self._refuse("reweigh")
        self.calls.append(("reweigh", name))
        found = self._existing(name)
        self.weights[endpoint_key(name)] = desired
        found.status, found.next_config = Status.UPDATING, found.config_name
        if not self.rolling_back:
            found.weights = {each["VariantName"]: each for each in desired}
        found.settles_at = self.now + timedelta(seconds=self.create_seconds)

    def scale(self, name: str, scaling: Sequence[Scaling]) -> None:
        self._refuse("scale")
        self.calls.append(("scale", name))
        self.scaled[endpoint_key(name)] = tuple(scaling)

    def forget_scaling(self, name: str) -> None:
        self.calls.append(("forget scaling", name))

    def keep_logs(self, name: str) -> bool:
        self.logs_kept.append(name)
        return self.logs_answer

    def list(self) -> Iterator[Listed]:
        for key in list(self.live):
            found = self._find(key)
            if found:
                modified = found.modified_at or found.created_at
                yield Listed(found.name, found.status, f"arn:{key}", modified, found.created_at)

    def adopt(self, arn: str) -> None:
        self._refuse("adopt")
        self.calls.append(("adopt", arn))
        found = self._find(arn.removeprefix("arn:"))
        if found is None:
            raise Gone("ValidationException", "Could not find endpoint")
        if found.owner is not Owner.NOBODY:
            raise AwsRefused("AccessDeniedException", f"{arn} is {found.owner}")
        found.owner = Owner.ADOPTED

    def release(self, arn: str) -> None:
        self._refuse("release")
        self.calls.append(("release", arn))
        found = self._find(arn.removeprefix("arn:"))
        if found and found.owner is Owner.ADOPTED:
            found.owner = Owner.NOBODY

    def run_by_hand(self, name: str, config_name: str, owner: Owner = Owner.NOBODY) -> None:
        """Create an endpoint of somebody else."""
        self.live[endpoint_key(name)] = FakeEndpoint(
            name, config_name, Status.IN_SERVICE, self.now, None, owner
        )

    def made(self, operation: str, name: str) -> int:
        return self.calls.count((operation, name))

    def _existing(self, name: str) -> FakeEndpoint:
        found = self._find(name)
        if found is None:
            raise Gone("ValidationException", "Could not find endpoint")
        if found.status in (Status.CREATING, Status.UPDATING, Status.DELETING):
            raise InProgress("ValidationException", "Cannot update in-progress endpoint")
        return found

    def _find(self, name: str) -> FakeEndpoint | None:
        found = self.live.get(endpoint_key(name))
        if found is None or found.settles_at is None or found.settles_at > self.now:
            return found
        if found.status is Status.DELETING:
            del self.live[endpoint_key(name)]
            self.scaled.pop(endpoint_key(name), None)
            return None
        if found.status is Status.UPDATING:
            found.config_name = found.next_config
            found.failure_reason = self.rolling_back
        found.status = found.settles_as
        if found.status is Status.FAILED:
            found.failure_reason = self.failing or "InsufficientInstanceCapacity error"
        found.settles_at = None
        return found

    def _refuse(self, operation: str) -> None:
        waiting = self.refusals.get(operation)
        if waiting:
            raise waiting.pop(0)


@dataclass
class FakeHints:
    """A queue. Each message has the instant from which it may be received."""

    now: datetime
    queue: list[tuple[datetime, Hint]] = field(default_factory=list)
    sent: list[Hint] = field(default_factory=list)

    def send(self, hints: Iterable[Hint]) -> None:
        for hint in hints:
            self.sent.append(hint)
            delay = timedelta(seconds=hint.delay_seconds(self.now))
            self.queue.append((self.now + delay, hint))

    def receive(self) -> list[Hint]:
        """Take all messages that may be received now."""
        ready = [hint for at, hint in self.queue if at <= self.now]
        self.queue = [(at, hint) for at, hint in self.queue if at > self.now]
        return ready

    def next_at(self) -> datetime | None:
        return min((at for at, _ in self.queue), default=None)


EVERY_SCOPE = "read renew add manage invoke"


def by(actor: str = "ann", scopes: str = EVERY_SCOPE) -> Request:
    """A request without an Idempotency-Key."""
    return Request(actor, actor, Scopes.stored(scopes))


def a_spec(name: str = "falcon", config: str = "falcon-1", **fields: Any) -> Spec:
    """A spec for tests."""
    fields.setdefault("origin", Origin.CONFIG)
    fields.setdefault("spec_hash", f"hash of {config}")
    return Spec(name, config, **fields)


def clock(hour: int, minute: int = 0, second: int = 0, *, day: int = 2) -> datetime:
    """An instant in March 2026. The 2nd is a Monday."""
    return datetime(2026, 3, day, hour, minute, second, tzinfo=UTC)


OFFICE_HOURS = Schedule.parse(
    {
        "name": "workdays",
        "start_time": "10:00",
        "stop_time": "17:00",
        "days": ["mon", "tue", "wed", "thu", "fri"],
    }
)
