"""The one list of routes of the REST API.

It is the source of the API Gateway resources, the handlers, the policy of the authorizer, the
reserved names of routes in a config, and /openapi.json.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lambdas.core.scopes import Scope, Scopes


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path.

    `scope` is what a caller needs. None: no token is needed. Some requests need one of `or_scopes`
    instead; their use case checks that.
    """

    method: str
    path: str
    scope: Scope | None
    or_scopes: tuple[Scope, ...] = ()
    takes_body: bool = False

    def allows(self, scopes: Scopes, endpoint: str | None = None) -> bool:
        """Whether one of the route's scopes is granted for `endpoint` (None: for at least one)."""
        any_of = (*([self.scope] if self.scope else []), *self.or_scopes)
        if endpoint is None:
            return any(scopes.allows_some(scope) for scope in any_of)
        return any(scopes.allows(scope, endpoint) for scope in any_of)


ROUTES: tuple[Route, ...] = (
    Route("GET", "/endpoint-expiry", "read"),
    Route("POST", "/endpoint-expiry", "renew", or_scopes=("add", "manage"), takes_body=True),
    Route("DELETE", "/endpoint-expiry", "renew", or_scopes=("add",)),
    Route("GET", "/endpoint-schedule", "read"),
    Route("PUT", "/endpoint-schedule", "manage", takes_body=True),
    Route("DELETE", "/endpoint-schedule", "manage"),
    Route("POST", "/endpoint-update", "manage", takes_body=True),
    Route("POST", "/endpoint-weights", "manage", takes_body=True),
    Route("GET", "/endpoint-events", "read"),
    Route("POST", "/startexecution", "invoke", takes_body=True),
    Route("POST", "/describeexecution", "invoke", takes_body=True),
    Route("GET", "/health", None),
    Route("GET", "/openapi.json", None),
)


def route(method: str, path: str) -> Route:
    """The route in the list. Raises KeyError if there is none."""
    for each in ROUTES:
        if (each.method, each.path) == (method, path):
            return each
    raise KeyError(f"{method} {path} is not in the list of routes")


def paths(routes: Sequence[Route] = ROUTES) -> Sequence[str]:
    """Each path once, in the order of the list."""
    return tuple(dict.fromkeys(each.path for each in routes))


def is_public(path: str) -> bool:
    """Whether no method of the path needs a token."""
    return all(each.scope is None for each in ROUTES if each.path == path)
