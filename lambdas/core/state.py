"""What the Lambdas recorded about an endpoint, and what SageMaker says about it."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from lambdas.core.rollout import Variant
from lambdas.core.spec import Spec


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
    """A status that SageMaker invented after this was written: wait and look again."""


class Step(StrEnum):
    """The one step that a reconcile takes."""

    CREATE = "create"
    DELETE = "delete"
    UPDATE = "update"
    RESTORE = "restore"
    """Put back what SageMaker dropped when the endpoint was deleted: its scaling."""
    REWEIGH = "reweigh"
    """Give the variants the weights and instance counts that were asked for."""
    WAIT = "wait"
    GIVE_UP = "give up"
    """Nothing that the meter may do helps: say so and look again later."""
    FORGET = "forget"
    """No spec and no endpoint are left: remove the state."""
    ADOPT = "adopt"
    """Tag a live endpoint that an accepted request put on the meter."""
    VOID = "void"
    """Take back an adoption whose endpoint is gone, was replaced or belongs to somebody else."""


class Owner(StrEnum):
    """What the tags of an endpoint say of whose it is."""

    US = "us"
    """This stack made it."""
    ADOPTED = "adopted"
    """This stack took it over from whoever made it."""
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
    """An endpoint as SageMaker describes it. `created_at` tells one endpoint from a later one
    of the same name, `modified_at` shows that somebody changed it; `owner` is what its tags say;
    `variants` are those that it serves, and `last_deployment` is the DeploymentConfig of its last
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
    """The takeover of the live endpoint that was created at `created_at`, and of no later one of
    that name. `tagged_at` is when its tag was first seen to be ours; whose tag it stays is known a
    moment later. `declared` says that the adoption brought the spec and the lease along: where it
    is void, both go with it. To a meter that stood before, a void adoption gives back what it was:
    without the `minutes` that were paid with it, and held since `held_since`."""

    arn: str
    created_at: datetime
    declared: bool
    tagged_at: datetime | None = None
    minutes: int = 0
    held_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Intent:
    """A mutating call that is about to be made; still there after a crash in between."""

    step: Step
    config_name: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Update:
    """An update of ours that is under way: to which config, the mark of what asked for it
    (`wanted_config.rollback_mark`), and what SageMaker says of it in passing."""

    config_name: str
    mark: str
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Rollback:
    """The last update that SageMaker rolled back: its mark, and why."""

    mark: str
    reason: str | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a reconcile last found, and when it first did."""

    running: bool
    since: datetime


@dataclass(frozen=True, slots=True)
class Override:
    """A config set by hand, with the options of UpdateEndpoint that lead to it; in force while
    the `declaration` that it overrides is."""

    config_name: str
    options: Mapping[str, Any]
    declaration: str


@dataclass(frozen=True, slots=True)
class Reweighing:
    """Weights and capacities asked for by hand, as UpdateEndpointWeightsAndCapacities takes them,
    for the endpoint that was created at `life` and no later one of that name. `begun` says that
    SageMaker accepted them, `undone` why it rolled them back in the end: they stay to tell so."""

    desired: Sequence[Mapping[str, Any]]
    life: datetime
    begun: bool = False
    undone: str | None = None

    def served_by(self, variants: Iterable[Variant], scaled: Collection[str]) -> bool:
        """Whether they are in force. How many instances a `scaled` variant has is not for us."""
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

    `rev` counts the users' writes: the reconciler saves only over the revision that it loaded.
    `attempts` counts failures in a row, `retry_at` is when the next start may be tried.
    `fallback_config` is the one that a shortage of capacity led to, until the next start.
    """

    rev: int = 0
    expires_at: datetime | None = None
    held_since: datetime | None = None
    observed_status: Status = Status.ABSENT
    observed_config: str | None = None
    reason: str = ""
    next_due: datetime | None = None
    next_step: Step = Step.WAIT
    intent: Intent | None = None
    attempts: int = 0
    retry_at: datetime | None = None
    fallback_config: str | None = None
    updating: Update | None = None
    rolled_back: Rollback | None = None
    override: Override | None = None
    reweighing: Reweighing | None = None
    restored: str | None = None
    """Names the creation and spec for which scaling was put in place, or says that some may be."""
    owned_since: datetime | None = None
    """Creation time of the endpoint that was last verified to carry our tag."""
    observed_modified: datetime | None = None
    last_wanted: Wanted | None = None
    start_seconds: int | None = None
    """How long it last took from its creation to InService, as SageMaker tells."""
    orphaned_at: datetime | None = None
    """When a sweep found the endpoint with our tag though nobody had declared it."""
    adopting: Adoption | None = None
    """The takeover of a live endpoint that was accepted and is not through yet."""


@dataclass(frozen=True, slots=True)
class Operation:
    """A write made under an Idempotency-Key, with what its answer was made of."""

    body_hash: str
    at: datetime
    http_status: int
    endpoint_status: Status
    observed_config: str | None
    reason: str
    expires_at: datetime | None
    chosen_config: str | None = None
    """The config that people meant to run then, where it was not the declared one."""
    held_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What is left of a forgotten endpoint for a day, so that repeated requests get the same answer
    and have no second effect: its spec, and what was done under Idempotency-Keys."""

    spec: Spec
    operations: Mapping[str, Operation]
    at: datetime


@dataclass(frozen=True, slots=True)
class Record:
    """All that the state table holds of one endpoint, read at once."""

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
        """The spec in force: that of the deployed config shadows that of the API."""
        return self.config_spec or self.api_spec


def _close(asked: float | None, weight: float | None) -> bool:
    """SageMaker keeps weights with fewer digits than they are asked for with."""
    return asked is None or (weight is not None and math.isclose(asked, weight, rel_tol=1e-5))
