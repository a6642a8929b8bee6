"""Who may put which endpoints on the meter over the API: new ones, and live ones of others.

The meter may change an endpoint only if the config declares it, or an accepted request put it on
the meter: docs/decisions/0090.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from lambdas.core.errors import (
    ConfigNotAddable,
    LeaseTooLong,
    NotAdoptable,
    NotOurs,
    ScopeMissing,
)
from lambdas.core.idempotency import Request
from lambdas.core.name_patterns import ANY_NAME, NamePatterns
from lambdas.core.ports import AddLimits
from lambdas.core.state import Adoption, Observed, Owner, State, Status
from lambdas.core.strangers import not_ours

DEFAULT_MAX_ADDED = 20
DEFAULT_MAX_ADDED_A_DAY = 10


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits in the config of the stack: which endpoints it may adopt, which endpoint configs
    may be added, how many added endpoints may exist, and how many a token may add per day.
    Adoptions are not counted: they start nothing."""

    adoptable: NamePatterns = ANY_NAME
    addable_configs: NamePatterns = ANY_NAME
    max_added: int = DEFAULT_MAX_ADDED
    max_added_per_token_per_day: int = DEFAULT_MAX_ADDED_A_DAY

    def of(self, request: Request, config_name: str) -> AddLimits:
        """The limits for an add of this caller. Raises ConfigNotAddable."""
        if not self.addable_configs.allows(config_name):
            raise ConfigNotAddable(config_name)
        return AddLimits(request.identity, self.max_added, self.max_added_per_token_per_day)


@dataclass(frozen=True, slots=True)
class Takeover:
    """A request to put `name` on the meter with a config. With `adopt`, this may be a live endpoint
    that somebody else created. With `async_api`, its model may be called asynchronously."""

    name: str
    config_name: str
    adopt: bool
    async_api: bool | None = None

    def require_right(self, request: Request) -> None:
        """Raises ScopeMissing: callers who may neither add nor adopt must not learn what exists."""
        adds = request.scopes.allows("add", self.name)
        adopts = self.adopt and request.scopes.allows("manage", self.name)
        if not adds and not adopts:
            raise ScopeMissing("manage" if self.adopt else "add", self.name)

    def allow(
        self,
        live: Observed,
        request: Request,
        adoptable: NamePatterns,
        chosen: Sequence[str] = (),
    ) -> None:
        """Raise NotOurs, ScopeMissing or NotAdoptable unless this request may adopt the live
        endpoint. It must name the config that the endpoint runs; if its name is on the meter, one
        of those that are `chosen` for it, to the first of which it then moves. Only callers who may
        adopt learn the owner and the config."""
        if not request.scopes.allows("manage", self.name):
            if self.adopt:
                raise ScopeMissing("manage", self.name)
            raise NotOurs(self.name)
        if live.owner in (Owner.IGNORED, Owner.ANOTHER_STACK):
            raise not_ours(self.name, live)
        if not adoptable.allows(self.name):
            raise NotAdoptable(self.name) if self.adopt else NotOurs(self.name)
        fits = self.config_name in (chosen or (live.config_name,))
        if not self.adopt or not fits or live.status is not Status.IN_SERVICE:
            raise not_ours(self.name, live, chosen[0] if chosen else None)


def adoption_of(live: Observed, *, declared: bool) -> Adoption:
    assert live.created_at is not None, "SageMaker tells of every endpoint since when it is"
    return Adoption(live.arn, live.created_at, declared)


def before_adoption(state: State) -> State:
    """The state without its void adoption: with the lease and the hold from before."""
    adoption = state.adopting
    if adoption is None:
        return state
    ends = None if adoption.declared else state.expires_at
    return replace(
        state,
        adopting=None,
        expires_at=ends - timedelta(minutes=adoption.minutes) if ends else None,
        sessions={} if adoption.declared else state.sessions,
        held_since=state.held_since or adoption.held_since,
    )


def renewed_meanwhile(state: State, now: datetime) -> Adoption | None:
    """The adoption under way, after a renewal. The renewal ends the hold. If the lease had run out,
    the minutes of the adoption are used up."""
    if state.adopting is None:
        return None
    ahead = state.expires_at is not None and state.expires_at > now
    minutes = state.adopting.minutes if ahead else 0
    return replace(state.adopting, minutes=minutes, held_since=None)


def lease_end(state: State | None, minutes: int, now: datetime, max_lease_minutes: int) -> datetime:
    """The end of the lease after `minutes` are added. Raises LeaseTooLong."""
    whole_second = now.replace(microsecond=0)
    before = state.expires_at if state else None
    begin = before if before and before > now else whole_second
    room = max_lease_minutes - minutes
    if room < 0 or begin > whole_second + timedelta(minutes=room):
        raise LeaseTooLong(max_lease_minutes)
    return begin + timedelta(minutes=minutes)
