"""Items of the state table: everything comes back as it was written, also what older and newer code
wrote."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from lambdas.aws.attribute_values import decode, encode, epoch, instant
from lambdas.aws.history import DynamoHistory
from lambdas.aws.items import (
    adoption_values,
    change_values,
    forgotten_values,
    lease_values,
    operation_values,
    operations_of,
    owner_of,
    record_of,
    spec_of,
    state_of,
    state_values,
    status_of,
    step_of,
    wanted_values,
)
from lambdas.aws.state_store import DUE_SHARDS, _oldest_ended
from lambdas.aws.tokens import token_of
from lambdas.core.errors import TooManySessions
from lambdas.core.history import Event
from lambdas.core.schedule import Schedule
from lambdas.core.scopes import Scopes
from lambdas.core.spec import (
    DEFAULT_MAX_LEASE_MINUTES,
    AsyncMode,
    Origin,
    OutsideUpdates,
    Scaling,
    Spec,
)
from lambdas.core.state import (
    Adoption,
    Dropped,
    Ended,
    EndedBy,
    Forgotten,
    Intent,
    Operation,
    Override,
    Owner,
    Reweighing,
    Rollback,
    State,
    Status,
    Step,
    Trouble,
    Update,
    Wanted,
)
from lambdas.core.tokens import Token
from tests.fakes import clock

EXACT = clock(9) + timedelta(microseconds=123_457)
FULL = State(
    rev=7,
    expires_at=clock(10),
    sessions={"s1": clock(10, 1), "s2": EXACT},
    paid_at=clock(9, 30),
    held_since=clock(10, 2),
    cuts=3,
    set_up_at=clock(10, 3),
    observed_status=Status.UPDATING,
    observed_config="falcon-1",
    asked_config="falcon-0",
    troubles={
        Step.CREATE: Trouble("mark-0", "why not", "Failed", {"Throttled": 2}, 3, waits=True),
        Step.WAIT: Trouble("", "not seen"),
    },
    deletion="the lease ended",
    next_due=clock(10, 4),
    next_step=Step.UPDATE,
    intent=Intent(Step.CREATE, "falcon-2", clock(10, 5)),
    attempts=3,
    retry_at=clock(10, 6),
    fallback_config="falcon-3",
    updating=Update("falcon-4", "mark-1", "slow"),
    rolled_back=None,
    dropped={Step.CREATE: Dropped("mark-2", "refused")},
    override=Override("falcon-5", {"b": 1.5, "a": True}, "declared"),
    reweighing=Reweighing(
        [{"VariantName": "all", "DesiredWeight": 0.5}], clock(10, 7), begun=True, undone="no"
    ),
    restored="mark-3",
    owned_since=clock(10, 8),
    set_aside=clock(10, 9),
    observed_modified=clock(10, 10),
    observed_created=clock(10, 9, 30),
    last_wanted=Wanted(running=True, since=clock(10, 11), seen=clock(10, 12)),
    ended=Ended(EndedBy.WINDOW, clock(10, 13), "workdays"),
    start_seconds=241,
    retained_seconds=1800,
    logs_kept=EXACT,
    orphaned_at=clock(10, 14),
    adopting=Adoption(
        "arn",
        clock(10, 15),
        declared=True,
        tagged_at=clock(10, 16),
        minutes=30,
        held_since=clock(10, 17),
    ),
    stranger=Owner.ANOTHER_STACK,
)
DONE = Operation(
    "hash",
    clock(9, 1),
    202,
    Status.IN_SERVICE,
    "falcon-1",
    "why not",
    clock(10),
    "falcon-2",
    clock(9, 2),
    2,
    clock(9, 3),
    Ended(EndedBy.HAND, clock(9, 4), "ann"),
    Owner.NOBODY,
    draining=True,
    async_api=True,
)


def stored(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values as a table gives them back. None stands for no attribute."""
    given = {name: value for name, value in values.items() if value is not None}
    found: dict[str, Any] = decode(encode(given))
    return found


def through_the_table(state: State) -> State:
    return state_of(stored({**state_values(state), **lease_values(state)}))


# --- state ------------------------------------------------------------------------------------


def test_every_field_of_a_state_comes_back() -> None:
    default = State()
    usual = {f.name for f in fields(State) if getattr(FULL, f.name) == getattr(default, f.name)}
    assert usual == {"rolled_back"}, "the test needs a value for every field"

    assert through_the_table(FULL) == FULL
    assert through_the_table(default) == default
    rolled_back = replace(FULL, updating=None, rolled_back=Rollback("mark-4", "an alarm"))
    assert through_the_table(rolled_back) == rolled_back


