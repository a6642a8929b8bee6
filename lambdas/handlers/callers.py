"""The caller, from what the authorizer passed to API Gateway. Imports the core only: any function
may use it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lambdas.core.scopes import Scopes
from lambdas.handlers.headers import values_of


@dataclass(frozen=True, slots=True)
class Caller:
    """The holder of the token: `name` is for people, `identity` is unique for each token."""

    name: str
    identity: str
    scopes: Scopes


def caller_of(event: Mapping[str, Any]) -> Caller | None:
    """The holder of the token. None if the route needs no token."""
    context = event["requestContext"].get("authorizer")
    if not context:
        return None
    name = str(context.get("principal", "unknown"))
    scopes = Scopes.stored(str(context.get("scopes", "")))
    return Caller(name, str(context.get("identity", name)), scopes)


def has_several_tokens(event: Mapping[str, Any]) -> bool:
    """Whether the request has several tokens. A cached answer of the authorizer may be for any of
    them."""
    return len(values_of(event, "authorization")) > 1
