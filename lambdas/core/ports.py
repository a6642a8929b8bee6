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
    last_paid,
)

NO_CONFIG = "Could not find endpoint configuration"
"""The start of SageMaker's message if an endpoint config does not exist, or is not visible yet."""


@dataclass(frozen=True, slots=True)
class Keyed:
    """An Idempotency-Key. `id` is the hash of token, route and key. The `stale` ids may be
    removed."""

    id: str
    operation: Operation
    stale: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class AddLimits:
    """The limits for one add: how many endpoints added over the API may exist at once, and how many
    a token (by its identity) may add per day (UTC)."""

    identity: str
    most: int
    most_a_day: int


@dataclass(frozen=True, slots=True)
class Declaration:
    """All that one transaction writes to put an endpoint on the meter: its spec, and a lease until
    `expires_at`.

    `over` is the loaded STATE, if an earlier life left one. `observed` is the live endpoint, if
    this adopts one. `limits` None: it is not counted.
    """

    spec: Spec
    expires_at: datetime
    over: State | None = None
    observed: Observed = ABSENT
    adopting: Adoption | None = None
    keyed: Keyed | None = None
    limits: AddLimits | None = None

    def state(self, now: datetime) -> State:
        """The STATE after it."""
        before = self.over or State(rev=-1)
        status = self.observed.status if self.adopting else before.observed_status
        return replace(
            before,
            rev=before.rev + 1,
            expires_at=self.expires_at,
            paid_at=last_paid(before, now),
            held_since=None,
            last_wanted=None,
            ended=None,
            set_up_at=now.replace(microsecond=0),
            attempts=0,
            retry_at=None,
            orphaned_at=None,
            adopting=self.adopting,
            stranger=None,
            dropped={},
            observed_status=status,
            observed_config=self.observed.config_name if self.adopting else before.observed_config,
            asked_config=self.observed.config_name if self.adopting else before.asked_config,
            next_due=now,
            next_step=Step.CREATE if status is Status.ABSENT else Step.WAIT,
        )


@dataclass(frozen=True, slots=True)
class WakeShare:
    """How many endpoints a token (by its identity, not its name) may wake per clock hour."""

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
    last_sagemaker: datetime | None = None
    """When SageMaker last answered the canary."""
    last_silence: datetime | None = None
    """When it last did not."""
    table_id: str | None = None
    """The id of the table into which this item was written. A restored table has another id."""

    def draining(self, now: datetime) -> bool:
        return self.drain_until is not None and self.drain_until > now


