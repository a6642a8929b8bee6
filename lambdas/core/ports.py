"""What the core needs of the outside world. `lambdas.aws` and `tests.fakes` implement it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from lambdas.core.hints import Hint
from lambdas.core.history import Event
from lambdas.core.rollout import Variant
from lambdas.core.spec import Scaling, Spec
from lambdas.core.state import (
    ABSENT,
    Adoption,
    Forgotten,
    Intent,
    Observed,
    Operation,
    Override,
    Owner,
    Record,
    Reweighing,
    State,
    Status,
    Step,
)

NO_CONFIG = "Could not find endpoint configuration"
"""Begins what SageMaker says of an endpoint config that is not there, or not to be seen yet."""


@dataclass(frozen=True, slots=True)
class Keyed:
    """An Idempotency-Key: `id` = hash of token, route and key; `stale` ids may be pruned."""

    id: str
    operation: Operation
    stale: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class AddLimits:
    """What one add is counted against: how many endpoints that were added over the API may be
    there at once, and how many a token (by its identity) may add in a day (UTC)."""

    identity: str
    most: int
    most_a_day: int


@dataclass(frozen=True, slots=True)
class Declaration:
    """What puts an endpoint on the meter, all at once: its spec, and a lease until `expires_at`.

    `over` is the STATE that was loaded, where one is left of an earlier life; `observed` the live
    endpoint that is adopted by it, if one is. `limits` None: it is not counted.
    """

    spec: Spec
    expires_at: datetime
    over: State | None = None
    observed: Observed = ABSENT
    adopting: Adoption | None = None
    keyed: Keyed | None = None
    limits: AddLimits | None = None

    def state(self, now: datetime) -> State:
        """What STATE says from then on."""
        before = self.over or State(rev=-1)
        status = self.observed.status if self.adopting else before.observed_status
        return replace(
            before,
            rev=before.rev + 1,
            expires_at=self.expires_at,
            held_since=None,
            attempts=0,
            retry_at=None,
            orphaned_at=None,
            adopting=self.adopting,
            observed_status=status,
            observed_config=self.observed.config_name if self.adopting else before.observed_config,
            next_due=now,
            next_step=Step.CREATE if status is Status.ABSENT else Step.WAIT,
        )


@dataclass(frozen=True, slots=True)
class WakeShare:
    """What a token (by its identity, not by its name) may wake in an hour by the clock."""

    identity: str
    most_an_hour: int


@dataclass(frozen=True, slots=True)
class Due:
    """An entry of the due index."""

    endpoint: str
    next_due: datetime
    next_step: Step


@dataclass(frozen=True, slots=True)
class Control:
    """The stack-wide CONTROL item."""

    drain_until: datetime | None = None
    last_deploy: datetime | None = None
    last_tick: datetime | None = None
    last_reconcile: datetime | None = None
    last_sweep: datetime | None = None
    table_id: str | None = None
    """The id of the table that this item was written into; a restored table has another."""

    def draining(self, now: datetime) -> bool:
        return self.drain_until is not None and self.drain_until > now


class StateStore(Protocol):
    """The state table. Every write is conditional; Conflict says that its condition failed."""

    def load(self, key: str) -> Record:
        """All items of one endpoint in one consistent read; an empty Record if there is none."""
        ...

    def list(self, limit: int | None = None, after: str | None = None) -> RecordPage:
        """The records of all endpoints, consistently read, page by page where `limit` is given."""
        ...

    def create_state(self, key: str, state: State) -> None:
        """Write STATE where there is none; Conflict where there is one."""
        ...

    def declare(self, declaration: Declaration, now: datetime) -> State:
        """Put an endpoint on the meter: SPEC#api, STATE and what is counted, by one transaction.

        Raises TooManyAdded and TooManyAddedToday; Conflict where there is a spec by now, of the
        API or of the deployed config, or STATE is not what was loaded.
        """
        ...

    def void(
        self, key: str, owner: str, state: State, forgetting: Forgotten | None, event: Event
    ) -> None:
        """Take an adoption back and give the lock back, under the lock and the revision of
        `state`, whose lease and hold are those from now on. Where the spec of `forgetting` came
        with it, that goes too. All by one transaction, with the history entry; the endpoint is due
        then, and nothing on record says that it is ours."""
        ...

    def renew(
        self,
        key: str,
        minutes: int,
        now: datetime,
        max_lease_minutes: int,
        keyed: Keyed | None,
        adopting: Adoption | None = None,
    ) -> State:
        """Add minutes to the lease in one conditional write and make the endpoint due now.

        max(now, expires_at) + minutes; ends a hold; begins an adoption where one is given. Raises
        LeaseTooLong, UnknownEndpoint where there is no STATE, and Conflict where `keyed` was
        recorded meanwhile.
        """
        ...

    def stop(
        self,
        key: str,
        state: State,
        now: datetime,
        keyed: Keyed | None = None,
        forgetting: Forgotten | None = None,
    ) -> State:
        """Save the lease and hold of `state` over its revision; Conflict where that moved.

        By the same write or not at all, the spec of `forgetting` is removed, with the place that
        it took up, and the override that was set by hand where `state` has none; what is
        `forgetting` is kept instead.
        """
        ...

    def change_running(
        self, key: str, change: Override | Reweighing, now: datetime, keyed: Keyed | None
    ) -> State:
        """Record what was asked for by hand, in one conditional write, and make the endpoint due
        now. An Override also ends what stood in its way: a fallback, an earlier rollback, a
        Reweighing that was meant for another config. Raises UnknownEndpoint where there is no
        STATE, and Conflict where `keyed` was recorded meanwhile.
        """
        ...

    def wake(self, key: str, rev: int, until: datetime, now: datetime, share: WakeShare) -> None:
        """Give a lease over the revision `rev` and count it against the share, by one write;
        Conflict where the revision moved or the share is used up."""
        ...

    def touch(self, key: str, now: datetime, step: Step | None = None) -> None:
        """Make the endpoint due now, and say which step is likely where another was expected;
        Conflict where there is no STATE."""
        ...

    def replace_api_spec(self, spec: Spec, *, replacing: str, due: datetime) -> None:
        """Write SPEC#api over the spec of hash `replacing`, else Conflict; by the same write or
        not at all the endpoint is made due, as `touch` does."""
        ...

    def lock(self, key: str, owner: str, now: datetime, until: datetime) -> None:
        """Take the endpoint's lock; raises Locked where another holds it."""
        ...

    def unlock(self, key: str, owner: str) -> None:
        """Give the lock back where `owner` still holds it."""
        ...

    def begin(self, key: str, owner: str, state: State, intent: Intent, event: Event) -> None:
        """Write the intent and its history entry at once, under the lock and the revision."""
        ...

    def save(self, key: str, owner: str, state: State, claimed_until: datetime | None) -> None:
        """Save what a reconcile found and give the lock back, under the lock and the revision."""
        ...

    def forget(self, key: str, owner: str, rev: int) -> None:
        """Remove STATE under the lock and the revision."""
        ...

    def drop_forgotten(self, key: str, at: datetime) -> None:
        """Remove what is kept of an endpoint that was forgotten at `at`; Conflict where it was
        forgotten again since."""
        ...

    def due(self, until: datetime, now: datetime) -> Iterator[Due]:
        """What is due by `until` and not claimed at `now`, earliest first."""
        ...

    def claim(self, claims: Mapping[Due, datetime]) -> None:
        """Note until when a hint for each is on its way; what changed meanwhile is left alone."""
        ...

    def control(self) -> Control: ...

    def table_id(self) -> str | None:
        """The id of the table that is read now; None where the service does not tell."""
        ...

    def set_table_id(self, table_id: str, *, replacing: str | None) -> None:
        """Record the table's id over `replacing` (None: over none); else Conflict."""
        ...

    def set_drain(self, until: datetime | None) -> None: ...

    def take_place(self, step: Step, earliest: datetime, gap: timedelta) -> datetime:
        """The next free place, at `earliest` or later, in the line of those who wait to take
        `step`; the one behind it comes `gap` later."""
        ...

    def beat(self, what: str, now: datetime) -> None:
        """Record in CONTROL that `what` (deploy, tick, reconcile, sweep) was well at `now`."""
        ...


