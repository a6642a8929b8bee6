"""The calls of Terraform to the meter during a deploy or a destroy.

A manifest maps the names of declared endpoints to their endpoint configs. The order of the calls:
docs/decisions/0011.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from lambdas.core.decision import meter_of
from lambdas.core.documents import endpoint_document
from lambdas.core.errors import (
    AwsRefused,
    Conflict,
    MeterError,
    Throttled,
    Unanswered,
    Unavailable,
)
from lambdas.core.hints import Cause, Hint
from lambdas.core.names import endpoint_key
from lambdas.core.ports import Endpoints, Hints, StateStore
from lambdas.core.reconcile import load_or_create
from lambdas.core.state import Observed, Owner, Record, State, Status, Step
from lambdas.core.wanted_config import (
    fitting_configs,
    is_rolled_back,
    longest_update,
    outlasts,
    override_in_force,
    postponed,
)

_log = logging.getLogger(__name__)
_Result = TypeVar("_Result")

DRAIN = timedelta(minutes=30)
SYNC_LIMIT = timedelta(minutes=2)
"""How long sync asks again where AWS does not answer. The wait may call it, and ends before the
function's timeout all the same."""
WAIT_LIMIT = timedelta(minutes=10)
SETTLE_LIMIT = timedelta(minutes=1)
"""How long the last check before configs are deleted asks again where AWS does not answer."""
DESCRIBES_A_SECOND = 20
"""A look must not use up what SageMaker allows the account: reconciles describe as well."""
_PAUSE_SECONDS = 2.0
_HINT_EVERY = timedelta(seconds=30)
_REPORT_EVERY = timedelta(seconds=30)
_MAY_PASS = (Throttled, Unanswered, Unavailable)
"""Refusals that say nothing about an endpoint: AWS may answer the next time."""


class NotSynced(MeterError):
    """AWS did not let the meter make all endpoints due whose specs may have changed."""

    advice = "Deploy again. Until then the sweep finds what changed, every 15 minutes."

    def __init__(self, left: Iterable[str], why: AwsRefused) -> None:
        names = ", ".join(sorted(left)) or "any endpoint"
        super().__init__(f"the meter was not told of changes of {names}, because of AWS ({why}).")


class DrainIncomplete(MeterError):
    """Some endpoints could not be deleted in time. Terraform must stop."""

    advice = "Wait until they can be deleted (an endpoint in Creating cannot) and destroy again."

    def __init__(self, left: Sequence[str]) -> None:
        super().__init__(f"still there after the wait: {', '.join(left)}. Nothing was destroyed.")


@dataclass(frozen=True, slots=True)
class Difference:
    """One endpoint that is not as declared. `hopeless`: waiting does not change that. `unseen`: AWS
    did not say how it is."""

    text: str
    hopeless: bool = False
    unseen: bool = False