def test_update_and_rollback_share_the_attribute_of_the_reason() -> None:
    """That of the update counts, if both are there."""
    both = replace(FULL, rolled_back=Rollback("mark-4", "old"))
    silent = replace(both, updating=Update("falcon-4", "mark-1"))

    assert state_values(both)["rollback_reason"] == "slow"
    assert state_values(silent)["rollback_reason"] == "old"
    assert state_values(State())["rollback_reason"] is None


def test_texts_are_cut_so_that_the_item_stays_small() -> None:
    long = "x" * 301
    state = replace(
        FULL,
        troubles={Step.CREATE: Trouble("mark", long)},
        deletion=long,
        updating=Update("falcon-4", "mark-1", long),
        dropped={Step.CREATE: Dropped("mark-2", long)},
        reweighing=Reweighing([], clock(9), undone=long),
    )

    read = through_the_table(state)

    assert read.reweighing is not None
    assert read.updating is not None
    told = (read.troubles[Step.CREATE].why, read.deletion)
    texts = (*told, read.updating.reason, read.dropped[Step.CREATE].why)
    assert {*texts, read.reweighing.undone} == {"x" * 300}


def test_state_of_older_code_has_the_values_of_that_time() -> None:
    assert state_of({}) == State(observed_status=Status.UNKNOWN)

    old = state_of(
        stored(
            {
                "updating_to": "falcon-2",
                "rolled_back": "mark",
                "last_wanted_change": epoch(clock(9)),
                "intent": {"step": "create", "at": epoch(clock(9))},
                "adopting": {"arn": "a", "created_at": epoch(clock(9)), "declared": False},
                "reweighing": {"desired": "[]", "life": epoch(clock(9))},
                "reason": "a text that was true once",
                "troubles": {"wait": {"mark": "", "why": "not seen", "more": 1}},
            }
        )
    )
    assert (old.updating, old.rolled_back) == (Update("falcon-2", ""), Rollback("mark", None))
    assert old.last_wanted == Wanted(running=False, since=clock(9))
    assert old.intent == Intent(Step.CREATE, "", clock(9))
    assert old.adopting == Adoption("a", clock(9), declared=False)
    assert old.reweighing == Reweighing([], clock(9))
    assert old.troubles == {Step.WAIT: Trouble("", "not seen")}


def test_words_of_newer_code_are_read_as_what_does_no_harm() -> None:
    newer = stored({**state_values(FULL), "next_step": "dance", "more": 1})
    newer |= {"ended": {"cause": "whim", "at": epoch(clock(9)), "detail": ""}, "stranger": "king"}

    read = state_of(newer)

    assert (read.next_step, read.ended, read.stranger) == (Step.WAIT, None, Owner.NOBODY)
    assert (status_of("Dancing"), status_of("InService")) == (Status.UNKNOWN, Status.IN_SERVICE)
    assert (step_of("dance"), step_of("create")) == (Step.WAIT, Step.CREATE)
    assert (owner_of("king"), owner_of(None), owner_of("")) == (Owner.NOBODY, None, None)


def test_attributes_have_the_names_that_deployed_tables_have() -> None:
    """An attribute with another name would lose what is stored."""
    assert sorted({**state_values(FULL), **lease_values(FULL)}) == sorted(
        [
            *(
                "rev",
                "expires_at",
                "sessions",
                "paid_at",
                "held_since",
                "set_up_at",
                "cuts",
                "observed_status",
            ),
            *("observed_config", "asked_config", "reason", "next_due", "next_step", "intent"),
            *("troubles", "deletion"),
            *("attempts", "retry_at", "fallback_config", "updating_to", "updating_mark"),
            *("rolled_back", "rollback_reason", "dropped", "override", "reweighing", "restored"),
            *("owned_since", "set_aside", "observed_modified", "observed_created", "ended"),
            *("last_wanted", "last_wanted_change", "last_wanted_seen", "start_seconds"),
            *("retained_seconds", "logs_kept"),
            *("orphaned_at", "adopting", "stranger"),
        ]
    )
    assert state_values(State())["dropped"] is None
    assert wanted_values(State()) == {
        "last_wanted": False,
        "last_wanted_change": None,
        "last_wanted_seen": None,
        "ended": None,
    }


def test_parameters_for_sagemaker_are_stored_as_sorted_json() -> None:
    assert change_values(FULL.override)["override"]["options"] == '{"a": true, "b": 1.5}'
    desired = change_values(Reweighing([{"b": 1, "a": 2}], clock(9)))["reweighing"]["desired"]
    assert desired == '[{"a": 2, "b": 1}]'
    assert change_values(None) == {}
    assert adoption_values(None) is None


def test_instants_are_exact_to_the_microsecond() -> None:
    assert epoch(EXACT) == Decimal(int(clock(9).timestamp())) + Decimal("0.123457")
    assert instant(epoch(EXACT)) == EXACT
    assert (epoch(None), instant(None)) == (None, None)


# --- operations -------------------------------------------------------------------------------


