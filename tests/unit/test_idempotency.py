"""What is kept under Idempotency-Keys, for how long, and how it is answered again."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from lambdas.core.errors import IdempotencyConflict
from lambdas.core.idempotency import (
    OPERATION_LIFE,
    answered,
    forgotten,
    keyed_with,
    operation_of,
    replayed,
)
from lambdas.core.in_the_way import call_mark
from lambdas.core.spec import Origin
from lambdas.core.state import (
    Ended,
    EndedBy,
    Forgotten,
    Operation,
    Override,
    Record,
    State,
    Status,
    Step,
    Trouble,
    Wanted,
)
from lambdas.core.wanted_config import declaration
from tests.fakes import a_spec, by, clock

NOW = clock(9)
SPEC = a_spec("falcon")
REQUEST = by().under("key", "POST", {"minutes": 5})


def an_operation(at: datetime = NOW, body_hash: str = "h") -> Operation:
    return Operation(body_hash, at, 200, Status.ABSENT, None, "", None)


def a_record(*operations: Operation) -> Record:
    named = {f"k{number:02}": operation for number, operation in enumerate(operations)}
    return Record("falcon", SPEC, operations=named)


# --- keys -------------------------------------------------------------------------------------


def test_key_is_of_one_caller_one_route_and_one_body_in_any_order() -> None:
    def key(actor: str = "ann", route: str = "POST", name: str = "key") -> str | None:
        return by(actor).under(name, route, {}).key_id

    one = by().under("key", "POST", {"a": 1, "b": 2})
    other = by().under("key", "POST", {"b": 2, "a": 1})

    assert one == other
    assert len({key(), key("bob"), key(route="DELETE"), key(name="other")}) == 4
    assert one.body_hash != by().under("key", "POST", {"a": 1}).body_hash
    assert one.key_id is not None
    assert (len(one.key_id), len(one.body_hash)) == (32, 32), "they are part of each STATE"
    assert by().under(None, "POST", {"a": 1}).key_id is None


def test_write_without_a_key_records_nothing() -> None:
    assert keyed_with(a_record(), by(), an_operation()) is None


def test_write_removes_operations_of_before_yesterday() -> None:
    old = an_operation(NOW - OPERATION_LIFE - timedelta(microseconds=1))
    young = an_operation(NOW - OPERATION_LIFE)

    keyed = keyed_with(a_record(young, old), REQUEST, an_operation())

    assert keyed is not None
    assert (keyed.id, keyed.stale) == (REQUEST.key_id, ["k01"])
    assert timedelta(hours=24) == OPERATION_LIFE


@pytest.mark.parametrize(("count", "removed"), [(46, 0), (47, 0), (48, 1), (50, 3), (90, 20)])
def test_write_removes_the_oldest_operations_beyond_48(count: int, removed: int) -> None:
    made = [an_operation(NOW - timedelta(minutes=count - number)) for number in range(count)]

    keyed = keyed_with(a_record(*made), REQUEST, an_operation())

    assert keyed is not None
    assert keyed.stale == [f"k{number:02}" for number in range(removed)]


# --- answers ----------------------------------------------------------------------------------


def test_free_text_in_an_operation_is_cut() -> None:
    long = "x" * 201
    state = State(
        troubles={Step.WAIT: Trouble("", long)},
        ended=Ended(EndedBy.HAND, clock(8), long),
        last_wanted=Wanted(False, clock(8), NOW),
    )

    operation = operation_of(SPEC, state, REQUEST, NOW, 200)

    assert operation.reason == "x" * 200
    assert operation.ended is not None
    assert operation.ended.detail == "x" * 100


def test_operation_tells_when_the_next_try_is_unless_the_stack_is_destroyed() -> None:
    mark = call_mark(SPEC, None, Step.CREATE, SPEC.endpoint_config_name)
    failing = State(
        expires_at=clock(10),
        attempts=2,
        troubles={Step.CREATE: Trouble(mark, "refused", tries=2)},
        retry_at=clock(9, 1),
    )

    kept = operation_of(SPEC, failing, REQUEST, NOW, 202)
    drained = operation_of(SPEC, failing, REQUEST, NOW, 202, draining=True)

    assert "the next one at 2026-03-02T09:01:00Z" in kept.reason
    assert drained.reason == ""
    assert (kept.draining, drained.draining) == (False, True)


def test_operation_has_all_that_its_answer_needs() -> None:
    chosen = Override("other", {}, declaration(SPEC))
    state = State(
        expires_at=clock(10),
        sessions={"a": clock(9, 30), "b": clock(8)},
        observed_status=Status.IN_SERVICE,
        observed_config="other",
        override=chosen,
    )

    operation = operation_of(SPEC, state, REQUEST, NOW, 201)
    answer = answered(Record("falcon", SPEC, state=State(set_up_at=clock(1))), operation)

    assert (operation.chosen_config, operation.sessions) == ("other", 1)
    assert operation.sessions_end == clock(9, 30)
    assert operation_of(SPEC, State(), REQUEST, NOW, 200).chosen_config is None
    assert answer.http_status == 201
    assert (answer.document["EndpointConfigName"], answer.document["Sessions"]) == ("other", 1)
    assert answer.document["LeaseExpiresAt"] == "2026-03-02T10:00:00Z"
    assert answer.document["Status"] == "InService"


def test_answer_tells_the_end_of_sessions_that_are_over() -> None:
    over = replace(an_operation(), sessions=0, sessions_end=clock(8, 30))

    answer = answered(Record("falcon", SPEC), over)

    assert answer.document["LeaseExpiresAt"] == "2026-03-02T08:30:00Z"
    assert answer.document["Sessions"] == 0


def test_repetition_is_answered_from_what_was_recorded_and_another_body_refused() -> None:
    assert REQUEST.key_id is not None
    mine = {REQUEST.key_id: an_operation(body_hash=REQUEST.body_hash)}
    record = replace(a_record(), operations=mine)

    first = replayed(record, REQUEST)
    assert first is not None
    assert first.document["EndpointName"] == "falcon"
    assert replayed(record, by()) is None
    assert replayed(replace(record, config_spec=None), REQUEST) is None
    with pytest.raises(IdempotencyConflict):
        replayed(record, by().under("key", "POST", {"minutes": 6}))


def test_repetition_of_what_was_forgotten_is_answered_by_the_spec_of_then() -> None:
    assert REQUEST.key_id is not None
    then = a_spec("falcon", "old-1", origin=Origin.API)
    mine = {REQUEST.key_id: an_operation(body_hash=REQUEST.body_hash)}
    record = replace(a_record(), forgotten=Forgotten(then, mine, clock(8)))

    answer = replayed(record, REQUEST)

    assert answer is not None
    assert (answer.document["EndpointConfigName"], answer.document["Owner"]) == ("old-1", "api")


# --- forgotten --------------------------------------------------------------------------------


def test_forgetting_keeps_the_operations_of_a_day_and_of_earlier_lives() -> None:
    api = a_spec("falcon", "new-1", origin=Origin.API)
    earlier = {
        "plain": an_operation(NOW - timedelta(hours=2)),
        "chosen": replace(an_operation(NOW - timedelta(hours=1)), chosen_config="by-hand"),
    }
    before = Forgotten(a_spec("falcon", "old-1", origin=Origin.API), earlier, clock(8))
    own = {
        "young": an_operation(NOW - OPERATION_LIFE + timedelta(microseconds=1)),
        "old": an_operation(NOW - OPERATION_LIFE),
    }
    record = Record("falcon", api_spec=api, operations=own, forgotten=before)
    keyed = keyed_with(record, REQUEST, an_operation())
    assert keyed is not None

    kept = forgotten(record, api, NOW, keyed)

    assert (kept.spec, kept.at) == (api, NOW)
    assert kept.operations.keys() == {"plain", "chosen", "young", keyed.id}
    assert kept.operations["plain"].chosen_config == "old-1", "it was answered with that config"
    assert kept.operations["chosen"].chosen_config == "by-hand"
    same = forgotten(record, replace(api, endpoint_config_name="old-1"), NOW)
    assert same.operations["plain"].chosen_config is None


def test_forgetting_a_shadowed_spec_leaves_the_operations_to_the_state_that_stays() -> None:
    api = a_spec("falcon", "new-1", origin=Origin.API)
    record = Record("falcon", SPEC, api, operations={"young": an_operation()})

    assert forgotten(record, api, NOW).operations == {}


def test_forgetting_keeps_the_latest_48_operations() -> None:
    api = a_spec("falcon", "new-1", origin=Origin.API)
    made = {f"k{n:02}": an_operation(NOW - timedelta(minutes=n)) for n in range(60)}

    kept = forgotten(Record("falcon", api_spec=api, operations=made), api, NOW)

    assert sorted(kept.operations) == [f"k{n:02}" for n in range(48)]
