"""What may be put on the meter over the API, and by whom: new endpoints, and live ones of others.

An endpoint is the meter's to change only if the config declares it or an accepted request put it
there: docs/decisions/0090.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from lambdas.core.errors import (
    ConfigNotAddable,
    LeaseTooLong,
    NameTaken,
    NotAdoptable,
    ScopeMissing,
)
from lambdas.core.idempotency import Request
from lambdas.core.name_patterns import ANY_NAME, NamePatterns
from lambdas.core.ports import AddLimits
from lambdas.core.state import Adoption, Observed, Owner, State, Status

DEFAULT_MAX_ADDED = 20
DEFAULT_MAX_ADDED_A_DAY = 10


@dataclass(frozen=True, slots=True)
class Limits:
    """What the stack's config says: which endpoints it may adopt, which endpoint configs may be
    added, how many endpoints may be there that were added, and how many a token may add in a day.
    Adopting is not counted: it starts nothing."""

    adoptable: NamePatterns = ANY_NAME
    addable_configs: NamePatterns = ANY_NAME
    max_added: int = DEFAULT_MAX_ADDED
    max_added_per_token_per_day: int = DEFAULT_MAX_ADDED_A_DAY

    def of(self, request: Request, config_name: str) -> AddLimits:
        """What an add of this caller is counted against; raises ConfigNotAddable."""
        if not self.addable_configs.allows(config_name):
            raise ConfigNotAddable(config_name)
        return AddLimits(request.identity, self.max_added, self.max_added_per_token_per_day)


@dataclass(frozen=True, slots=True)
class Takeover:
    """A wish to have `name` on the meter with a config; with `adopt` also a live endpoint that
    somebody else made."""

    name: str
    config_name: str
    adopt: bool

    def require_right(self, request: Request) -> None:
        """Who may neither add nor adopt learns nothing of what is there. Raises ScopeMissing."""
        adds = request.scopes.allows("add", self.name)
        adopts = self.adopt and request.scopes.allows("manage", self.name)
        if not adds and not adopts:
            raise ScopeMissing("manage" if self.adopt else "add", self.name)

    def allow(self, live: Observed, request: Request, adoptable: NamePatterns) -> None:
        """Raise unless the live endpoint of somebody else may be adopted by this request. Only who
        may adopt it is told whose it is and what it runs."""
        if not request.scopes.allows("manage", self.name):
            if self.adopt:
                raise ScopeMissing("manage", self.name)
            raise NameTaken(
                f"A live endpoint '{self.name}' exists that is not on the meter. Choose another "
                "name; somebody with the scope 'manage' may adopt it."
            )
        if live.owner is Owner.IGNORED:
            raise NameTaken(
                f"The live endpoint '{self.name}' carries the tag endpoint-meter:ignore: it stays "
                "off the meter until its owner takes that tag off. Choose another name."
            )
        if live.owner is Owner.ANOTHER_STACK:
            raise NameTaken(
                f"The live endpoint '{self.name}' belongs to another stack. Choose another name."
            )
        if live.status is not Status.IN_SERVICE and self.adopt:
            raise NameTaken(
                f"The live endpoint '{self.name}' is {live.status}: it can be adopted once it is "
                "InService."
            )
        if not self.adopt or live.config_name != self.config_name:
            raise NameTaken(
                f"A live endpoint '{self.name}' exists that is not on the meter; it runs config "
                f"'{live.config_name}'. Send that config with \"adopt\": true to put it on the "
                "meter, or choose another name."
            )
        if not adoptable.allows(self.name):
            raise NotAdoptable(self.name)


def adoption_of(live: Observed, *, declared: bool) -> Adoption:
    assert live.created_at is not None, "SageMaker tells of every endpoint since when it is"
    return Adoption(live.arn, live.created_at, declared)


def before_adoption(state: State) -> State:
    """The state without its adoption, which is void: with the lease and the hold from before."""
    adoption = state.adopting
    if adoption is None:
        return state
    ends = None if adoption.declared else state.expires_at
    return replace(
        state,
        adopting=None,
        expires_at=ends - timedelta(minutes=adoption.minutes) if ends else None,
        held_since=state.held_since or adoption.held_since,
    )


def renewed_meanwhile(state: State, now: datetime) -> Adoption | None:
    """The adoption under way once somebody renews: a hold has ended by then, and so have the
    minutes that came with the adoption where they ran out before."""
    if state.adopting is None:
        return None
    ahead = state.expires_at is not None and state.expires_at > now
    minutes = state.adopting.minutes if ahead else 0
    return replace(state.adopting, minutes=minutes, held_since=None)


def lease_end(state: State | None, minutes: int, now: datetime, max_lease_minutes: int) -> datetime:
    """The end of a lease that is paid `minutes` more; raises LeaseTooLong."""
    whole_second = now.replace(microsecond=0)
    before = state.expires_at if state else None
    begin = before if before and before > now else whole_second
    room = max_lease_minutes - minutes
    if room < 0 or begin > whole_second + timedelta(minutes=room):
        raise LeaseTooLong(max_lease_minutes)
    return begin + timedelta(minutes=minutes)
