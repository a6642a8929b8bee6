"""The environment variables of each function.

The constructs write them and the handlers read them through the same classes, so that the names
cannot drift. A variable is the name of the field in upper case.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Self


@dataclass(frozen=True, slots=True)
class Settings:
    """Base class. Fields are `str` or `int`. One that has its default needs no variable."""

    def to_environment(self) -> dict[str, str]:
        values = {field: getattr(self, field.name) for field in fields(self)}
        return {
            field.name.upper(): str(value)
            for field, value in values.items()
            if value != field.default
        }

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read the variables. A missing one without a default raises KeyError with its name."""
        values = {}
        for field in fields(cls):
            name = field.name.upper()
            if name not in environment and field.default is not MISSING:
                continue
            text = environment[name]
            values[field.name] = int(text) if field.type in (int, "int") else text
        return cls(**values)


@dataclass(frozen=True, slots=True)
class AuthorizerSettings(Settings):
    """`notes_use` is 1 if the function may write to the table. `routes` and `user_pool` are the
    texts of GuardedRoutes and UserPool. `user_pool` is empty if there is none."""

    auth_table: str
    notes_use: int
    routes: str
    user_pool: str


@dataclass(frozen=True, slots=True)
class ApiSettings(Settings):
    """`cors_origin` is the web origin that may call the API, empty for none. `adoptable` and
    `addable_configs` are texts of NamePatterns."""

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
    """`log_key_arn` encrypts the logs of endpoints, empty for none. `tags` are those of the whole
    stack, as a JSON object."""

    state_table: str
    history_table: str
    history_days: int
    starts_queue_url: str
    work_queue_url: str
    adopter_function: str
    stack_tag: str
    log_days: int
    log_key_arn: str = ""
    tags: str = "{}"


@dataclass(frozen=True, slots=True)
class SweepSettings(Settings):
    """`adoptable` is a text of NamePatterns."""

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
    """For a function that calls one model. `route` is its path below the stage."""

    endpoint_name: str
    route: str
    answer_within_seconds: int


@dataclass(frozen=True, slots=True)
class CallsSettings(Settings):
    """For the function before those that call models. `models` is the text of CalledModels."""

    state_table: str
    history_table: str
    history_days: int
    starts_queue_url: str
    work_queue_url: str
    token_requests_per_minute: int
    cors_origin: str
    models: str


STACK_TAG_KEY = "endpoint-meter:stack"
"""The tag of every endpoint of a stack. Its value is `stack_tag` if the stack created the endpoint,
or `adopted_tag` if the stack adopted it."""
IGNORE_TAG_KEY = "endpoint-meter:ignore"
"""An endpoint with this tag, with any value, is never touched or mentioned by a meter."""

METRICS_NAMESPACE = "EndpointMeter"
ENDPOINT_LOGS = "/aws/sagemaker/Endpoints"
"""Where SageMaker writes what the containers of an endpoint print: a log group for each."""
HEARTBEAT_METRIC = "Heartbeat"

WARM_UP = {"warm_up": True}
"""The event that keeps a function warm that calls a model."""


def adopted_tag(stack_tag: str) -> str:
    """The value of the tag on adopted endpoints. It differs because orphans are deleted only if the
    stack created them."""
    return f"{stack_tag}/adopted"


def backlog_alarm(name: str) -> str:
    """The name of the alarm that starts the first instance of an endpoint. It begins as no other
    alarm does, so that a role can be limited to these."""
    return f"BacklogWithoutCapacity-{name}"
