"""Adding, adopting and forgetting over the API: a refused request changes nothing, and an adoption
applies only to the endpoint that the caller saw."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import count
from typing import Any

import pytest

from lambdas.core.errors import (
    AwsRefused,
    ConfigNotAddable,
    ConfigOwned,
    Draining,
    LeaseTooLong,
    MeterError,
    NameTaken,
    NotAdoptable,
    NotAdopted,
    ScopeMissing,
    SpecUnreadable,
    Throttled,
    TooManyAdded,
    TooManyAddedToday,
    Unanswered,
    UnknownEndpoint,
    UnknownEndpointConfig,
)
from lambdas.core.expiry import ExpiryUseCases
from lambdas.core.hints import Cause, Hint
from lambdas.core.idempotency import Answer, Request
from lambdas.core.name_patterns import NamePatterns
from lambdas.core.schedule import Schedule
from lambdas.core.state import Owner, Record, State, Status
from lambdas.core.sweep import Policy, Unmanaged
from lambdas.core.takeover import Limits
from tests.fakes import EVERY_SCOPE, a_spec, by, clock
from tests.unit.interleaving import before
from tests.world import World

FOREIGN = "theirs"
DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
ALL_DAY = Schedule.parse({"name": "all", "start_time": "00:00", "stop_time": "00:00", "days": DAYS})
BARE_SCOPES = tuple(EVERY_SCOPE.split())


@pytest.fixture
def world() -> World:
    return make_world()


def make_world(**limits: Any) -> World:
    """Falcon is in the config; `theirs` is a running foreign endpoint; `mine` was added."""
    world = World()
    world.expiry = meter_with(world, Limits(**limits))
    world.endpoints.configs |= {"cfg", "their-cfg"}
    world.deploy(a_spec("falcon"))
    world.endpoints.run_by_hand(FOREIGN, "their-cfg")
    world.add("mine", "cfg", 60)
    world.advance(seconds=10)
    return world


def meter_with(world: World, limits: Limits) -> ExpiryUseCases:
    return ExpiryUseCases(world.store, world.endpoints, world.hints, world.history, 43_200, limits)


def adopt(world: World, name: str = FOREIGN, config: str = "their-cfg", minutes: int = 60) -> Any:
    return world.add(name, config, minutes, adopt=True)


def snapshot(world: World) -> object:
    """Everything that a refused request must not change: foreign endpoints, their tags, and the
    specs and leases of the meter."""
    strangers = {
        key: (one.status, one.config_name, one.owner, one.created_at)
        for key, one in world.endpoints.live.items()
        if one.owner is not Owner.US
    }
    meters = {
        key: (record.spec, record.state and (record.state.expires_at, record.state.adopting))
        for key, record in world.store.records.items()
    }
    return strangers, meters, world.store.added, world.store.adds


# --- requests refused before any write ------------------------------------------------------------


@dataclass(frozen=True)
class Refusal:
    """A request that must be refused with `error`."""

    what: str
    error: type[MeterError]
    ask: Callable[[World], object]
    limits: tuple[tuple[str, Any], ...] = ()
    prepare: Callable[[World], object] = lambda _world: None


def post(name: str, config: str, minutes: int, scopes: str = EVERY_SCOPE, *, adopt: bool) -> Any:
    return lambda world: world.expiry.add(
        name, config, minutes, world.now, by("bob", scopes), adopt=adopt
    )


def stop_of_mine(scopes: str, *, forget: bool) -> Any:
    return lambda world: world.expiry.stop("mine", world.now, by("bob", scopes), forget=forget)


def renewal_of_mine(scopes: str) -> Any:
    return lambda world: world.expiry.renew("mine", 5, world.now, by("bob", scopes))


def owned_by(owner: Owner) -> Callable[[World], object]:
    return lambda world: world.endpoints.run_by_hand(FOREIGN, "their-cfg", owner)


def requests() -> Iterator[Refusal]:
    too_long = 50_000
    for adopts in (False, True):
        word = "adopt" if adopts else "add"
        yield Refusal(
            f"{word}: lease too long",
            LeaseTooLong,
            post(FOREIGN, "their-cfg", too_long, adopt=adopts),
        )
        yield Refusal(
            f"{word}: another config than it runs",
            NameTaken,
            post(FOREIGN, "cfg", 60, adopt=adopts),
        )
        yield Refusal(
            f"{word}: new name, unknown config",
            UnknownEndpointConfig,
            post("new", "nowhere", 60, adopt=adopts),
        )
        yield Refusal(
            f"{word}: new name, lease too long",
            LeaseTooLong,
            post("new", "cfg", too_long, adopt=adopts),
        )
        yield Refusal(
            f"{word}: while the stack is destroyed",
            Draining,
            post(FOREIGN, "their-cfg", 60, adopt=adopts),
            prepare=lambda world: world.store.set_drain(world.now + timedelta(minutes=5)),
        )
        yield Refusal(
            f"{word}: metered name with another config",
            NameTaken,
            post("mine", "their-cfg", 60, adopt=adopts),
        )
        for owner in (Owner.ANOTHER_STACK, Owner.IGNORED):
            yield Refusal(
                f"{word}: endpoint of {owner}",
                NameTaken,
                post(FOREIGN, "their-cfg", 60, adopt=adopts),
                prepare=owned_by(owner),
            )
    yield Refusal("add: it lives already", NameTaken, post(FOREIGN, "their-cfg", 60, adopt=False))
    yield Refusal(
        "adopt: outside of what may be adopted",
        NotAdoptable,
        post(FOREIGN, "their-cfg", 60, adopt=True),
        limits=(("adoptable", NamePatterns(("team-a-*",))),),
    )
    yield Refusal(
        "add: config outside of what may be added",
        ConfigNotAddable,
        post("new", "their-cfg", 60, adopt=False),
        limits=(("addable_configs", NamePatterns(("cfg",))),),
    )
    yield Refusal(
        "add: one too many",
        TooManyAdded,
        post("new", "cfg", 60, adopt=False),
        limits=(("max_added", 1),),
    )
    yield Refusal(
        "add: one too many of this token today",
        TooManyAddedToday,
        post("new", "cfg", 60, adopt=False),
        limits=(("max_added_per_token_per_day", 1),),
        prepare=lambda world: world.expiry.add("first", "cfg", 5, world.now, by("bob")),
    )
    for scopes in ("read", "renew", "invoke", "renew:theirs", "add", "add:theirs", "manage:other"):
        yield Refusal(
            f"adopt with '{scopes}'",
            ScopeMissing,
            post(FOREIGN, "their-cfg", 60, scopes, adopt=True),
        )
    for scopes in ("read", "renew", "manage", "invoke", "renew:new", "add:other", "manage:new"):
        yield Refusal(
            f"add with '{scopes}'", ScopeMissing, post("new", "cfg", 60, scopes, adopt=False)
        )
    for scopes in ("read", "renew", "renew:mine", "manage", "add:other"):
        yield Refusal(
            f"forget with '{scopes}'",
            ScopeMissing,
            stop_of_mine(scopes, forget=True),
        )
    for scopes in ("read", "add", "manage", "renew:other"):
        yield Refusal(
            f"stop with '{scopes}'",
            ScopeMissing,
            stop_of_mine(scopes, forget=False),
        )
        yield Refusal(
            f"renew with '{scopes}'",
            ScopeMissing,
            renewal_of_mine(scopes),
        )


@pytest.mark.parametrize("refused", list(requests()), ids=lambda refused: refused.what)
def test_refused_request_changes_nothing(refused: Refusal) -> None:
    world = make_world(**dict(refused.limits))
    refused.prepare(world)
    world.settle()
    before = snapshot(world)

    with pytest.raises(refused.error):
        refused.ask(world)

    assert snapshot(world) == before
    world.store.set_drain(None)
    world.advance(minutes=20)
    theirs = world.endpoints.live[FOREIGN]
    assert theirs.status is Status.IN_SERVICE
    assert "new" not in world.endpoints.live


def test_refused_adopt_with_a_too_long_lease_leaves_the_foreign_endpoint_running(
    world: World,
) -> None:
    with pytest.raises(LeaseTooLong):
        adopt(world, minutes=50_000)
    world.advance(hours=2)
    assert world.status(FOREIGN) is Status.IN_SERVICE
    assert world.endpoints.live[FOREIGN].owner is Owner.NOBODY


# --- requests that fail at any call ---------------------------------------------------------------

PARTS = {
    "store": ("control", "load", "declare", "renew", "stop", "replace_api_spec"),
    "endpoints": ("describe", "owner", "config_variants"),
    "history": ("append",),
    "hints": ("send",),
}


class Died(Exception):
    """The function was killed."""


def fail_one_call(world: World, number: int, error: Exception, *, after: bool) -> Iterator[int]:
    """Make the `number`th call of a use case fail, before or after it takes effect."""
    made = count()

    def broken(call: Callable[..., Any]) -> Callable[..., Any]:
        def attempt(*args: Any, **kwargs: Any) -> Any:
            mine = next(made) == number
            if mine and not after:
                raise error
            result = call(*args, **kwargs)
            if mine:
                raise error
            return result

        return attempt

    for part, methods in PARTS.items():
        for method in methods:
            whole = getattr(getattr(world, part), method)
            setattr(getattr(world, part), method, broken(whole))
    return made


def restore_calls(world: World) -> None:
    for part, methods in PARTS.items():
        for method in methods:
            vars(getattr(world, part)).pop(method, None)


REQUESTS: dict[str, Callable[[World], object]] = {
    "adopt": post(FOREIGN, "their-cfg", 60, adopt=True),
    "add": post("new", "cfg", 60, adopt=False),
    "forget": lambda world: world.expiry.stop("mine", world.now, by(), forget=True),
}
FAULTS: tuple[Exception, ...] = (
    Died(),
    Throttled("ThrottlingException", "Rate exceeded"),
    Unanswered("ReadTimeoutError", "no answer"),
    AwsRefused("AccessDeniedException", "no"),
)


@pytest.mark.parametrize("use", REQUESTS)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
def test_request_that_fails_at_any_call_takes_effect_completely_or_not_at_all(
    use: str, after: bool, fault: Exception
) -> None:
    for number in range(20):
        world = make_world()
        before = snapshot(world)
        made = fail_one_call(world, number, fault, after=after)
        with suppress(Died, MeterError):
            REQUESTS[use](world)
        restore_calls(world)
        reached = next(made)
        after_it = snapshot(world)
        declared = {key: record.spec for key, record in world.store.records.items()}
        if use == "forget":
            assert after_it == before or declared["mine"] is None
        elif after_it != before:  # accepted: spec and lease were written together
            key = FOREIGN if use == "adopt" else "new"
            state = world.store.load(key).state
            assert declared[key] is not None
            assert state is not None
            assert state.expires_at == world.now.replace(microsecond=0) + timedelta(minutes=60)
        world.advance(minutes=5)
        assert world.endpoints.live[FOREIGN].status is Status.IN_SERVICE
        if reached <= number:
            return
    pytest.fail("it makes more calls than this test expected")


# --- accepted requests ----------------------------------------------------------------------------


def test_adopted_endpoint_keeps_running_and_stops_when_its_lease_ends(world: World) -> None:
    answer = adopt(world, minutes=10)
    assert answer.http_status == 201
    assert answer.document["Status"] == "InService"
    world.advance(minutes=1)
    assert world.endpoints.live[FOREIGN].owner is Owner.ADOPTED
    assert world.state(FOREIGN).adopting is None
    assert world.status(FOREIGN) is Status.IN_SERVICE
    world.advance(minutes=10)
    assert world.status(FOREIGN) is Status.ABSENT
    assert world.endpoints.made("create", FOREIGN) == 0


@pytest.mark.parametrize(
    ("scopes", "use"),
    [
        ("manage", post(FOREIGN, "their-cfg", 60, "manage", adopt=True)),
        ("manage:theirs", post(FOREIGN, "their-cfg", 60, "manage:THEIRS", adopt=True)),
        ("add", post("new", "cfg", 60, "add", adopt=False)),
        ("add:new", post("new", "cfg", 60, "add:new", adopt=False)),
        ("add, adopt of what is not there", post("new", "cfg", 60, "add", adopt=True)),
        ("renew", post("mine", "cfg", 60, "renew", adopt=False)),
        ("renew:mine, adopt asked", post("mine", "cfg", 60, "renew:mine", adopt=True)),
    ],
    ids=lambda case: case if isinstance(case, str) else "",
)
def test_these_scopes_are_sufficient(
    world: World, scopes: str, use: Callable[[World], Any]
) -> None:
    assert use(world).http_status in (200, 201)


def test_forget_with_its_stop_needs_only_the_scope_add(world: World) -> None:
    answer = world.expiry.stop("mine", world.now, by("bob", "add:mine"), forget=True)
    assert answer.http_status == 200
    world.settle()
    world.advance(minutes=1)
    assert world.status("mine") is Status.ABSENT


@pytest.mark.parametrize("scopes", ["add", "renew add", "read renew add invoke"])
@pytest.mark.parametrize("owner", [Owner.NOBODY, Owner.ANOTHER_STACK, Owner.IGNORED])
def test_refusal_without_the_scope_to_adopt_reveals_neither_config_nor_owner(
    world: World, scopes: str, owner: Owner
) -> None:
    world.endpoints.run_by_hand(FOREIGN, "their-cfg", owner)
    for adopts in (False, True):
        with pytest.raises((NameTaken, ScopeMissing)) as refusal:
            post(FOREIGN, "cfg", 60, scopes, adopt=adopts)(world)
        assert "their-cfg" not in str(refusal.value)
        assert "another stack" not in str(refusal.value)
        assert "ignore" not in str(refusal.value)


def test_forgetting_frees_the_quota_of_an_added_endpoint() -> None:
    world = make_world(max_added=1)
    with pytest.raises(TooManyAdded, match=r"Forget one"):
        world.add("new", "cfg", 5)
    world.stop("mine", forget=True)
    assert world.add("new", "cfg", 5).http_status == 201


def test_adopting_uses_no_quota_of_added_endpoints(world: World) -> None:
    world.expiry = meter_with(world, Limits(max_added=1, max_added_per_token_per_day=1))
    assert adopt(world).http_status == 201


def test_token_over_its_daily_quota_may_add_again_after_retry_after() -> None:
    world = make_world(max_added_per_token_per_day=1)
    with pytest.raises(TooManyAddedToday) as refusal:
        world.add("new", "cfg", 5)
    seconds = refusal.value.retry_after_seconds
    assert world.now + timedelta(seconds=seconds) >= clock(0, day=3) > world.now
    world.advance(seconds=seconds)
    assert world.add("new", "cfg", 5).http_status == 201


def test_repeated_add_counts_once_towards_the_quota() -> None:
    world = make_world(max_added=1, max_added_per_token_per_day=1)
    assert world.add("mine", "cfg", 5).http_status == 200


# --- an adoption applies to one endpoint ----------------------------------------------------------


def assert_adoption_void(world: World) -> None:
    """It is off the meter again, and the history says that the adoption is void."""
    world.advance(minutes=2)
    assert world.store.load(FOREIGN).spec is None
    assert world.store.load(FOREIGN).state is None
    assert "adoption void" in world.history.kinds(FOREIGN)
    assert world.endpoints.made("create", FOREIGN) == 0
    assert world.endpoints.made("delete", FOREIGN) == 0


def test_update_from_outside_during_an_adoption_is_told_and_reverted(world: World) -> None:
    accept_without_reconciling(world)
    world.endpoints.update(FOREIGN, "other", {})
    world.hints.send([Hint(FOREIGN, Cause.SWEEP)])
    world.advance(minutes=5)
    told = {event.kind: event.reason for event in world.history.newest(FOREIGN, 100)}
    assert told["updated outside"] == "somebody outside moved it from their-cfg to other"
    assert told["update"] == "somebody outside moved it to other; it is to run their-cfg"
    assert world.get(FOREIGN)["ServedConfigName"] == "their-cfg"


def accept_without_reconciling(world: World, minutes: int = 600) -> None:
    """The adopt is accepted; no reconciler has looked at it yet."""
    world.expiry.add(FOREIGN, "their-cfg", minutes, world.now, by(), adopt=True)
    world.hints.queue.clear()


def test_endpoint_that_its_owner_deleted_before_it_was_tagged_is_not_created_again(
    world: World,
) -> None:
    accept_without_reconciling(world)
    del world.endpoints.live[FOREIGN]
    assert_adoption_void(world)
    assert FOREIGN not in world.endpoints.live


def test_endpoint_that_its_owner_is_deleting_is_not_adopted(world: World) -> None:
    accept_without_reconciling(world)
    world.endpoints.delete(FOREIGN)
    world.endpoints.calls.clear()
    assert_adoption_void(world)


def test_endpoint_that_was_replaced_before_it_was_tagged_is_left_alone(world: World) -> None:
    accept_without_reconciling(world)
    world.advance(seconds=1)
    world.endpoints.run_by_hand(FOREIGN, "their-cfg")
    assert_adoption_void(world)
    assert world.endpoints.live[FOREIGN].owner is Owner.NOBODY


def test_tag_that_reached_a_later_endpoint_of_that_name_is_removed(world: World) -> None:
    accept_without_reconciling(world)
    adopt_tag = world.endpoints.adopt

    def replaced_in_between(arn: str) -> None:
        world.endpoints.adopt = adopt_tag  # type: ignore[method-assign]
        world.endpoints.run_by_hand(FOREIGN, "their-cfg")
        world.endpoints.live[FOREIGN].created_at += timedelta(seconds=1)
        adopt_tag(arn)

    world.endpoints.adopt = replaced_in_between  # type: ignore[method-assign]
    assert_adoption_void(world)
    assert world.endpoints.live[FOREIGN].owner is Owner.NOBODY


def test_refused_removal_of_a_tag_from_a_later_endpoint_is_tried_again(world: World) -> None:
    accept_without_reconciling(world)
    world.advance(seconds=1)
    world.endpoints.run_by_hand(FOREIGN, "their-cfg", Owner.ADOPTED)
    world.endpoints.refusals["release"] = [AwsRefused("AccessDeniedException", "no")]
    world.advance(minutes=1)
    assert world.endpoints.live[FOREIGN].owner is Owner.ADOPTED
    assert world.status(FOREIGN) is Status.IN_SERVICE
    assert_adoption_void(world)
    assert world.endpoints.live[FOREIGN].owner is Owner.NOBODY


@pytest.mark.parametrize("owner", [Owner.ANOTHER_STACK, Owner.IGNORED])
@pytest.mark.parametrize("seconds", [0, 53], ids=["before the tag", "while the tag settles"])
def test_endpoint_that_gets_another_owner_during_the_adoption_is_left_to_them(
    world: World, owner: Owner, seconds: int
) -> None:
    accept_without_reconciling(world)
    world.advance(seconds=seconds)
    world.endpoints.live[FOREIGN].owner = owner
    assert_adoption_void(world)
    assert world.endpoints.live[FOREIGN].owner is owner
    assert world.endpoints.live[FOREIGN].status is Status.IN_SERVICE


def test_owner_who_removes_the_tag_at_once_keeps_the_endpoint(world: World) -> None:
    adopt(world)
    world.endpoints.live[FOREIGN].owner = Owner.NOBODY
    assert_adoption_void(world)


def test_adoption_is_completed_after_the_reconciler_died_behind_the_tagging(world: World) -> None:
    accept_without_reconciling(world)
    world.endpoints.live[FOREIGN].owner = Owner.ADOPTED
    world.advance(minutes=2)
    assert world.state(FOREIGN).adopting is None
    assert world.status(FOREIGN) is Status.IN_SERVICE
    assert world.endpoints.made("adopt", "arn:theirs") == 0


def test_refused_tagging_is_tried_again_and_the_endpoint_keeps_running_meanwhile(
    world: World,
) -> None:
    denied = AwsRefused("AccessDeniedException", "no")
    world.endpoints.refusals["adopt"] = [denied, denied]
    adopt(world, minutes=1)
    world.advance(seconds=50)
    assert world.status(FOREIGN) is Status.IN_SERVICE
    world.advance(minutes=3)
    assert world.status(FOREIGN) is Status.ABSENT, "adopted in the end, and its minute is over"
    assert "adopt refused" in world.history.kinds(FOREIGN)


def test_deploy_of_that_name_between_read_and_write_wins_over_an_adopt(world: World) -> None:
    declare = world.store.declare

    def deployed_meanwhile(*args: Any) -> Any:
        world.store.declare = declare  # type: ignore[method-assign]
        world.store.deploy(a_spec(FOREIGN, "other-cfg"))
        return declare(*args)

    world.store.declare = deployed_meanwhile  # type: ignore[method-assign,assignment]
    with pytest.raises(NameTaken):
        adopt(world)
    assert world.store.load(FOREIGN).api_spec is None


def test_forgetting_an_endpoint_that_is_not_tagged_yet_leaves_it_running(world: World) -> None:
    accept_without_reconciling(world)
    world.expiry.stop(FOREIGN, world.now, by(), forget=True)
    world.advance(minutes=2)
    assert world.status(FOREIGN) is Status.IN_SERVICE
    assert world.endpoints.live[FOREIGN].owner is Owner.NOBODY
    assert world.store.load(FOREIGN).state is None


def test_void_adoption_of_a_declared_name_keeps_its_spec_and_lease(world: World) -> None:
    world.endpoints.run_by_hand("falcon", "falcon-1")
    world.expiry.add("falcon", "falcon-1", 30, world.now, by(), adopt=True)
    world.hints.queue.clear()
    world.endpoints.live["falcon"].owner = Owner.IGNORED
    world.advance(minutes=2)
    record = world.store.load("falcon")
    assert record.config_spec is not None
    assert record.state is not None
    assert record.state.adopting is None
    assert record.state.expires_at is not None
    assert world.endpoints.made("delete", "falcon") == 0


# --- tags that show late or are set late ----------------------------------------------------------


def test_tag_that_does_not_show_at_once_does_not_void_the_adoption(world: World) -> None:
    accept_without_reconciling(world)
    world.advance(seconds=52)
    tagged = world.state(FOREIGN).adopting
    assert tagged is not None
    assert tagged.tagged_at is not None
    world.endpoints.live[FOREIGN].owner = Owner.NOBODY  # a listing that lags behind
    world.renew(FOREIGN, 1)
    assert world.state(FOREIGN).adopting is not None
    world.endpoints.live[FOREIGN].owner = Owner.ADOPTED
    world.advance(minutes=10)
    assert world.state(FOREIGN).adopting is None
    assert world.status(FOREIGN) is Status.IN_SERVICE
    assert "adoption void" not in world.history.kinds(FOREIGN)


def test_tag_that_shows_after_a_void_adoption_is_removed_and_nothing_is_deleted(
    world: World,
) -> None:
    accept_without_reconciling(world)
    world.advance(seconds=52)  # it is tagged, and the tag does not show yet
    adopting = world.state(FOREIGN).adopting
    assert adopting is not None
    assert adopting.tagged_at is not None
    world.endpoints.live[FOREIGN].owner = Owner.NOBODY
    world.advance(seconds=10)
    assert world.store.load(FOREIGN).spec is None
    world.endpoints.live[FOREIGN].owner = Owner.ADOPTED
    world.store.create_state(FOREIGN, State(next_due=world.now))
    world.advance(minutes=20)
    assert world.status(FOREIGN) is Status.IN_SERVICE
    assert world.endpoints.live[FOREIGN].owner is Owner.NOBODY
    assert world.endpoints.made("delete", FOREIGN) == 0


def test_tag_set_on_a_later_endpoint_after_a_void_adoption_is_removed(
    world: World,
) -> None:
    """The tagging call got no answer. It was carried out late, on an endpoint made meanwhile."""
    accept_without_reconciling(world)
    del world.endpoints.live[FOREIGN]
    world.endpoints.refusals["adopt"] = [Unanswered("ReadTimeoutError", "no answer")]
    hints = world.hints.queue
    world.advance(seconds=49)
    reconciled = world.reconciler().handle(Hint(FOREIGN, Cause.API))
    assert reconciled.word == "void"
    hints.clear()
    world.endpoints.run_by_hand(FOREIGN, "their-cfg", Owner.ADOPTED)
    world.advance(minutes=20)
    assert world.status(FOREIGN) is Status.IN_SERVICE
    assert world.endpoints.live[FOREIGN].owner is Owner.NOBODY
    assert world.endpoints.made("delete", FOREIGN) == 0


def test_destroy_during_an_adoption_releases_the_endpoint(world: World) -> None:
    accept_without_reconciling(world)
    world.advance(seconds=52)
    assert world.endpoints.live[FOREIGN].owner is Owner.ADOPTED
    world.deploys.drain(120)
    assert world.status(FOREIGN) is Status.IN_SERVICE
    assert world.endpoints.live[FOREIGN].owner is Owner.NOBODY
    assert world.status("mine") is Status.ABSENT


# --- adoption under a name that is already on the meter -------------------------------------------


def test_minutes_of_a_void_adoption_do_not_start_the_endpoint(world: World) -> None:
    world.endpoints.run_by_hand("falcon", "falcon-1")
    world.expiry.add("falcon", "falcon-1", 30, world.now, by(), adopt=True)
    world.hints.queue.clear()
    del world.endpoints.live["falcon"]
    world.advance(minutes=5)
    assert "adoption void" in world.history.kinds("falcon")
    assert world.endpoints.made("create", "falcon") == 0
    assert world.get("falcon")["Wanted"] == "stopped"


def test_void_adoption_restores_the_hold(world: World) -> None:
    world.deploy(a_spec("falcon", schedules=(ALL_DAY,)))
    world.stop("falcon")
    world.advance(minutes=1)
    world.endpoints.run_by_hand("falcon", "falcon-1")
    world.expiry.add("falcon", "falcon-1", 30, world.now, by(), adopt=True)
    world.hints.queue.clear()
    world.endpoints.calls.clear()
    del world.endpoints.live["falcon"]
    world.advance(minutes=5)
    assert world.endpoints.made("create", "falcon") == 0
    assert world.get("falcon")["Wanted"] == "stopped"


def test_minutes_renewed_after_those_of_a_void_adoption_ran_out_are_kept(
    world: World,
) -> None:
    world.endpoints.run_by_hand("falcon", "falcon-1")
    world.endpoints.refusals["adopt"] = [AwsRefused("AccessDeniedException", "no")] * 50
    world.expiry.add("falcon", "falcon-1", 2, world.now, by(), adopt=True)
    world.advance(minutes=4)
    world.renew("falcon", 60)
    paid = world.state("falcon").expires_at
    world.endpoints.live["falcon"].owner = Owner.IGNORED
    world.advance(minutes=16)
    assert world.state("falcon").adopting is None
    assert world.state("falcon").expires_at == paid


def test_minutes_renewed_during_a_void_adoption_are_kept(world: World) -> None:
    world.endpoints.run_by_hand("falcon", "falcon-1")
    began = world.now
    world.expiry.add("falcon", "falcon-1", 30, world.now, by(), adopt=True)
    world.hints.queue.clear()
    world.expiry.renew("falcon", 60, world.now, by())
    world.endpoints.live["falcon"].owner = Owner.IGNORED
    world.advance(minutes=2)
    assert world.state("falcon").expires_at == began + timedelta(minutes=60)


def test_renewal_that_meets_a_void_adoption_loses_no_paid_minute(world: World) -> None:
    world.renew("falcon", 100)
    world.endpoints.run_by_hand("falcon", "falcon-1")
    began = world.now
    world.expiry.add("falcon", "falcon-1", 60, world.now, by(), adopt=True)
    world.hints.queue.clear()
    del world.endpoints.live["falcon"]
    before(world.store, "renew", lambda: world.reconciler().handle(Hint("falcon", Cause.API)))
    world.expiry.renew("falcon", 10, world.now, by())
    world.advance(minutes=2)
    assert world.state("falcon").expires_at == began + timedelta(minutes=110)


def test_adoption_that_replaces_one_that_is_void_meanwhile_loses_no_paid_minute(
    world: World,
) -> None:
    world.renew("falcon", 100)
    began = world.now
    world.endpoints.run_by_hand("falcon", "falcon-1")
    world.expiry.add("falcon", "falcon-1", 60, world.now, by(), adopt=True)
    world.hints.queue.clear()
    world.advance(seconds=1)
    world.endpoints.run_by_hand("falcon", "falcon-1")
    before(
        world.endpoints,
        "describe",
        lambda: world.reconciler().handle(Hint("falcon", Cause.API)),
    )
    world.expiry.add("falcon", "falcon-1", 30, world.now, by(), adopt=True)
    world.hints.queue.clear()
    world.endpoints.live["falcon"].owner = Owner.IGNORED
    world.advance(minutes=2)
    assert world.state("falcon").adopting is None
    assert world.state("falcon").expires_at == began + timedelta(minutes=100)


def test_two_concurrent_adoptions_of_a_known_name_leave_no_unpaid_minute(world: World) -> None:
    world.endpoints.run_by_hand("falcon", "falcon-1")
    before(
        world.store,
        "renew",
        lambda: world.expiry.add("falcon", "falcon-1", 60, world.now, by("bob"), adopt=True),
    )
    world.expiry.add("falcon", "falcon-1", 30, world.now, by(), adopt=True)
    world.hints.queue.clear()
    world.endpoints.live["falcon"].owner = Owner.IGNORED
    world.advance(minutes=2)
    ends = world.state("falcon").expires_at
    assert ends is None or ends <= world.now - timedelta(minutes=2) + timedelta(minutes=30)


def test_retried_forget_of_a_shadowed_spec_gets_the_same_answer(world: World) -> None:
    world.deploy(a_spec("falcon"), a_spec("mine", "declared"))
    first = forget_keyed(world, "mine", "f1")
    assert first.document["Owner"] == "config"
    assert forget_keyed(world, "mine", "f1") == first


@pytest.mark.parametrize("served", ["falcon-1", "cfg-b", "their-cfg"])
@pytest.mark.parametrize("sent", ["falcon-1", "cfg-b"])
def test_endpoint_under_a_metered_name_is_adopted_with_the_declared_or_the_wanted_config(
    world: World, served: str, sent: str
) -> None:
    world.endpoints.configs.add("cfg-b")
    world.update("falcon", "cfg-b")
    world.endpoints.run_by_hand("falcon", served)
    with pytest.raises(NotAdopted, match=f"it runs config '{served}'"):
        adopt(world, "falcon", "cfg")
    assert world.endpoints.live["falcon"].config_name == served
    assert adopt(world, "falcon", sent).http_status == 200
    world.advance(minutes=2)
    assert world.endpoints.live["falcon"].owner is Owner.ADOPTED
    assert world.endpoints.live["falcon"].config_name == "cfg-b", "as was asked for by hand"


def test_scope_manage_for_the_name_is_enough_to_adopt_it(world: World) -> None:
    world.endpoints.run_by_hand("falcon", "falcon-1")
    manager = by(scopes="manage:falcon")
    assert world.expiry.add("falcon", "falcon-1", 5, world.now, manager, adopt=True).http_status
    world.advance(minutes=1)
    with pytest.raises(ScopeMissing, match="renew"):
        world.expiry.add("falcon", "falcon-1", 5, world.now, manager, adopt=True)


def test_answer_to_an_adoption_under_a_metered_name_says_that_the_endpoint_is_live(
    world: World,
) -> None:
    world.endpoints.run_by_hand("falcon", "their-cfg")
    answer = world.expiry.add("falcon", "falcon-1", 60, world.now, by(), adopt=True)
    shown = (answer.document["Status"], answer.document["ServedConfigName"])
    assert (answer.http_status, *shown) == (200, "InService", "their-cfg")
    assert world.expiry.get("falcon", world.now) == answer.document


def test_added_endpoint_that_the_config_declares_too_can_be_forgotten_and_frees_its_quota() -> None:
    world = make_world(max_added=1)
    world.deploy(a_spec("falcon"), a_spec("mine", "cfg"))
    with pytest.raises(TooManyAdded):
        world.add("another", "cfg", 5)
    ends = world.state("mine").expires_at
    assert world.stop("mine", forget=True).http_status == 200
    assert world.state("mine").expires_at == ends
    assert world.status("mine") is Status.IN_SERVICE
    assert world.add("another", "cfg", 5).http_status == 201
    with pytest.raises(ConfigOwned):
        world.stop("mine", forget=True)


def test_sweep_puts_endpoints_on_the_meter_with_the_limit_of_the_config(world: World) -> None:
    policy = Policy(Unmanaged.METER, timedelta(hours=1), max_lease_minutes=120)
    world.sweep_with(policy).sweep()
    with pytest.raises(LeaseTooLong):
        world.renew(FOREIGN, 119)


def test_restored_table_changes_no_running_endpoint_until_it_is_accepted(world: World) -> None:
    world.renew("falcon", 600)
    world.advance(minutes=1)
    world.store.id = "restored"
    world.endpoints.configs.add("cfg-b")
    world.update("falcon", "cfg-b")
    world.advance(minutes=5)
    assert world.endpoints.live["falcon"].config_name == "falcon-1"
    world.sweeper.accept_restored_table()
    world.advance(minutes=20)
    assert world.endpoints.live["falcon"].config_name == "cfg-b"


# --- retried requests after a forget --------------------------------------------------------------


def keyed(key: str, route: str, **body: Any) -> Request:
    return by().under(key, route, body)


def add_keyed(world: World, name: str, key: str, *, adopt: bool = False) -> Answer:
    config = "their-cfg" if adopt else "cfg"
    request = keyed(key, "add", name=name, adopt=adopt)
    answer = world.expiry.add(name, config, 5, world.now, request, adopt=adopt)
    world.settle()
    return answer


def forget_keyed(world: World, name: str, key: str) -> Answer:
    answer = world.expiry.stop(name, world.now, keyed(key, "forget", name=name), forget=True)
    world.settle()
    return answer


@pytest.mark.parametrize("seconds", [0, 5, 3600], ids=["at once", "while deleting", "later"])
def test_repeated_forget_gets_its_first_answer_and_does_not_stop_a_later_life(
    world: World, seconds: int
) -> None:
    first = forget_keyed(world, "mine", "f1")
    world.advance(seconds=seconds)
    assert forget_keyed(world, "mine", "f1") == first
    world.advance(minutes=5)
    world.add("mine", "cfg", 60)
    ends = world.state("mine").expires_at
    assert forget_keyed(world, "mine", "f1") == first
    assert world.state("mine").expires_at == ends
    assert world.store.load("mine").spec is not None


@pytest.mark.parametrize("seconds", [0, 5, 3600], ids=["at once", "while deleting", "later"])
def test_repeated_add_of_an_endpoint_forgotten_since_adds_nothing(
    world: World, seconds: int
) -> None:
    first = add_keyed(world, "new", "a1")
    world.advance(minutes=1)
    world.stop("new", forget=True)
    world.advance(seconds=seconds)
    assert add_keyed(world, "new", "a1") == first
    world.advance(minutes=5)
    assert world.store.load("new").spec is None
    assert world.endpoints.made("create", "new") == 1


def test_repeated_adopt_after_a_void_adoption_does_not_adopt_a_later_endpoint(world: World) -> None:
    request = keyed("v1", "add", name=FOREIGN, adopt=True)
    first = world.expiry.add(FOREIGN, "their-cfg", 5, world.now, request, adopt=True)
    world.hints.queue.clear()
    world.advance(seconds=1)
    world.endpoints.run_by_hand(FOREIGN, "their-cfg")
    world.advance(minutes=2)
    assert add_keyed(world, FOREIGN, "v1", adopt=True).http_status == first.http_status
    world.advance(minutes=2)
    assert world.endpoints.live[FOREIGN].owner is Owner.NOBODY
    assert world.store.load(FOREIGN).spec is None


def test_renewal_repeated_after_a_forget_does_not_extend_a_later_life(world: World) -> None:
    first = world.renew("mine", 7, key="r1")
    world.stop("mine", forget=True)
    world.advance(minutes=2)
    assert world.renew("mine", 7, key="r1") == first
    world.add("mine", "cfg", 60)
    ends = world.state("mine").expires_at
    assert world.renew("mine", 7, key="r1") == first
    assert world.state("mine").expires_at == ends


def test_answer_repeated_after_a_forget_tells_the_windows_and_stops_of_then(world: World) -> None:
    stop = Schedule.parse({"name": "stop", "stop_time": "09:30", "days": DAYS})
    world.schedules.replace("mine", [ALL_DAY, stop], world.now, by())
    first = world.renew("mine", 90, key="r1")
    world.stop("mine", forget=True)
    assert world.renew("mine", 90, key="r1") == first


def test_record_of_a_forgotten_endpoint_is_dropped_after_a_day(world: World) -> None:
    forget_keyed(world, "mine", "f1")
    world.advance(minutes=5)
    world.sweeper.sweep()
    assert world.store.load("mine").forgotten is not None
    world.advance(hours=24)
    world.sweeper.sweep()
    assert world.store.load("mine") == Record("mine")
    with pytest.raises(UnknownEndpoint):
        forget_keyed(world, "mine", "f1")


def test_idempotency_keys_of_all_lives_are_known_for_a_day(world: World) -> None:
    first = add_keyed(world, "new", "a1")
    world.stop("new", forget=True)
    world.advance(minutes=5)
    world.add("new", "their-cfg", 5)
    world.stop("new", forget=True)
    world.advance(minutes=5)
    assert add_keyed(world, "new", "a1") == first


# --- what comes during a forget -------------------------------------------------------------------


def forgotten_before(world: World, write: str) -> None:
    """Somebody forgets `mine` just before this write reaches the table."""
    before(world.store, write, lambda: world.expiry.stop("mine", world.now, by("bob"), forget=True))


WRITES_OF_USERS: dict[str, tuple[str, Callable[[World, Request], Answer]]] = {
    "a renewal": ("renew", lambda w, r: w.expiry.renew("mine", 5, w.now, r)),
    "a renewal until an instant": (
        "renew_until",
        lambda w, r: w.expiry.renew_until("mine", w.now + timedelta(hours=2), w.now, r),
    ),
    "a session": ("pay_session", lambda w, r: w.sessions.pay("mine", "job", 5, w.now, r)),
    "the end of a session": ("stop", lambda w, r: w.sessions.end("mine", "job", w.now, r)),
    "a stop": ("stop", lambda w, r: w.expiry.stop("mine", w.now, r, forget=False)),
    "an update": (
        "change_running",
        lambda w, r: w.updates.update("mine", "their-cfg", {}, w.now, r),
    ),
    "other weights": (
        "change_running",
        lambda w, r: w.updates.reweigh(
            "mine", [{"VariantName": "all", "DesiredWeight": 2}], w.now, r
        ),
    ),
}


@pytest.mark.parametrize("what", WRITES_OF_USERS)
def test_write_of_a_user_that_comes_after_a_forget_is_answered_that_it_is_unknown(
    world: World, what: str
) -> None:
    world.advance(minutes=1)
    write, ask = WRITES_OF_USERS[what]
    forgotten_before(world, write)

    with pytest.raises(UnknownEndpoint):
        ask(world, keyed("k1", what))

    state = world.state("mine")
    assert (state.lease_end, state.override, state.reweighing) == (world.now, None, None)
    assert [event.kind for event in world.history.newest("mine", 1)] == ["forgotten"]
    world.advance(minutes=5)
    assert world.store.load("mine").state is None
    with pytest.raises(UnknownEndpoint):
        ask(world, keyed("k1", what))


@pytest.mark.parametrize("what", [each for each in WRITES_OF_USERS if each != "a stop"])
def test_write_that_was_first_is_repeated_though_a_forget_came_before_its_repetition(
    world: World, what: str
) -> None:
    world.advance(minutes=1)
    write, ask = WRITES_OF_USERS[what]
    first: list[Answer] = []

    def written_and_forgotten() -> None:
        first.append(ask(world, keyed("k1", what)))
        world.expiry.stop("mine", world.now, by("bob"), forget=True)

    before(world.store, write, written_and_forgotten)

    assert [ask(world, keyed("k1", what))] == first
    assert world.store.load("mine").spec is None


def test_add_that_comes_after_a_forget_adds_the_endpoint_again(world: World) -> None:
    forgotten_before(world, "renew")

    first = add_keyed(world, "mine", "a1")

    assert first.http_status == 201
    ends = world.state("mine").expires_at
    assert add_keyed(world, "mine", "a1") == first
    assert world.state("mine").expires_at == ends
    assert world.renew("mine", 5).http_status == 200


def test_renewal_that_comes_after_an_adoption_was_void_is_answered_that_it_is_unknown(
    world: World,
) -> None:
    accept_without_reconciling(world)
    del world.endpoints.live[FOREIGN]
    before(world.store, "renew", lambda: world.reconciler().handle(Hint(FOREIGN, Cause.API)))

    with pytest.raises(UnknownEndpoint):
        world.expiry.renew(FOREIGN, 5, world.now, by())

    assert world.state(FOREIGN).expires_at is None


def test_forgotten_endpoint_that_a_deploy_declares_before_it_is_gone_is_paid_for_again(
    world: World,
) -> None:
    world.endpoints.delete_seconds = 600
    world.stop("mine", forget=True)
    world.advance(minutes=1)

    world.deploy(a_spec("falcon"), a_spec("mine", "cfg"))

    assert world.renew("mine", 60).http_status == 200
    assert world.update("mine", "their-cfg").http_status == 202


def test_endpoint_that_the_config_keeps_is_paid_for_after_its_added_spec_was_forgotten(
    world: World,
) -> None:
    world.deploy(a_spec("falcon"), a_spec("mine", "cfg"))
    forgotten_before(world, "renew")

    assert world.expiry.renew("mine", 5, world.now, by()).http_status == 200


# --- what an adoption requires --------------------------------------------------------------------


@pytest.mark.parametrize("status", [Status.CREATING, Status.UPDATING, Status.FAILED])
def test_endpoint_that_is_not_in_service_is_not_adopted(world: World, status: Status) -> None:
    world.endpoints.live[FOREIGN].status = status
    before = snapshot(world)
    with pytest.raises(NameTaken, match=f"is {status}. It can be adopted once it is InService"):
        adopt(world)
    assert snapshot(world) == before


def test_adopting_an_endpoint_that_its_owner_is_deleting_is_refused(world: World) -> None:
    world.endpoints.delete(FOREIGN)
    with pytest.raises(NameTaken, match="is Deleting"):
        adopt(world)
    assert world.store.load(FOREIGN).spec is None


def test_override_of_a_void_adoption_does_not_apply_to_the_next_life(world: World) -> None:
    accept_without_reconciling(world)
    world.updates.update(FOREIGN, "cfg", {}, world.now, by())
    world.hints.queue.clear()
    del world.endpoints.live[FOREIGN]
    world.reconciler().handle(Hint(FOREIGN, Cause.API))
    world.add(FOREIGN, "their-cfg", 60)
    world.advance(minutes=5)
    assert world.endpoints.live[FOREIGN].config_name == "their-cfg"


@pytest.mark.parametrize("minutes", [43_201, 10**9, 10**18])
def test_lease_of_any_size_beyond_the_maximum_is_refused(world: World, minutes: int) -> None:
    for name, config in (("new", "cfg"), (FOREIGN, "their-cfg")):
        with pytest.raises(LeaseTooLong):
            world.add(name, config, minutes, adopt=True)


# --- tags are read again before each change -------------------------------------------------------


@pytest.mark.parametrize("owner", [Owner.NOBODY, Owner.ANOTHER_STACK, Owner.IGNORED])
def test_endpoint_that_lost_our_tag_is_not_deleted(world: World, owner: Owner) -> None:
    world.endpoints.live["mine"].owner = owner
    world.stop("mine")
    world.advance(minutes=30)
    assert world.status("mine") is Status.IN_SERVICE
    assert world.endpoints.made("delete", "mine") == 0


@pytest.mark.parametrize("owner", [Owner.NOBODY, Owner.ANOTHER_STACK, Owner.IGNORED])
def test_endpoint_that_lost_our_tag_is_not_updated(world: World, owner: Owner) -> None:
    world.renew("falcon", 600)
    world.advance(minutes=1)
    world.endpoints.live["falcon"].owner = owner
    world.deploy(a_spec("falcon", "falcon-2"))
    world.advance(minutes=30)
    assert world.endpoints.made("update", "falcon") == 0


def test_endpoint_with_the_ignore_tag_is_neither_reported_nor_late_nor_an_orphan(
    world: World,
) -> None:
    world.endpoints.run_by_hand("quiet", "their-cfg", Owner.IGNORED)
    world.endpoints.live["mine"].owner = Owner.IGNORED
    world.stop("mine")
    world.advance(hours=2)
    swept = world.sweep_with(Policy(Unmanaged.REPORT)).sweep()
    assert "quiet" not in swept.unmanaged
    assert FOREIGN in swept.unmanaged
    assert swept.late == []
    assert swept.orphans == []
    assert not any("mine" in notice for notice in world.notices)


def test_adopted_endpoint_is_on_the_meter_again_when_its_owner_takes_the_ignore_tag_off(
    world: World,
) -> None:
    adopt(world, minutes=180)
    world.advance(minutes=1)
    live = world.endpoints.live[FOREIGN]
    assert live.owner is Owner.ADOPTED
    live.owner = Owner.IGNORED
    world.hints.send([Hint(FOREIGN, Cause.SWEEP)])
    world.advance(minutes=170)
    assert world.status(FOREIGN) is Status.IN_SERVICE
    live.owner = Owner.ADOPTED
    world.advance(minutes=5)
    assert live.owner is Owner.ADOPTED, "our tag stays on it"
    world.advance(minutes=10)
    assert world.status(FOREIGN) is Status.ABSENT, "its lease has ended"


def test_config_that_its_owner_set_while_it_was_ignored_is_replaced_and_blamed_on_nobody(
    world: World,
) -> None:
    adopt(world, minutes=180)
    world.advance(minutes=1)
    live = world.endpoints.live[FOREIGN]
    live.owner = Owner.IGNORED
    world.endpoints.update(FOREIGN, "other", {})
    world.hints.send([Hint(FOREIGN, Cause.SWEEP)])
    world.advance(minutes=5)
    live.owner = Owner.ADOPTED
    world.advance(minutes=5)
    told = {event.kind: event.reason for event in world.history.newest(FOREIGN, 100)}
    assert told["update"] == "it is to run their-cfg"
    assert "updated outside" not in told
    assert world.get(FOREIGN)["ServedConfigName"] == "their-cfg"


def test_sweep_puts_only_what_may_be_adopted_on_the_meter(world: World) -> None:
    world.endpoints.run_by_hand("team-a-1", "their-cfg")
    policy = Policy(Unmanaged.METER, timedelta(hours=2), adoptable=NamePatterns(("team-a-*",)))
    swept = world.sweep_with(policy).sweep()
    world.settle()
    assert sorted(swept.unmanaged) == ["team-a-1", FOREIGN]
    assert world.store.load("team-a-1").spec is not None
    assert world.store.load(FOREIGN).spec is None
    world.advance(hours=3)
    assert world.status("team-a-1") is Status.ABSENT
    assert world.status(FOREIGN) is Status.IN_SERVICE


def test_adopted_endpoint_without_a_record_is_no_orphan(world: World) -> None:
    world.endpoints.run_by_hand("lost", "their-cfg", Owner.ADOPTED)
    assert world.sweeper.sweep().orphans == []
    world.advance(hours=3)
    assert world.status("lost") is Status.IN_SERVICE


# --- deploys, rollbacks and restored tables -----------------------------------------------------


@pytest.mark.parametrize("paid", [False, True], ids=["in a window", "on a lease"])
def test_running_endpoint_with_an_unreadable_spec_keeps_running(world: World, paid: bool) -> None:
    world.renew("falcon", 5)
    world.advance(minutes=1)
    if not paid:
        world.advance(minutes=2)
    world.store.deploy(replace(a_spec("falcon"), unreadable="unknown attributes: pause"))
    world.advance(hours=5)
    assert world.status("falcon") is Status.IN_SERVICE
    assert "cannot be read" in world.get("falcon")["Reason"]


def test_stopped_endpoint_with_an_unreadable_spec_stays_stopped_until_renewed(world: World) -> None:
    world.store.deploy(replace(a_spec("falcon"), unreadable="cut short"))
    world.advance(hours=1)
    assert world.status("falcon") is Status.ABSENT
    world.renew("falcon", 10)
    world.advance(minutes=1)
    assert world.status("falcon") is Status.IN_SERVICE


def test_new_endpoint_gets_its_first_lease_once_its_spec_can_be_read(world: World) -> None:
    world.store.deploy(replace(a_spec("new", "cfg"), unreadable="cut short"))
    world.advance(minutes=5)
    with pytest.raises(SpecUnreadable, match="deploy again"):
        world.renew("new", 5)
    assert world.store.load("new").state is None
    world.deploy(a_spec("falcon"), a_spec("new", "cfg", initial_provision_minutes=7))
    expires_at = world.state("new").expires_at
    assert expires_at == world.now.replace(microsecond=0) + timedelta(minutes=7)


def test_endpoint_with_an_unreadable_spec_can_be_stopped_by_hand(world: World) -> None:
    world.renew("falcon", 60)
    world.advance(minutes=1)
    world.store.deploy(replace(a_spec("falcon"), unreadable="cut short"))
    world.advance(minutes=1)
    world.stop("falcon")
    world.advance(minutes=1)
    assert world.status("falcon") is Status.ABSENT


def test_hold_of_an_earlier_window_does_not_stop_an_endpoint_with_an_unreadable_spec(
    world: World,
) -> None:
    world.renew("falcon", 60)
    world.advance(minutes=1)
    held = replace(world.state("falcon"), held_since=world.now - timedelta(days=1), expires_at=None)
    record = world.store.load("falcon")
    world.store.records["falcon"] = replace(record, state=held)
    world.store.deploy(replace(a_spec("falcon"), unreadable="cut short"))
    world.advance(minutes=5)
    assert world.status("falcon") is Status.IN_SERVICE


def test_setting_schedules_does_not_overwrite_an_unreadable_spec(world: World) -> None:
    record = world.store.load("mine")
    assert record.api_spec is not None
    cut_short = replace(record.api_spec, unreadable="cut short")
    world.store.records["mine"] = replace(record, api_spec=cut_short)
    with pytest.raises(SpecUnreadable):
        world.schedules.replace("mine", [ALL_DAY], world.now, by())
    assert world.store.load("mine").api_spec == cut_short


def test_restored_table_creates_and_adopts_nothing_until_it_is_accepted(world: World) -> None:
    world.store.control_item = replace(world.store.control_item, table_id="before the restore")
    adopt(world)
    world.renew("falcon", 60)
    world.advance(minutes=5)
    assert world.status("falcon") is Status.ABSENT
    assert world.endpoints.live[FOREIGN].owner is Owner.NOBODY
    assert "restored" in world.get("falcon")["Reason"]
    world.sweeper.accept_restored_table()
    world.advance(minutes=20)
    assert world.status("falcon") is Status.IN_SERVICE
    assert world.endpoints.live[FOREIGN].owner is Owner.ADOPTED


def test_deploy_that_changes_only_schedules_keeps_the_override(world: World) -> None:
    world.endpoints.configs.add("by-hand")
    world.renew("falcon", 600)
    world.advance(minutes=1)
    world.update("falcon", "by-hand")
    world.advance(minutes=1)
    world.deploy(a_spec("falcon", spec_hash="a new holiday", initial_provision_minutes=5))
    world.advance(minutes=5)
    assert world.get("falcon")["ServedConfigName"] == "by-hand"
    world.deploy(a_spec("falcon", "falcon-2"))
    world.advance(minutes=5)
    assert world.get("falcon")["ServedConfigName"] == "falcon-2"


# --- retried stops ------------------------------------------------------------------------------


def test_retried_stop_does_not_undo_a_renewal_in_between(world: World) -> None:
    request = by().under("once", "DELETE", {"EndpointName": "mine"})
    first = world.expiry.stop("mine", world.now, request, forget=False)
    world.settle()
    world.renew("mine", 30)
    again = world.expiry.stop("mine", world.now, request, forget=False)
    assert again == first
    assert world.get("mine")["Wanted"] == "running"


def test_forget_and_its_stop_are_one_write(world: World) -> None:
    writes: list[str | None] = []
    stop = world.store.stop

    def counted(*args: Any) -> Any:
        writes.append(args[4])
        return stop(*args)

    world.store.stop = counted  # type: ignore[method-assign,assignment]
    world.stop("mine", forget=True)
    assert len(writes) == 1
    assert writes[0] is not None
    assert world.store.load("mine").spec is None
