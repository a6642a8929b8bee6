"""What the functions recorded about an endpoint, and what SageMaker says about it."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from lambdas.core.rollout import Variant
from lambdas.core.spec import Spec

MAX_SESSIONS = 20
"""How many sessions an endpoint has at once, so that STATE stays small."""
LONGEST_TEXT = 300
"""How much STATE keeps of each text about what SageMaker said or what a deletion is for."""


class Status(StrEnum):
    """SageMaker's endpoint statuses, and ABSENT for an endpoint that does not exist.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeEndpoint.html
    """

    ABSENT = "Absent"
    OUT_OF_SERVICE = "OutOfService"
    CREATING = "Creating"
    UPDATING = "Updating"
    SYSTEM_UPDATING = "SystemUpdating"
    ROLLING_BACK = "RollingBack"
    IN_SERVICE = "InService"
    DELETING = "Deleting"
    FAILED = "Failed"
    UPDATE_ROLLBACK_FAILED = "UpdateRollbackFailed"
    UNKNOWN = "Unknown"
    """A status that is newer than this code: wait and look again."""

    @property
    def serves(self) -> bool:
        """Whether an endpoint in it answers calls of its model."""
        return self in (
            Status.IN_SERVICE,
            Status.UPDATING,
            Status.SYSTEM_UPDATING,
            Status.ROLLING_BACK,
        )


BROKEN = frozenset({Status.FAILED, Status.OUT_OF_SERVICE})
"""Such an endpoint is deleted, and created again if it is wanted."""


class Step(StrEnum):
    """The one step that a reconcile takes."""

    CREATE = "create"
    DELETE = "delete"
    UPDATE = "update"
    RESTORE = "restore"
    """Put the scaling back, which is lost when the endpoint is deleted."""
    REWEIGH = "reweigh"
    """Give the variants the requested weights and instance counts."""
    WAIT = "wait"
    GIVE_UP = "give up"
    """The meter can do nothing about it: say so and look again later."""
    FORGET = "forget"
    """No spec and no endpoint are left: remove the state."""
    ADOPT = "adopt"
    """Tag a live endpoint after its adoption was accepted."""
    VOID = "void"
    """Undo an adoption: its endpoint is gone, was replaced or belongs to somebody else."""


class Owner(StrEnum):
    """The owner of an endpoint, by its tags."""

    US = "us"
    """This stack created it."""
    ADOPTED = "adopted"
    """Somebody else created it, and this stack adopted it."""
    ANOTHER_STACK = "another stack"
    NOBODY = "nobody"
    IGNORED = "ignored"
    """It carries the tag `endpoint-meter:ignore`: no meter touches or mentions it."""

    @property
    def ours(self) -> bool:
        """Whether this stack may change it."""
        return self in (Owner.US, Owner.ADOPTED)


@dataclass(frozen=True, slots=True)
class Observed:
    """An endpoint as SageMaker describes it. `created_at` differs between two endpoints of the same
    name, one after the other. `modified_at` shows that somebody changed it. `owner` is from its
    tags. `variants` are those that it serves. `last_deployment` is the DeploymentConfig of its last
    update."""

    status: Status
    config_name: str | None = None
    failure_reason: str = ""
    created_at: datetime | None = None
    modified_at: datetime | None = None
    arn: str = ""
    owner: Owner = Owner.US
    variants: tuple[Variant, ...] = ()
    last_deployment: Mapping[str, Any] | None = None

    @property
    def ours(self) -> bool:
        return self.owner.ours


ABSENT = Observed(Status.ABSENT)


@dataclass(frozen=True, slots=True)
class Adoption:
    """The adoption of the live endpoint that was created at `created_at`, and of no later one of
    that name. `tagged_at` is when our tag was first seen on it; a moment later it is certain that
    the tag stays. `declared`: the adoption brought the spec and the lease, and both go with it if
    it is void. Otherwise a void adoption restores the earlier meter: without the `minutes` that
    were paid with it, and held since `held_since`."""

    arn: str
    created_at: datetime
    declared: bool
    tagged_at: datetime | None = None
    minutes: int = 0
    held_since: datetime | None = None

    def is_of(self, observed: Observed) -> bool:
        """Whether it is of this very endpoint, not of another one with the same name."""
        return observed.created_at == self.created_at


@dataclass(frozen=True, slots=True)
class Intent:
    """A mutating call that is about to be made. After a crash it is still there."""

    step: Step
    config_name: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Update:
    """Our update that is under way: its config, the mark of the declaration behind it
    (`wanted_config.rollback_mark`), and the latest failure reason of SageMaker."""

    config_name: str
    mark: str
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Rollback:
    """The last update that SageMaker rolled back: its mark and the reason."""

    mark: str
    reason: str | None


@dataclass(frozen=True, slots=True)
class Dropped:
    """A call that SageMaker refused with an error that no retry changes. `mark` identifies what it
    asked for (`in_the_way.call_mark`): the same is not asked for again."""

    mark: str
    why: str


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is in the way of a call that the meter wants to make. `mark` identifies that call
    (`in_the_way.call_mark`), `kind` the last error. `refusals` counts those of each kind, `tries`
    all tries in a row that failed. `waits`: it was throttled and waits for its turn."""

    mark: str
    why: str
    kind: str = ""
    refusals: Mapping[str, int] = field(default_factory=dict)
    tries: int = 0
    waits: bool = False


