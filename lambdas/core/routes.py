"""The routes of the REST API: the one list.

API Gateway's resources, the handlers, the authorizer's policy, the names that a config may not give
to a model's route and /openapi.json are all made from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lambdas.core.scopes import Scope, Scopes


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path.

    `scope` is what a caller needs, None where no token is asked for; `or_scopes` are those that
    some requests need in its place, which their use case sees to.
    """

    method: str
    path: str
    scope: Scope | None
    or_scopes: tuple[Scope, ...] = ()
    takes_body: bool = False

    def allows(self, scopes: Scopes, endpoint: str | None = None) -> bool:
        """Whether one of its scopes covers `endpoint` (None: some endpoint or other)."""
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
    """The route of the list; raises KeyError where it has none."""
    for each in ROUTES:
        if (each.method, each.path) == (method, path):
            return each
    raise KeyError(f"{method} {path} is not in the list of routes")


def paths(routes: Sequence[Route] = ROUTES) -> Sequence[str]:
    """Each path once, in the order of the list."""
    return tuple(dict.fromkeys(each.path for each in routes))


def is_public(path: str) -> bool:
    """Whether no method of the path asks for a token."""
    return all(each.scope is None for each in ROUTES if each.path == path)
