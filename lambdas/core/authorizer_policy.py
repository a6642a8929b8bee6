"""Which routes of the API a caller's policy opens.

A function checks the scopes of each request, so that its routes are open to every known caller.
Where API Gateway calls a model by itself nothing comes after the policy: such a route is open
only to those who may invoke its endpoint. The policy names what is open instead of what is closed:
a path in some odd spelling then matches nothing.

Whoever may invoke every model is let through everywhere: there is nothing left that only the policy
could refuse, and a route deployed while the policy is cached works at once.
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
    """`endpoints` leads from a route, such as `flan`, to the endpoint that API Gateway calls, or
    to CHECKED_BY_FUNCTION."""

    endpoints: Mapping[str, str]

    @classmethod
    def parse(cls, text: str) -> Self:
        """What `str()` gave."""
        return cls(json.loads(text))

    def __str__(self) -> str:
        return json.dumps(self.endpoints, separators=(",", ":"), sort_keys=True)

    def open_to(self, scopes: Scopes) -> Sequence[str]:
        """Patterns of paths, as policies have them."""
        if scopes.allows("invoke"):
            return ["*"]
        return [
            route
            for route, endpoint in self.endpoints.items()
            if endpoint == CHECKED_BY_FUNCTION or scopes.allows("invoke", endpoint)
        ]


def policy_for(principal: Principal, method_arn: str, routes: GuardedRoutes) -> Mapping[str, Any]:
    """What an authorizer answers; right for every method and path, so that it may be cached.

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
