"""All environment variables of a function, and how much room Lambda has for them.

https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from constructs_lib.config.document import endpoint_name
from constructs_lib.config.integration import SPARE_SECONDS
from constructs_lib.config.problems import Problem
from lambdas.core.called_models import API_GATEWAY_SECONDS
from lambdas.core.settings import METRICS_NAMESPACE, IntegrationSettings, Settings

MAX_BYTES = 4_096


def all_variables(
    prefix: str, settings: Settings, given: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Those that the config gives, those of the settings, and those of every function."""
    return {
        **(given or {}),
        **settings.to_environment(),
        "POWERTOOLS_METRICS_NAMESPACE": METRICS_NAMESPACE,
        # The only dimension of the metrics. It names the stack, so that each stack of an account
        # has its own heartbeat.
        "POWERTOOLS_SERVICE_NAME": prefix,
        # Empty, so that zoneinfo only uses the tzdata of the layer.
        "PYTHONTZPATH": "",
    }


def bytes_of(variables: Mapping[str, str]) -> int:
    """As Lambda counts: of the JSON. Its refusal shows it ("String measured: {…}")."""
    return len(json.dumps(variables, ensure_ascii=False, separators=(",", ":")).encode())


def environment_problems(where: str, prefix: object, entry: Mapping[str, Any]) -> Iterator[Problem]:
    """The problem of an integration whose variables do not fit. The entry may have other problems
    too."""
    match entry.get("integration"):
        case {"properties": {"environment": dict(given), **properties}}:
            seconds = properties.get("timeout_seconds", API_GATEWAY_SECONDS)
            settings = IntegrationSettings(
                endpoint_name=endpoint_name(str(prefix), str(entry.get("name"))),
                route=str(properties.get("api_resource_name")),
                answer_within_seconds=seconds - SPARE_SECONDS if isinstance(seconds, int) else 0,
            )
            texts = {name: str(value) for name, value in given.items()}
            size = bytes_of(all_variables(str(prefix), settings, texts))
            if size > MAX_BYTES:
                own = size - bytes_of(texts)
                yield Problem(
                    f"{where}.integration.properties.environment",
                    f"takes {size:,} bytes as JSON, {own:,} of them for the variables of this "
                    f"product, and Lambda takes {MAX_BYTES:,}: shorten it, or keep long values in "
                    "a file of `lambda_src` or in Parameter Store",
                )
        case _:
            pass
