"""How the models of a plan are called: by the endpoint, facts in the words of the config.

Pure, as `plan_endpoints`. Routes to functions stand in the environment of the function before them,
direct routes are integrations of API Gateway.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from lambdas.core.called_models import API_GATEWAY_SECONDS, CalledModels
from tools.plan_text import UNKNOWN

Values = Mapping[str, Any]
FUNCTION, INTEGRATION = "aws_lambda_function", "aws_api_gateway_integration"
METHOD, RESOURCE = "aws_api_gateway_method", "aws_api_gateway_resource"
KINDS = {FUNCTION, INTEGRATION, METHOD, RESOURCE}
_CALLS = "calls"
_DIRECT = re.compile(r":runtime\.sagemaker:path/endpoints/([^/]+)/invocations$")


def routes(resources: Sequence[tuple[str, str, Values]]) -> Mapping[str, Mapping[str, str]]:
    """The facts of each endpoint that has a route, by label. `resources` are those of one side of a
    plan: type, name and values."""
    named = {(kind, name): values for kind, name, values in resources if kind in KINDS}
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for (kind, name), values in named.items():
        endpoint = called_directly(values) if kind == INTEGRATION else None
        if endpoint:
            path = named.get((RESOURCE, name), {}).get("path_part", name)
            public = named.get((METHOD, name), {}).get("authorization") == "NONE"
            timeout = values.get("timeout_milliseconds")
            seconds = timeout // 1000 if isinstance(timeout, int) else None
            found[endpoint] |= _route(path, "straight to SageMaker", seconds, public=public)
    models = _models(named.get((FUNCTION, _CALLS), {}))
    if models is None:
        return found
    for path, model in models.routes.items():
        facts = found[models.endpoint_name(model)]
        facts |= _route(path, "through a function", model.seconds, public=model.public)
        if model.wake_minutes:
            often = f"{model.wakes_per_token_an_hour} times an hour for each token"
            extends = ", extended by calls" if model.extends else ""
            facts["wake on request"] = f"for {model.wake_minutes} minutes, {often}{extends}"
    return found


def called_directly(integration: Values) -> str | None:
    """The endpoint whose model it calls without a function between them; None if it calls none."""
    direct = _DIRECT.search(str(integration.get("uri")))
    return direct[1] if direct else None


def _route(path: str, way: str, seconds: int | None, *, public: bool) -> dict[str, str]:
    """`seconds` is None where Terraform only knows them after the apply."""
    facts = {"route": f"/{path} {way}", "public": "yes, no token is needed" if public else ""}
    if seconds != API_GATEWAY_SECONDS:
        facts["answer within"] = UNKNOWN if seconds is None else f"{seconds} s"
    return facts


def _models(function: Values) -> CalledModels | None:
    """What the function knows; None where Terraform only knows it after the apply."""
    environment = function.get("environment")
    try:
        return CalledModels.parse(environment[0]["variables"]["MODELS"])  # type: ignore[index]
    except (LookupError, TypeError, ValueError):
        return None
