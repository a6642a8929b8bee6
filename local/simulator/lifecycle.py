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
    """SageMaker's endpoint statuses that can occur here; the member's name is the events' word."""

    CREATING = "Creating"
    UPDATING = "Updating"
    ROLLING_BACK = "RollingBack"
    IN_SERVICE = "InService"
    DELETING = "Deleting"
    FAILED = "Failed"


class Outcome(Enum):
    """How an accepted change is going to end."""

    SUCCESS = "Success"
    FAILED = "Failed"
    ROLLBACK = "Rollback"
    CAPACITY = "Capacity"
    STUCK = "Stuck"


@dataclass(frozen=True)
class Durations:
    """How long each change takes, in seconds; a rollback takes as long as the update it undoes."""

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
        """LOCAL_CREATE_SECONDS, LOCAL_DELETE_SECONDS, LOCAL_UPDATE_SECONDS; empty means default."""
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
    """One production or shadow variant as deployed; `extra` goes into its summary as it is."""

    name: str
    weight: float
    instance_count: int | None
    instance_type: str | None
    image: str | None
    serverless: Json | None
    extra: Json


@dataclass(frozen=True)
class Deployment:
    """What an endpoint config stood for when it was deployed: the config may be deleted later."""

    config_name: str
    variants: tuple[Variant, ...]
    shadows: tuple[Variant, ...]
    settings: Json
    policy: Json | None = None


@dataclass(frozen=True)
class Pending:
    """A change under way. `held` changes wait for `release`; a rollback is over at `undone_at`."""

    due: datetime
    started_at: datetime
    outcome: Outcome
    target: Deployment | None
    undone_at: datetime
    held: bool = False
    shifts: tuple[Shift, ...] = ()


@dataclass(frozen=True)
class Endpoint:
    """An endpoint at one moment; `serving` is None until it was first InService."""

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
        """What answers invocations, if anything: an update keeps serving the old deployment."""
        alive = (Status.IN_SERVICE, Status.UPDATING, Status.ROLLING_BACK)
        return self.serving if self.status in alive else None

    def shares(self, now: datetime) -> tuple[tuple[Deployment, float], ...]:
        """What answers invocations, and which part of them: an update shifts them step by step."""
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
    """The endpoint with a change of `seconds` under way that will end in `outcome`."""
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
    """A stuck endpoint goes on: at once where its time is over already."""
    pending = endpoint.pending
    if pending is None or not pending.held:
        return endpoint
    freed = replace(pending, held=False, outcome=Outcome.SUCCESS, due=max(now, pending.due))
    return replace(endpoint, pending=freed)


def advance(endpoint: Endpoint) -> Endpoint | None:
    """The endpoint at the instant its pending change is due; None where it is gone."""
    pending = endpoint.pending
    if pending is None or pending.held:
        raise ValueError(f"{endpoint.name} has no change that could end.")
    settled = replace(endpoint, pending=None, modified_at=pending.due)
    if endpoint.status is Status.ROLLING_BACK:
        return replace(settled, status=Status.IN_SERVICE)  # keeps its reason until the next change
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
