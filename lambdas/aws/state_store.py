"""The state table: implements `ports.StateStore`."""

from __future__ import annotations

import base64
import logging
import re
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from itertools import groupby, islice
from typing import TYPE_CHECKING, Any, TypeVar

from lambdas.aws.attribute_values import decode, encode, epoch, instant
from lambdas.aws.errors import named, unmet_parts
from lambdas.aws.history import DynamoHistory
from lambdas.aws.items import (
    FORGOTTEN,
    STATE,
    adoption_values,
    change_values,
    forgotten_values,
    key_of,
    lease_values,
    operation_values,
    record_of,
    session_values,
    spec_values,
    state_of,
    state_values,
    step_of,
    wanted_values,
)
from lambdas.aws.rates import add_counted, wake_counted
from lambdas.aws.update_expression import UpdateExpression
from lambdas.core.errors import (
    NOT_A_PAGE,
    Busy,
    Conflict,
    InvalidField,
    LeaseTooLong,
    Locked,
    Throttled,
    TooManyAdded,
    TooManyAddedToday,
    TooManySessions,
    UnknownEndpoint,
)
from lambdas.core.history import Event
from lambdas.core.names import PK_PREFIX
from lambdas.core.ports import Control, Declaration, Due, Keyed, RecordPage, WakeShare
from lambdas.core.reasons import ended_at
from lambdas.core.spec import Origin, Spec
from lambdas.core.state import (
    MAX_SESSIONS,
    Forgotten,
    Intent,
    Observed,
    Override,
    Record,
    Reweighing,
    State,
    Step,
    last_paid,
    paid_second,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_log = logging.getLogger(__name__)

_PLACE = re.compile(rb"[a-z0-9-]{1,63} (SPEC#[a-z]{1,20}|STATE)")
"""The text in a page token: the key of the item after which the next page begins."""

DUE_INDEX = "due"
DUE_SHARDS = ("0", "1", "2", "3")
"""The hash keys of the due index. A tick queries each once."""
_CONTROL = encode({"pk": "CONTROL", "sk": "CONTROL"})
_ADDED = encode({"pk": "QUOTA#added", "sk": "QUOTA#added"})
"""The item with the set `endpoints`: the keys of endpoints added over the API, at most
`max_added_endpoints`. It is a set, not a number, so that removing a key twice does no harm."""
_TRIES = 6
_TRANSACTION = 100
"""The maximum of writes in one transaction."""
_TABLE_ID_SECONDS = 60
_Result = TypeVar("_Result")


class DynamoStateStore:
    """`once` must be a client that does not retry: a write to the lease that timed out may have
    worked. Throttled writes are retried here, because those did nothing. Methods that write events
    or counters need the `history`."""

    def __init__(
        self,
        client: DynamoDBClient,
        once: DynamoDBClient,
        table: str,
        history: DynamoHistory | None = None,
    ) -> None:
        self._client = client
        self._once = once
        self._table = table
        self._history = history
        self._table_id: str | None = None
        self._table_id_stale_at = 0.0

    def load(self, key: str) -> Record:
        with named():
            pages = self._client.get_paginator("query").paginate(
                TableName=self._table,
                ConsistentRead=True,
                # The specs, what is kept of forgotten ones, and STATE.
                KeyConditionExpression="pk = :pk AND sk BETWEEN :first AND :last",
                ExpressionAttributeValues=encode(
                    {":pk": PK_PREFIX + key, ":first": "SPEC#", ":last": STATE}
                ),
            )
            return record_of(key, [decode(item) for page in pages for item in page["Items"]])

    def list(self, limit: int | None = None, after: str | None = None) -> RecordPage:
        start = _key_of_token(after) if after else None
        records: list[Record] = []
        left: list[Record] = []
        last: dict[str, Any] | None = None
        groups = groupby(self._scan(start), key=lambda item: item["pk"])
        for pk, items in groups:
            if limit is not None and len(records) == limit:
                return RecordPage(records, _token_of_key(last) if last else None, left)
            if not pk.startswith(PK_PREFIX):
                continue
            group = list(items)
            last = {"pk": pk, "sk": group[-1]["sk"]}
            try:
                record = record_of(pk.removeprefix(PK_PREFIX), group)
            except (InvalidField, KeyError, ValueError):  # one bad item must not stop the rest
                _log.exception("unreadable items of %s", pk)
                continue
            if record.forgotten:
                left.append(record)
            if record.spec or record.state:
                records.append(record)
        return RecordPage(records, None, left)

    def create_state(self, key: str, state: State) -> None:
        values = {**state_values(state), **lease_values(state), "ops": {}, "op_expiries": {}}
        update = (
            UpdateExpression()
            .assign(values)
            .assign(_due_shard(key, state))
            .when("attribute_not_exists({pk})")
        )
        self._update(key, update)

    def declare(self, declaration: Declaration, now: datetime) -> State:
        spec, limits = declaration.spec, declaration.limits
        state = declaration.state(now)
        parts = [
            self._part(key_of(spec.key, Origin.API), _new_spec(spec)),
            {
                "ConditionCheck": {
                    "TableName": self._table,
                    "Key": key_of(spec.key, Origin.CONFIG),
                    "ConditionExpression": "attribute_not_exists(pk)",
                }
            },
            self._part(key_of(spec.key), _new_state(declaration, state)),
        ]
        place, share = len(parts), len(parts) + 1  # the indexes of the two parts for `limits`
        if limits is not None:
            assert self._history is not None, "adds are counted in the history table"
            if limits.most < 1:
                raise TooManyAdded(limits.most)
            if limits.most_a_day < 1:
                raise TooManyAddedToday(limits.most_a_day, now)
            take = UpdateExpression().add("endpoints", frozenset({spec.key}))
            take.when("attribute_not_exists({endpoints}) OR size({endpoints}) < :m", m=limits.most)
            counted = add_counted(self._history.table, limits, now)
            parts += [self._part(_ADDED, take), {"Update": counted}]
        try:
            self._transact(parts)
        except Conflict as conflict:
            unmet = unmet_parts(conflict)
            if limits is not None and unmet == {place}:
                raise TooManyAdded(limits.most) from None
            if limits is not None and unmet and unmet <= {place, share}:
                raise TooManyAddedToday(limits.most_a_day, now) from None
            raise
        return state

    def void(
        self,
        key: str,
        owner: str,
        state: State,
        forgetting: Forgotten | None,
        events: Sequence[Event],
    ) -> None:
        update = _cut(key, events[-1].at, state).assign(
            {
                "expires_at": epoch(state.expires_at),
                "sessions": session_values(state.sessions),
                "held_since": epoch(state.held_since),
                **wanted_values(state),
            }
        )
        update.remove("adopting", "owned_since", "lock_owner", "lock_until")
        parts = [*self._event_parts(events)]
        if forgetting is not None:
            update.remove("override", "reweighing")  # they belonged to the void adoption
            parts += self._forgotten(key, forgetting)
        update.when("{lock_owner} = :owner", owner=owner)
        self._transact([self._part(key_of(key), update), *parts])

    def renew(
        self,
        key: str,
        minutes: int,
        now: datetime,
        max_lease_minutes: int,
        keyed: Keyed | None,
        over: State | None = None,
        live: Observed | None = None,
    ) -> State:
        if minutes > max_lease_minutes:
            raise LeaseTooLong(max_lease_minutes)
        seconds, room = minutes * 60, (max_lease_minutes - minutes) * 60
        ahead, paid_at = True, paid_second(now)
        for _ in range(_TRIES):
            update = self._lease_update(key, now, paid_at, keyed, over)
            if live:
                update.assign(
                    {
                        "observed_status": live.status.value,
                        "observed_config": live.config_name,
                        "asked_config": live.config_name,
                    }
                )
            if ahead:
                update.when(
                    "{expires_at} > :now AND {expires_at} <= :latest",
                    now=epoch(now),
                    latest=_floor(now) + room,
                )
                end = "{expires_at} + :seconds"
                values: dict[str, Any] = {"seconds": seconds}
            else:
                update.when(
                    "attribute_not_exists({expires_at}) OR {expires_at} <= :now", now=epoch(now)
                )
                end, values = ":end", {"end": _floor(now) + seconds}
            update.set("expires_at", end, **values)
            if keyed:
                update.set(f"op_expiries.{keyed.id}", end, **values)
            try:
                return self._update(key, update)
            except Conflict:
                state = self._state_again(key, keyed, over)
                ahead = _lease_is_ahead(state, now, seconds, max_lease_minutes)
                paid_at = last_paid(state, now)
        raise Busy

    def renew_until(
        self,
        key: str,
        until: datetime,
        now: datetime,
        keyed: Keyed | None,
        over: State | None = None,
    ) -> State:
        later, paid_at = True, paid_second(now)
        for _ in range(_TRIES):
            update = self._lease_update(key, now, paid_at, keyed, over)
            if later:
                update.when("attribute_not_exists({expires_at}) OR {expires_at} < :until")
                update.set("expires_at", ":until", until=epoch(until))
            else:
                update.when("{expires_at} >= :until", until=epoch(until))
            if keyed:
                update.set(f"op_expiries.{keyed.id}", ":until" if later else "{expires_at}")
            try:
                return self._update(key, update)
            except Conflict:
                state = self._state_again(key, keyed, over)
                later = state.expires_at is None or state.expires_at < until
                paid_at = last_paid(state, now)
        raise Busy

    def pay_session(
        self,
        key: str,
        session: str,
        end: datetime,
        now: datetime,
        keyed: Keyed | None,
        over: State | None = None,
    ) -> State:
        place = f"sessions.{session}"
        known: Mapping[str, datetime] | None = None  # the sessions, at the last look
        paid_at = paid_second(now)
        for _ in range(_TRIES):
            update = self._lease_update(key, now, paid_at, keyed, over)
            if keyed:
                _record_end(update, keyed)
            if known == {}:  # STATE may be older than sessions are
                update.assign({"sessions": session_values({session: end})})
                update.when("attribute_not_exists({sessions}) OR size({sessions}) = :none", none=0)
            else:
                update.set(place, ":session_end", session_end=epoch(end))
                if known is None or session in known or len(known) < MAX_SESSIONS:
                    update.when(
                        f"attribute_exists({{{place}}}) OR "
                        "(attribute_exists({sessions}) AND size({sessions}) < :most)",
                        most=MAX_SESSIONS,
                    )
                else:
                    oldest = f"sessions.{_oldest_ended(key, known, now)}"
                    update.remove(oldest).when(f"{{{oldest}}} <= :now", now=epoch(now))
            try:
                return self._update(key, update)
            except Conflict:
                state = self._state_again(key, keyed, over)
                known, paid_at = state.sessions, last_paid(state, now)
        raise Busy

    def _lease_update(
        self,
        key: str,
        now: datetime,
        paid_at: datetime,
        keyed: Keyed | None,
        over: State | None,
    ) -> UpdateExpression:
        """The part of a renewal that does not depend on the lease: a new revision that is due now,
        no hold, and the adoption of `over`."""
        # A renewal also ends the backoff after failures: it asks for another try.
        update = (
            _uncut(key, now, over)
            .remove("held_since", "retry_at", "stranger", "dropped")
            .assign({"attempts": 0, "paid_at": epoch(paid_at)})
        )
        update.when("attribute_not_exists({paid_at}) OR {paid_at} <= :paid_at")
        if over and over.adopting:
            update.assign({"adopting": adoption_values(over.adopting)})
            update.when("{rev} = :was", was=over.rev)
        if keyed:
            _record_operation(update, keyed)
        return update

    def _state_again(self, key: str, keyed: Keyed | None, over: State | None) -> State:
        """STATE for the next try of a renewal. Raises UnknownEndpoint or Conflict if no try can
        work."""
        record = self.load(key)
        if record.state is None:
            raise UnknownEndpoint(key)
        if keyed and keyed.id in record.operations:
            raise Conflict("the key was recorded meanwhile")
        if over and over.cuts != record.state.cuts:
            raise Conflict("something was cut")
        if over and over.adopting and over.rev != record.state.rev:
            raise Conflict("another revision")
        return record.state

    def stop(
        self,
        key: str,
        state: State,
        now: datetime,
        keyed: Keyed | None = None,
        forgetting: Forgotten | None = None,
    ) -> State:
        update = _cut(key, now, state).assign(
            {
                "expires_at": epoch(state.expires_at),
                "sessions": session_values(state.sessions),
                "held_since": epoch(state.held_since),
                # If it ended nothing, a reconcile may have saved a later look.
                **(wanted_values(state) if ended_at(state, now) else {}),
            }
        )
        if keyed:
            _record_operation(update, keyed)
            _record_end(update, keyed)
        if forgetting is None:
            return self._update(key, update)
        if state.override is None:
            update.remove("override")
        self._transact([self._part(key_of(key), update), *self._forgotten(key, forgetting)])
        return replace(state, rev=state.rev + 1, cuts=state.cuts + 1, next_due=now)

    def _forgotten(self, key: str, forgetting: Forgotten) -> Sequence[Any]:
        """The parts of a transaction that remove SPEC#api, free its place among the added endpoints
        and keep what repeated requests need."""
        condition = {
            "ConditionExpression": "spec_hash = :expected",
            "ExpressionAttributeValues": encode({":expected": forgetting.spec.spec_hash}),
        }
        kept = UpdateExpression().assign(forgotten_values(forgetting))
        where = {"TableName": self._table, "Key": key_of(key, Origin.API)}
        given_back = UpdateExpression().take_out("endpoints", frozenset({key}))
        return [
            {"Delete": {**where, **condition}},
            self._part(_ADDED, given_back),
            self._part(key_of(key, FORGOTTEN), kept),
        ]

    def settle(self, key: str, state: State, now: datetime) -> None:
        cut = {
            "expires_at": epoch(state.expires_at),
            "sessions": session_values(state.sessions),
            "paid_at": epoch(state.paid_at),
        }
        self._update(key, _cut(key, now, state).assign(cut))

    def extend(self, key: str, state: State, now: datetime) -> None:
        lease = {"expires_at": epoch(state.expires_at), "paid_at": epoch(state.paid_at)}
        update = _user_write(key, now).assign(lease)
        self._update(key, update.when("{rev} = :rev", rev=state.rev))

    def change_running(
        self,
        key: str,
        change: Override | Reweighing,
        now: datetime,
        keyed: Keyed | None,
        over: State | None = None,
    ) -> State:
        update = _uncut(key, now, over).assign({"attempts": 0, **change_values(change)})
        update.remove("retry_at", "dropped")
        if isinstance(change, Override):
            update.remove("fallback_config", "rolled_back", "rollback_reason", "reweighing")
        if keyed:
            _record_operation(update, keyed)
            _record_end(update, keyed)
        try:
            return self._update(key, update)
        except Conflict:
            if self.load(key).state is None:
                raise UnknownEndpoint(key) from None
            raise

    def wake(self, key: str, rev: int, until: datetime, now: datetime, share: WakeShare) -> None:
        assert self._history is not None, "wakes are counted in the history table"
        paid = {"expires_at": epoch(until), "paid_at": epoch(paid_second(now))}
        lease = _user_write(key, now).assign(paid)
        lease.when("{rev} = :rev", rev=rev)
        counted = {"Update": wake_counted(self._history.table, share, now)}
        self._transact([self._part(key_of(key), lease), counted])

    def touch(self, key: str, now: datetime, step: Step | None = None) -> None:
        update = _user_write(key, now).when("attribute_exists({pk})")
        if step:
            update.assign({"next_step": step})
        self._update(key, update)

    def replace_api_spec(self, spec: Spec, *, replacing: str, due: datetime) -> None:
        update = UpdateExpression().assign(spec_values(spec))
        update.when("{spec_hash} = :replacing", replacing=replacing)
        touch = _user_write(spec.key, due).when("attribute_exists({pk})")
        self._transact(
            [
                self._part(key_of(spec.key, Origin.API), update),
                self._part(key_of(spec.key), touch),
            ]
        )

    def lock(self, key: str, owner: str, now: datetime, until: datetime) -> None:
        update = UpdateExpression().assign({"lock_owner": owner, "lock_until": epoch(until)})
        update.when("attribute_exists({pk})")
        update.when("attribute_not_exists({lock_until}) OR {lock_until} <= :now", now=epoch(now))
        try:
            self._update(key, update)
        except Conflict:
            locked_until = self.load(key).locked_until
            if locked_until is None:
                raise
            raise Locked(locked_until) from None

    def unlock(self, key: str, owner: str) -> None:
        update = (
            UpdateExpression().remove("lock_owner", "lock_until").when("{lock_owner} = :o", o=owner)
        )
        try:
            self._update(key, update)
        except Conflict:  # `owner` no longer holds it
            return

    def begin(
        self, key: str, owner: str, state: State, intent: Intent, events: Sequence[Event]
    ) -> None:
        values = state_values(replace(state, intent=intent))
        del values["next_due"]  # it stays due until the result is saved
        update = _under_lock(UpdateExpression().assign(values), owner, state.rev)
        self._transact([self._part(key_of(key), update), *self._event_parts(events)])

    def save(
        self,
        key: str,
        owner: str,
        state: State,
        claimed_until: datetime | None,
        events: Sequence[Event] = (),
    ) -> None:
        update = UpdateExpression().assign(state_values(state)).assign(_due_shard(key, state))
        update.assign({"claimed_until": epoch(claimed_until)}).remove("lock_owner", "lock_until")
        update = _under_lock(update, owner, state.rev)
        if events:
            self._transact([self._part(key_of(key), update), *self._event_parts(events)])
        else:  # half the price of a transaction
            self._update(key, update)

    def forget(self, key: str, owner: str, rev: int, events: Sequence[Event] = ()) -> None:
        condition = {
            "ConditionExpression": "lock_owner = :owner AND rev = :rev",
            "ExpressionAttributeValues": encode({":owner": owner, ":rev": rev}),
        }
        removed = {"TableName": self._table, "Key": key_of(key), **condition}
        self._transact([{"Delete": removed}, *self._event_parts(events)])

    def drop_forgotten(self, key: str, at: datetime) -> None:
        self._delete(key, FORGOTTEN, "forgotten_at = :at", {":at": epoch(at)})

    def due(self, until: datetime, now: datetime) -> Iterator[Due]:
        for shard in DUE_SHARDS:
            with named():
                pages = self._client.get_paginator("query").paginate(
                    TableName=self._table,
                    IndexName=DUE_INDEX,
                    KeyConditionExpression="due_shard = :shard AND next_due <= :until",
                    FilterExpression="attribute_not_exists(claimed_until) OR claimed_until <= :now",
                    ExpressionAttributeValues=encode(
                        {":shard": shard, ":until": epoch(until), ":now": epoch(now)}
                    ),
                )
                for page in pages:
                    for item in map(decode, page["Items"]):
                        due = instant(item["next_due"])
                        assert due is not None, "next_due is the index's range key"
                        key = item["pk"].removeprefix(PK_PREFIX)
                        yield Due(key, due, step_of(item.get("next_step", "")))

    def claim(self, claims: Mapping[Due, datetime]) -> None:
        rest = iter(claims.items())
        while batch := list(islice(rest, _TRANSACTION)):
            self._claim(batch)

    def _claim(self, batch: Sequence[tuple[Due, datetime]]) -> None:
        """Claim all with one call, and again without those that changed meanwhile. An endpoint
        without a claim gets another hint, which does no harm."""
        for _ in range(_TRIES):
            if not batch:
                return
            try:
                self._transact([self._claim_of(due, until) for due, until in batch])
            except Conflict as conflict:
                unmet = unmet_parts(conflict)
                batch = [claim for part, claim in enumerate(batch) if part not in unmet]
            except Throttled:
                _log.warning("%s hints go unclaimed", len(batch), exc_info=True)
                return
            else:
                return

    def _claim_of(self, due: Due, until: datetime) -> dict[str, Any]:
        update = UpdateExpression().assign({"claimed_until": epoch(until)})
        update.when("{next_due} = :due", due=epoch(due.next_due))
        return self._part(key_of(due.endpoint), update)

    def control(self) -> Control:
        with named():
            answer = self._client.get_item(TableName=self._table, Key=_CONTROL, ConsistentRead=True)
        item = decode(answer.get("Item", {}))
        return Control(
            drain_until=instant(item.get("drain_until")),
            last_deploy=instant(item.get("last_deploy")),
            last_tick=instant(item.get("last_tick")),
            last_reconcile=instant(item.get("last_reconcile")),
            last_sweep=instant(item.get("last_sweep")),
            last_sagemaker=instant(item.get("last_sagemaker")),
            last_silence=instant(item.get("last_silence")),
            table_id=item.get("table_id"),
        )

    def table_id(self) -> str | None:
        """Cached for a minute only: a restore does not restart the functions."""
        if self._table_id is None or time.monotonic() >= self._table_id_stale_at:
            with named():
                table = self._client.describe_table(TableName=self._table)["Table"]
            self._table_id = table.get("TableId")
            self._table_id_stale_at = time.monotonic() + _TABLE_ID_SECONDS
        return self._table_id

    def set_table_id(self, table_id: str, *, replacing: str | None) -> None:
        update = UpdateExpression().assign({"table_id": table_id})
        if replacing is None:
            update.when("attribute_not_exists({table_id})")
        else:
            update.when("{table_id} = :replacing", replacing=replacing)
        self._update_control(update)

    def set_drain(self, until: datetime | None) -> None:
        self._update_control(UpdateExpression().assign({"drain_until": epoch(until)}))

    def take_place(self, step: Step, earliest: datetime, gap: timedelta) -> datetime:
        line = f"{step.value}_line_until"
        behind = UpdateExpression().set(line, f"{{{line}}} + :gap", gap=_seconds(gap))
        behind.when(f"{{{line}}} > :earliest", earliest=epoch(earliest))
        first = UpdateExpression().assign({line: epoch(earliest + gap)})
        first.when(
            f"attribute_not_exists({{{line}}}) OR {{{line}}} <= :earliest",
            earliest=epoch(earliest),
        )
        for attempt in range(_TRIES):
            try:
                taken = self._update_control(first if attempt % 2 else behind)
            except Conflict:  # the line is empty, or no longer empty
                continue
            until = instant(taken[line])
            assert until is not None, "it was just written"
            return until - gap
        raise Busy

    def beat(self, what: str, now: datetime) -> None:
        update = UpdateExpression().assign({f"last_{what}": epoch(now)})
        update.when(
            f"attribute_not_exists({{last_{what}}}) OR {{last_{what}}} < :now", now=epoch(now)
        )
        try:
            self._update_control(update)
        except Conflict:  # a later beat is recorded already
            return

    def _scan(self, start: dict[str, Any] | None) -> Iterator[dict[str, Any]]:
        arguments: dict[str, Any] = {"TableName": self._table, "ConsistentRead": True}
        if start:
            arguments["ExclusiveStartKey"] = start
        with named():
            for page in self._client.get_paginator("scan").paginate(**arguments):
                yield from map(decode, page["Items"])

    def _update(self, key: str, update: UpdateExpression, sort_key: str = STATE) -> State:
        answer = self._repeat_throttled(
            lambda: self._once.update_item(
                TableName=self._table,
                Key=key_of(key, sort_key),
                ReturnValues="ALL_NEW",
                **update.arguments(),
            )
        )
        return state_of(decode(answer["Attributes"]))

    def _update_control(self, update: UpdateExpression) -> dict[str, Any]:
        answer = self._repeat_throttled(
            lambda: self._client.update_item(
                TableName=self._table,
                Key=_CONTROL,
                ReturnValues="ALL_NEW",
                **update.arguments(),
            )
        )
        return decode(answer["Attributes"])

    def _part(self, where: Mapping[str, Any], update: UpdateExpression) -> dict[str, Any]:
        """The part of a transaction that updates the item of this key."""
        return {"Update": {"TableName": self._table, "Key": where, **update.arguments()}}

    def _event_parts(self, events: Sequence[Event]) -> Sequence[dict[str, Any]]:
        """The parts of a transaction that write events to the history."""
        assert self._history is not None, "a result is written together with its history entries"
        table = self._history.table
        return [{"Put": {"TableName": table, "Item": self._history.item(e)}} for e in events]

    def _transact(self, parts: Sequence[Any]) -> None:
        """Do all of the writes, or none."""
        call = partial(self._once.transact_write_items, TransactItems=list(parts))
        self._repeat_throttled(call)

    def _delete(self, key: str, sort_key: str, condition: str, values: dict[str, Any]) -> None:
        self._repeat_throttled(
            lambda: self._once.delete_item(
                TableName=self._table,
                Key=key_of(key, sort_key),
                ConditionExpression=condition,
                ExpressionAttributeValues=encode(values),
            )
        )

    def _repeat_throttled(self, call: Callable[[], _Result]) -> _Result:
        """Make a conditional write. Raises Conflict if the condition fails."""
        for attempt in range(_TRIES):
            try:
                with named():
                    return call()
            except Throttled:
                if attempt == _TRIES - 1:
                    raise
                time.sleep(0.02 * 2**attempt)
        raise AssertionError("the loop returns or raises")


def _new_spec(spec: Spec) -> UpdateExpression:
    """Write a spec if there is none."""
    return UpdateExpression().assign(spec_values(spec)).when("attribute_not_exists({pk})")


def _new_state(declaration: Declaration, state: State) -> UpdateExpression:
    """Write STATE with the first lease of a declared endpoint, and with the operation."""
    keyed, over = declaration.keyed, declaration.over
    values = {**state_values(state), **lease_values(state)}
    update = UpdateExpression().assign(values).assign(_due_shard(declaration.spec.key, state))
    if over is not None:
        if keyed:
            _record_operation(update, keyed)
            _record_end(update, keyed)
        return update.remove("claimed_until").when("{rev} = :was", was=over.rev)
    ops = {keyed.id: operation_values(keyed.operation)} if keyed else {}
    ends = {keyed.id: epoch(keyed.operation.expires_at)} if keyed else {}
    return update.assign({"ops": ops, "op_expiries": ends}).when("attribute_not_exists({pk})")


def _user_write(key: str, now: datetime) -> UpdateExpression:
    """Make a new revision that is due now. If a reconcile is under way, it has to decide again."""
    update = (
        UpdateExpression().add("rev", 1).assign({"next_due": epoch(now), "due_shard": _shard(key)})
    )
    return update.remove("claimed_until")


def _cut(key: str, now: datetime, state: State) -> UpdateExpression:
    """The same over the revision of `state`, and it takes something away."""
    return _user_write(key, now).add("cuts", 1).when("{rev} = :rev", rev=state.rev)


def _uncut(key: str, now: datetime, over: State | None) -> UpdateExpression:
    """The same, if there is a STATE from which nothing was cut since it was loaded as `over`."""
    update = _user_write(key, now).when("attribute_exists({pk})")
    if over is None:
        return update
    known = "{cuts} = :cuts" if over.cuts else "attribute_not_exists({cuts}) OR {cuts} = :cuts"
    return update.when(known, cuts=over.cuts)


def _record_operation(update: UpdateExpression, keyed: Keyed) -> None:
    """Record the operation, on condition that it was not recorded before."""
    update.set(f"ops.{keyed.id}", ":operation", operation=operation_values(keyed.operation))
    update.when(f"attribute_not_exists({{ops.{keyed.id}}})")
    for stale in keyed.stale:
        update.remove(f"ops.{stale}", f"op_expiries.{stale}")


def _record_end(update: UpdateExpression, keyed: Keyed) -> None:
    """Record the end of the lease in the answer, if it is known before the write."""
    if keyed.operation.expires_at:
        end = epoch(keyed.operation.expires_at)
        update.set(f"op_expiries.{keyed.id}", ":op_end", op_end=end)


def _lease_is_ahead(state: State, now: datetime, seconds: int, max_lease_minutes: int) -> bool:
    """For the next try of a renewal: whether the lease ends in the future. Raises LeaseTooLong if
    no try can work."""
    end = epoch(state.expires_at)
    if end is None or end <= (epoch(now) or 0):
        return False
    if end + seconds > _floor(now) + max_lease_minutes * 60:
        raise LeaseTooLong(max_lease_minutes)
    return True


def _oldest_ended(key: str, sessions: Mapping[str, datetime], now: datetime) -> str:
    """The session that ended first. Raises TooManySessions if all of them live."""
    ended = {session: end for session, end in sessions.items() if end <= now}
    if not ended:
        raise TooManySessions(key, MAX_SESSIONS)
    return min(ended, key=lambda session: ended[session])


def _under_lock(update: UpdateExpression, owner: str, rev: int) -> UpdateExpression:
    return update.when("{lock_owner} = :owner AND {rev} = :rev", owner=owner, rev=rev)


def _due_shard(key: str, state: State) -> dict[str, str | None]:
    """Put only endpoints with a `next_due` into the index."""
    return {"due_shard": _shard(key) if state.next_due else None}


def _shard(key: str) -> str:
    return DUE_SHARDS[zlib.crc32(key.encode()) % len(DUE_SHARDS)]


def _seconds(span: timedelta) -> Decimal:
    return Decimal(span // timedelta(microseconds=1)) / 1_000_000


def _floor(now: datetime) -> Decimal:
    return Decimal(int(now.timestamp()))


def _token_of_key(key: Mapping[str, str]) -> str:
    place = f"{key['pk'].removeprefix(PK_PREFIX)} {key['sk']}"
    return base64.urlsafe_b64encode(place.encode()).decode()


def _key_of_token(token: str) -> dict[str, Any]:
    """The table key in a page token. Raises InvalidField for anything else."""
    try:
        found = _PLACE.fullmatch(base64.b64decode(token, altchars="-_", validate=True))
    except ValueError:
        found = None
    if found is None:
        raise InvalidField("next", NOT_A_PAGE)
    key, sort_key = found[0].decode().split(" ")
    return key_of(key, sort_key)