@dataclass(frozen=True, slots=True)
class Wanted:
    """Whether the endpoint is wanted, as it was last found at `seen`, and since when."""

    running: bool
    since: datetime
    seen: datetime | None = None


class EndedBy(StrEnum):
    """What ended a time in which an endpoint was wanted."""

    HAND = "hand"
    LEASE = "lease"
    WINDOW = "window"
    SCHEDULE = "schedule"
    """A lone stop of a schedule, which cut the lease or the window."""
    CHANGE = "change"
    """Its schedules were changed, or an adoption was void that had paid for it."""
    DRAIN = "drain"


@dataclass(frozen=True, slots=True)
class Ended:
    """When and by what the last time ended in which the endpoint was wanted. `detail` is the name
    of the window or schedule, or of the person who stopped it."""

    cause: EndedBy
    at: datetime
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Override:
    """A config set by hand, with its options of UpdateEndpoint. It is in force until the
    `declaration` that it overrides changes."""

    config_name: str
    options: Mapping[str, Any]
    declaration: str


@dataclass(frozen=True, slots=True)
class Reweighing:
    """Weights and capacities set by hand, in the form of UpdateEndpointWeightsAndCapacities. They
    are for the endpoint that was created at `life`, and for no later one of that name. `begun`:
    SageMaker accepted them. `undone`: why SageMaker rolled them back; they are kept to show
    that."""

    desired: Sequence[Mapping[str, Any]]
    life: datetime
    begun: bool = False
    undone: str | None = None

    def served_by(self, variants: Iterable[Variant], scaled: Collection[str]) -> bool:
        """Whether they are in force. The instance count of a `scaled` variant is not compared."""
        by_name = {variant.name: variant for variant in variants}
        return all(
            (variant := by_name.get(each["VariantName"])) is not None
            and _close(each.get("DesiredWeight"), variant.weight)
            and (
                variant.name in scaled
                or each.get("DesiredInstanceCount") in (None, variant.instance_count)
            )
            for each in self.desired
        )


@dataclass(frozen=True, slots=True)
class State:
    """The STATE item. All instants are aware and in UTC.

    `rev` counts the writes of users: the reconciler saves only over the revision that it loaded.
    `attempts` counts failures in a row. `retry_at` is the time of the next try of a start.
    `fallback_config` is the config chosen after a shortage of capacity, until the next start.
    """

    rev: int = 0
    expires_at: datetime | None = None
    """The shared end of the lease. The lease itself ends at `lease_end`."""
    sessions: Mapping[str, datetime] = field(default_factory=dict)
    """The ends of sessions, by their ids (`core.sessions`)."""
    paid_at: datetime | None = None
    """When the lease was last paid, in whole seconds. A lone stop after that ends it."""
    held_since: datetime | None = None
    cuts: int = 0
    """How many writes took something away: stops, forgets, ends of sessions, void adoptions. What
    is paid or set is written only over as many as were loaded."""
    set_up_at: datetime | None = None
    observed_status: Status = Status.ABSENT
    observed_config: str | None = None
    asked_config: str | None = None
    """The config that it last served because the meter asked for it, in its present life."""
    troubles: Mapping[str, Trouble] = field(default_factory=dict)
    """By steps, what is in the way of the next call. That of Step.WAIT is in the way of a look."""
    deletion: str | None = None
    """What the deletion is for that is under way, as the history tells it."""
    next_due: datetime | None = None
    next_step: Step = Step.WAIT
    intent: Intent | None = None
    attempts: int = 0
    retry_at: datetime | None = None
    fallback_config: str | None = None
    updating: Update | None = None
    rolled_back: Rollback | None = None
    dropped: Mapping[str, Dropped] = field(default_factory=dict)
    """By steps, the calls that are not made again."""
    override: Override | None = None
    reweighing: Reweighing | None = None
    restored: str | None = None
    """The mark of the endpoint and scaling for which scaling was put in place
    (`in_the_way.restored_mark`), or `decision.UNSURE`."""
    owned_since: datetime | None = None
    """The creation time of the endpoint that was last seen with our tag."""
    set_aside: datetime | None = None
    """The creation time of our endpoint that carries the tag `endpoint-meter:ignore` now. It is
    ours again when its owner takes that tag off."""
    observed_modified: datetime | None = None
    observed_created: datetime | None = None
    """The creation time of the endpoint that was last seen, whoever it belongs to."""
    last_wanted: Wanted | None = None
    ended: Ended | None = None
    start_seconds: int | None = None
    """How long the last start took from creation to InService, by SageMaker's times."""
    retained_seconds: int | None = None
    """How long an update may take with the DeploymentConfig of the last one, which
    RetainDeploymentConfig uses again."""
    logs_kept: datetime | None = None
    """The creation time of our endpoint whose log group has the settings of the stack."""
    orphaned_at: datetime | None = None
    """When a sweep found this orphan."""
    adopting: Adoption | None = None
    """An adoption that was accepted and is not complete yet."""
    stranger: Owner | None = None
    """The owner of the live endpoint of that name, if it was last seen not to be ours."""

    @property
    def lease_end(self) -> datetime | None:
        """The end that was paid for: the latest of the shared end and those of the sessions. A lone
        stop may come before it (`decision.meter_of`)."""
        ends = [*([self.expires_at] if self.expires_at else []), *self.sessions.values()]
        return max(ends, default=None)


