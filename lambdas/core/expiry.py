"""The use cases of /endpoint-expiry: list, renew, add, adopt, stop, forget."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from lambdas.core import async_choice
from lambdas.core.decision import is_metered, meter_of, undecided
from lambdas.core.documents import endpoint_document, iso, minutes_text
from lambdas.core.errors import (
    Busy,
    ConfigOwned,
    Conflict,
    DiffersInCase,
    InvalidField,
    LeaseTooLong,
    OtherConfig,
    UnknownEndpoint,
    UnknownEndpointConfig,
)
from lambdas.core.idempotency import (
    Answer,
    Request,
    answered,
    forgotten,
    keyed_with,
    operation_of,
    replayed,
)
from lambdas.core.names import endpoint_key, sagemaker_name
from lambdas.core.ports import Declaration, Keyed
from lambdas.core.reasons import ended_now
from lambdas.core.spec import Origin, Spec, with_hash
from lambdas.core.state import (
    ABSENT,
    Adoption,
    Ended,
    EndedBy,
    Observed,
    Owner,
    Record,
    State,
    Status,
    live_sessions,
    paid_again,
)
from lambdas.core.takeover import (
    Limits,
    Takeover,
    adoption_of,
    lease_end,
    renewed_meanwhile,
)
from lambdas.core.use_cases import TRIES, UseCases, settle
from lambdas.core.wanted_config import chosen_config


@dataclass(frozen=True, slots=True)
class ExpiryUseCases(UseCases):
    """All that users do with the meter. The time is an argument. The methods raise above all
    UnknownEndpoint, NameTaken, LeaseTooLong, Draining and Busy; see `errors`."""

    max_lease_minutes: int
    limits: Limits = field(default_factory=Limits)

    def get(self, name: str, now: datetime) -> Mapping[str, Any]:
        draining = self.store.control().draining(now)
        return endpoint_document(self.record(name, now), now, draining=draining)

    def list(
        self, now: datetime, limit: int | None, after: str | None
    ) -> tuple[Sequence[Mapping[str, Any]], str | None]:
        """One page of all endpoints, and the page token if there is another page."""
        draining = self.store.control().draining(now)
        page = self.store.list(limit, after)
        known = [record for record in page.records if record.spec is not None]
        return [endpoint_document(r, now, draining=draining) for r in known], page.next_token

    def list_some(self, names: Iterable[str], now: datetime) -> Sequence[Mapping[str, Any]]:
        """The named endpoints that are on the meter."""
        draining = self.store.control().draining(now)
        found = []
        for name in names:
            with suppress(UnknownEndpoint):
                record = self.record(name, now)
                found.append(endpoint_document(record, now, draining=draining))
        return found

    def renew(self, name: str, minutes: int, now: datetime, request: Request) -> Answer:
        """Add minutes to what is left of the lease."""
        return self._pay(name, minutes, now, request)

    def renew_until(self, name: str, until: datetime, now: datetime, request: Request) -> Answer:
        """Move the shared end of the lease to `until`, if that is later. Fractions of a second do
        not count. Raises InvalidField if it is over already."""
        whole = now.replace(microsecond=0)
        end = until.replace(microsecond=0)
        if end <= now:
            raise InvalidField("until", f"is over: it is {iso(whole)} now")
        return self._pay(name, end, now, request)

    def _pay(self, name: str, amount: int | datetime, now: datetime, request: Request) -> Answer:
        request.require("renew", name)
        self.refuse_while_draining(now)

        def pay(record: Record, _spec: Spec, _state: State) -> Answer:
            self.refuse_stranger(record, request, self.limits.adoptable)
            return self._renew(record, amount, now, request)

        return self.until_written(name, now, request, pay)

    def add(
        self,
        name: str,
        config_name: str,
        minutes: int,
        now: datetime,
        request: Request,
        *,
        adopt: bool = False,
        async_api: bool | None = None,
    ) -> Answer:
        """Add an endpoint (201), or renew one that has the same config (200).

        `async_api` says whether its model may be called asynchronously. None: no, or as it is.
        With `adopt`, put a live endpoint of somebody else on the meter. All checks come before the
        first write, which grants the lease.
        """
        self.refuse_while_draining(now)
        sagemaker_name(config_name, "EndpointConfigName")
        for _ in range(TRIES):
            record = self.store.load(endpoint_key(sagemaker_name(name, "EndpointName")))
            replay = replayed(record, request)
            if replay:
                return replay
            try:
                settle(self.store, record, now)
                if record.spec is None:
                    takeover = Takeover(name, config_name, adopt=adopt, async_api=async_api)
                    return self._declare(record, takeover, minutes, now, request)
                may_adopt = adopt and request.scopes.allows("manage", name)
                if not may_adopt:
                    request.require("renew", name)
                if record.spec.name != name:
                    raise DiffersInCase(name, record.spec.name)
                takeover = Takeover(name, config_name, adopt=adopt)
                adopted = self._adoption_of_known(record, takeover, minutes, now, request)
                if adopted is None:
                    request.require("renew", name)
                known = self.record(name, now)  # it may have been forgotten during these checks
                assert known.state is not None
                if adopted and record.state and known.state.rev != record.state.rev:
                    continue  # the adoption was made of another revision
                if async_choice.changed(self, known, async_api, minutes, now, request):
                    continue  # with the spec as it is now
                return self._renew(known, minutes, now, request, adopted)
            except (Conflict, UnknownEndpoint):  # added or forgotten meanwhile: look again
                continue
        raise Busy

    def stop(self, name: str, now: datetime, request: Request, *, forget: bool) -> Answer:
        """End the lease and hold the open windows. With `forget`, the same write removes an
        endpoint that was added over the API."""
        request.require("add" if forget else "renew", name)

        def stop(record: Record, spec: Spec, state: State) -> Answer:
            if forget and spec.origin is Origin.CONFIG:
                if record.api_spec is None:
                    raise ConfigOwned(spec.name)
                return self._forget_shadowed(record, record.api_spec, state, now, request)
            expires_at = state.expires_at
            cut = now.replace(microsecond=0)
            if expires_at and expires_at > now:
                expires_at = cut
            ended_sessions = dict.fromkeys(live_sessions(state, now), cut)
            meter = meter_of(spec, state)
            open_now = meter.window_open(now)
            hold = open_now or bool(spec.unreadable)  # a window that cannot be read may be open
            ended = [
                *(["the lease was ended"] if meter.leased(now) else []),
                *(["the open window is held"] if open_now else []),
            ]
            stopped = replace(
                state,
                expires_at=expires_at,
                sessions={**state.sessions, **ended_sessions},
                held_since=now if hold else state.held_since,
                # The override is for this life: an endpoint added later is another one.
                override=None if forget else state.override,
            )
            draining = self.store.control().draining(now)
            if ended or undecided(spec, state, now):
                by_hand = Ended(EndedBy.HAND, cut, request.actor)
                stopped = ended_now(stopped, now, by_hand)
            reason = (
                f"{' and '.join(ended)}, by hand" if ended else "by hand; nothing kept it running"
            )
            operation = operation_of(spec, stopped, request, now, 200, draining=draining)
            keyed = keyed_with(record, request, operation)
            forgetting = forgotten(record, spec, now, keyed) if forget else None
            written = self.store.stop(record.key, stopped, now, keyed, forgetting)
            self.note(record.key, now, "forgotten" if forget else "stopped", reason, request)
            self.look_at(record.key, written)
            return answered(record, operation)

        return self.until_written(name, now, request, stop)

    def _forget_shadowed(
        self, record: Record, api_spec: Spec, state: State, now: datetime, request: Request
    ) -> Answer:
        """Remove a spec of the API if the config declares the same name. Such a spec has no effect,
        but uses a place of `max_added_endpoints`. Nothing is stopped."""
        assert record.spec is not None
        reason = "the deployed config keeps it on the meter"
        draining = self.store.control().draining(now)
        operation = operation_of(record.spec, state, request, now, 200, draining=draining)
        keyed = keyed_with(record, request, operation)
        self.store.stop(record.key, state, now, keyed, forgotten(record, api_spec, now, keyed))
        self.note(record.key, now, "forgotten", reason, request)
        return answered(record, operation)

    def _renew(
        self,
        record: Record,
        amount: int | datetime,
        now: datetime,
        request: Request,
        adopted: tuple[Adoption, Observed] | None = None,
    ) -> Answer:
        """Renew by minutes, or until an instant. `adopted`: a new adoption, and its endpoint.
        Raises Conflict if the same request or another adoption was first."""
        assert record.spec is not None
        assert record.state is not None
        underway, live = adopted or (renewed_meanwhile(record.state, now), None)
        renewed = replace(paid_again(record.state, now), adopting=underway)
        if live:
            renewed = replace(
                renewed, observed_status=live.status, observed_config=live.config_name
            )
        if isinstance(amount, datetime):
            end = max(amount, renewed.expires_at or amount)
        else:
            end = lease_end(renewed, amount, now, record.spec.max_lease_minutes)
        paid_for = replace(renewed, expires_at=end)
        operation = operation_of(record.spec, paid_for, request, now, 200)
        keyed = keyed_with(record, request, operation)
        renewed = self._extend_lease(record, record.spec, amount, now, keyed, underway, live)
        kind = "adopted" if adopted else "renewed"
        paid = minutes_text(amount) if isinstance(amount, int) else f"until {iso(amount)}"
        if isinstance(amount, datetime) and renewed.expires_at != amount:
            paid += f", and it was paid until {iso(renewed.expires_at)} already"
        self.note(record.key, now, kind, paid, request)
        self.look_at(record.key, record.state)
        return answered(record, replace(operation, expires_at=renewed.expires_at))

    def _extend_lease(
        self,
        record: Record,
        spec: Spec,
        amount: int | datetime,
        now: datetime,
        keyed: Keyed | None,
        adoption: Adoption | None,
        live: Observed | None,
    ) -> State:
        """Renew the lease. An adoption is written over the revision that it was made of only."""
        assert record.state is not None
        most, over = spec.max_lease_minutes, replace(record.state, adopting=adoption)
        if isinstance(amount, datetime):
            if amount > now.replace(microsecond=0) + timedelta(minutes=most):
                raise LeaseTooLong(most)
            return self.store.renew_until(record.key, amount, now, keyed, over)
        return self.store.renew(record.key, amount, now, most, keyed, over, live)

    def _declare(
        self, record: Record, takeover: Takeover, minutes: int, now: datetime, request: Request
    ) -> Answer:
        """Put a new endpoint on the meter, with its first lease, by one transaction. Raises
        Conflict if another request was first."""
        name, config_name = takeover.name, takeover.config_name
        takeover.require_right(request)
        ends = lease_end(record.state, minutes, now, self.max_lease_minutes)
        live = self._live(takeover)
        adopted = live if live and live.owner is not Owner.US else None
        limits = None
        if adopted:
            takeover.allow(adopted, request, self.limits.adoptable)
            if takeover.async_api:
                request.require("add", name)
        else:
            request.require("add", name)
            limits = self.limits.of(request, config_name)
        if self.endpoints.config_variants(config_name) is None:
            raise UnknownEndpointConfig(config_name)
        spec = with_hash(
            Spec(
                name,
                config_name,
                Origin.API,
                max_lease_minutes=self.max_lease_minutes,
                async_api=async_choice.mode_of(takeover.async_api),
            )
        )
        declaration = Declaration(
            spec,
            ends,
            over=record.state,
            observed=adopted or ABSENT,
            adopting=adoption_of(adopted, declared=True) if adopted else None,
            limits=limits,
        )
        state = declaration.state(now)
        operation = replace(operation_of(spec, state, request, now, 201), expires_at=ends)
        keyed = keyed_with(record, request, operation)
        self.store.declare(replace(declaration, keyed=keyed), now)
        kind = "adopted" if adopted else "added"
        self.note(record.key, now, kind, f"with config {config_name}", request)
        self.look_at(record.key, state)
        return answered(replace(record, api_spec=spec), operation)

    def _adoption_of_known(
        self, record: Record, takeover: Takeover, minutes: int, now: datetime, request: Request
    ) -> tuple[Adoption, Observed] | None:
        """The adoption of a live endpoint that is not ours, but has a name that is on the meter,
        and that endpoint. None if there is nothing to adopt. Raises OtherConfig if that name has
        another config."""
        spec, state = record.spec, record.state or State()
        assert spec is not None
        chosen = chosen_config(spec, state)
        fitting = (chosen, spec.endpoint_config_name)
        live = self._live(takeover)
        if live is None or is_metered(state, live):
            if takeover.config_name not in (fitting if takeover.adopt else fitting[:1]):
                raise OtherConfig(spec.name, chosen)
            return None
        takeover.allow(live, request, self.limits.adoptable, fitting)
        # If this replaces an adoption that is not complete, it takes over what that one brought.
        before = renewed_meanwhile(state, now)
        adoption = replace(
            adoption_of(live, declared=before is not None and before.declared),
            minutes=minutes + (before.minutes if before else 0),
            held_since=state.held_since or (state.adopting.held_since if state.adopting else None),
        )
        return adoption, live

    def _live(self, takeover: Takeover) -> Observed | None:
        """The live endpoint of that name, with its owner. None if it does not exist, or is being
        deleted and no adoption was asked for."""
        live = self.live(takeover.name)
        # A request to adopt an endpoint that its owner is deleting is no request for a new one.
        if live and live.status is Status.DELETING and (live.ours or not takeover.adopt):
            return None
        return live