def ops(*operations: Operation) -> dict[str, Any]:
    named = {f"k{number}": operation for number, operation in enumerate(operations)}
    return {
        "ops": {name: operation_values(each) for name, each in named.items()},
        "op_expiries": {name: epoch(each.expires_at) for name, each in named.items()},
    }


def test_every_field_of_an_operation_comes_back() -> None:
    bare = Operation("hash", clock(9), 200, Status.ABSENT, None, "", None)

    assert operations_of(stored(ops(DONE, bare))) == {"k0": DONE, "k1": bare}
    assert operations_of({}) == {}


def test_operation_of_older_code_is_read() -> None:
    oldest = {"body_hash": "h", "at": epoch(clock(9)), "http_status": 200, "status": "Absent"}

    assert operations_of(stored({"ops": {"k": oldest}})) == {
        "k": Operation("h", clock(9), 200, Status.ABSENT, None, "", None)
    }


def test_sessions_are_part_of_an_operation_only_if_there_were_any() -> None:
    without = operation_values(replace(DONE, sessions=0, sessions_end=None))
    assert not {"sessions", "sessions_end"} & without.keys()
    assert operation_values(replace(DONE, draining=False))["draining"] is None


# --- specs and records ------------------------------------------------------------------------

SPEC = Spec(
    "Falcon",
    "falcon-1",
    Origin.CONFIG,
    schedules=(
        Schedule.parse(
            {"name": "w", "start_time": "09:00", "stop_time": "17:00", "days": ["mon", "fri"]}
        ),
    ),
    initial_provision_minutes=10,
    max_lease_minutes=600,
    fallback_configs=("falcon-2", "falcon-3"),
    scaling=(Scaling("all", 0, 4, {"p": {"TargetValue": 70.0}}),),
    tags={"team": "nlp", "a": "b"},
    update={"RetainAllVariantProperties": True},
    outside_updates=OutsideUpdates.KEEP,
    async_api=AsyncMode.THROUGH_LAMBDA,
    spec_hash="hash",
)
KEYS = {"pk": "ENDPOINT#falcon", "sk": "SPEC#config"}


def an_item(**other: Any) -> dict[str, Any]:
    return stored({**SPEC.document(), **KEYS, **other})


def test_every_field_of_a_spec_comes_back() -> None:
    plain = Spec("Falcon", "falcon-1", Origin.CONFIG)
    usual = {f.name for f in fields(Spec) if getattr(SPEC, f.name) == getattr(plain, f.name)}
    assert usual == {"name", "endpoint_config_name", "origin", "unreadable"}

    assert spec_of(an_item()) == SPEC
    assert spec_of(stored({**plain.document(), **KEYS})) == plain


def test_item_of_a_spec_is_canonical() -> None:
    """Terraform and the API write the same bytes."""
    assert SPEC.document() == {
        "name": "Falcon",
        "endpoint_config_name": "falcon-1",
        "initial_provision_minutes": 10,
        "max_lease_minutes": 600,
        "schedules": '[{"days":["mon","fri"],"name":"w",'
        '"start_time":"09:00","stop_time":"17:00","timezone":"UTC"}]',
        "fallback_configs": '["falcon-2","falcon-3"]',
        "scaling": '[{"max_capacity":4,"min_capacity":0,"policies":{"p":{"TargetValue":70.0}},'
        '"variant":"all"}]',
        "tags": '{"a":"b","team":"nlp"}',
        "update": '{"RetainAllVariantProperties":true}',
        "outside_updates": "keep",
        "async_api": "lambda",
        "spec_hash": "hash",
    }


def test_spec_of_older_code_has_the_defaults() -> None:
    oldest = {
        "name": "Falcon",
        "endpoint_config_name": "falcon-1",
        "schedules": "[]",
        "spec_hash": "",
    }

    assert spec_of({**oldest, **KEYS}) == Spec("Falcon", "falcon-1", Origin.CONFIG)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"planets": 1, "moons": 2}, "unknown attributes: moons, planets"),
        ({"schedules": "{"}, ""),
        ({"schedules": "[1]"}, ""),
        ({"outside_updates": "dance"}, "'dance' is not a valid OutsideUpdates"),
        ({"async_api": "dance"}, "'dance' is not a valid AsyncMode"),
        ({"initial_provision_minutes": 601}, "initial_provision_minutes"),
        ({"scaling": '[{"variant": "all"}]'}, ""),
        ({"fallback_configs": "1"}, ""),
    ],
)
def test_spec_that_cannot_be_read_keeps_what_a_lease_needs(wrong: dict[str, Any], why: str) -> None:
    read = spec_of(an_item(**wrong))

    assert why in read.unreadable
    assert read == Spec(
        "Falcon",
        "falcon-1",
        Origin.CONFIG,
        max_lease_minutes=600,
        tags=SPEC.tags,
        spec_hash="hash",
        unreadable=read.unreadable,
    )


