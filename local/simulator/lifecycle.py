"""How an endpoint changes over time, as pure functions over frozen values.

Creating -> InService | Failed;  InService -> Updating -> InService (new config), or
Updating -> RollingBack -> InService (old config);  any settled status -> Deleting -> gone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum, StrEnum
from typing import Any

from local.simulator.errors import CAPACITY_REASON, PING_REASON, SERVICE_REASON
from local.simulator.shifting import Shift

Json = dict[str, Any]


class Status(StrEnum):
    """SageMaker's endpoint statuses that occur here. The events use the member's name."""

    CREATING = "Creating"
    UPDATING = "Updating"
    ROLLING_BACK = "RollingBack"
    IN_SERVICE = "InService"
    DELETING = "Deleting"
    FAILED = "Failed"


class Outcome(Enum):
    """How an accepted change will end."""

    SUCCESS = "Success"
    FAILED = "Failed"
    ROLLBACK = "Rollback"
    CAPACITY = "Capacity"
    STUCK = "Stuck"


@dataclass(frozen=True)
class Durations:
    """How long each change takes, in seconds. A rollback takes as long as its update."""

    create_seconds: float = 3.0
    delete_seconds: float = 1.0
    update_seconds: float = 3.0

    def __post_init__(self) -> None:
        for name in ("create_seconds", "delete_seconds", "update_seconds"):
            value = getattr(self, name)
            if not 0 <= value < 1e9:  # also refuses NaN
                raise ValueError(f"{name} must be a number of seconds, 0 or more, not {value}.")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Durations:
        """Read LOCAL_CREATE_SECONDS, LOCAL_DELETE_SECONDS and LOCAL_UPDATE_SECONDS. Empty means
        default."""
        given: dict[str, float] = {}
        for step in ("create", "delete", "update"):
            text = environment.get(f"LOCAL_{step.upper()}_SECONDS", "")
            if text:
                given[f"{step}_seconds"] = _seconds(f"LOCAL_{step.upper()}_SECONDS", text)
        return cls(**given)


def _seconds(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise ValueError(f"{name} must be a number of seconds, not {text!r}.") from error


@dataclass(frozen=True)
class Variant:
    """A deployed production or shadow variant. `extra` is copied into its summary."""

    name: str
    weight: float
    instance_count: int | None
    instance_type: str | None
    image: str | None
    serverless: Json | None
    extra: Json


@dataclass(frozen=True)
class Deployment:
    """The content of an endpoint config when it was deployed; it may be deleted later."""

    config_name: str
    variants: tuple[Variant, ...]
    shadows: tuple[Variant, ...]
    settings: Json
    policy: Json | None = None


@dataclass(frozen=True)
class Pending:
    """A change in progress. `held` changes wait for `release`. A rollback ends at `undone_at`."""

    due: datetime
    started_at: datetime
    outcome: Outcome
    target: Deployment | None
    undone_at: datetime
    held: bool = False
    shifts: tuple[Shift, ...] = ()


@dataclass(frozen=True)
class Endpoint:
    """An endpoint at one instant. `serving` is None until it is InService for the first time."""

    name: str
    config_name: str
    status: Status
    created_at: datetime
    modified_at: datetime
    serving: Deployment | None = None
    pending: Pending | None = None
    failure_reason: str = ""

    @property
    def answering(self) -> Deployment | None:
        """The deployment that answers invocations, if any. During an update it is the old one."""
        alive = (Status.IN_SERVICE, Status.UPDATING, Status.ROLLING_BACK)
        return self.serving if self.status in alive else None

    def shares(self, now: datetime) -> tuple[tuple[Deployment, float], ...]:
        """The deployments that answer invocations, with their shares. An update shifts the traffic
        step by step."""
        serving, pending = self.answering, self.pending
        if serving is None:
            return ()
        if self.status is not Status.UPDATING or pending is None or pending.target is None:
            return ((serving, 1.0),)
        done = [s.share for s in pending.shifts if pending.started_at + s.after <= now]
        share = done[-1] if done else 0.0
        return ((serving, 1.0 - share), (pending.target, share))


def begin(
    endpoint: Endpoint,
    status: Status,
    target: Deployment | None,
    seconds: float,
    outcome: Outcome,
    now: datetime,
    shifts: tuple[Shift, ...] = (),
) -> Endpoint:
    """The endpoint with a change in progress that takes `seconds` and ends in `outcome`."""
    over_at = now + timedelta(seconds=seconds)
    rolls_back = status is Status.UPDATING and outcome in (Outcome.ROLLBACK, Outcome.CAPACITY)
    pending = Pending(
        due=now + timedelta(seconds=seconds / 2) if rolls_back else over_at,
        started_at=now,
        outcome=outcome,
        target=target,
        undone_at=over_at,
        held=outcome is Outcome.STUCK,
        shifts=shifts,
    )
    return replace(endpoint, status=status, pending=pending, modified_at=now, failure_reason="")


def release(endpoint: Endpoint, now: datetime) -> Endpoint:
    """Let a stuck endpoint continue. If its change is overdue, it ends now."""
    pending = endpoint.pending
    if pending is None or not pending.held:
        return endpoint
    freed = replace(pending, held=False, outcome=Outcome.SUCCESS, due=max(now, pending.due))
    return replace(endpoint, pending=freed)


def advance(endpoint: Endpoint) -> Endpoint | None:
    """The endpoint after its pending change; None if it is deleted."""
    pending = endpoint.pending
    if pending is None or pending.held:
        raise ValueError(f"{endpoint.name} has no change that could end.")
    settled = replace(endpoint, pending=None, modified_at=pending.due)
    if endpoint.status is Status.ROLLING_BACK:
        return replace(settled, status=Status.IN_SERVICE)  # keeps the failure reason
    if pending.outcome in (Outcome.SUCCESS, Outcome.STUCK):
        if endpoint.status is Status.DELETING or pending.target is None:
            return None
        return replace(
            settled,
            status=Status.IN_SERVICE,
            serving=pending.target,
            config_name=pending.target.config_name,
        )
    reason = _failure_reason(pending)
    if endpoint.status is Status.UPDATING and pending.outcome is not Outcome.FAILED:
        undoing = replace(pending, due=pending.undone_at)
        return replace(settled, status=Status.ROLLING_BACK, pending=undoing, failure_reason=reason)
    return replace(settled, status=Status.FAILED, failure_reason=reason)


def _failure_reason(pending: Pending) -> str:
    if pending.outcome is Outcome.CAPACITY:
        return CAPACITY_REASON
    if pending.outcome is Outcome.ROLLBACK or pending.target is None:
        return SERVICE_REASON
    return PING_REASON.format(variant=pending.target.variants[0].name)
