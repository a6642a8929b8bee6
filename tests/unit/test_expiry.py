"""The meter as users see it, at its edges: who is told what, what is noted, what is kept."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from lambdas.core.errors import (
    AsyncApiNotChosen,
    AwsRefused,
    InvalidField,
    LeaseTooLong,
    Locked,
    NotAdopted,
    ScopeMissing,
    TooManyAddedToday,
)
from lambdas.core.executions import AsyncCalls
from lambdas.core.state import Adoption, EndedBy, Override, Owner, State, Status
from lambdas.core.wanted_config import declaration
from tests.fakes import a_spec, by, clock
from tests.unit.interleaving import before
from tests.world import World

FRACTION = timedelta(microseconds=250_000)


def told(world: World, name: str) -> list[tuple[str, str]]:
    """The kinds and reasons of the events of users, oldest first."""
    events = reversed(world.history.newest(name, 99))
    return [(event.kind, event.reason) for event in events if event.actor == "ann"]


# --- reading ----------------------------------------------------------------------------------


def test_list_shows_what_is_on_the_meter_and_nothing_of_what_was_forgotten(world: World) -> None:
    world.store.create_state("orphan", State())

    documents, after = world.expiry.list(world.now, None, None)

    assert [each["EndpointName"] for each in documents] == ["falcon"]
    assert after is None
    (some,) = world.expiry.list_some(["falcon", "orphan"], world.now)
    assert some == documents[0]


def test_every_answer_during_a_destroy_says_so(world: World) -> None:
    world.renew("falcon", 60)
    world.store.set_drain(world.now + timedelta(minutes=5))

    for document in (
        *world.expiry.list(world.now, None, None)[0],
        *world.expiry.list_some(["falcon"], world.now),
        world.expiry.stop("falcon", world.now, by(), forget=False).document,
    ):
        assert (document["Wanted"], document["Reason"][-28:]) == (
            "stopped",
            "the stack is being destroyed",
        )


# --- paying -----------------------------------------------------------------------------------


def test_until_that_is_over_is_refused_with_the_present_second(world: World) -> None:
    with pytest.raises(InvalidField) as refused:
        world.expiry.renew_until("falcon", clock(8), clock(9) + FRACTION, by())

    assert (refused.value.field, refused.value.sentence) == (
        "until",
        "is over: it is 2026-03-02T09:00:00Z now",
    )


def test_longest_lease_ends_at_a_whole_second(world: World) -> None:
    world.deploy(a_spec("falcon", max_lease_minutes=60))
    now = clock(9) + FRACTION

    with pytest.raises(LeaseTooLong):
        world.expiry.renew_until("falcon", clock(10, 0, 1), now, by())
    assert world.expiry.renew_until("falcon", clock(10), now, by()).http_status == 200


def test_renewal_until_an_instant_says_whether_it_was_paid_for_longer(world: World) -> None:
    world.expiry.renew_until("falcon", clock(10), world.now, by())
    world.advance(seconds=1)
    world.expiry.renew_until("falcon", clock(9, 30), world.now, by())

    assert told(world, "falcon") == [
        ("renewed", "until 2026-03-02T10:00:00Z"),
        (
            "renewed",
            "until 2026-03-02T09:30:00Z, and it was paid until 2026-03-02T10:00:00Z already",
        ),
    ]


def test_renewal_after_a_stop_does_not_tell_of_the_stop(world: World) -> None:
    world.renew("falcon", 60)
    world.advance(minutes=1)
    world.stop("falcon")
    world.advance(minutes=1)

    world.renew("falcon", 5, key="k")

    (operation,) = world.store.load("falcon").operations.values()
    assert operation.ended is None


def test_payment_for_what_may_be_a_stranger_needs_a_look_only_if_one_is_on_record(
    world: World,
) -> None:
    refusal = AwsRefused("Boom", "no")
    world.endpoints.refusals["describe"] = [refusal]
    assert world.expiry.renew("falcon", 5, world.now, by()).http_status == 200

    record = world.store.load("falcon")
    state = replace(world.state("falcon"), stranger=Owner.NOBODY)
    world.store.records["falcon"] = replace(record, state=state)
    world.endpoints.refusals["describe"] = [refusal]
    with pytest.raises(AwsRefused):
        world.expiry.renew("falcon", 5, world.now, by())


# --- stopping ---------------------------------------------------------------------------------


def test_stop_ends_what_is_paid_at_the_present_second_and_keeps_what_is_over(world: World) -> None:
    world.pay_session("falcon", "short", 5)
    world.advance(minutes=10)
    world.pay_session("falcon", "long", 15)
    world.renew("falcon", 60)
    now = world.now + FRACTION

    world.expiry.stop("falcon", now, by(), forget=False)

    state = world.state("falcon")
    assert state.expires_at == world.now
    assert sorted(state.sessions.values()) == [clock(9, 5), world.now]


def test_stop_leaves_the_end_of_a_lease_that_is_over(world: World) -> None:
    world.renew("falcon", 5)
    world.advance(minutes=10)

    world.stop("falcon")

    assert world.state("falcon").expires_at == clock(9, 5)
    assert told(world, "falcon")[-1] == ("stopped", "by hand; nothing kept it running")


def test_stop_of_an_endpoint_with_unreadable_schedules_is_its_end(world: World) -> None:
    world.deploy(a_spec("falcon", unreadable="window 1"))
    world.endpoints.run_by_hand("falcon", "falcon-1", Owner.US)
    world.advance(minutes=1)

    world.stop("falcon")

    ended = world.state("falcon").ended
    assert ended is not None
    assert (ended.cause, ended.detail) == (EndedBy.HAND, "ann")


def test_forgetting_is_an_event_also_of_a_name_that_the_config_declares(world: World) -> None:
    world.add("mine", "cfg", 60)
    world.add("both", "cfg", 60)
    world.deploy(a_spec("falcon"), a_spec("both", "both-1"))
    world.advance(minutes=1)

    world.stop("mine", forget=True)
    world.store.set_drain(world.now + timedelta(minutes=5))
    answer = world.stop("both", forget=True)

    assert told(world, "mine")[-1] == ("forgotten", "the lease was ended, by hand")
    assert told(world, "both")[-1] == ("forgotten", "the deployed config keeps it on the meter")
    assert answer.document["Wanted"] == "stopped", "it is being destroyed"


# --- adding and adopting ----------------------------------------------------------------------


def test_add_names_the_field_that_is_wrong(world: World) -> None:
    with pytest.raises(InvalidField) as wrong_config:
        world.add("mine", "no config!", 10)
    with pytest.raises(InvalidField) as wrong_name:
        world.add("not a name!", "cfg", 10)

    assert wrong_config.value.field == "EndpointConfigName"
    assert wrong_name.value.field == "EndpointName"


@pytest.mark.parametrize(("scopes", "adopt"), [("manage", False), ("read", True), ("read", False)])
def test_caller_who_may_neither_renew_nor_adopt_does_not_learn_how_a_name_is_written(
    world: World, scopes: str, adopt: bool
) -> None:
    with pytest.raises(ScopeMissing):
        world.expiry.add("FALCON", "falcon-1", 10, world.now, by("eve", scopes), adopt=adopt)


def test_adopting_what_is_not_there_needs_the_scope_to_add(world: World) -> None:
    with pytest.raises(ScopeMissing, match="'add'"):
        world.expiry.add("mine", "cfg", 10, world.now, by("eve", "manage"), adopt=True)


def test_add_that_renews_does_not_mind_renewals_of_others(world: World) -> None:
    world.add("mine", "cfg", 10)

    def renew() -> None:
        world.store.renew("mine", 1, world.now, 1000, None, None, None)

    before(world.endpoints, "describe", renew, times=50)
    assert world.expiry.add("mine", "cfg", 10, world.now, by()).http_status == 200


def test_live_endpoint_of_a_declared_name_without_a_state_can_be_adopted(world: World) -> None:
    world.store.deploy(a_spec("flan", "cfg"))
    world.endpoints.run_by_hand("flan", "cfg")

    answer = world.expiry.add("flan", "cfg", 10, world.now, by(), adopt=True)

    assert answer.http_status == 200
    assert told(world, "flan") == [("adopted", "10 minutes")]


def test_added_and_adopted_endpoints_are_events(world: World) -> None:
    world.endpoints.run_by_hand("theirs", "cfg")

    answer = world.add("mine", "cfg", 10)
    world.add("theirs", "cfg", 10, adopt=True)

    assert told(world, "mine") == [("added", "with config cfg")]
    assert told(world, "theirs") == [("adopted", "with config cfg")]
    assert answer.document["LeaseExpiresAt"] == "2026-03-02T09:10:00Z"


def test_added_endpoint_has_the_longest_lease_of_the_stack(world: World) -> None:
    world.add("mine", "cfg", 10)

    spec = world.store.load("mine").spec
    assert spec is not None
    assert spec.max_lease_minutes == world.expiry.max_lease_minutes


def test_adoption_that_replaces_an_unfinished_one_takes_over_what_that_one_brought(
    world: World,
) -> None:
    world.endpoints.run_by_hand("falcon", "falcon-1")
    earlier = Adoption(
        "arn:of:an:earlier", clock(7), declared=True, minutes=30, held_since=clock(8)
    )
    record = world.store.load("falcon")
    state = replace(
        world.state("falcon"), adopting=earlier, expires_at=clock(9, 40), held_since=None
    )
    world.store.records["falcon"] = replace(record, state=state)

    world.expiry.add("falcon", "falcon-1", 10, world.now, by(), adopt=True)

    adopting = world.state("falcon").adopting
    assert adopting is not None
    assert (adopting.arn, adopting.minutes) == ("arn:falcon", 40)
    assert (adopting.declared, adopting.held_since) == (True, clock(8))


# --- sentences --------------------------------------------------------------------------------


def test_error_about_a_live_endpoint_names_the_config_to_adopt_it_with() -> None:
    runs = "it runs config 'a'"
    for wanted, what, adopts in ((None, runs, "a"), ("a", runs, "a"), ("b", f"{runs}, and", "b")):
        sentence = str(NotAdopted("mine", "a", wanted))
        assert what in sentence
        assert f'"EndpointConfigName": "{adopts}"' in sentence
    assert "and is to run 'b'." in str(NotAdopted("mine", "a", "b"))
    assert "is to run" not in str(NotAdopted("mine", "a", "a"))


def test_adds_of_a_day_are_free_again_at_midnight_utc() -> None:
    error = TooManyAddedToday(5, clock(22, 30, 15) + FRACTION)

    assert error.retry_after_seconds == 3600 + 29 * 60 + 45


def test_lock_is_told_with_its_end() -> None:
    assert str(Locked(clock(9))) == "locked until 2026-03-02T09:00:00+00:00"


def test_refusal_of_asynchronous_calls_names_the_config_that_is_chosen(world: World) -> None:
    calls = AsyncCalls(world.store, None, None, "machine")  # type: ignore[arg-type]
    world.add("mine", "cfg", 60)
    record = world.store.load("mine")
    assert record.spec is not None

    world.store.records["mine"] = replace(record, state=None)
    with pytest.raises(AsyncApiNotChosen, match='"EndpointConfigName": "cfg"'):
        calls.start("mine", {}, "i", "1", world.now)
    chosen = State(override=Override("other", {}, declaration(record.spec)))
    world.store.records["mine"] = replace(record, state=chosen)
    with pytest.raises(AsyncApiNotChosen, match='"EndpointConfigName": "other"'):
        calls.start("mine", {}, "i", "1", world.now)


def test_status_of_an_endpoint_that_is_declared_is_absent(world: World) -> None:
    assert world.add("mine", "cfg", 10).document["Status"] == Status.ABSENT.value
