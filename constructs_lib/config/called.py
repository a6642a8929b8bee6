"""The models that are called through functions, and how many of them one stack can have."""

from __future__ import annotations

from collections.abc import Iterator

from constructs_lib.config.document import DeployConfig, JumpstartModel, endpoint_name
from constructs_lib.config.function_environment import bytes_of
from constructs_lib.config.integration import Integration
from constructs_lib.config.problems import Problem
from lambdas.core.called_models import ENTRY, CalledModel, CalledModels

MODEL_FUNCTION = "model-{}"
LIVE = "live"
"""The alias of a function with provisioned instances."""
MAX_CALLS_BYTES = 3_300
"""All environment variables of a function may take 4 KB, as JSON. The rest is for the other ones.
https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""


def called_models(config: DeployConfig) -> CalledModels:
    prefix = config.project_prefix
    return CalledModels(
        endpoint=endpoint_name(prefix, ENTRY),
        function=f"{prefix}-{MODEL_FUNCTION.format(ENTRY)}",
        routes={
            entry.integration.properties.api_resource_name: _called(entry, entry.integration)
            for entry in config.jumpstart_models
            if entry.integration and entry.integration.type == "lambda"
        },
    )


def too_many_routes(config: DeployConfig) -> Iterator[Problem]:
    """The problem of routes that do not fit into the environment of the function `calls`."""
    size = bytes_of({"": str(called_models(config)), " ": config.cors_origin or ""})
    if size > MAX_CALLS_BYTES:
        yield Problem(
            "jumpstart_models",
            f"the routes of type 'lambda' take {size:,} bytes of the environment of the function "
            f"that calls them, which has room for {MAX_CALLS_BYTES:,}: shorten `name` and "
            "`api_resource_name`, or put some entries into a stack of their own",
        )


def _called(entry: JumpstartModel, integration: Integration) -> CalledModel:
    wake = entry.wake_on_request
    return CalledModel(
        entry=entry.name,
        alias=LIVE if integration.properties.provisioned_concurrency else "",
        public=integration.public,
        wake_minutes=wake.minutes if wake else 0,
        wakes_per_token_an_hour=wake.wakes_per_token_an_hour if wake else 0,
        extends=wake is not None and wake.extend,
        seconds=integration.seconds,
    )