@dataclass(frozen=True, slots=True)
class Operation:
    """A write made under an Idempotency-Key, with the data of its answer."""

    body_hash: str
    at: datetime
    http_status: int
    endpoint_status: Status
    observed_config: str | None
    reason: str
    expires_at: datetime | None
    chosen_config: str | None = None
    """The config that people had chosen then, if it was not the declared one."""
    held_since: datetime | None = None
    sessions: int = 0
    """How many sessions lived then."""
    sessions_end: datetime | None = None
    """The latest end of a session, lived or not."""
    ended: Ended | None = None
    """What had ended the last time in which it was wanted, if it was not wanted then."""
    stranger: Owner | None = None
    draining: bool = False
    async_api: bool | None = None
    """Whether it took asynchronous calls then. None: as now, since older code recorded it."""
    paid_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What is kept of a forgotten endpoint for a day: its operations under Idempotency-Keys, and of
    its spec what answers tell. Repeated requests get the same answer and have no second effect."""

    spec: Spec
    operations: Mapping[str, Operation]
    at: datetime


@dataclass(frozen=True, slots=True)
class Record:
    """All items of one endpoint in the state table, from one read."""

    key: str
    config_spec: Spec | None = None
    api_spec: Spec | None = None
    state: State | None = None
    operations: Mapping[str, Operation] = field(default_factory=dict)
    lock_owner: str | None = None
    locked_until: datetime | None = None
    forgotten: Forgotten | None = None

    @property
    def spec(self) -> Spec | None:
        """The spec in force. That of the deployed config comes before that of the API."""
        return self.config_spec or self.api_spec


def paid_again(state: State, now: datetime) -> State:
    """The state with what every payment ends: a hold, the wait after failures, and what was known
    of a stranger. It asks for another try of what was dropped, too."""
    again = replace(state, held_since=None, stranger=None, dropped={}, attempts=0, retry_at=None)
    return replace(again, paid_at=last_paid(state, now))


def changed_by_hand(state: State, change: Override | Reweighing) -> State:
    """The state with another config or other weights. It asks for another try of what was dropped,
    too."""
    again = replace(state, dropped={}, attempts=0, retry_at=None)
    if isinstance(change, Reweighing):
        return replace(again, reweighing=change)
    return replace(again, override=change, fallback_config=None, rolled_back=None, reweighing=None)


def last_paid(state: State, now: datetime) -> datetime:
    """The `paid_at` after a payment at `now`. It never goes back, also if a clock does."""
    return max(paid_second(now), state.paid_at or paid_second(now))


def paid_second(now: datetime) -> datetime:
    """The `paid_at` of the first payment at `now`."""
    return now.replace(microsecond=0)


def cut_at(state: State, stop: datetime) -> State:
    """The state whose lease and sessions end at a lone stop, so that a payment after it does not
    bring back what it cut."""
    return replace(
        state,
        expires_at=min(state.expires_at, stop) if state.expires_at else None,
        sessions={session: min(end, stop) for session, end in state.sessions.items()},
        paid_at=stop,
    )


def live_sessions(state: State, now: datetime) -> Collection[str]:
    """The ids of the sessions that are paid at `now`."""
    return [session for session, end in state.sessions.items() if end > now]


def _close(desired: float | None, weight: float | None) -> bool:
    """Compare with a tolerance: SageMaker rounds weights."""
    return desired is None or (weight is not None and math.isclose(desired, weight, rel_tol=1e-5))
