"""The routes that the authorizer's policies allow, and the endpoint that each needs a scope for."""

from __future__ import annotations

from constructs_lib.config.document import DeployConfig
from lambdas.core.authorizer_policy import CHECKED_BY_FUNCTION, GuardedRoutes
from lambdas.core.routes import is_public, paths


def guarded_routes(config: DeployConfig) -> GuardedRoutes:
    """Every route that needs a token. For the direct routes of models, only the authorizer checks
    the scope for their endpoint."""
    endpoints = {path.strip("/"): CHECKED_BY_FUNCTION for path in paths() if not is_public(path)}
    for entry in config.jumpstart_models:
        integration = entry.integration
        if integration is None or integration.public:
            continue
        path = integration.properties.api_resource_name
        if integration.type == "api":
            endpoints[path] = config.endpoint_name(entry)
        else:
            endpoints[path] = CHECKED_BY_FUNCTION
            if integration.properties.proxy:
                endpoints[f"{path}/*"] = CHECKED_BY_FUNCTION
    return GuardedRoutes(endpoints)
