"""Who asks, as the authorizer told API Gateway. Needs the core alone: any function may use it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lambdas.core.scopes import Scopes
from lambdas.handlers.headers import values_of


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose token it is: `name` for people, `identity` to tell one token from another."""

    name: str
    identity: str
    scopes: Scopes


def caller_of(event: Mapping[str, Any]) -> Caller | None:
    """The token's holder; None where no token was asked for."""
    context = event["requestContext"].get("authorizer")
    if not context:
        return None
    name = str(context.get("principal", "unknown"))
    scopes = Scopes.stored(str(context.get("scopes", "")))
    return Caller(name, str(context.get("identity", name)), scopes)


def has_several_tokens(event: Mapping[str, Any]) -> bool:
    """Whether more than one was sent: a cached answer of the authorizer may be for either."""
    return len(values_of(event, "authorization")) > 1