class StateStore(Protocol):
    """The state table. Every write is conditional. Raises Conflict if the condition fails."""

    def load(self, key: str) -> Record:
        """All items of one endpoint, by one consistent read. An empty Record if there are none."""
        ...

    def list(self, limit: int | None = None, after: str | None = None) -> RecordPage:
        """The records of all endpoints, by consistent reads. One page of them if `limit` is
        given."""
        ...

    def create_state(self, key: str, state: State) -> None:
        """Write STATE. Raises Conflict if there is one."""
        ...

    def declare(self, declaration: Declaration, now: datetime) -> State:
        """Put an endpoint on the meter: SPEC#api, STATE and the counters, by one transaction.

        Raises TooManyAdded and TooManyAddedToday. Raises Conflict if a spec of the API or of the
        deployed config exists by now, or if STATE is not the loaded one.
        """
        ...

    def void(
        self,
        key: str,
        owner: str,
        state: State,
        forgetting: Forgotten | None,
        events: Sequence[Event],
    ) -> None:
        """Undo an adoption and release the lock, under the lock and the revision of `state`. The
        lease, the hold and the last look become those of `state`. If the adoption brought the spec
        of `forgetting`, the spec is removed. All this is one transaction, with the events for the
        history. Then the endpoint is due, and nothing on record says that it is ours."""
        ...

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
        """Add minutes to the lease in one conditional write and make the endpoint due now.

        They are added to the shared end if that is ahead, else to the second of `now`. With that
        ends what every payment ends (`state.paid_again`). `over` is the loaded state, from which
        nothing may have been cut since. If it has an adoption, that is written too, over its
        revision only. `live`: a new adoption is of it, and it is what was observed last. Raises
        LeaseTooLong, UnknownEndpoint if there is no STATE, Conflict if `keyed` was recorded
        meanwhile or because of `over`, and Busy if other writes come first again and again.
        """
        ...

    def renew_until(
        self,
        key: str,
        until: datetime,
        now: datetime,
        keyed: Keyed | None,
        over: State | None = None,
    ) -> State:
        """Move the shared end of the lease to `until` if that is later. Else as `renew`."""
        ...

    def pay_session(
        self,
        key: str,
        session: str,
        end: datetime,
        now: datetime,
        keyed: Keyed | None,
        over: State | None = None,
    ) -> State:
        """Set the end of a session. Removes sessions that are over if there are too many, the
        oldest first. Raises TooManySessions. Else as `renew`."""
        ...

    def stop(
        self,
        key: str,
        state: State,
        now: datetime,
        keyed: Keyed | None = None,
        forgetting: Forgotten | None = None,
    ) -> State:
        """Save the lease, the sessions and the hold of `state` over its revision, and if the write
        ended the time in which it was wanted (`reasons.ended_now`), that too. Raises Conflict if
        the revision changed.

        The same write removes the spec of `forgetting`, with its place among the added endpoints,
        and keeps `forgetting` instead. It also removes the override if `state` has none.
        """
        ...

    def settle(self, key: str, state: State, now: datetime) -> None:
        """Save the lease and the sessions of `state`, which a lone stop cut, over its revision.
        Raises Conflict if the revision changed."""
        ...

    def extend(self, key: str, state: State, now: datetime) -> None:
        """Save the lease of `state`, which ends later, over its revision. Raises Conflict if the
        revision changed."""
        ...

    def change_running(
        self,
        key: str,
        change: Override | Reweighing,
        now: datetime,
        keyed: Keyed | None,
        over: State | None = None,
    ) -> State:
        """Record a change by hand in one conditional write, and make the endpoint due now.

        An Override also ends what would prevent it: a fallback, an earlier rollback, a Reweighing
        for another config. `over` is the loaded state. Raises UnknownEndpoint if there is no STATE,
        and Conflict if `keyed` was recorded or something was cut meanwhile.
        """
        ...

    def wake(self, key: str, rev: int, until: datetime, now: datetime, share: WakeShare) -> None:
        """Grant a lease over the revision `rev` and count it against the share, by one write.
        Raises Conflict if the revision changed or the share is used up."""
        ...

    def touch(self, key: str, now: datetime, step: Step | None = None) -> None:
        """Make the endpoint due now. `step` is the likely next step, if it changes. Raises Conflict
        if there is no STATE."""
        ...

    def replace_api_spec(self, spec: Spec, *, replacing: str, due: datetime) -> None:
        """Write SPEC#api over the spec with the hash `replacing`, and make the endpoint due, by one
        transaction. Raises Conflict if the hash is another."""
        ...

    def lock(self, key: str, owner: str, now: datetime, until: datetime) -> None:
        """Take the lock of the endpoint. Raises Locked if another holds it."""
        ...

    def unlock(self, key: str, owner: str) -> None:
        """Release the lock if `owner` still holds it."""
        ...

    def begin(
        self, key: str, owner: str, state: State, intent: Intent, events: Sequence[Event]
    ) -> None:
        """Write the intent and the events, by one transaction, under the lock and the revision."""
        ...

    def save(
        self,
        key: str,
        owner: str,
        state: State,
        claimed_until: datetime | None,
        events: Sequence[Event] = (),
    ) -> None:
        """Save the result of a reconcile with its events, by one transaction, and release the lock,
        under the lock and the revision."""
        ...

    def forget(self, key: str, owner: str, rev: int, events: Sequence[Event] = ()) -> None:
        """Remove STATE under the lock and the revision. The events are part of the same
        transaction."""
        ...

    def drop_forgotten(self, key: str, at: datetime) -> None:
        """Remove what is kept of an endpoint that was forgotten at `at`. Raises Conflict if it was
        forgotten again since."""
        ...

    def due(self, until: datetime, now: datetime) -> Iterator[Due]:
        """All that is due by `until` and not claimed at `now`, the earliest first."""
        ...

    def claim(self, claims: Mapping[Due, datetime]) -> None:
        """Record until when a hint for each is on its way. Entries that changed meanwhile are
        skipped."""
        ...

    def control(self) -> Control: ...

    def table_id(self) -> str | None:
        """The id of the table that is read now. None if the service does not say."""
        ...

    def set_table_id(self, table_id: str, *, replacing: str | None) -> None:
        """Record the table's id over `replacing` (None: there is none yet), else raise Conflict."""
        ...

    def set_drain(self, until: datetime | None) -> None: ...

    def take_place(self, step: Step, earliest: datetime, gap: timedelta) -> datetime:
        """The next free instant, at `earliest` or later, in the line of endpoints that wait for
        `step`. The place after it is `gap` later."""
        ...

    def beat(self, what: str, now: datetime) -> None:
        """Record in CONTROL that `what` (deploy, tick, reconcile, sweep) worked at `now`, that
        `sagemaker` answered, or that there was `silence` instead."""
        ...


