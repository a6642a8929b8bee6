"""One suite for two state stores: the fake that other tests use, and the real adapter on moto."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws

from lambdas.aws.attribute_values import encode
from lambdas.aws.history import DynamoHistory
from lambdas.aws.items import key_of, spec_values
from lambdas.aws.state_store import DynamoStateStore
from lambdas.core.errors import (
    Conflict,
    InvalidField,
    LeaseTooLong,
    Locked,
    Throttled,
    TooManyAdded,
    TooManyAddedToday,
    TooManySessions,
    Unanswered,
    UnknownEndpoint,
)
from lambdas.core.history import Event, in_order
from lambdas.core.ports import AddLimits, Declaration, History, Keyed, StateStore, WakeShare
from lambdas.core.reconcile import new_state
from lambdas.core.schedule import Schedule
from lambdas.core.spec import DEFAULT_MAX_LEASE_MINUTES, Origin, Spec
from lambdas.core.state import (
    MAX_SESSIONS,
    Adoption,
    Dropped,
    Ended,
    EndedBy,
    Forgotten,
    Intent,
    Observed,
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
    cut_at,
)
from tests.aws_tables import create_tables
from tests.fakes import FakeHistory, FakeStateStore, a_spec, clock

NOW = clock(9, 0, 0) + timedelta(microseconds=250_000)
SOON = NOW + timedelta(seconds=45)
SCHEDULE = Schedule.parse(
    {"name": "w", "start_time": "09:00", "stop_time": "17:00", "days": ["mon", "fri"]}
)


class Subject:
    """A store and its history; `declare` writes a spec as Terraform does, `keep` writes an item of
    another kind, and `drop` removes an attribute of STATE."""

    def __init__(
        self,
        store: StateStore,
        history: History,
        declare: Callable[[Spec], None],
        keep: Callable[[str, str], None] = lambda _key, _sort_key: None,
        drop: Callable[[str, str], None] = lambda _key, _attribute: None,
    ) -> None:
        self.store = store
        self.history = history
        self.declare = declare
        self.keep = keep
        self.drop = drop


@pytest.fixture(params=["fake", "dynamodb"])
def subject(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Subject]:
    if request.param == "fake":
        history = FakeHistory()
        store = FakeStateStore(history)
        yield Subject(store, history, store.deploy)
        return
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with mock_aws():
        client = boto3.client("dynamodb", region_name="us-east-1")
        create_tables(client, "state", "history", "auth")
        events = DynamoHistory(client, "history", timedelta(days=90))

        def declare(spec: Spec) -> None:
            keys = {"pk": f"ENDPOINT#{spec.key}", "sk": "SPEC#config"}
            client.put_item(TableName="state", Item=encode({**spec_values(spec), **keys}))

        def keep(key: str, sort_key: str) -> None:
            item = {"pk": f"ENDPOINT#{key}", "sk": sort_key, "hours": 1}
            client.put_item(TableName="state", Item=encode(item))

        def drop(key: str, attribute: str) -> None:
            client.update_item(
                TableName="state", Key=key_of(key), UpdateExpression=f"REMOVE {attribute}"
            )

        adapter = DynamoStateStore(client, client, "state", events)
        yield Subject(adapter, events, declare, keep, drop)


@pytest.fixture
def store(subject: Subject) -> StateStore:
    subject.declare(a_spec("Falcon", schedules=(SCHEDULE,)))
    subject.store.create_state("falcon", new_state(a_spec("Falcon"), NOW))
    return subject.store


def state_of(store: StateStore, key: str = "falcon") -> State:
    state = store.load(key).state
    assert state is not None
    return state


def keyed(name: str = "k1", *stale: str) -> Keyed:
    return Keyed(
        name,
        Operation("body", NOW, 200, Status.ABSENT, None, "why not", None, async_api=True),
        tuple(stale),
    )


def put_on_the_meter(store: StateStore, name: str = "mine", **fields: Any) -> State:
    """Declare it as an accepted add does: with `cfg`, and a lease until SOON."""
    spec = a_spec(name, "cfg", origin=Origin.API, spec_hash="1")
    return store.declare(Declaration(spec, SOON, **fields), NOW)


def test_unknown_endpoint_has_an_empty_record(store: StateStore) -> None:
    record = store.load("nobody")
    assert (record.spec, record.state, dict(record.operations)) == (None, None, {})


def test_declared_spec_is_read_back_completely(store: StateStore) -> None:
    assert store.load("falcon").spec == a_spec("Falcon", schedules=(SCHEDULE,))


def test_config_spec_takes_precedence_over_the_api_spec(subject: Subject) -> None:
    put_on_the_meter(subject.store, "Mine")
    subject.declare(a_spec("Mine", "other"))
    record = subject.store.load("mine")
    assert record.api_spec is not None
    assert record.spec == record.config_spec == a_spec("Mine", "other")


def test_second_state_is_refused(store: StateStore) -> None:
    with pytest.raises(Conflict):
        store.create_state("falcon", State())


def test_state_is_unchanged_after_save_and_load(store: StateStore) -> None:
    store.lock("falcon", "me", NOW, SOON)
    saved = replace(
        state_of(store),
        observed_status=Status.FAILED,
        observed_config="falcon-1",
        asked_config="falcon-0",
        troubles={Step.CREATE: Trouble("mark", "no capacity", "Failed", tries=3)},
        next_due=NOW + timedelta(microseconds=1),
        next_step=Step.CREATE,
        attempts=3,
        retry_at=SOON,
        updating=Update("falcon-2", "hash:falcon-2", "an alarm tripped"),
        rolled_back=Rollback("hash:falcon-0", "an alarm tripped"),
        last_wanted=Wanted(running=True, since=NOW, seen=SOON),
        ended=Ended(EndedBy.WINDOW, NOW, "morning"),
        override=Override("falcon-3", {"RetainAllVariantProperties": True}, "hash"),
        reweighing=Reweighing([{"VariantName": "A", "DesiredWeight": 0.5}], SOON),
        dropped={"update": Dropped("of the call", "refused")},
        owned_since=datetime(2026, 3, 1, 8, 0, 0, 123_000, tzinfo=UTC),
        set_aside=datetime(2026, 3, 1, 8, 0, 0, 123_000, tzinfo=UTC),
    )
    store.save("falcon", "me", saved, None)
    assert state_of(store) == saved
    store.lock("falcon", "me", NOW, SOON)
    bare = State(rev=saved.rev, set_up_at=saved.set_up_at, deletion="as it was made")
    store.save("falcon", "me", bare, None)
    assert state_of(store) == bare


def test_stop_stores_what_it_ended(store: StateStore) -> None:
    last, ended = Wanted(running=False, since=NOW, seen=NOW), Ended(EndedBy.HAND, NOW, "ann")
    store.stop("falcon", replace(state_of(store), last_wanted=last, ended=ended), NOW)
    store.renew("falcon", 10, NOW, 100, None)
    assert (state_of(store).last_wanted, state_of(store).ended) == (last, ended)


def test_stop_that_ended_nothing_keeps_what_a_reconcile_saved_meanwhile(store: StateStore) -> None:
    before = state_of(store)
    ended = Ended(EndedBy.LEASE, NOW)
    saved = replace(before, last_wanted=Wanted(running=False, since=NOW, seen=NOW), ended=ended)
    store.lock("falcon", "me", NOW, SOON)
    store.save("falcon", "me", saved, None)

    store.stop("falcon", before, NOW)

    after = state_of(store)
    assert (after.last_wanted, after.ended) == (saved.last_wanted, ended)


def test_renewal_of_an_ended_lease_counts_from_the_whole_second(store: StateStore) -> None:
    state = store.renew("falcon", 10, NOW, 100, None)
    assert state.expires_at == clock(9, 10)
    assert (state.rev, state.next_due) == (1, NOW)


def test_renewal_of_a_running_lease_adds_to_its_end(store: StateStore) -> None:
    store.renew("falcon", 10, NOW, 100, None)
    state = store.renew("falcon", 5, NOW + timedelta(minutes=3), 100, None)
    assert state.expires_at == clock(9, 15)


def test_renewal_at_the_instant_of_expiry_counts_from_then(store: StateStore) -> None:
    store.renew("falcon", 10, NOW, 100, None)
    assert store.renew("falcon", 5, clock(9, 10), 100, None).expires_at == clock(9, 15)


def test_renewal_beyond_the_maximum_changes_nothing(store: StateStore) -> None:
    with pytest.raises(LeaseTooLong):
        store.renew("falcon", 101, NOW, 100, None)
    store.renew("falcon", 60, NOW, 100, None)
    before = state_of(store)
    with pytest.raises(LeaseTooLong):
        store.renew("falcon", 41, NOW, 100, None)
    assert state_of(store) == before
    assert store.renew("falcon", 40, NOW, 100, None).expires_at == clock(10, 40)


def test_renewal_needs_a_state(store: StateStore) -> None:
    with pytest.raises(UnknownEndpoint):
        store.renew("nobody", 1, NOW, 100, None)


def test_renewal_ends_a_hold(store: StateStore) -> None:
    held = store.stop("falcon", replace(state_of(store), held_since=NOW, expires_at=None), NOW)
    assert held.held_since == NOW
    assert store.renew("falcon", 1, NOW, 100, None).held_since is None


def test_until_moves_the_shared_end_only_to_later(store: StateStore) -> None:
    assert store.renew_until("falcon", clock(10), NOW, keyed()).expires_at == clock(10)
    assert store.renew_until("falcon", clock(9, 30), NOW, keyed("k2")).expires_at == clock(10)
    assert store.renew_until("falcon", clock(10, 30), NOW, None).expires_at == clock(10, 30)
    recorded = store.load("falcon").operations
    assert {key: each.expires_at for key, each in recorded.items()} == {
        "k1": clock(10),
        "k2": clock(10),
    }
    with pytest.raises(Conflict):
        store.renew_until("falcon", clock(11), NOW, keyed())
    with pytest.raises(UnknownEndpoint):
        store.renew_until("nobody", clock(11), NOW, None)


def test_session_has_its_own_end_and_ends_a_hold(store: StateStore) -> None:
    store.stop("falcon", replace(state_of(store), held_since=NOW), NOW)
    first = store.pay_session("falcon", "a", clock(9, 10), NOW, None)
    assert (first.held_since, first.next_due) == (None, NOW)
    store.pay_session("falcon", "b", clock(9, 5), NOW, None)
    store.pay_session("falcon", "a", clock(9, 7), NOW, None)
    state = state_of(store)
    assert state.sessions == {"a": clock(9, 7), "b": clock(9, 5)}
    assert (state.expires_at, state.lease_end) == (None, clock(9, 7))


def test_sessions_are_stored_with_the_stop_that_ends_them(store: StateStore) -> None:
    paid = store.pay_session("falcon", "a", clock(9, 10), NOW, None)
    store.stop("falcon", replace(paid, sessions={"a": NOW}), NOW)
    assert state_of(store).sessions == {"a": NOW}


def test_session_is_recorded_with_its_key_and_only_once(store: StateStore) -> None:
    answer = replace(keyed().operation, sessions=1, sessions_end=clock(9, 10))
    store.pay_session("falcon", "a", clock(9, 10), NOW, replace(keyed(), operation=answer))
    with pytest.raises(Conflict):
        store.pay_session("falcon", "a", clock(9, 12), NOW, keyed())
    assert store.load("falcon").operations["k1"] == answer
    assert state_of(store).sessions == {"a": clock(9, 10)}


def test_new_session_takes_the_place_of_the_one_that_ended_first(store: StateStore) -> None:
    for number in range(MAX_SESSIONS):
        store.pay_session("falcon", f"s{number}", clock(9, 1 + number), NOW, None)
    with pytest.raises(TooManySessions):
        store.pay_session("falcon", "new", clock(9, 30), NOW, None)
    store.pay_session("falcon", "s7", clock(9, 40), NOW, None)
    store.pay_session("falcon", "new", clock(9, 30), clock(9, 2), None)
    assert set(state_of(store).sessions) == {
        "new",
        *(f"s{number}" for number in range(1, MAX_SESSIONS)),
    }


def test_state_from_before_there_were_sessions_takes_one(subject: Subject) -> None:
    subject.declare(a_spec("Falcon"))
    subject.store.create_state("falcon", new_state(a_spec("Falcon"), NOW))
    subject.drop("falcon", "sessions")
    subject.store.pay_session("falcon", "a", clock(9, 10), NOW, None)
    assert state_of(subject.store).sessions == {"a": clock(9, 10)}


def test_session_needs_a_state_and_the_revision_of_an_adoption(store: StateStore) -> None:
    with pytest.raises(UnknownEndpoint):
        store.pay_session("nobody", "a", clock(9, 10), NOW, None)
    loaded = replace(state_of(store), adopting=Adoption("arn:falcon", NOW, declared=False))
    store.renew("falcon", 1, NOW, 100, None)
    with pytest.raises(Conflict):
        store.pay_session("falcon", "a", clock(9, 10), NOW, None, loaded)
    assert state_of(store).sessions == {}


def test_idempotency_key_is_recorded_with_the_renewal_and_only_once(store: StateStore) -> None:
    store.renew("falcon", 10, NOW, 100, keyed())
    with pytest.raises(Conflict):
        store.renew("falcon", 10, NOW, 100, keyed())
    operation = store.load("falcon").operations["k1"]
    assert operation == replace(keyed().operation, expires_at=clock(9, 10))
    assert state_of(store).expires_at == clock(9, 10)


def test_stale_idempotency_keys_are_removed_by_the_next_write(store: StateStore) -> None:
    store.renew("falcon", 1, NOW, 100, keyed("old"))
    store.renew("falcon", 1, NOW, 100, keyed("new", "old"))
    assert set(store.load("falcon").operations) == {"new"}


def test_stop_needs_the_revision_that_was_loaded(store: StateStore) -> None:
    loaded = state_of(store)
    store.renew("falcon", 10, NOW, 100, None)
    with pytest.raises(Conflict):
        store.stop("falcon", loaded, NOW)
    stopped = store.stop("falcon", replace(state_of(store), expires_at=clock(9)), NOW)
    assert (stopped.expires_at, stopped.rev) == (clock(9), 2)


OVERRIDE = Override("falcon-3", {"RetainAllVariantProperties": True}, "hash")


def test_override_clears_retries_fallbacks_rollbacks_and_weights(store: StateStore) -> None:
    store.lock("falcon", "me", NOW, SOON)
    stuck = replace(
        state_of(store),
        attempts=3,
        retry_at=SOON,
        fallback_config="falcon-b",
        rolled_back=Rollback("hash:falcon-3", "an alarm tripped"),
        reweighing=Reweighing([], SOON),
        updating=Update("falcon-2", "hash:falcon-2"),
    )
    store.save("falcon", "me", stuck, None)
    written = store.change_running("falcon", OVERRIDE, NOW, None)
    assert (
        written
        == state_of(store)
        == State(
            set_up_at=clock(9), rev=1, next_due=NOW, override=OVERRIDE, updating=stuck.updating
        )
    )


def test_weights_keep_the_override(store: StateStore) -> None:
    store.change_running("falcon", OVERRIDE, NOW, None)
    weights = Reweighing([{"VariantName": "A", "DesiredWeight": 0.5}], SOON)
    written = store.change_running("falcon", weights, SOON, None)
    assert written == State(
        set_up_at=clock(9), rev=2, next_due=SOON, override=OVERRIDE, reweighing=weights
    )


def test_idempotency_key_is_recorded_with_the_change_and_only_once(store: StateStore) -> None:
    operation = replace(keyed().operation, http_status=202, chosen_config="falcon-3")
    store.change_running("falcon", OVERRIDE, NOW, Keyed("k1", operation))
    leased = replace(operation, expires_at=SOON)
    store.change_running("falcon", OVERRIDE, NOW, Keyed("k2", leased))
    assert store.load("falcon").operations == {"k1": operation, "k2": leased}
    with pytest.raises(Conflict):
        store.change_running("falcon", OVERRIDE, NOW, keyed("k1"))
    assert state_of(store).rev == 2


def test_change_needs_a_state(store: StateStore) -> None:
    with pytest.raises(UnknownEndpoint):
        store.change_running("nobody", OVERRIDE, NOW, None)


def test_adoption_is_written_over_its_revision_only(store: StateStore) -> None:
    put_on_the_meter(store)
    adopting = Adoption("arn:mine", NOW, declared=False, minutes=5)
    with pytest.raises(Conflict):
        store.renew("mine", 5, NOW, 100, None, State(rev=7, adopting=adopting))
    assert state_of(store, "mine").adopting is None
    over = replace(state_of(store, "mine"), adopting=adopting)
    store.renew("mine", 5, NOW, 100, None, over)
    assert state_of(store, "mine").adopting == adopting


def forgotten_spec(spec_hash: str = "1") -> Forgotten:
    spec = a_spec("Mine", "cfg", origin=Origin.API, spec_hash=spec_hash)
    return Forgotten(spec, {"k1": keyed().operation}, NOW)


def test_forgetting_removes_the_override(store: StateStore) -> None:
    put_on_the_meter(store)
    overridden = store.change_running("mine", OVERRIDE, NOW, None)
    ended = replace(overridden, expires_at=NOW, override=None)
    stopped = store.stop("mine", ended, NOW, None, forgotten_spec("1"))
    assert store.load("mine").spec is None
    assert state_of(store, "mine").override is None
    assert stopped == state_of(store, "mine")


def test_touch_makes_due(store: StateStore) -> None:
    later = NOW + timedelta(hours=1)
    store.touch("falcon", later)
    assert state_of(store).next_due == later
    with pytest.raises(Conflict):
        store.touch("nobody", later)


def test_touch_may_set_the_likely_step(store: StateStore) -> None:
    store.touch("falcon", NOW, Step.CREATE)
    assert state_of(store).next_step is Step.CREATE
    store.touch("falcon", NOW)
    assert state_of(store).next_step is Step.CREATE


def test_lock_keeps_others_out_until_it_ends(store: StateStore) -> None:
    store.lock("falcon", "me", NOW, SOON)
    with pytest.raises(Locked) as refusal:
        store.lock("falcon", "you", NOW, SOON)
    assert refusal.value.until == SOON
    store.lock("falcon", "you", SOON, SOON + timedelta(seconds=45))
    assert store.load("falcon").lock_owner == "you"


def test_lock_needs_a_state(store: StateStore) -> None:
    with pytest.raises(Conflict):
        store.lock("nobody", "me", NOW, SOON)


def test_unlock_gives_back_only_what_is_ours(store: StateStore) -> None:
    store.lock("falcon", "me", NOW, SOON)
    store.unlock("falcon", "you")
    assert store.load("falcon").lock_owner == "me"
    store.unlock("falcon", "me")
    assert store.load("falcon").locked_until is None


def test_save_needs_lock_and_revision(store: StateStore) -> None:
    loaded = state_of(store)
    with pytest.raises(Conflict):
        store.save("falcon", "me", loaded, None)
    store.lock("falcon", "me", NOW, SOON)
    store.renew("falcon", 10, NOW, 100, None)
    with pytest.raises(Conflict):
        store.save("falcon", "me", loaded, None)
    store.save("falcon", "me", state_of(store), None)
    assert store.load("falcon").lock_owner is None


def test_save_does_not_change_lease_and_hold(store: StateStore) -> None:
    store.renew("falcon", 10, NOW, 100, None)
    store.lock("falcon", "me", NOW, SOON)
    store.save("falcon", "me", replace(state_of(store), expires_at=None, held_since=NOW), None)
    assert state_of(store).expires_at == clock(9, 10)
    assert state_of(store).held_since is None


def test_begin_writes_intent_and_history_in_one_write_and_stays_due(subject: Subject) -> None:
    store = subject.store
    subject.declare(a_spec("Falcon"))
    store.create_state("falcon", new_state(a_spec("Falcon"), NOW))
    intent = Intent(Step.CREATE, "falcon-1", NOW)
    event = Event("falcon", NOW, "create", "because")
    with pytest.raises(Conflict):
        store.begin("falcon", "me", state_of(store), intent, [event])
    assert not subject.history.newest("falcon", 10)
    store.lock("falcon", "me", NOW, SOON)
    store.begin("falcon", "me", replace(state_of(store), next_due=None), intent, [event])
    assert state_of(store).intent == intent
    assert state_of(store).next_due == NOW
    assert subject.history.newest("falcon", 10) == [event]


def test_forget_removes_the_state_under_lock_and_revision(store: StateStore) -> None:
    with pytest.raises(Conflict):
        store.forget("falcon", "me", 0)
    store.lock("falcon", "me", NOW, SOON)
    with pytest.raises(Conflict):
        store.forget("falcon", "me", 7)
    store.forget("falcon", "me", 0)
    assert store.load("falcon").state is None
    assert store.load("falcon").spec is not None


def test_declaring_writes_spec_and_lease_in_one_write(store: StateStore) -> None:
    operation = replace(keyed().operation, expires_at=SOON)
    state = put_on_the_meter(store, keyed=Keyed("k1", operation))
    record = store.load("mine")
    assert record.spec == a_spec("mine", "cfg", origin=Origin.API, spec_hash="1")
    assert record.state == state
    assert (state.expires_at, state.next_due, state.rev) == (SOON, NOW, 0)
    assert dict(record.operations) == {"k1": operation}
    assert [due.endpoint for due in store.due(NOW, NOW)] == ["falcon", "mine"]


def test_declaring_a_declared_name_is_a_conflict(subject: Subject) -> None:
    put_on_the_meter(subject.store)
    before = subject.store.load("mine")
    with pytest.raises(Conflict):
        put_on_the_meter(subject.store)
    assert subject.store.load("mine") == before
    subject.declare(a_spec("Falcon"))
    with pytest.raises(Conflict):
        put_on_the_meter(subject.store, "Falcon")
    assert subject.store.load("falcon").api_spec is None
    assert subject.store.load("falcon").state is None


def test_declaring_over_the_state_of_an_earlier_life_needs_its_revision(
    store: StateStore,
) -> None:
    store.create_state("mine", State(rev=4, orphaned_at=NOW, attempts=2, held_since=NOW))
    with pytest.raises(Conflict):
        put_on_the_meter(store)
    with pytest.raises(Conflict):
        put_on_the_meter(store, over=replace(state_of(store, "mine"), rev=3))
    operation = replace(keyed().operation, expires_at=SOON)
    state = put_on_the_meter(store, over=state_of(store, "mine"), keyed=Keyed("k1", operation))
    assert state == state_of(store, "mine")
    assert (state.rev, state.expires_at, state.orphaned_at, state.held_since) == (
        5,
        SOON,
        None,
        None,
    )
    assert dict(store.load("mine").operations) == {"k1": operation}


def test_adoption_is_recorded_with_the_declaration_and_is_read_back(store: StateStore) -> None:
    live = Observed(Status.IN_SERVICE, "cfg", created_at=NOW, arn="arn:mine", owner=Owner.NOBODY)
    adoption = Adoption("arn:mine", NOW, declared=True)
    state = put_on_the_meter(store, observed=live, adopting=adoption)
    assert state_of(store, "mine").adopting == adoption
    assert (state.observed_status, state.observed_config) == (Status.IN_SERVICE, "cfg")
    over = replace(state_of(store), adopting=replace(adoption, tagged_at=SOON))
    renewed = store.renew("falcon", 5, NOW, 100, None, over)
    assert renewed.adopting == replace(adoption, tagged_at=SOON)
    assert renewed.observed_status is Status.ABSENT
    adopted = store.renew("falcon", 5, NOW, 100, None, renewed, live)
    assert (adopted.observed_status, adopted.observed_config) == (Status.IN_SERVICE, "cfg")


def test_added_endpoints_are_counted_until_they_are_forgotten(store: StateStore) -> None:
    limits = AddLimits("ann", most=2, most_a_day=99)
    for name in ("a", "b"):
        put_on_the_meter(store, name, limits=limits)
    with pytest.raises(TooManyAdded):
        put_on_the_meter(store, "c", limits=limits)
    assert store.load("c").state is None
    for _ in range(2):  # forgetting it twice frees its quota once
        store.stop("a", state_of(store, "a"), NOW, None, forgotten_spec("1"))
        put_on_the_meter(store, "a", over=state_of(store, "a"), limits=limits)
        with pytest.raises(TooManyAdded):
            put_on_the_meter(store, "c", limits=limits)


def test_adds_of_a_token_are_counted_by_the_day(store: StateStore) -> None:
    limits = AddLimits("ann", most=99, most_a_day=1)
    put_on_the_meter(store, "a", limits=limits)
    with pytest.raises(TooManyAddedToday) as refusal:
        put_on_the_meter(store, "b", limits=limits)
    assert 0 < refusal.value.retry_after_seconds <= 86_400
    put_on_the_meter(store, "b", limits=replace(limits, identity="bob"))
    spec = a_spec("c", "cfg", origin=Origin.API)
    store.declare(Declaration(spec, SOON, limits=limits), NOW + timedelta(days=1))


@pytest.mark.parametrize(
    ("most", "most_a_day", "error"), [(0, 9, TooManyAdded), (9, 0, TooManyAddedToday)]
)
def test_limit_of_zero_lets_nothing_be_added(
    store: StateStore, most: int, most_a_day: int, error: type[Exception]
) -> None:
    with pytest.raises(error):
        put_on_the_meter(store, limits=AddLimits("ann", most, most_a_day))
    assert store.load("mine").state is None


def test_void_adoption_removes_its_spec_and_lease_and_frees_its_quota(subject: Subject) -> None:
    store, event = subject.store, Event("mine", SOON, "adoption void", "it is gone")
    limits = AddLimits("ann", most=1, most_a_day=99)
    adopting = Adoption("arn:mine", NOW, declared=True)
    put_on_the_meter(store, adopting=adopting, limits=limits)
    with pytest.raises(Conflict):
        store.void("mine", "me", State(), forgotten_spec("1"), [event])
    store.lock("mine", "me", NOW, SOON)
    with pytest.raises(Conflict):
        store.void("mine", "me", State(rev=7), forgotten_spec("1"), [event])
    with pytest.raises(Conflict):
        store.void("mine", "me", State(), forgotten_spec("another hash"), [event])
    assert state_of(store, "mine").adopting == adopting
    store.void("mine", "me", State(), forgotten_spec("1"), [event])
    record = store.load("mine")
    assert record.spec is None
    assert record.lock_owner is None
    state = state_of(store, "mine")
    assert (state.expires_at, state.adopting, state.next_due) == (None, None, SOON)
    assert state.cuts == 1
    assert subject.history.newest("mine", 10) == [event]
    put_on_the_meter(store, "other", limits=limits)


def test_void_adoption_of_a_declared_endpoint_keeps_spec_and_restores_lease_and_hold(
    subject: Subject,
) -> None:
    store = subject.store
    adopting = Adoption("arn:mine", NOW, declared=False, minutes=5, held_since=NOW)
    put_on_the_meter(store, adopting=adopting)
    assert state_of(store, "mine").adopting == adopting
    store.lock("mine", "me", NOW, SOON)
    state = replace(state_of(store, "mine"), owned_since=NOW)
    store.save("mine", "me", state, None)
    store.lock("mine", "me", NOW, SOON)
    look, ended = Wanted(running=True, since=NOW, seen=SOON), Ended(EndedBy.HAND, NOW, "ann")
    before = replace(state, expires_at=NOW, held_since=NOW, last_wanted=look, ended=ended)
    store.void("mine", "me", before, None, [Event("mine", NOW, "adoption void", "it is gone")])
    assert store.load("mine").spec is not None
    left = state_of(store, "mine")
    assert (left.expires_at, left.held_since) == (NOW, NOW)
    assert (left.last_wanted, left.ended) == (look, ended)
    assert (left.adopting, left.owned_since) == (None, None)


def test_replacing_the_api_spec_needs_its_hash_and_makes_the_endpoint_due(
    store: StateStore,
) -> None:
    put_on_the_meter(store)
    first = store.load("mine").spec
    assert first is not None
    second = replace(first, schedules=(SCHEDULE,), spec_hash="2")
    with pytest.raises(Conflict):
        store.replace_api_spec(second, replacing="0", due=NOW)
    store.replace_api_spec(second, replacing="1", due=SOON)
    assert store.load("mine").spec == second
    assert state_of(store, "mine").next_due == SOON
    assert state_of(store, "mine").rev == 1
    with pytest.raises(Conflict):
        store.replace_api_spec(first, replacing="1", due=NOW)
    assert state_of(store, "mine").next_due == SOON


def test_forgetting_and_the_stop_are_one_write(store: StateStore) -> None:
    put_on_the_meter(store)
    loaded = state_of(store, "mine")
    with pytest.raises(Conflict):
        store.stop("mine", loaded, NOW, None, forgotten_spec("another hash"))
    with pytest.raises(Conflict):
        store.stop("mine", replace(loaded, rev=3), NOW, None, forgotten_spec("1"))
    assert store.load("mine").spec is not None
    assert state_of(store, "mine") == loaded
    store.stop("mine", replace(loaded, expires_at=NOW), NOW, None, forgotten_spec("1"))
    assert store.load("mine").spec is None
    assert state_of(store, "mine").expires_at == NOW


def test_forgotten_endpoint_is_kept_for_repeated_requests_until_it_is_dropped(
    store: StateStore,
) -> None:
    put_on_the_meter(store)
    store.stop("mine", state_of(store, "mine"), NOW, None, forgotten_spec())
    store.lock("mine", "me", NOW, SOON)
    store.forget("mine", "me", state_of(store, "mine").rev)
    assert "mine" not in {record.key for record in store.list().records}
    (left,) = store.list().forgotten
    assert (left.key, left.spec, left.state) == ("mine", None, None)
    assert left.forgotten is not None
    assert (left.forgotten.spec.name, left.forgotten.spec.endpoint_config_name) == ("Mine", "cfg")
    assert (left.forgotten.operations, left.forgotten.at) == (forgotten_spec().operations, NOW)
    put_on_the_meter(store)
    assert store.load("mine").forgotten == left.forgotten, "a later life does not change it"
    with pytest.raises(Conflict):
        store.drop_forgotten("mine", SOON)
    store.drop_forgotten("mine", NOW)
    assert store.load("mine").forgotten is None
    assert store.list().forgotten == []
    assert store.load("mine").spec is not None


PAYMENTS: tuple[Callable[[StateStore, State], State], ...] = (
    lambda store, over: store.renew("falcon", 5, NOW, 100, keyed(), over),
    lambda store, over: store.renew_until("falcon", SOON, NOW, keyed(), over),
    lambda store, over: store.pay_session("falcon", "s1", SOON, NOW, keyed(), over),
    lambda store, over: store.change_running("falcon", OVERRIDE, NOW, keyed(), over),
)
VOID = Event("falcon", NOW, "adoption void", "it is gone")
CUTS: tuple[Callable[[StateStore, State], object], ...] = (
    lambda store, state: store.stop("falcon", state, NOW),
    lambda store, state: store.settle("falcon", state, NOW),
    lambda store, state: store.void("falcon", "me", state, None, [VOID]),
)


@pytest.mark.parametrize("pay", PAYMENTS)
def test_nothing_is_paid_or_set_over_a_state_from_which_something_was_cut_since(
    store: StateStore, pay: Callable[[StateStore, State], State]
) -> None:
    store.lock("falcon", "me", NOW, SOON)
    for cuts, cut in enumerate(CUTS, 1):
        before = state_of(store)
        cut(store, before)
        after = state_of(store)
        assert (after.rev, after.cuts) == (before.rev + 1, cuts)
        with pytest.raises(Conflict):
            pay(store, before)
        assert state_of(store) == after
        assert not store.load("falcon").operations
    loaded = state_of(store)
    store.touch("falcon", NOW)
    assert pay(store, loaded).cuts == len(CUTS), "what cuts nothing is no obstacle"


def test_state_of_before_there_were_cuts_is_paid_for(subject: Subject, store: StateStore) -> None:
    subject.drop("falcon", "cuts")
    assert store.renew("falcon", 5, NOW, 100, None, state_of(store)).cuts == 0
    assert store.stop("falcon", state_of(store), NOW).cuts == 1


def test_reconcile_keeps_the_cuts_and_a_new_life_goes_on_with_them(store: StateStore) -> None:
    put_on_the_meter(store)
    stopped = store.stop("mine", state_of(store, "mine"), NOW, None, forgotten_spec())
    assert stopped == state_of(store, "mine")
    store.lock("mine", "me", NOW, SOON)
    store.begin("mine", "me", replace(stopped, cuts=9), Intent(Step.DELETE, "", NOW), [])
    store.save("mine", "me", replace(stopped, cuts=9), None)
    assert state_of(store, "mine").cuts == 1
    put_on_the_meter(store, over=state_of(store, "mine"))
    assert state_of(store, "mine").cuts == 1


def test_stop_records_its_key(store: StateStore) -> None:
    loaded, operation = state_of(store), replace(keyed().operation, held_since=NOW)
    stopped = store.stop("falcon", loaded, NOW, Keyed("k1", operation))
    assert dict(store.load("falcon").operations) == {"k1": operation}
    with pytest.raises(Conflict):
        store.stop("falcon", stopped, NOW, Keyed("k1", operation))


def test_unknown_items_of_an_endpoint_are_not_loaded(subject: Subject) -> None:
    put_on_the_meter(subject.store)
    before = subject.store.load("mine")
    subject.keep("mine", "USAGE#2026-03")
    assert subject.store.load("mine") == before


def test_due_lists_endpoints_that_are_due_and_not_claimed(store: StateStore) -> None:
    for number in range(30):
        name = f"e{number}"
        store.create_state(name, State(next_due=NOW + timedelta(seconds=number * 10)))
    store.create_state("never", State())
    until = NOW + timedelta(seconds=120)
    entries = {entry.endpoint: entry for entry in store.due(until, NOW)}
    assert set(entries) == {"falcon"} | {f"e{number}" for number in range(13)}
    assert entries["e3"].next_due == NOW + timedelta(seconds=30)
    store.claim({entries["e3"]: NOW + timedelta(seconds=60)})
    assert "e3" not in {entry.endpoint for entry in store.due(until, NOW)}
    later = NOW + timedelta(seconds=60)
    assert "e3" in {entry.endpoint for entry in store.due(until, later)}


def test_claim_of_a_changed_entry_is_refused_and_a_renewal_ends_a_claim(store: StateStore) -> None:
    (entry,) = store.due(NOW, NOW)
    store.claim({entry: SOON})
    store.renew("falcon", 1, NOW + timedelta(seconds=1), 100, None)
    store.claim({entry: SOON})
    assert list(store.due(SOON, NOW))


def test_a_crowd_is_claimed_except_for_changed_entries(store: StateStore) -> None:
    for number in range(230):
        store.create_state(f"e{number}", State(next_due=NOW))
    entries = list(store.due(NOW, NOW))
    moved = {"e0", "e99", "e100", "e229"}
    for name in moved:
        store.touch(name, NOW + timedelta(seconds=1))
    store.claim(dict.fromkeys(entries, SOON))
    assert {entry.endpoint for entry in store.due(SOON, NOW)} == moved


def test_save_may_set_a_claim(store: StateStore) -> None:
    store.lock("falcon", "me", NOW, SOON)
    store.save("falcon", "me", replace(state_of(store), next_due=SOON), SOON)
    assert not list(store.due(SOON, NOW))
    assert list(store.due(SOON, SOON))


def test_list_pages_through_all_endpoints_and_skips_control(store: StateStore) -> None:
    store.beat("tick", NOW)
    for number in range(7):
        put_on_the_meter(store, f"m{number}")
    names: list[str] = []
    token: str | None = None
    for _ in range(20):
        page = store.list(3, token)
        assert len(page.records) <= 3
        assert all(record.spec for record in page.records)
        names += [record.key for record in page.records]
        token = page.next_token
        if token is None:
            break
    assert sorted(names) == ["falcon", *(f"m{number}" for number in range(7))]
    assert len(store.list().records) == 8


def test_control_remembers_the_latest_beat_and_the_drain(store: StateStore) -> None:
    store.beat("tick", NOW)
    store.beat("tick", NOW - timedelta(minutes=1))
    store.beat("sweep", SOON)
    store.set_drain(SOON)
    control = store.control()
    assert (control.last_tick, control.last_sweep, control.last_reconcile) == (NOW, SOON, None)
    assert control.draining(NOW)
    assert not control.draining(SOON)
    store.set_drain(None)
    assert not store.control().draining(NOW)


def test_control_has_each_beat_and_the_id_of_its_table(store: StateStore) -> None:
    beats = ("deploy", "tick", "reconcile", "sweep", "sagemaker", "silence")
    instants = {beat: NOW + timedelta(seconds=number) for number, beat in enumerate(beats)}
    for beat, instant in instants.items():
        store.beat(beat, instant)
    store.set_table_id("table-1", replacing=None)
    control = store.control()
    assert {beat: getattr(control, f"last_{beat}") for beat in beats} == instants
    assert control.table_id == "table-1"
    with pytest.raises(Conflict):
        store.set_table_id("table-2", replacing=None)
    with pytest.raises(Conflict):
        store.set_table_id("table-2", replacing="table-0")
    store.set_table_id("table-2", replacing="table-1")
    assert store.control().table_id == "table-2"


def test_turns_of_a_line_follow_each_other_and_start_over_after_a_pause(store: StateStore) -> None:
    gap = timedelta(milliseconds=100)
    places = [store.take_place(Step.CREATE, NOW, gap) for _ in range(3)]
    assert places == [NOW, NOW + gap, NOW + 2 * gap]
    assert store.take_place(Step.DELETE, NOW, gap) == NOW, "each step has its own line"
    assert store.take_place(Step.CREATE, SOON, gap) == SOON
    assert store.take_place(Step.CREATE, NOW, gap) == SOON + gap


def test_history_is_newest_first_and_limited(subject: Subject) -> None:
    for minute in range(5):
        at = clock(9, minute)
        subject.history.append(Event("falcon", at, "renewed", f"{minute}", "ann"))
        subject.history.append(Event("falcon", at, "renewed", f"{minute}", "ann"))
    newest = subject.history.newest("falcon", 3)
    assert [event.at for event in newest] == [clock(9, 4), clock(9, 3), clock(9, 2)]
    assert len(subject.history.newest("falcon", 100)) == 5


def test_events_of_one_instant_stand_in_the_order_of_writing(subject: Subject) -> None:
    asked = Event("falcon", NOW, "update asked", "to run cfg-b, by hand", "ann")
    did = [Event("falcon", NOW, kind, "because") for kind in ("updated outside", "update", "a")]
    written = [asked, *in_order(did), *in_order([Event("falcon", NOW, "0", "at last")], after=3)]
    for event in reversed(written):
        subject.history.append(event)
    assert list(reversed(subject.history.newest("falcon", 10))) == written


def test_invalid_page_token_is_refused(subject: Subject) -> None:
    if isinstance(subject.store, FakeStateStore):
        return  # page tokens of the fake are names
    brackets = base64.urlsafe_b64encode(b"[" * 5000).decode()
    for token in ("x", "W10=", "WzEsMl0=", "%%%", "ZmFsY29u", brackets, "a" * 9000, "\u00e9"):
        with pytest.raises(InvalidField):
            subject.store.list(1, token)


def test_spec_with_unknown_or_broken_parts_is_unreadable_and_can_still_be_renewed(
    subject: Subject,
) -> None:
    subject.declare(a_spec("good"))
    if isinstance(subject.store, FakeStateStore):
        return  # the fake holds parsed specs only
    client = boto3.client("dynamodb", region_name="us-east-1")
    items: dict[str, dict[str, Any]] = {
        "newer": {
            "name": "newer",
            "schedules": '[{"name": "w", "priority": 1, "days": ["mon"], '
            '"start_time": "09:00", "stop_time": "17:00"}]',
        },
        "unknown": {"name": "unknown", "schedules": "[]", "glitter": 1},
        "bad": {"name": "bad", "schedules": "{"},
        "short": {"name": "short"},
        "a b": {"name": "a b"},
        "limited": {"name": "Limited", "max_lease_minutes": 60, "tags": '{"team": "nlp"}'},
        "garbled": {"name": "garbled", "max_lease_minutes": "?", "tags": "{"},
    }
    for key, attributes in items.items():
        keys = {"pk": f"ENDPOINT#{key}", "sk": "SPEC#config", "endpoint_config_name": "c"}
        client.put_item(TableName="state", Item=encode({"spec_hash": "h", **keys, **attributes}))
    records = {record.key: record for record in subject.store.list().records}
    unreadable = {"newer", "unknown", "bad", "short", "limited", "garbled"}
    assert set(records) == {"good", *unreadable}, "an item with an invalid name is skipped"
    for key in unreadable:
        spec = records[key].spec
        assert spec is not None
        assert (spec.schedules, spec.endpoint_config_name) == ((), "c")
        assert spec.unreadable
        subject.store.create_state(key, State())
        assert subject.store.renew(key, 5, NOW, 100, None).expires_at == clock(9, 5)
    limited, garbled = records["limited"].spec, records["garbled"].spec
    assert limited is not None
    assert (limited.name, limited.max_lease_minutes) == ("Limited", 60)
    assert limited.tags == {"team": "nlp"}, "if it is renewed meanwhile, it starts with its tags"
    assert garbled is not None
    assert (garbled.max_lease_minutes, garbled.tags) == (DEFAULT_MAX_LEASE_MINUTES, {})


def test_write_with_a_server_error_is_unanswered(subject: Subject) -> None:
    if isinstance(subject.store, FakeStateStore):
        return
    client = boto3.client("dynamodb", region_name="us-east-1")
    store = DynamoStateStore(client, client, "state", None)
    with Stubber(client) as stubbed:
        stubbed.add_client_error("update_item", "InternalServerError", http_status_code=500)
        with pytest.raises(Unanswered):
            store.renew("falcon", 5, NOW, 100, None)


def test_a_wake_sets_a_lease_and_is_counted(store: StateStore) -> None:
    share = WakeShare("token-1", 2)
    until = clock(9, 10)
    for count in range(2):
        rev = state_of(store).rev
        store.wake("falcon", rev, until + count * timedelta(minutes=1), NOW, share)
        woken = state_of(store)
        assert (woken.rev, woken.next_due) == (rev + 1, NOW)
        assert woken.expires_at == until + count * timedelta(minutes=1)
    before = state_of(store)
    with pytest.raises(Conflict):
        store.wake("falcon", before.rev, SOON, NOW, share)
    assert state_of(store) == before
    store.wake("falcon", before.rev, SOON, NOW + timedelta(hours=1), share)


def test_a_wake_over_another_revision_changes_and_counts_nothing(store: StateStore) -> None:
    share = WakeShare("token-1", 1)
    before = state_of(store)
    for _ in range(3):
        with pytest.raises(Conflict):
            store.wake("falcon", before.rev + 1, SOON, NOW, share)
    assert state_of(store) == before
    store.wake("falcon", before.rev, SOON, NOW, share)


def test_duration_of_the_last_start_is_stored(store: StateStore) -> None:
    store.lock("falcon", "me", NOW, SOON)
    store.save("falcon", "me", replace(state_of(store), start_seconds=240), None)
    assert state_of(store).start_seconds == 240


def test_throttled_write_is_tried_again_and_at_last_raised(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    if isinstance(subject.store, FakeStateStore):
        return
    pauses: list[float] = []
    monkeypatch.setattr("time.sleep", pauses.append)
    client = boto3.client("dynamodb", region_name="us-east-1")
    store = DynamoStateStore(client, client, "state", None)
    with Stubber(client) as stubbed:
        for _ in range(3):
            stubbed.add_client_error("update_item", "ThrottlingException")
        stubbed.add_response("update_item", {"Attributes": {"rev": {"N": "1"}}})
        assert store.renew("falcon", 5, NOW, 100, None).rev == 1
        assert pauses == [0.02, 0.04, 0.08]
        for _ in range(6):
            stubbed.add_client_error("update_item", "ThrottlingException")
        with pytest.raises(Throttled):
            store.renew("falcon", 5, NOW, 100, None)
        assert len(pauses) == 3 + 5


def test_extension_is_saved_over_the_revision_that_was_loaded_and_cuts_nothing(
    store: StateStore,
) -> None:
    store.renew("falcon", 5, NOW, 100, None)
    before = state_of(store)
    longer = replace(before, expires_at=clock(9, 30), paid_at=SOON)
    with pytest.raises(Conflict):
        store.extend("falcon", replace(longer, rev=before.rev + 1), SOON)
    assert state_of(store) == before

    store.extend("falcon", longer, SOON)

    after = state_of(store)
    assert (after.rev, after.cuts) == (before.rev + 1, before.cuts)
    assert (after.expires_at, after.paid_at, after.next_due) == (clock(9, 30), SOON, SOON)


def test_cut_of_a_lone_stop_is_saved_over_the_revision_that_was_loaded(store: StateStore) -> None:
    store.renew("falcon", 60, NOW, 100, None)
    store.pay_session("falcon", "a", clock(9, 10), NOW, None)
    before = state_of(store)
    cut = cut_at(before, clock(9, 5))
    with pytest.raises(Conflict):
        store.settle("falcon", replace(cut, rev=before.rev + 1), SOON)
    assert state_of(store) == before

    store.settle("falcon", cut, SOON)

    after = state_of(store)
    assert (after.rev, after.expires_at, after.paid_at) == (
        before.rev + 1,
        clock(9, 5),
        clock(9, 5),
    )
    assert after.sessions == {"a": clock(9, 5)}


def test_time_of_a_payment_never_goes_back(store: StateStore) -> None:
    store.renew("falcon", 5, NOW, 100, None)
    store.renew("falcon", 5, NOW - timedelta(minutes=1), 100, None)
    store.renew_until("falcon", clock(9, 30), NOW - timedelta(minutes=1), None)
    store.pay_session("falcon", "a", clock(9, 10), NOW - timedelta(minutes=1), None)
    assert state_of(store).paid_at == clock(9)
