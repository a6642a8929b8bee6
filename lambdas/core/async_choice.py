"""Whether an endpoint that was added over the API takes asynchronous calls of its model."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from lambdas.core.errors import ConfigOwned, SpecUnreadable
from lambdas.core.idempotency import Request
from lambdas.core.spec import AsyncMode, Origin, with_hash
from lambdas.core.state import Record
from lambdas.core.takeover import lease_end
from lambdas.core.use_cases import UseCases


def mode_of(async_api: bool | None) -> AsyncMode:  # noqa: FBT001  # it is a value, not a switch
    """The mode of an endpoint that is added with this choice."""
    return AsyncMode.DIRECT if async_api else AsyncMode.OFF


def changed(
    use_cases: UseCases,
    known: Record,
    async_api: bool | None,  # noqa: FBT001  # it is a value, not a switch
    minutes: int,
    now: datetime,
    request: Request,
) -> bool:
    """Let a known endpoint take asynchronous calls, or no longer. None: as it is. Returns whether
    that changed its spec. All that a renewal by `minutes` can be refused for comes before.

    Raises ConfigOwned, SpecUnreadable, ScopeMissing, LeaseTooLong, and Conflict if the spec was
    changed meanwhile.
    """
    spec = known.spec
    assert spec is not None
    if async_api in (None, spec.async_api is not AsyncMode.OFF):
        return False
    if spec.origin is Origin.CONFIG:
        raise ConfigOwned(spec.name)
    if spec.unreadable:
        raise SpecUnreadable(spec.name, spec.unreadable)
    request.require("add", spec.name)
    lease_end(known.state, minutes, now, spec.max_lease_minutes)
    other = with_hash(replace(spec, async_api=mode_of(async_api)))
    use_cases.store.replace_api_spec(other, replacing=spec.spec_hash, due=now)
    reason = "asynchronous calls" if async_api else "no asynchronous calls"
    use_cases.note(known.key, now, "async api set", f"it takes {reason}", request)
    return True
