"""What each function is told by its environment.

The constructs write these variables and the handlers read them through the same classes, so
the names cannot drift apart. A variable is the field's name in upper case.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Self


@dataclass(frozen=True, slots=True)
class Settings:
    """Base: fields are `str` or `int`."""

    def to_environment(self) -> dict[str, str]:
        return {field.name.upper(): str(getattr(self, field.name)) for field in fields(self)}

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read the variables; a missing one raises KeyError with its name."""
        values = {}
        for field in fields(cls):
            text = environment[field.name.upper()]
            values[field.name] = int(text) if field.type in (int, "int") else text
        return cls(**values)


@dataclass(frozen=True, slots=True)
class AuthorizerSettings(Settings):
    """`notes_use`: 1 where the table may be written. `routes` and `user_pool` are the texts of
    the core's GuardedRoutes and UserPool, the latter empty where there is none."""

    auth_table: str
    notes_use: int
    routes: str
    user_pool: str


@dataclass(frozen=True, slots=True)
class ApiSettings(Settings):
    """`cors_origin` is the web origin whose pages may call the API, empty for none. `adoptable`
    and `addable_configs` are the texts of NamePatterns."""

    state_table: str
    history_table: str
    history_days: int
    starts_queue_url: str
    work_queue_url: str
    stack_tag: str
    max_lease_minutes: int
    token_requests_per_minute: int
    async_state_machine_arn: str
    async_results_bucket: str
    cors_origin: str
    adoptable: str
    addable_configs: str
    max_added_endpoints: int
    max_added_per_token_per_day: int


@dataclass(frozen=True, slots=True)
class TickSettings(Settings):
    state_table: str
    starts_queue_url: str
    work_queue_url: str


@dataclass(frozen=True, slots=True)
class ReconcilerSettings(Settings):
    state_table: str
    history_table: str
    history_days: int
    starts_queue_url: str
    work_queue_url: str
    adopter_function: str
    stack_tag: str


@dataclass(frozen=True, slots=True)
class SweepSettings(Settings):
    """`adoptable` is the text of NamePatterns."""

    state_table: str
    history_table: str
    history_days: int
    starts_queue_url: str
    work_queue_url: str
    alarm_topic_arn: str
    stack_tag: str
    drain_wait_seconds: int
    unmanaged_endpoints: str
    unmanaged_lease_minutes: int
    late_minutes: int
    adoptable: str
    max_lease_minutes: int


@dataclass(frozen=True, slots=True)
class AdopterSettings(Settings):
    stack_tag: str


@dataclass(frozen=True, slots=True)
class InvokerSettings(Settings):
    results_bucket: str


@dataclass(frozen=True, slots=True)
class IntegrationSettings(Settings):
    """Of a function that calls one model. `route` is its path below the stage, `public_route` 1
    where no token is asked for."""

    endpoint_name: str
    route: str
    state_table: str
    public_route: int
    answer_within_seconds: int
    cors_origin: str


@dataclass(frozen=True, slots=True)
class WakingSettings(Settings):
    """Told to such a function besides, where a call of its model may start the endpoint."""

    history_table: str
    history_days: int
    starts_queue_url: str
    work_queue_url: str
    wake_minutes: int
    wakes_per_token_an_hour: int


STACK_TAG_KEY = "endpoint-meter:stack"
"""The tag that every endpoint of a stack carries; its value is the stack's `stack_tag`, or
`adopted_tag` on those that the stack took over from whoever made them."""
IGNORE_TAG_KEY = "endpoint-meter:ignore"
"""The tag, with any value, of an endpoint that no meter is to touch or to mention."""

METRICS_NAMESPACE = "EndpointMeter"
HEARTBEAT_METRIC = "Heartbeat"

WARM_UP = {"warm_up": True}
"""The event by which a function that calls a model is kept warm."""


def adopted_tag(stack_tag: str) -> str:
    """The tag's value on endpoints that were taken over: what nobody declares any more is deleted
    only if the stack made it."""
    return f"{stack_tag}/adopted"