@dataclass(frozen=True, slots=True)
class RecordPage:
    """Some records, and the token of the next page if there are more."""

    records: Sequence[Record]
    next_token: str | None = None
    forgotten: Sequence[Record] = ()
    """Those that keep something of a forgotten endpoint, whether or not they have more."""


class History(Protocol):
    def append(self, event: Event) -> None: ...

    def newest(self, key: str, limit: int) -> Sequence[Event]: ...


@dataclass(frozen=True, slots=True)
class Listed:
    """An endpoint as a listing shows it: enough to see whether something disagrees."""

    name: str
    status: Status
    arn: str
    modified_at: datetime | None = None
    created_at: datetime | None = None


class Endpoints(Protocol):
    """SageMaker. Refusals are raised as the AwsRefused family of `errors`."""

    def describe(self, name: str) -> Observed | None:
        """The endpoint; None where there is none. `ours` is not looked up here."""
        ...

    def owner(self, arn: str) -> Owner:
        """Whose tag the endpoint carries; NOBODY's where it is gone."""
        ...

    def config_owner(self, config_name: str) -> Owner:
        """Whose stack's tag the endpoint config carries; nobody's where there is none."""
        ...

    def config_variants(self, config_name: str) -> Sequence[Variant] | None:
        """The production variants of an endpoint config; None where SageMaker has no such."""
        ...

    def create(self, name: str, config_name: str, tags: Mapping[str, str]) -> None:
        """Start the endpoint with our tag and `tags`; AlreadyExists, Throttled, AwsRefused."""
        ...

    def delete(self, name: str) -> None:
        """Gone, InProgress, Throttled, AwsRefused."""
        ...

    def update(self, name: str, config_name: str, options: Mapping[str, Any]) -> None:
        """Gone, InProgress, Throttled, AwsRefused."""
        ...

    def reweigh(self, name: str, desired: Sequence[Mapping[str, Any]]) -> None:
        """Give variants other weights and capacities; Gone, InProgress, Throttled, AwsRefused."""
        ...

    def scale(self, name: str, scaling: Sequence[Scaling]) -> None:
        """Replace the endpoint's scaling targets and policies; Throttled, AwsRefused."""
        ...

    def list(self) -> Iterator[Listed]:
        """All endpoints of the region, whosever they are."""
        ...


class Adopter(Protocol):
    def adopt(self, arn: str) -> None:
        """Tag a live endpoint as taken over by this stack; AwsRefused."""
        ...

    def release(self, arn: str) -> None:
        """Take that tag off again; AwsRefused."""
        ...


class Notices(Protocol):
    def tell(self, subject: str, text: str) -> None:
        """Tell people; what cannot be told is logged, not raised."""
        ...


class Hints(Protocol):
    def send(self, hints: Iterable[Hint]) -> None:
        """Put hints on the queues; raises AwsRefused if any could not be sent."""
        ...
