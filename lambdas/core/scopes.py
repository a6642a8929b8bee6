"""What a token may do: scopes, each for all endpoints or for one.

As text they are words separated by spaces: `read renew:demo-FlanT5-Endpoint`. Names of endpoints
are compared without case, as everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Self, get_args

from lambdas.core.errors import InvalidField
from lambdas.core.names import endpoint_key, sagemaker_name

Scope = Literal["read", "renew", "add", "manage", "invoke"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
MAX_SCOPES = 50
"""API Gateway sends the scopes with every request: this limits their size."""

_Grant = tuple[Scope, str | None]  # the key of an endpoint, or None for all


@dataclass(frozen=True, slots=True)
class Scopes:
    """`str()` is the canonical text. `parse` and `stored` read it."""

    granted: frozenset[_Grant] = frozenset()

    @classmethod
    def every(cls) -> Self:
        return cls(frozenset((scope, None) for scope in SCOPES))

    @classmethod
    def parse(cls, text: str, field: str = "scopes") -> Self:
        """Read what a person wrote. Raises InvalidField with `field` if a word is no scope."""
        found = cls._of(_grant(word, field) for word in text.split())
        if not 0 < len(found.granted) <= MAX_SCOPES:
            raise InvalidField(field, f"give 1 to {MAX_SCOPES} of {', '.join(SCOPES)}")
        return found

    @classmethod
    def stored(cls, text: str) -> Self:
        """Read the text of a table or a context. Words that are no scopes allow nothing."""
        return cls._of(grant for word in text.split() if (grant := _known(word)))

    @classmethod
    def _of(cls, grants: Iterable[_Grant]) -> Self:
        """Drop the grants that a grant for all endpoints covers."""
        every = frozenset(grants)
        return cls(frozenset(g for g in every if g[1] is None or (g[0], None) not in every))

    def __str__(self) -> str:
        ordered = sorted(self.granted, key=lambda grant: (SCOPES.index(grant[0]), grant[1] or ""))
        return " ".join(scope if key is None else f"{scope}:{key}" for scope, key in ordered)

    def __or__(self, other: Scopes) -> Scopes:
        return self._of(self.granted | other.granted)

    def allows(self, scope: Scope, endpoint: str | None = None) -> bool:
        """Whether `scope` is granted for `endpoint`, a name in any case. None: for all
        endpoints."""
        if (scope, None) in self.granted:
            return True
        return endpoint is not None and (scope, endpoint_key(endpoint)) in self.granted

    def allows_some(self, scope: Scope) -> bool:
        """Whether `scope` is granted for at least one endpoint."""
        return any(granted == scope for granted, _ in self.granted)

    def endpoints(self, scope: Scope) -> frozenset[str] | None:
        """The keys of the endpoints for which `scope` is granted. None: all."""
        keys = {key for granted, key in self.granted if granted == scope}
        return None if None in keys else frozenset(key for key in keys if key is not None)


def _grant(word: str, field: str) -> _Grant:
    scope, colon, endpoint = word.partition(":")
    if scope not in SCOPES:
        raise InvalidField(field, f"'{scope[:40]}' is no scope; there are {', '.join(SCOPES)}")
    key = endpoint_key(sagemaker_name(endpoint, f"{field}: {scope}")) if colon else None
    return scope, key


def _known(word: str) -> _Grant | None:
    try:
        return _grant(word, "scopes")
    except InvalidField:
        return None
