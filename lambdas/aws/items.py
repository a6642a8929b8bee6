"""Converts between DynamoDB items of the state table and dataclasses of the core. Instants are
stored as epoch seconds."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, TypeVar

from lambdas.aws.attribute_values import encode, epoch, instant
from lambdas.core.errors import InvalidField
from lambdas.core.names import PK_PREFIX
from lambdas.core.schedule import Schedule
from lambdas.core.spec import (
    DEFAULT_MAX_LEASE_MINUTES,
    AsyncMode,
    Origin,
    OutsideUpdates,
    Scaling,
    Spec,
)
from lambdas.core.state import (
    LONGEST_TEXT,
    Adoption,
    Dropped,
    Ended,
    EndedBy,
    Forgotten,
    Intent,
    Operation,
    Override,
    Owner,
    Record,
    Reweighing,
    Rollback,
    State,
    Status,
    Step,
    Trouble,
    Update,
    Wanted,
)

_log = logging.getLogger(__name__)

STATE = "STATE"
FORGOTTEN = "SPEC#forgotten"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SPEC_ATTRIBUTES = frozenset({"pk", "sk", *Spec("any", "any", Origin.CONFIG).document()})

Item = Mapping[str, Any]
_Read = TypeVar("_Read")


def key_of(key: str, sort_key: str = STATE) -> dict[str, Any]:
    return encode({"pk": PK_PREFIX + key, "sk": sort_key})


def state_values(state: State) -> dict[str, Any]:
    """The attributes that a reconcile owns. None: the attribute is removed."""
    intent = state.intent
    return {
        "observed_status": state.observed_status.value,
        "observed_config": state.observed_config,
        "asked_config": state.asked_config,
        "reason": None,  # older code stored a text, whatever became of what it told of
        "troubles": {
            step: {**asdict(each), "why": _cut(each.why)} for step, each in state.troubles.items()
        }
        or None,
        "deletion": state.deletion and _cut(state.deletion),
        "next_due": epoch(state.next_due),
        "next_step": state.next_step.value,
        "intent": intent
        and {"step": intent.step.value, "config_name": intent.config_name, "at": epoch(intent.at)},
        "attempts": state.attempts,
        "retry_at": epoch(state.retry_at),
        "fallback_config": state.fallback_config,
        **_update_values(state.updating, state.rolled_back),
        "dropped": {
            step: {"mark": each.mark, "why": _cut(each.why)} for step, each in state.dropped.items()
        }
        or None,
        **_by_hand(state.override, state.reweighing),
        "restored": state.restored,
        "owned_since": epoch(state.owned_since),
        "set_aside": epoch(state.set_aside),
        "observed_modified": epoch(state.observed_modified),
        "observed_created": epoch(state.observed_created),
        **wanted_values(state),
        "start_seconds": state.start_seconds,
        "retained_seconds": state.retained_seconds,
        "logs_kept": epoch(state.logs_kept),
        "orphaned_at": epoch(state.orphaned_at),
        "adopting": adoption_values(state.adopting),
        "stranger": state.stranger and state.stranger.value,
    }


def _cut(text: str) -> str:
    """The text as it is stored: STATE stays small (docs/decisions/0091)."""
    return text[:LONGEST_TEXT]


def _update_values(update: Update | None, rollback: Rollback | None) -> dict[str, Any]:
    reason = (update and update.reason) or (rollback and rollback.reason)
    return {
        "updating_to": update and update.config_name,
        "updating_mark": update and update.mark,
        "rolled_back": rollback and rollback.mark,
        # One attribute for both, as older code reads and writes it.
        "rollback_reason": reason and _cut(reason),
    }


def _update_of(item: Item) -> Update | None:
    if "updating_to" not in item:
        return None
    mark = item.get("updating_mark", "")
    return Update(item["updating_to"], mark, item.get("rollback_reason"))


def _rollback_of(item: Item) -> Rollback | None:
    if "rolled_back" not in item:
        return None
    return Rollback(item["rolled_back"], item.get("rollback_reason"))


def _wanted_of(item: Item) -> Wanted | None:
    since = instant(item.get("last_wanted_change"))
    seen = instant(item.get("last_wanted_seen"))
    return Wanted(bool(item.get("last_wanted", False)), since, seen) if since else None


def wanted_values(state: State) -> dict[str, Any]:
    """Whether the endpoint is wanted, and what ended the last time in which it was."""
    last, ended = state.last_wanted, state.ended
    return {
        "last_wanted": last is not None and last.running,
        "last_wanted_change": epoch(last.since) if last else None,
        "last_wanted_seen": epoch(last.seen) if last else None,
        "ended": ended and _ended_values(ended),
    }


def _ended_values(ended: Ended) -> dict[str, Any]:
    return {"cause": ended.cause.value, "at": epoch(ended.at), "detail": ended.detail}


def _ended_of(item: Item | None) -> Ended | None:
    if item is None or item["cause"] not in set(EndedBy):
        return None
    return Ended(EndedBy(item["cause"]), instant(item["at"]) or _EPOCH, item["detail"])


def lease_values(state: State) -> dict[str, Any]:
    """The attributes that writes of users own."""
    return {
        "rev": state.rev,
        "expires_at": epoch(state.expires_at),
        "sessions": session_values(state.sessions),
        "paid_at": epoch(state.paid_at),
        "held_since": epoch(state.held_since),
        "cuts": state.cuts,
        "set_up_at": epoch(state.set_up_at),
    }


def session_values(sessions: Mapping[str, datetime]) -> dict[str, Decimal | None]:
    return {session: epoch(end) for session, end in sessions.items()}


def _by_hand(override: Override | None, reweighing: Reweighing | None) -> dict[str, Any]:
    return {"override": None, "reweighing": None} | (
        change_values(override) | change_values(reweighing)
    )


def change_values(change: Override | Reweighing | None) -> dict[str, Any]:
    """The attribute of a change by hand. Its parameters for SageMaker are stored as JSON, because
    DynamoDB has no binary fractions."""
    match change:
        case Override():
            options = json.dumps(change.options, sort_keys=True)
            named = {"config_name": change.config_name, "declaration": change.declaration}
            return {"override": {**named, "options": options}}
        case Reweighing():
            desired = json.dumps(list(change.desired), sort_keys=True)
            values = {"desired": desired, "life": epoch(change.life), "begun": change.begun}
            return {"reweighing": {**values, "undone": change.undone and _cut(change.undone)}}
        case _:
            return {}


def adoption_values(adoption: Adoption | None) -> dict[str, Any] | None:
    if adoption is None:
        return None
    return {
        "arn": adoption.arn,
        "created_at": epoch(adoption.created_at),
        "declared": adoption.declared,
        "tagged_at": epoch(adoption.tagged_at),
        "minutes": adoption.minutes,
        "held_since": epoch(adoption.held_since),
    }


def state_of(item: Item) -> State:
    """Read a STATE item. Attributes of a newer version are ignored."""
    intent = item.get("intent")
    return State(
        rev=int(item.get("rev", 0)),
        expires_at=instant(item.get("expires_at")),
        sessions={
            session: instant(end) or _EPOCH for session, end in item.get("sessions", {}).items()
        },
        paid_at=instant(item.get("paid_at")),
        held_since=instant(item.get("held_since")),
        cuts=int(item.get("cuts", 0)),
        set_up_at=instant(item.get("set_up_at")),
        observed_status=status_of(item.get("observed_status", "")),
        observed_config=item.get("observed_config"),
        asked_config=item.get("asked_config"),
        troubles={step: _trouble_of(each) for step, each in item.get("troubles", {}).items()},
        deletion=item.get("deletion"),
        next_due=instant(item.get("next_due")),
        next_step=step_of(item.get("next_step", "")),
        intent=intent
        and Intent(
            step_of(intent["step"]), intent.get("config_name", ""), instant(intent["at"]) or _EPOCH
        ),
        attempts=int(item.get("attempts", 0)),
        retry_at=instant(item.get("retry_at")),
        fallback_config=item.get("fallback_config"),
        updating=_update_of(item),
        rolled_back=_rollback_of(item),
        dropped={step: Dropped(**each) for step, each in item.get("dropped", {}).items()},
        override=_override_of(item.get("override")),
        reweighing=_reweighing_of(item.get("reweighing")),
        restored=item.get("restored"),
        owned_since=instant(item.get("owned_since")),
        set_aside=instant(item.get("set_aside")),
        observed_modified=instant(item.get("observed_modified")),
        observed_created=instant(item.get("observed_created")),
        last_wanted=_wanted_of(item),
        ended=_ended_of(item.get("ended")),
        start_seconds=int(item["start_seconds"]) if "start_seconds" in item else None,
        retained_seconds=int(item["retained_seconds"]) if "retained_seconds" in item else None,
        logs_kept=instant(item.get("logs_kept")),
        orphaned_at=instant(item.get("orphaned_at")),
        adopting=_adoption_of(item.get("adopting")),
        stranger=owner_of(item.get("stranger")),
    )


def _trouble_of(item: Item) -> Trouble:
    return Trouble(
        item["mark"],
        item["why"],
        item.get("kind", ""),
        {kind: int(times) for kind, times in item.get("refusals", {}).items()},
        int(item.get("tries", 0)),
        bool(item.get("waits", False)),
    )


def _adoption_of(item: Item | None) -> Adoption | None:
    if item is None:
        return None
    return Adoption(
        arn=item["arn"],
        created_at=instant(item["created_at"]) or _EPOCH,
        declared=bool(item["declared"]),
        tagged_at=instant(item.get("tagged_at")),
        minutes=int(item.get("minutes", 0)),
        held_since=instant(item.get("held_since")),
    )


def _override_of(item: Item | None) -> Override | None:
    if item is None:
        return None
    return Override(item["config_name"], json.loads(item["options"]), item["declaration"])


def _reweighing_of(item: Item | None) -> Reweighing | None:
    if item is None:
        return None
    life, begun = instant(item["life"]) or _EPOCH, bool(item.get("begun", False))
    return Reweighing(json.loads(item["desired"]), life, begun, item.get("undone"))


def status_of(text: str) -> Status:
    try:
        return Status(text)
    except ValueError:
        return Status.UNKNOWN


def owner_of(text: str | None) -> Owner | None:
    try:
        return Owner(text) if text else None
    except ValueError:  # newer than this code
        return Owner.NOBODY


def step_of(text: str) -> Step:
    try:
        return Step(text)
    except ValueError:
        return Step.WAIT


def spec_values(spec: Spec) -> Mapping[str, Any]:
    """The attributes of a SPEC item. The constructs write the same."""
    return spec.document()


def spec_of(item: Item) -> Spec:
    """Read a SPEC item. If an attribute is missing, or a newer version wrote something unknown, the
    whole spec is `unreadable`: the unknown part may be what keeps the endpoint running. Then the
    lease still acts, and a stop still works."""
    try:
        return _whole_spec(item)
    except (InvalidField, KeyError, TypeError, ValueError, AttributeError) as error:
        _log.error("unreadable spec of %s: %s", item.get("pk"), error)
        key, name = item["pk"].removeprefix(PK_PREFIX), str(item.get("name"))
        return Spec(
            name=name if name.casefold() == key else key,
            endpoint_config_name=str(item.get("endpoint_config_name", "")),
            origin=Origin(item["sk"]),
            # A lease still starts the endpoint: so its limit and its tags are needed.
            max_lease_minutes=_if_readable(_max_lease, item, DEFAULT_MAX_LEASE_MINUTES),
            tags=_if_readable(_tags, item, {}),
            spec_hash=str(item.get("spec_hash", "")),
            unreadable=str(error)[:200],
        )


def _if_readable(read: Callable[[Item], _Read], item: Item, otherwise: _Read) -> _Read:
    try:
        return read(item)
    except (InvalidField, KeyError, TypeError, ValueError, ArithmeticError):
        return otherwise


def _left_schedules(item: Item) -> tuple[Schedule, ...]:
    return _schedules(item.get("schedules", "[]"))


def _max_lease(item: Item) -> int:
    return int(item.get("max_lease_minutes", DEFAULT_MAX_LEASE_MINUTES))


def _tags(item: Item) -> Mapping[str, str]:
    tags: Mapping[str, str] = json.loads(item.get("tags", "{}"))
    return tags


def _whole_spec(item: Item) -> Spec:
    unknown = sorted(item.keys() - _SPEC_ATTRIBUTES)
    if unknown:
        raise ValueError(f"unknown attributes: {', '.join(unknown)}")
    return Spec(
        name=item["name"],
        endpoint_config_name=item["endpoint_config_name"],
        origin=Origin(item["sk"]),
        schedules=_schedules(item["schedules"]),
        initial_provision_minutes=int(item.get("initial_provision_minutes", 0)),
        max_lease_minutes=_max_lease(item),
        fallback_configs=tuple(json.loads(item.get("fallback_configs", "[]"))),
        scaling=tuple(Scaling.parse(each) for each in json.loads(item.get("scaling", "[]"))),
        tags=_tags(item),
        update=json.loads(item.get("update", "{}")),
        outside_updates=OutsideUpdates(item.get("outside_updates", OutsideUpdates.REVERT)),
        async_api=AsyncMode(item.get("async_api", "")),
        spec_hash=item["spec_hash"],
    )


@lru_cache(maxsize=1024)
def _schedules(text: str) -> tuple[Schedule, ...]:
    return tuple(Schedule.parse(document) for document in json.loads(text))


def forgotten_values(forgotten: Forgotten) -> dict[str, Any]:
    return {
        "forgotten_at": epoch(forgotten.at),
        "name": forgotten.spec.name,
        "endpoint_config_name": forgotten.spec.endpoint_config_name,
        "schedules": forgotten.spec.document()["schedules"],
        "ops": {key: operation_values(each) for key, each in forgotten.operations.items()},
        "op_expiries": {key: epoch(o.expires_at) for key, o in forgotten.operations.items()},
    }


def _forgotten_of(item: Item) -> Forgotten:
    return Forgotten(
        Spec(
            item["name"],
            item["endpoint_config_name"],
            Origin.API,
            schedules=_if_readable(_left_schedules, item, ()),
        ),
        operations_of(item),
        instant(item["forgotten_at"]) or _EPOCH,
    )


def operation_values(operation: Operation) -> dict[str, Any]:
    sessions = {
        "sessions": operation.sessions,
        "sessions_end": epoch(operation.sessions_end),
    }
    return {
        **(sessions if operation.sessions_end else {}),
        "ended": operation.ended and _ended_values(operation.ended),
        "stranger": operation.stranger and operation.stranger.value,
        "draining": operation.draining or None,
        "body_hash": operation.body_hash,
        "at": epoch(operation.at),
        "http_status": operation.http_status,
        "status": operation.endpoint_status.value,
        "config": operation.observed_config,
        "reason": operation.reason,
        "chosen": operation.chosen_config,
        "held": epoch(operation.held_since),
        "async": operation.async_api,
        "paid": epoch(operation.paid_at),
    }


def operations_of(item: Item) -> dict[str, Operation]:
    ends = item.get("op_expiries", {})
    return {
        name: Operation(
            values["body_hash"],
            instant(values["at"]) or _EPOCH,
            int(values["http_status"]),
            status_of(values["status"]),
            values.get("config"),
            values.get("reason", ""),
            instant(ends.get(name)),
            values.get("chosen"),
            instant(values.get("held")),
            int(values.get("sessions", 0)),
            instant(values.get("sessions_end")),
            _ended_of(values.get("ended")),
            owner_of(values.get("stranger")),
            bool(values.get("draining", False)),
            values.get("async"),
            instant(values.get("paid")),
        )
        for name, values in item.get("ops", {}).items()
    }


def record_of(key: str, items: Iterable[Item]) -> Record:
    """Build the record of one endpoint from its items."""
    by_sort_key = {item["sk"]: item for item in items}
    config, api, state, left = (
        by_sort_key.get(sk) for sk in (Origin.CONFIG, Origin.API, STATE, FORGOTTEN)
    )
    return Record(
        key=key,
        config_spec=spec_of(config) if config else None,
        api_spec=spec_of(api) if api else None,
        state=state_of(state) if state else None,
        operations=operations_of(state) if state else {},
        lock_owner=state.get("lock_owner") if state else None,
        locked_until=instant(state.get("lock_until")) if state else None,
        forgotten=_forgotten_of(left) if left else None,
    )
