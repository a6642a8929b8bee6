"""What an owner declared about an endpoint."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from lambdas.core.errors import InvalidField
from lambdas.core.names import endpoint_key, sagemaker_name
from lambdas.core.schedule import Schedule

DEFAULT_MAX_LEASE_MINUTES = 43_200
MAX_MINUTES = 5_256_000
"""Ten years: longer than anything is paid for, and far from the end of the calendar."""
MAX_SCHEDULES = 100
MAX_MONTHLY_SCHEDULES = 10
"""Of those whose weeks differ. To find when they stop, years of their windows are followed."""


class Origin(StrEnum):
    """Who declared the endpoint. The value is the sort key of the item with the spec."""

    CONFIG = "SPEC#config"
    API = "SPEC#api"


class AsyncMode(StrEnum):
    """Whether a model may be called asynchronously, and how the state machine calls it."""

    OFF = ""
    DIRECT = "direct"
    THROUGH_LAMBDA = "lambda"
    """Through a function: for answers that are too large for Step Functions."""


class OutsideUpdates(StrEnum):
    """What becomes of an endpoint config that somebody set with UpdateEndpoint, past the meter."""

    REVERT = "revert"
    KEEP = "keep"
    """It is an override, as if it had been set with `POST /endpoint-update`."""


@dataclass(frozen=True, slots=True)
class Scaling:
    """Scales one variant between `min_capacity` and `max_capacity` instances.

    `policies` maps names to target-tracking configurations of PutScalingPolicy:
    https://docs.aws.amazon.com/autoscaling/application/APIReference/API_PutScalingPolicy.html
    """

    variant: str
    min_capacity: int
    max_capacity: int
    policies: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        sagemaker_name(self.variant, "variant")
        if not 0 <= self.min_capacity <= self.max_capacity or self.max_capacity < 1:
            raise InvalidField("min_capacity", "must be 0 to max_capacity, and that at least 1")

    @property
    def from_zero(self) -> bool:
        """Whether there may be no instance at all, so that something has to start the first."""
        return self.min_capacity == 0

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Scaling:
        return cls(**document)

    def document(self) -> dict[str, Any]:
        """The JSON object that `parse` reads."""
        return {
            "variant": self.variant,
            "min_capacity": self.min_capacity,
            "max_capacity": self.max_capacity,
            "policies": {name: dict(policy) for name, policy in self.policies.items()},
        }


@dataclass(frozen=True, slots=True)
class Spec:
    """A declared endpoint. `max_lease_minutes` is the longest lease. `fallback_configs` are tried
    in turn if the first config finds no capacity. `scaling` and `tags` are put back after each
    creation. `update` holds options of UpdateEndpoint. `async_api` says how the model is called
    asynchronously. `spec_hash` changes if a declared field changes."""

    name: str
    endpoint_config_name: str
    origin: Origin
    schedules: tuple[Schedule, ...] = ()
    initial_provision_minutes: int = 0
    max_lease_minutes: int = DEFAULT_MAX_LEASE_MINUTES
    fallback_configs: tuple[str, ...] = ()
    scaling: tuple[Scaling, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    update: Mapping[str, Any] = field(default_factory=dict)
    outside_updates: OutsideUpdates = OutsideUpdates.REVERT
    async_api: AsyncMode = AsyncMode.OFF
    spec_hash: str = ""
    unreadable: str = ""
    """Why the stored spec cannot be read. Then its schedules are unknown, and only leases act."""

    def __post_init__(self) -> None:
        sagemaker_name(self.name, "EndpointName")
        if self.max_lease_minutes < 1:
            raise InvalidField("max_lease_minutes", "must be at least 1")
        if not 0 <= self.initial_provision_minutes <= self.max_lease_minutes:
            raise InvalidField(
                "initial_provision_minutes",
                f"must be 0 to {self.max_lease_minutes} (max_lease_minutes)",
            )
        if len(self.schedules) > MAX_SCHEDULES:
            raise InvalidField("schedules", f"at most {MAX_SCHEDULES} schedules an endpoint")
        if sum(not schedule.is_weekly for schedule in self.schedules) > MAX_MONTHLY_SCHEDULES:
            raise InvalidField(
                "schedules",
                f"at most {MAX_MONTHLY_SCHEDULES} of an endpoint may name days of the month, or "
                "such as 'first mon'; one schedule may name several of them in its `days`",
            )
        names = [schedule.name for schedule in self.schedules]
        for index, name in enumerate(names):
            if name in names[:index]:
                raise InvalidField(f"schedules[{index}].name", f"'{name}' is used twice")

    def configs(self) -> tuple[str, ...]:
        """The endpoint configs that it may run, in the order in which they are tried."""
        return (self.endpoint_config_name, *self.fallback_configs)

    @property
    def key(self) -> str:
        """The key of the endpoint in the state table."""
        return endpoint_key(self.name)

    def document(self) -> dict[str, str | int]:
        """The attributes of a SPEC item besides its key. Lists and maps are canonical JSON, so that
        equal specs are equal bytes, no matter who wrote them."""
        return {
            "name": self.name,
            "endpoint_config_name": self.endpoint_config_name,
            "initial_provision_minutes": self.initial_provision_minutes,
            "max_lease_minutes": self.max_lease_minutes,
            "schedules": _canonical([schedule.document() for schedule in self.schedules]),
            "fallback_configs": _canonical(list(self.fallback_configs)),
            "scaling": _canonical([scaling.document() for scaling in self.scaling]),
            "tags": _canonical(dict(self.tags)),
            "update": _canonical(dict(self.update)),
            "outside_updates": self.outside_updates.value,
            "async_api": self.async_api.value,
            "spec_hash": self.spec_hash,
        }


def digest(value: object) -> str:
    """A short hash of a JSON value, equal for equal values."""
    return hashlib.sha256(_canonical(value).encode()).hexdigest()[:16]


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def with_hash(spec: Spec) -> Spec:
    """The spec with a hash of what the API and the sweep declare: other fields have their
    defaults."""
    text = json.dumps(
        [
            spec.name,
            spec.endpoint_config_name,
            [schedule.document() for schedule in spec.schedules],
            spec.max_lease_minutes,
            *([spec.async_api] if spec.async_api else []),
        ]
    )
    return replace(spec, spec_hash=hashlib.sha256(text.encode()).hexdigest())
