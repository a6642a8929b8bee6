"""Sessions: a program pays for its part of the lease, and ends its part alone. And `until`."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lambdas.core.errors import Draining, InvalidField, LeaseTooLong, ScopeMissing, TooManySessions
from lambdas.core.state import Status
from tests.fakes import OFFICE_HOURS, a_spec, by, clock
from tests.unit.interleaving import before
from tests.world import World


def test_session_starts_the_endpoint_and_ends_by_itself(world: World) -> None:
    answer = world.pay_session("falcon", "job-1", 10)
    assert answer.http_status == 200
    assert answer.document["LeaseExpiresAt"] == "2026-03-02T09:10:00Z"
    assert answer.document["Sessions"] == 1
    assert world.status("falcon") is Status.CREATING
    world.advance_to(clock(9, 9, 59))
    assert world.status("falcon") is Status.IN_SERVICE
    world.advance_to(clock(9, 10))
    assert world.status("falcon") is Status.DELETING
    assert world.get("falcon")["Sessions"] == 0


def test_paying_again_sets_the_end_and_does_not_add(world: World) -> None:
    world.pay_session("falcon", "job-1", 10)
    world.advance(minutes=4)
    assert _lease_end(world) == "2026-03-02T09:10:00Z"
    world.pay_session("falcon", "job-1", 10)
    assert _lease_end(world) == "2026-03-02T09:14:00Z"
    world.pay_session("falcon", "job-1", 1)
    assert _lease_end(world) == "2026-03-02T09:05:00Z"


def test_ending_a_session_takes_nobody_elses_minutes(world: World) -> None:
    world.renew("falcon", 5)
    world.pay_session("falcon", "job-1", 15)
    world.pay_session("falcon", "job-2", 10)
    answer = world.end_session("falcon", "job-1")
    assert (answer.document["LeaseExpiresAt"], answer.document["Sessions"]) == (
        "2026-03-02T09:10:00Z",
        1,
    )
    world.end_session("falcon", "job-2")
    assert _lease_end(world) == "2026-03-02T09:05:00Z"
    assert world.get("falcon")["Wanted"] == "running"


def test_last_session_that_ends_stops_the_endpoint_and_is_its_reason(world: World) -> None:
    world.pay_session("falcon", "job-1", 15)
    world.advance(minutes=6)
    answer = world.end_session("falcon", "job-1")
    assert answer.document["Reason"].endswith("the lease ended at 2026-03-02T09:06:00Z")
    assert world.status("falcon") is Status.DELETING
    assert world.get("falcon")["ExpiresAt"] == "2026-03-02T09:06:00Z"


def test_sessions_of_two_callers_with_one_name_are_two(world: World) -> None:
    world.pay_session("falcon", "notebook", 5, who="ann")
    world.pay_session("falcon", "notebook", 10, who="bob")
    assert world.end_session("falcon", "notebook", who="bob").document["Sessions"] == 1
    assert _lease_end(world) == "2026-03-02T09:05:00Z"


def test_renewal_beside_a_session_adds_to_the_shared_end_only(world: World) -> None:
    world.pay_session("falcon", "job-1", 15)
    answer = world.renew("falcon", 5)
    assert answer.document["LeaseExpiresAt"] == "2026-03-02T09:15:00Z", "the session ends later"
    world.end_session("falcon", "job-1")
    assert _lease_end(world) == "2026-03-02T09:05:00Z"


def test_stop_by_hand_ends_all_sessions(world: World) -> None:
    world.renew("falcon", 30)
    world.pay_session("falcon", "job-1", 15)
    world.advance(minutes=5)
    answer = world.stop("falcon")
    assert (answer.document["Sessions"], answer.document["Wanted"]) == (0, "stopped")
    assert _lease_end(world) == "2026-03-02T09:05:00Z"
    assert world.status("falcon") is Status.DELETING


def test_paying_for_a_session_ends_a_hold(world: World) -> None:
    _open_a_window(world)
    world.stop("falcon")
    assert world.get("falcon")["Wanted"] == "stopped"
    world.pay_session("falcon", "job-1", 5)
    world.advance(minutes=6)
    assert world.get("falcon")["Wanted"] == "running", "its window is open again"


def test_ending_a_session_holds_no_window(world: World) -> None:
    _open_a_window(world)
    world.pay_session("falcon", "job-1", 5)
    world.end_session("falcon", "job-1")
    assert world.get("falcon")["Wanted"] == "running"


def test_ending_an_unknown_session_changes_nothing(world: World) -> None:
    world.renew("falcon", 5)
    assert world.end_session("falcon", "nobody").document["LeaseExpiresAt"] == (
        "2026-03-02T09:05:00Z"
    )


def test_history_tells_when_a_session_begins_and_ends_not_each_payment(world: World) -> None:
    for _ in range(3):
        world.pay_session("falcon", "job-1", 10)
        world.advance(minutes=3)
    world.end_session("falcon", "job-1")
    world.end_session("falcon", "job-1")
    kinds = world.history.kinds("falcon")
    assert (kinds.count("session began"), kinds.count("session ended")) == (1, 1)


def test_retried_end_does_not_end_a_session_that_began_again(world: World) -> None:
    request = by().under("key", "DELETE", {"session": "job-1"})
    world.pay_session("falcon", "job-1", 10)
    first = world.sessions.end("falcon", "job-1", world.now, request)
    world.pay_session("falcon", "job-1", 12)
    assert world.sessions.end("falcon", "job-1", world.now, request) == first
    assert _lease_end(world) == "2026-03-02T09:12:00Z"


def test_retried_payment_after_the_end_does_not_begin_it_again(world: World) -> None:
    request = by().under("key", "POST", {"session": "job-1"})
    first = world.sessions.pay("falcon", "job-1", 10, world.now, request)
    world.end_session("falcon", "job-1")
    assert world.sessions.pay("falcon", "job-1", 10, world.now, request) == first
    assert world.get("falcon")["Sessions"] == 0


def test_concurrent_renewal_and_session_both_count(world: World) -> None:
    before(world.store, "pay_session", lambda: world.expiry.renew("falcon", 60, world.now, by()))
    world.pay_session("falcon", "job-1", 10)
    before(world.store, "stop", lambda: world.expiry.renew("falcon", 60, world.now, by()))
    world.end_session("falcon", "job-1")
    assert _lease_end(world) == "2026-03-02T11:00:00Z"


def test_only_so_many_sessions_live_at_once_and_ended_ones_make_room(world: World) -> None:
    for number in range(20):
        world.pay_session("falcon", f"job-{number}", 5 + number // 4)
    with pytest.raises(TooManySessions):
        world.pay_session("falcon", "one-more", 5)
    world.pay_session("falcon", "job-3", 5)  # one that lives is paid for all the same
    world.end_session("falcon", "job-7")
    assert world.pay_session("falcon", "one-more", 5).document["Sessions"] == 20


@pytest.mark.parametrize("session", ["", "a" * 65, "två", "a b", "a\n", "x/y"])
def test_name_of_a_session_is_refused_by_a_rule_that_is_told(world: World, session: str) -> None:
    with pytest.raises(InvalidField, match=r"^session: 1 to 64 letters"):
        world.pay_session("falcon", session, 5)
    with pytest.raises(InvalidField, match=r"^session"):
        world.end_session("falcon", session)


def test_session_is_not_paid_far_ahead(world: World) -> None:
    with pytest.raises(InvalidField, match=r"^minutes: .*at most 15"):
        world.pay_session("falcon", "job-1", 16)
    world.deploy(a_spec("falcon", max_lease_minutes=10))
    with pytest.raises(LeaseTooLong):
        world.pay_session("falcon", "job-1", 11)


def test_sessions_take_the_scope_renew_and_no_drain(world: World) -> None:
    reader = by(scopes='["read"]')
    with pytest.raises(ScopeMissing):
        world.sessions.pay("falcon", "job-1", 5, world.now, reader)
    with pytest.raises(ScopeMissing):
        world.sessions.end("falcon", "job-1", world.now, reader)
    world.store.set_drain(world.now + timedelta(minutes=1))
    with pytest.raises(Draining):
        world.pay_session("falcon", "job-1", 5)


def test_until_moves_the_end_only_to_later(world: World) -> None:
    world.renew("falcon", 60)
    assert _until(world, clock(9, 30)) == "2026-03-02T10:00:00Z"
    assert _until(world, clock(11)) == "2026-03-02T11:00:00Z"
    assert world.renew("falcon", 5).document["LeaseExpiresAt"] == "2026-03-02T11:05:00Z"


def test_history_says_what_was_paid(world: World) -> None:
    world.renew("falcon", 1)
    world.advance(seconds=1)
    world.renew("falcon", 59)
    world.advance(seconds=1)
    _until(world, clock(9, 30))
    paid = [e.reason for e in world.history.newest("falcon", 9) if e.kind == "renewed"]
    already = ", and it was paid until 2026-03-02T10:00:00Z already"
    assert paid == [f"until 2026-03-02T09:30:00Z{already}", "59 minutes", "1 minute"]


def test_until_starts_what_is_stopped_and_ends_a_hold(world: World) -> None:
    assert _until(world, clock(9, 30)) == "2026-03-02T09:30:00Z"
    assert world.status("falcon") is Status.CREATING
    _open_a_window(world)
    world.stop("falcon")
    _until(world, clock(10, 5))
    world.advance(minutes=6)
    assert world.get("falcon")["Wanted"] == "running"


def test_until_is_in_the_future_and_within_the_maximum(world: World) -> None:
    with pytest.raises(InvalidField, match=r"^until: is over: it is 2026-03-02T09:00:00Z now"):
        _until(world, clock(9))
    world.deploy(a_spec("falcon", max_lease_minutes=60))
    assert _until(world, clock(10)) == "2026-03-02T10:00:00Z"
    with pytest.raises(LeaseTooLong):
        _until(world, clock(10, 0, 1))


def test_retried_until_after_a_stop_does_not_start_it_again(world: World) -> None:
    world.renew("falcon", 60)
    request = by().under("key", "POST", {"until": "9:30"})
    first = world.expiry.renew_until("falcon", clock(9, 30), world.now, request)
    world.stop("falcon")
    assert world.expiry.renew_until("falcon", clock(9, 30), world.now, request) == first
    assert world.get("falcon")["Wanted"] == "stopped"


_ACTS = st.lists(
    st.tuples(
        st.sampled_from(["renew", "until", "pay", "end"]),
        st.sampled_from(["a", "b", "c"]),
        st.integers(1, 15),
        st.integers(0, 12),
    ),
    max_size=12,
)


@given(_ACTS)
@settings(max_examples=60)
def test_lease_is_the_latest_of_what_people_and_programs_paid(
    acts: list[tuple[str, str, int, int]],
) -> None:
    """Against the simplest account of it: a shared end, and one end for each session."""
    world = World()
    world.deploy(a_spec("falcon"))
    shared, ends = world.now, dict[str, datetime]()
    for act, session, minutes, pause in acts:
        world.advance(minutes=pause)
        now, later = world.now, world.now + timedelta(minutes=minutes)
        if act == "renew":
            shared = max(shared, now) + timedelta(minutes=minutes)
            answer = world.expiry.renew("falcon", minutes, now, by())
        elif act == "until":
            shared = max(shared, later)
            answer = world.expiry.renew_until("falcon", later, now, by())
        elif act == "pay":
            ends[session] = later
            answer = world.sessions.pay("falcon", session, minutes, now, by())
        else:
            ends[session] = min(ends.get(session, now), now)
            answer = world.sessions.end("falcon", session, now, by())
        lives = [end for end in ends.values() if end > now]
        runs = max([shared, *lives]) > now
        assert answer.document["Sessions"] == len(lives)
        assert answer.document["Wanted"] == ("running" if runs else "stopped")
        assert answer.document == world.get("falcon")
        if runs:
            assert (
                answer.document["LeaseExpiresAt"] == f"{max([shared, *lives]):%Y-%m-%dT%H:%M:%SZ}"
            )


def _open_a_window(world: World) -> None:
    world.deploy(a_spec("falcon", schedules=(OFFICE_HOURS,)))
    world.advance_to(clock(10))


def _lease_end(world: World) -> str:
    end = world.get("falcon")["LeaseExpiresAt"]
    assert isinstance(end, str)
    return end


def _until(world: World, until: datetime) -> str:
    answer = world.expiry.renew_until("falcon", until, world.now, by())
    world.settle()
    end = answer.document["LeaseExpiresAt"]
    assert isinstance(end, str)
    return end