def test_spec_without_anything_readable_is_still_one_of_its_endpoint() -> None:
    nothing = spec_of({**KEYS, "max_lease_minutes": "many", "tags": "["})
    renamed = spec_of(an_item(name="Other", planets=1))
    long = spec_of(an_item(**{"x" * 300: 1}))

    assert nothing == Spec(
        "falcon",
        "",
        Origin.CONFIG,
        max_lease_minutes=DEFAULT_MAX_LEASE_MINUTES,
        unreadable=nothing.unreadable,
    )
    assert nothing.unreadable
    assert renamed.name == "falcon", "its name is that of its key"
    assert len(long.unreadable) == 200


def test_record_is_made_of_all_items_of_an_endpoint() -> None:
    api = replace(SPEC, origin=Origin.API, spec_hash="api")
    left = Spec("Falcon", "old-1", Origin.API, schedules=SPEC.schedules)
    forgotten = Forgotten(left, {"k9": DONE}, clock(8))
    state = {**state_values(FULL), **lease_values(FULL), **ops(DONE)}
    locked = {"lock_owner": "run-1", "lock_until": epoch(clock(11))}
    items = [
        an_item(),
        stored({**api.document(), "pk": KEYS["pk"], "sk": "SPEC#api"}),
        stored({**state, **locked, "pk": KEYS["pk"], "sk": "STATE"}),
        stored({**forgotten_values(forgotten), "pk": KEYS["pk"], "sk": "SPEC#forgotten"}),
    ]

    record = record_of("falcon", items)

    assert (record.key, record.config_spec, record.api_spec) == ("falcon", SPEC, api)
    assert (record.state, record.operations) == (FULL, {"k0": DONE})
    assert (record.lock_owner, record.locked_until) == ("run-1", clock(11))
    assert record.forgotten is not None
    assert record.forgotten == replace(
        forgotten, operations={"k9": record.forgotten.operations["k9"]}
    )
    assert record.forgotten.operations["k9"] == DONE


@pytest.mark.parametrize("schedules", [None, "[", '[{"kind": "newer"}]', "[7]"])
def test_schedules_of_a_forgotten_endpoint_that_cannot_be_read_hide_nothing_else(
    schedules: str | None,
) -> None:
    left = Forgotten(Spec("Falcon", "old-1", Origin.API), {"k9": DONE}, clock(8))
    item = {**forgotten_values(left), "pk": KEYS["pk"], "sk": "SPEC#forgotten"}
    item = {**item, "schedules": schedules} if schedules else {**item}
    if schedules is None:
        del item["schedules"]

    assert record_of("falcon", [stored(item)]).forgotten == left


def test_record_without_items_is_empty() -> None:
    record = record_of("falcon", [])

    assert (record.spec, record.state, record.operations, record.forgotten) == (
        None,
        None,
        {},
        None,
    )
    assert (record.lock_owner, record.locked_until) == (None, None)


# --- other tables -----------------------------------------------------------------------------


def test_item_of_an_event_is_cut_and_expires() -> None:
    history = DynamoHistory(None, "history", timedelta(days=90))  # type: ignore[arg-type]

    item = decode(history.item(Event("falcon", EXACT, "renewed", "x" * 1001, "ann")))

    assert item == {
        "pk": "ENDPOINT#falcon",
        "sk": "2026-03-02T09:00:00.123457Z#0#renewed#ann",
        "at": epoch(EXACT),
        "kind": "renewed",
        "reason": "x" * 1000,
        "actor": "ann",
        "place": 0,
        "ttl": int((EXACT + timedelta(days=90)).timestamp()),
    }


def test_item_of_a_token_is_read_with_what_older_items_lack() -> None:
    full = stored(
        {
            "token": "sha256:1",
            "name": "ann",
            "scopes": "read",
            "created_at": epoch(clock(7)),
            "expires_at": epoch(clock(8)),
            "last_used": epoch(clock(9)),
        }
    )
    read = Scopes.stored("read")

    assert token_of(full) == Token("sha256:1", "ann", read, clock(7), clock(8), clock(9))
    assert token_of({"token": "1234"}) == Token("1234", "token", Scopes.every())


def test_shards_of_the_due_index_are_those_of_deployed_tables() -> None:
    assert DUE_SHARDS == ("0", "1", "2", "3")


def test_session_that_ended_first_makes_room_also_at_the_very_instant_of_its_end() -> None:
    sessions = {"a": clock(9), "b": clock(8, 59), "c": clock(10)}

    assert _oldest_ended("falcon", sessions, clock(9)) == "b"
    assert _oldest_ended("falcon", {"a": clock(9), "c": clock(10)}, clock(9)) == "a"
    with pytest.raises(TooManySessions):
        _oldest_ended("falcon", {"c": clock(10)}, clock(9))