class NotSettled(MeterError):
    """Running endpoints do not serve what is declared. Terraform must not delete endpoint
    configs."""

    advice = "Wait, or mend what is said of each, and deploy again."

    def __init__(self, unsettled: Sequence[str]) -> None:
        super().__init__(
            f"not settled, so no endpoint config was taken away: {'; '.join(unsettled)}."
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether all running endpoints serve the configs of the manifest. If not: which do not, and
    why."""

    settled: bool
    unsettled: Sequence[str]

    @classmethod
    def of(cls, unsettled: Sequence[Difference]) -> Verdict:
        return cls(not unsettled, sorted(each.text for each in unsettled))


@dataclass(frozen=True, slots=True)
class Deploys:
    """The use cases. `sleep` waits between two looks. `report` gets the list of unsettled endpoints
    from time to time during the wait."""

    store: StateStore
    endpoints: Endpoints
    hints: Hints
    clock: Callable[[], datetime]
    sleep: Callable[[float], None]
    report: Callable[[Sequence[str]], None] = lambda _unsettled: None

    def sync(self, manifest: Mapping[str, str]) -> Sequence[str]:
        """After Terraform changed specs: end a drain, grant initial leases to new endpoints, and
        make all endpoints due with a spec that was added, changed or withdrawn. Returns those.

        Where AWS does not answer, it asks again for two minutes, and goes on with the others.
        Raises NotSynced with what is left then.
        """
        deadline = self.clock() + SYNC_LIMIT
        declared = {endpoint_key(name) for name in manifest}
        left = sorted(declared.union(self._lasting(deadline, declared, self._begin_sync)))
        looked_at: list[str] = []
        while left:
            found = self._make_due(left, deadline)
            left = [key for key in left if key not in found]
            looked_at += [key for key, has_state in found.items() if has_state]
            if left:
                self.sleep(_PAUSE_SECONDS)
        try:
            self._hint(looked_at)
        except _MAY_PASS:  # each is due: the tick sends another hint within a minute
            _log.warning("hints of a deploy were not sent", exc_info=True)
        return sorted(looked_at)

    def _begin_sync(self) -> Collection[str]:
        """End a drain, note the deploy, and find what it may concern beside the manifest."""
        self.store.set_drain(None)
        self._pin_table()
        now = self.clock()
        self.store.beat("deploy", now)
        return {
            r.key
            for r in self.store.list().records
            if r.api_spec is None or _is_missed(r, now) or _serves_another(r)
        }

    def _make_due(self, keys: Collection[str], deadline: datetime) -> Mapping[str, bool]:
        """Make endpoints due. Returns for which AWS answered, and whether they have a STATE. Raises
        NotSynced if the deadline has passed and it did not answer for all."""
        found: dict[str, bool] = {}
        for key in keys:
            try:
                now = self.clock()
                has_state = load_or_create(self.store, key, now).state is not None
                if has_state:
                    self._touch(key, now)
                found[key] = has_state
            except _MAY_PASS as error:
                if self.clock() >= deadline:
                    raise NotSynced([each for each in keys if each not in found], error) from error
        return found

    def _lasting(
        self, deadline: datetime, keys: Collection[str], act: Callable[[], _Result]
    ) -> _Result:
        """The result of `act`, which is repeated where AWS does not answer. Raises NotSynced with
        the `keys` after the deadline."""
        while True:
            try:
                return act()
            except _MAY_PASS as error:
                if self.clock() >= deadline:
                    raise NotSynced(keys, error) from error
            self.sleep(_PAUSE_SECONDS)

    def wait(self, manifest: Mapping[str, str]) -> Verdict:
        """Wait until every running endpoint serves its config of the manifest. Stop after 10
        minutes, or as soon as all that are left are hopeless.

        After a failed destroy the drain is still on, and the wait is gone from the Terraform state.
        The next deploy creates the wait again, and must end the drain here: it may have no change
        that calls sync.
        """
        report_at = self.clock()
        deadline = report_at + WAIT_LIMIT
        declared = {endpoint_key(name) for name in manifest}
        if self._lasting(report_at + SYNC_LIMIT, declared, self._draining):
            self.sync(manifest)
        reported: Sequence[str] = ()
        while True:
            unsettled = self._unsettled(manifest)
            verdict, now = Verdict.of(unsettled), self.clock()
            if now >= report_at or verdict.unsettled != reported:
                reported, report_at = verdict.unsettled, now + _REPORT_EVERY
                self.report(reported)
            if all(each.hopeless for each in unsettled) or now >= deadline:
                return verdict
            self.sleep(_PAUSE_SECONDS)

    def _draining(self) -> bool:
        return self.store.control().draining(self.clock())

    def verdict(self, manifest: Mapping[str, str]) -> Verdict:
        """Compare the live endpoints with the manifest. Stopped endpoints count as settled."""
        return Verdict.of(self._unsettled(manifest))

    def _unsettled(self, manifest: Mapping[str, str]) -> Sequence[Difference]:
        declared = {endpoint_key(name): config for name, config in manifest.items()}
        try:
            records = self.store.list().records
        except _MAY_PASS as error:
            return [Difference(f"the state table did not answer ({error})", unseen=True)]
        looks = (self._look(record, declared) for record in records)
        return [difference for difference in looks if difference]

    def _look(self, record: Record, declared: Mapping[str, str]) -> Difference | None:
        """Ask SageMaker for one endpoint. No answer says nothing about it, and ends no wait."""
        try:
            return self._compared(record, declared.get(record.key), set(declared.values()))
        except _MAY_PASS as error:
            return Difference(f"{_name(record)}: AWS did not say how it is ({error})", unseen=True)

    def _compared(
        self, record: Record, config: str | None, declared: Collection[str]
    ) -> Difference | None:
        if config is None and record.api_spec is not None:
            if not self._serves_withdrawn_config(record, declared):
                return None
            config = record.api_spec.endpoint_config_name
        self.sleep(1 / DESCRIBES_A_SECOND)
        seen = self.endpoints.describe(_name(record))
        difference = _difference(record, config, seen, self.clock())
        if difference is None and config and seen and seen.status is not Status.DELETING:
            return self._serves_undeclared_override(record, declared)
        return difference

    def _serves_undeclared_override(
        self, record: Record, declared: Collection[str]
    ) -> Difference | None:
        """A Difference if the endpoint serves a config that was set by hand, that this stack made
        and that no entry declares any more: Terraform is about to delete that config."""
        spec, state = record.spec, record.state
        override = override_in_force(spec, state) if spec and state else None
        served = override.config_name if override else None
        if served is None or served in declared or (spec and served in spec.configs()):
            return None
        if self.endpoints.config_owner(served) is not Owner.US:
            return None
        return Difference(
            f"{_name(record)}: serves {served}, set by hand, which no entry declares any more: "
            "move it with POST /endpoint-update, or stop it",
            hopeless=True,
        )

    def _serves_withdrawn_config(self, record: Record, declared: Collection[str]) -> bool:
        """Whether the endpoint still serves the config of a withdrawn entry, though the API's spec
        is in force again and names another: Terraform is about to delete the served config."""
        served = record.state.observed_config if record.state else None
        if served is None or served in declared or not _serves_another(record):
            return False
        return self.endpoints.config_owner(served) is Owner.US

    def settle(self, manifest: Mapping[str, str]) -> None:
        """Raise NotSettled unless the verdict is good. Where AWS alone is missing for it, ask again
        for a minute."""
        deadline = self.clock() + SETTLE_LIMIT
        unsettled = self._unsettled(manifest)
        while unsettled and all(each.unseen for each in unsettled) and self.clock() < deadline:
            self.sleep(_PAUSE_SECONDS)
            unsettled = self._unsettled(manifest)
        verdict = Verdict.of(unsettled)
        if not verdict.settled:
            raise NotSettled(verdict.unsettled)

    def drain(self, wait_seconds: int) -> None:
        """Before a destroy: want nothing, and wait until every endpoint is gone. Where AWS does not
        answer, that says nothing about them, and ends no wait.

        Raises DrainIncomplete with the endpoints that were not deleted within `wait_seconds`.
        """
        start = now = hint_at = self.clock()
        owners: dict[tuple[str, datetime | None], Owner] = {}
        left: Sequence[str] = []
        while True:
            unseen: Sequence[str] = []
            try:
                if now >= hint_at:
                    self.store.set_drain(now + DRAIN)
                if not (left := self._still_there(now, owners)):
                    return
                if now >= hint_at:
                    self._hint([endpoint_key(name) for name in left])
                    hint_at = now + _HINT_EVERY
            except _MAY_PASS as error:
                unseen = [f"more is unknown, because AWS did not say ({error})"]
            if (now - start).total_seconds() >= wait_seconds:
                raise DrainIncomplete([*left, *unseen])
            self.sleep(_PAUSE_SECONDS)
            now = self.clock()

    def _still_there(
        self, now: datetime, owners: dict[tuple[str, datetime | None], Owner]
    ) -> Sequence[str]:
        """Our endpoints that exist or may still appear: a listing may lag behind our own create,
        and a reconcile that began before the drain may be about to create one. `owners` is a cache,
        so that the tags of each created endpoint are read once."""
        records = {record.key: record for record in self.store.list().records}
        left, strangers = set(), set()
        for seen in self.endpoints.list():
            key = endpoint_key(seen.name)
            state = records[key].state if key in records else None
            if state and state.owned_since and state.owned_since == seen.created_at:
                left.add(seen.name)
                continue
            creation = (seen.arn, seen.created_at)
            if creation not in owners:
                owners[creation] = self.endpoints.owner(seen.arn)
            # The meter does not delete an adopted endpoint of which it has no record.
            if owners[creation] is Owner.US or (owners[creation].ours and key in records):
                left.add(seen.name)
            else:
                strangers.add(key)
        left.update(_name(r) for r in records.values() if _may_turn_up(r, now, strangers))
        return sorted(left)

    def _pin_table(self) -> None:
        """Record the id of a new table. Later another id means that the table was restored."""
        table_id = self.store.table_id()
        if self.store.control().table_id is None and table_id is not None:
            with suppress(Conflict):  # another did, or an earlier try that got no answer
                self.store.set_table_id(table_id, replacing=None)

    def _touch(self, key: str, now: datetime) -> None:
        try:
            self.store.touch(key, now)
        except Conflict:  # forgotten meanwhile: there is nothing to look at
            return

    def _hint(self, keys: Iterable[str]) -> None:
        self.hints.send([Hint(key, Cause.SWEEP) for key in keys])


def _is_missed(record: Record, now: datetime) -> bool:
    """Whether it should run and does not, such as after a drain."""
    state = record.state
    running = state is not None and state.observed_status is Status.IN_SERVICE
    return state is not None and meter_of(record.spec, state).wanted(now) and not running


def _serves_another(record: Record) -> bool:
    """Whether it was last seen with a config that does not fit its spec."""
    spec, state = record.spec, record.state
    if spec is None or state is None or state.observed_config is None:
        return False
    return state.observed_config not in fitting_configs(spec, state)


def _difference(
    record: Record, config: str | None, seen: Observed | None, now: datetime
) -> Difference | None:
    """The difference between an endpoint and its declared `config` (None: withdrawn)."""
    name = _name(record)
    if seen is None or seen.status is Status.DELETING:
        return Difference(f"{name}: being deleted") if seen and config is None else None
    state, spec = record.state or State(), record.spec
    if config is None:
        withdrawn = state.owned_since == seen.created_at
        return Difference(f"{name}: withdrawn, but {seen.status}") if withdrawn else None
    if spec is None or spec.endpoint_config_name != config:
        allowed: tuple[str, ...] = (config,)
    else:
        allowed = fitting_configs(spec, state)
    moving = seen.status in (Status.UPDATING, Status.ROLLING_BACK)
    if seen.config_name in allowed and not moving:
        return None
    foreign = state.owned_since is not None and state.owned_since != seen.created_at
    late = spec is not None and outlasts(longest_update(spec, state), meter_of(spec, state), now)
    undone = spec is not None and is_rolled_back(spec, state, config)
    if late and not (foreign or undone or moving):
        why = postponed(config)
    else:
        why = endpoint_document(record, now)["Reason"] if spec else "it has no spec"
    text = f"{name}: {seen.status} on {seen.config_name}, not {config} ({why})"
    return Difference(text, hopeless=(undone or foreign or late) and not moving)


def _may_turn_up(record: Record, now: datetime, strangers: Collection[str]) -> bool:
    """Whether our endpoint may exist though no listing shows it yet."""
    if record.locked_until and record.locked_until > now:
        return True
    state = record.state
    if state is None or record.key in strangers:
        return False
    begun = state.intent is not None and state.intent.step is Step.CREATE
    return begun or state.observed_status is not Status.ABSENT


def _name(record: Record) -> str:
    return record.spec.name if record.spec else record.key