@dataclass(frozen=True, slots=True)
class RecordPage:
    """Some records, and the page token if there are more."""

    records: Sequence[Record]
    next_token: str | None = None
    forgotten: Sequence[Record] = ()
    """The records that keep something of a forgotten endpoint, with or without other items."""


class History(Protocol):
    def append(self, event: Event) -> None: ...

    def newest(self, key: str, limit: int) -> Sequence[Event]: ...


@dataclass(frozen=True, slots=True)
class Listed:
    """An endpoint as ListEndpoints shows it: enough to find disagreements."""

    name: str
    status: Status
    arn: str
    modified_at: datetime | None = None
    created_at: datetime | None = None


class Endpoints(Protocol):
    """SageMaker. A refused call raises AwsRefused or a subclass."""

    def describe(self, name: str) -> Observed | None:
        """The endpoint, None if it does not exist. Its owner is not looked up."""
        ...

    def owner(self, arn: str) -> Owner:
        """The owner of the endpoint, by its tags. NOBODY if it is gone."""
        ...

    def config_owner(self, config_name: str) -> Owner:
        """The owner of the endpoint config, by its tags. NOBODY if there is none."""
        ...

    def config_variants(self, config_name: str) -> Sequence[Variant] | None:
        """The production variants of an endpoint config. None if it does not exist."""
        ...

    def create(self, name: str, config_name: str, tags: Mapping[str, str]) -> None:
        """Start the endpoint with our tag and `tags`. Raises AlreadyExists, Throttled,
        AwsRefused."""
        ...

    def delete(self, name: str) -> None:
        """Raises Gone, InProgress, Throttled, AwsRefused."""
        ...

    def update(self, name: str, config_name: str, options: Mapping[str, Any]) -> None:
        """Raises Gone, InProgress, Throttled, AwsRefused."""
        ...

    def reweigh(self, name: str, desired: Sequence[Mapping[str, Any]]) -> None:
        """Change the weights and capacities of variants. Raises Gone, InProgress, Throttled,
        AwsRefused."""
        ...

    def scale(self, name: str, scaling: Sequence[Scaling]) -> None:
        """Replace the scaling targets and policies of the endpoint. Raises Throttled,
        AwsRefused."""
        ...

    def forget_scaling(self, name: str) -> None:
        """Delete what is left of the scaling of an endpoint that is being deleted."""
        ...

    def keep_logs(self, name: str) -> bool:
        """Give the endpoint's log group the settings of the stack. Returns whether that is done.
        Raises nothing: an endpoint matters more than its logs."""
        ...

    def list(self) -> Iterator[Listed]:
        """All endpoints of the region, of any owner."""
        ...


class Adopter(Protocol):
    def adopt(self, arn: str) -> None:
        """Tag a live endpoint as adopted by this stack. Raises AwsRefused."""
        ...

    def release(self, arn: str) -> None:
        """Remove that tag. Raises AwsRefused."""
        ...


class Notices(Protocol):
    def tell(self, subject: str, text: str) -> None:
        """Notify people. A failure is logged, not raised."""
        ...


class Hints(Protocol):
    def send(self, hints: Iterable[Hint]) -> None:
        """Put hints on the queues. Raises AwsRefused if one could not be sent."""
        ...
