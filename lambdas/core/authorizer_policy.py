"""The routes of the API that the policy of a caller allows.

A function checks the scopes of each request itself, so all known callers may call its routes. If
API Gateway calls a model directly, nothing after the policy checks the caller: such a route is open
only to callers who may invoke its endpoint. The policy lists what is allowed, not what is denied:
then a path in an unusual spelling matches nothing.

Callers who may invoke every model get all routes: there is nothing left that only the policy could
refuse, and a route deployed while the policy is cached works at once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from lambdas.core.scopes import Scopes
from lambdas.core.tokens import Principal

CHECKED_BY_FUNCTION = ""


@dataclass(frozen=True, slots=True)
class GuardedRoutes:
    """`endpoints` maps a route, such as `flan`, to the endpoint that API Gateway calls, or to
    CHECKED_BY_FUNCTION."""

    endpoints: Mapping[str, str]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the text that `str()` wrote."""
        return cls(json.loads(text))

    def __str__(self) -> str:
        return json.dumps(self.endpoints, separators=(",", ":"), sort_keys=True)

    def open_to(self, scopes: Scopes) -> Sequence[str]:
        """Patterns of the allowed paths, in the form of policies."""
        if scopes.allows("invoke"):
            return ["*"]
        return [
            route
            for route, endpoint in self.endpoints.items()
            if endpoint == CHECKED_BY_FUNCTION or scopes.allows("invoke", endpoint)
        ]


def policy_for(principal: Principal, method_arn: str, routes: GuardedRoutes) -> Mapping[str, Any]:
    """The answer of an authorizer. It holds for all methods and paths, so that it may be cached.

    https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-lambda-authorizer-output.html
    """
    context = {
        "principal": principal.name,
        "scopes": str(principal.scopes),
        "identity": principal.identity,
    }
    paths = [f"*/{route}" for route in routes.open_to(principal.scopes)]
    return {**_policy(principal.name, "Allow", method_arn, paths), "context": context}


def policy_for_nobody(method_arn: str) -> Mapping[str, Any]:
    return _policy("unknown", "Deny", method_arn, ["*"])


def _policy(
    principal: str, effect: str, method_arn: str, paths: Sequence[str]
) -> Mapping[str, Any]:
    api, stage = method_arn.split("/")[:2]
    statement = {
        "Action": "execute-api:Invoke",
        "Effect": effect,
        "Resource": [f"{api}/{stage}/{path}" for path in paths],
    }
    document = {"Version": "2012-10-17", "Statement": [statement]}
    return {"principalId": principal, "policyDocument": document}
