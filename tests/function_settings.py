"""The settings of each function, as a deploy would write them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lambdas.core.authorizer_policy import GuardedRoutes
from lambdas.core.called_models import CalledModel, CalledModels
from lambdas.core.settings import (
    AdopterSettings,
    ApiSettings,
    AuthorizerSettings,
    CallsSettings,
    InvokerSettings,
    ReconcilerSettings,
    Settings,
    SweepSettings,
    TickSettings,
)


def function_settings(starts_url: str, work_url: str) -> Mapping[str, Settings]:
    """By the name of the module of the handler."""
    state: dict[str, Any] = {
        "state_table": "state",
        "starts_queue_url": starts_url,
        "work_queue_url": work_url,
    }
    history: dict[str, Any] = {**state, "history_table": "history", "history_days": 90}
    everything: dict[str, Any] = {**history, "stack_tag": "demo"}
    return {
        "authorizer": AuthorizerSettings(
            "auth", notes_use=1, routes=str(GuardedRoutes({})), user_pool=""
        ),
        "api": ApiSettings(
            **everything,
            max_lease_minutes=43_200,
            token_requests_per_minute=1_000,
            async_state_machine_arn="arn:aws:states:us-east-1:123456789012:stateMachine:demo",
            async_results_bucket="results",
            cors_origin="",
            adoptable="null",
            addable_configs="null",
            max_added_endpoints=10,
            max_added_per_token_per_day=10,
        ),
        "calls": CallsSettings(
            **history,
            token_requests_per_minute=1_000,
            cors_origin="",
            models=str(CalledModels("", "", {"flan": CalledModel("Flan")})),
        ),
        "tick": TickSettings(**state),
        "reconciler": ReconcilerSettings(**everything, adopter_function="adopter", log_days=30),
        "sweep": SweepSettings(
            **everything,
            alarm_topic_arn="arn:aws:sns:us-east-1:123456789012:alarms",
            drain_wait_seconds=0,
            unmanaged_endpoints="report",
            unmanaged_lease_minutes=60,
            late_minutes=30,
            adoptable="null",
            max_lease_minutes=43_200,
        ),
        "adopter": AdopterSettings("demo"),
        "invoker": InvokerSettings("results"),
    }
