"""What is stored of refusals, failures and updates is told only while it still holds."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lambdas.core.decision import meter_of
from lambdas.core.documents import endpoint_document
from lambdas.core.errors import AwsRefused, Throttled
from lambdas.core.hints import Cause, Hint
from lambdas.core.in_the_way import ADOPTING, call_mark, unread
from lambdas.core.spec import Scaling, Spec
from lambdas.core.state import (
    Adoption,
    Dropped,
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
)
from lambdas.core.strangers import cannot_act
from lambdas.core.wanted_config import declaration, rollback_mark
from tests.fakes import a_spec, by, clock
from tests.world import World

SPEC = a_spec("falcon", scaling=(Scaling("all", 1, 2, {}),))
LIFE = clock(1)
CONFIGS = ("falcon-1", "cfg-b")
INVALID = AwsRefused("ValidationException", "the role cannot be assumed")
BUSY = AwsRefused("InternalFailure", "try again")
RATE = Throttled("ThrottlingException", "Rate exceeded")


# --- whatever is stored ---------------------------------------------------------------------------


def marks(step: Step) -> st.SearchStrategy[str]:
    """The mark of a call for the endpoint as it is, or for another config, life or spec."""
    specs = st.sampled_from([SPEC, replace(SPEC, tags={"team": "nlp"})])
    lives = st.sampled_from([None, LIFE, clock(2)])
    return st.builds(call_mark, specs, lives, st.just(step), st.sampled_from([None, *CONFIGS]))


def trouble_with(step: Step) -> st.SearchStrategy[Trouble]:
    failures = st.sampled_from([("Failed: no image", "Failed"), (f"{step} refused: no", "Denied")])
    said = failures if step is Step.CREATE else st.just((f"{step} refused: no", "Denied"))
    return st.builds(
        lambda mark, text, tries, waits: Trouble(mark, text[0], text[1], {}, tries, waits),
        marks(step),
        said,
        st.integers(0, 3),
        st.booleans(),
    )


CALLS = (Step.CREATE, Step.DELETE, Step.UPDATE, Step.RESTORE, Step.REWEIGH)
UNREADABLE = replace(SPEC, unreadable="unknown attributes: moons")
maybe = st.none() | st.integers(0, 600).map(lambda m: clock(0) + timedelta(minutes=m))
stored = st.builds(
    State,
    expires_at=maybe,
    held_since=maybe,
    set_up_at=st.just(clock(0)),
    observed_status=st.sampled_from([each for each in Status if each is not Status.UNKNOWN]),
    observed_config=st.sampled_from(CONFIGS),
    observed_created=st.just(LIFE),
    owned_since=st.just(LIFE),
    next_due=maybe,
    next_step=st.sampled_from([Step.WAIT, Step.DELETE]),
    attempts=st.integers(0, 3),
    retry_at=maybe,
    troubles=st.fixed_dictionaries(
        {},
        optional={
            **{step: trouble_with(step) for step in (*CALLS, Step.ADOPT)},
            Step.WAIT: st.just(Trouble("", "not seen: Throttling: no", tries=1)),
        },
    ),
    stranger=st.sampled_from([None, None, None, Owner.ANOTHER_STACK, Owner.IGNORED]),
    adopting=st.sampled_from([None, None, None, Adoption("arn", LIFE, declared=True)]),
    dropped=st.fixed_dictionaries(
        {},
        optional={
            step: st.builds(Dropped, marks(step), st.just(f"{step} refused: for good"))
            for step in (Step.CREATE, Step.UPDATE, Step.RESTORE)
        },
    ),
    deletion=st.none() | st.just("the lease ended at 2026-03-01T12:00:00Z"),
    updating=st.none() | st.just(Update("cfg-b", "mark")),
    rolled_back=st.none()
    | st.sampled_from(CONFIGS).map(lambda c: Rollback(rollback_mark(SPEC, c), "an alarm")),
    reweighing=st.none()
    | st.builds(Reweighing, st.just([]), st.just(LIFE), st.booleans(), st.none() | st.just("no")),
    restored=st.none() | st.just("maybe"),
    override=st.none()
    | st.builds(Override, st.just("cfg-b"), st.just({}), st.sampled_from([declaration(SPEC), "x"])),
)


@dataclass(frozen=True)
class Shown:
    state: State
    wanted: bool
    config: str
    """The config that it is to run."""
    spec: Spec = SPEC

    @property
    def runs(self) -> bool:
        return self.wanted and self.state.observed_status is Status.IN_SERVICE

    @property
    def moves(self) -> bool:
        return self.runs and self.state.observed_config != self.config

    def made(self, step: Step, text: str) -> bool:
        """Whether this very call is stored with this text."""
        life = None if step is Step.CREATE else LIFE
        config = None if step in (Step.DELETE, Step.REWEIGH, Step.ADOPT) else self.config
        mark = call_mark(SPEC, life, step, config)
        trouble, dropped = self.state.troubles.get(step), self.state.dropped.get(step)
        waits = trouble is not None and trouble.waits and text.endswith("waits for its turn")
        of_trouble = trouble and trouble.mark == mark and (waits or trouble.why == text)
        return bool(of_trouble or (dropped and (dropped.mark, dropped.why) == (mark, text)))


def _of_a_call(shown: Shown, found: re.Match[str]) -> bool:
    step, status = Step(found["step"]), shown.state.observed_status
    broken = status in (Status.FAILED, Status.OUT_OF_SERVICE)
    to_do = {
        Step.CREATE: shown.wanted and (broken or status in (Status.ABSENT, Status.CREATING)),
        Step.DELETE: broken or (not shown.wanted and status is not Status.ABSENT),
        Step.UPDATE: shown.moves,
        Step.RESTORE: shown.runs,
        Step.REWEIGH: shown.runs and bool(shown.state.reweighing),
        Step.ADOPT: shown.state.adopting is not None,
    }
    return to_do[step] and shown.made(step, found["text"])


def _of_a_failure(shown: Shown, _: re.Match[str]) -> bool:
    starts = (Status.FAILED, Status.OUT_OF_SERVICE, Status.ABSENT, Status.CREATING)
    return shown.wanted and shown.state.observed_status in starts


def _of_a_deletion(shown: Shown, found: re.Match[str]) -> bool:
    going = shown.state.observed_status is Status.DELETING
    named = found["why"] == shown.state.deletion or shown.state.deletion is None
    return going and named and shown.wanted is bool(found["after"])


def _of_a_change(shown: Shown, found: re.Match[str]) -> bool:
    changing = (Status.UPDATING, Status.SYSTEM_UPDATING, Status.ROLLING_BACK)
    return shown.state.observed_status in changing and shown.wanted is not bool(found["after"])


_RULE = (
    r"(the lease|the window '.*') (is|ended|closed) .*|stopped by hand at .*"
    r"|no lease was paid and no window has opened yet"
)
_WEIGHED = "being given the weights or capacities that were set by hand"
_TRIES = r"( \(tries that failed: [1-3]; the next one .*\))?"
SENTENCES: dict[str, Callable[[Shown, re.Match[str]], bool]] = {
    rf"(?P<text>(?P<step>create|delete|update|restore|reweigh|adopt) (refused: no|refused: for good"
    rf"|throttled: it waits for its turn)){_TRIES}": _of_a_call,
    rf"Failed: no image{_TRIES}": _of_a_failure,
    rf"being deleted(: (?P<why>.*?))?(?P<after>; created after that: ({_RULE}))?": _of_a_deletion,
    rf"(being updated to cfg-b|SageMaker is (updating it|rolling an update back)|{_WEIGHED})"
    rf"(?P<after>; deleted after that: ({_RULE}))?": _of_a_change,
    rf"being created(?P<not>, and deleted after that)?: ({_RULE})": lambda shown, found: (
        shown.state.observed_status is Status.CREATING and shown.wanted is not bool(found["not"])
    ),
    r"the update to (?P<config>\S+) was rolled back: an alarm": lambda shown, found: (
        shown.runs
        and shown.state.rolled_back is not None
        and shown.state.rolled_back.mark.endswith(f":{found['config']}")
    ),
    r"the weights and capacities set by hand were rolled back: no": lambda shown, _: (
        shown.runs and shown.state.reweighing is not None and bool(shown.state.reweighing.undone)
    ),
    r"it serves (?P<served>\S+), and the move to (?P<config>\S+) is still to come": (
        lambda shown, found: (
            shown.moves
            and (found["served"], found["config"]) == (shown.state.observed_config, shown.config)
        )
    ),
    re.escape(cannot_act("falcon")): lambda shown, _: shown.state.stranger is not None,
    re.escape(unread(UNREADABLE)): lambda shown, _: bool(shown.spec.unreadable),
    r"not seen: Throttling: no": lambda shown, _: Step.WAIT in shown.state.troubles,
    ADOPTING: lambda shown, _: shown.state.adopting is not None,
    r"an update failed and so did its rollback.*": lambda shown, _: (
        shown.wanted and shown.state.observed_status is Status.UPDATE_ROLLBACK_FAILED
    ),
    _RULE: lambda shown, _: not shown.moves,
}
"""Each sentence that may be said, and when it is true."""


@settings(max_examples=400)
@given(
    stored,
    st.sampled_from([SPEC, SPEC, SPEC, UNREADABLE]),
    st.integers(0, 600).map(lambda m: clock(0) + timedelta(minutes=m)),
)
def test_each_stored_reason_is_told_only_while_it_holds(state: State, spec: Spec, now: Any) -> None:
    record = Record("falcon", config_spec=spec, state=state)
    said = endpoint_document(record, now)["Reason"]
    in_force = state.override is not None and state.override.declaration != "x"
    wanted = meter_of(spec, state).wanted(now)
    shown = Shown(state, wanted, "cfg-b" if in_force else "falcon-1", spec)
    for pattern, holds in SENTENCES.items():
        if found := re.fullmatch(pattern, said):
            assert holds(shown, found), said
            return
    raise AssertionError(f"no such sentence: {said!r}")


# --- after what came since ------------------------------------------------------------------------


def refuse(world: World, operation: str, *errors: AwsRefused) -> None:
    world.endpoints.refusals[operation] = list(errors)


def told(world: World) -> str:
    """What is told before the meter looks again."""
    return str(world.get("falcon")["Reason"])


def stopped(world: World) -> None:
    world.expiry.stop("falcon", world.now, by(), forget=False)


def paid(world: World) -> None:
    world.expiry.renew("falcon", 60, world.now, by())


def moved_back(world: World) -> None:
    world.updates.update("falcon", "falcon-1", {}, world.now, by())


def declared(config: str) -> Callable[[World], None]:
    def declare(world: World) -> None:
        world.store.deploy(a_spec("falcon", config, spec_hash=config))

    return declare


def lease_over(world: World) -> None:
    world.now += timedelta(hours=3)


def refused_update(world: World) -> None:
    world.renew("falcon", 60)
    world.advance(seconds=10)
    refuse(world, "update", *[BUSY] * 9)
    world.update("falcon", "cfg-b")


def throttled_start(world: World) -> None:
    refuse(world, "create", RATE)
    world.renew("falcon", 60)


def refused_start(world: World) -> None:
    refuse(world, "create", *[BUSY] * 9)
    world.renew("falcon", 60)


def refused_stop(world: World) -> None:
    world.renew("falcon", 60)
    world.advance(seconds=10)
    refuse(world, "delete", *[BUSY] * 9)
    world.stop("falcon")


def throttled_stop(world: World) -> None:
    world.renew("falcon", 60)
    world.advance(seconds=10)
    refuse(world, "delete", *[RATE] * 9)
    world.stop("falcon")


def rolled_back(world: World) -> None:
    world.renew("falcon", 60)
    world.advance(seconds=10)
    world.endpoints.rolling_back = "an alarm tripped"
    world.deploy(a_spec("falcon", "cfg-b", spec_hash="2"))
    world.advance(minutes=1)


def postponed(world: World) -> None:
    world.renew("falcon", 5)
    world.advance(seconds=10)
    slow = {
        "DeploymentConfig": {"BlueGreenUpdatePolicy": {"MaximumExecutionTimeoutInSeconds": 600}}
    }
    world.deploy(a_spec("falcon", "cfg-b", update=slow, spec_hash="2"))


def starting(world: World) -> None:
    world.endpoints.failing = "no image"
    world.renew("falcon", 60)
    world.advance(seconds=20)


HELD = "stopped by hand at "
ENDED = "the lease ended at "
PAID = "the lease is paid until "


@pytest.mark.parametrize(
    ("before", "said", "since", "says"),
    [
        (refused_update, "update refused", stopped, HELD),
        (refused_update, "update refused", lease_over, ENDED),
        (refused_update, "update refused", moved_back, PAID),
        (refused_update, "update refused", paid, "it serves falcon-1, and the move to cfg-b"),
        (throttled_start, "create throttled", paid, PAID),
        (throttled_start, "create throttled", stopped, HELD),
        (throttled_start, "create throttled", declared("cfg-b"), PAID),
        (refused_start, "create refused", paid, PAID),
        (refused_start, "create refused", lease_over, ENDED),
        (refused_start, "create refused", declared("cfg-b"), PAID),
        (refused_stop, "delete refused", paid, PAID),
        (throttled_stop, "delete throttled", paid, PAID),
        (rolled_back, "the update to cfg-b was rolled back", stopped, HELD),
        (rolled_back, "the update to cfg-b was rolled back", lease_over, ENDED),
        (rolled_back, "the update to cfg-b was rolled back", moved_back, PAID),
        (rolled_back, "the update to cfg-b was rolled back", declared("falcon-1"), PAID),
        (postponed, "the update to cfg-b may take longer", lease_over, ENDED),
        (postponed, "the update to cfg-b may take longer", moved_back, PAID),
        (postponed, "the update to cfg-b may take longer", paid, "it serves falcon-1, and the"),
        (starting, "Failed: no image", stopped, HELD),
        (starting, "Failed: no image", lease_over, ENDED),
    ],
)
def test_what_was_in_the_way_is_not_told_of_what_is_wanted_since(
    before: Callable[[World], None], said: str, since: Callable[[World], None], says: str
) -> None:
    world = World()
    world.endpoints.configs |= {"cfg-b", "falcon-1"}
    world.deploy(a_spec("falcon"))
    before(world)
    assert told(world).startswith(said)
    since(world)
    assert re.sub(r"^being deleted: ", "", told(world)).startswith(says)


def test_answer_of_an_update_tells_nothing_of_the_one_before() -> None:
    world = World()
    world.endpoints.configs |= {"cfg-b", "cfg-c"}
    world.deploy(a_spec("falcon"))
    rolled_back(world)
    answer = world.updates.update("falcon", "cfg-c", {}, world.now, by())
    assert answer.document == world.get("falcon")
    assert answer.document["Reason"].startswith("it serves falcon-1, and the move to cfg-c")


def test_look_that_failed_is_not_told_after_one_that_did_not() -> None:
    world = World()
    world.deploy(a_spec("falcon"))
    refuse(world, "create", *[BUSY] * 9)
    world.renew("falcon", 60)
    world.advance(minutes=2)
    refuse(world, "describe", RATE)
    world.hints.send([Hint("falcon", Cause.EVENT)])
    world.settle()
    assert told(world) == "not seen: ThrottlingException: Rate exceeded"
    world.advance(seconds=70)
    assert told(world).startswith("create refused: InternalFailure: try again (tries that failed: ")


def test_throttle_that_is_over_is_not_told_while_the_endpoint_is_created() -> None:
    world = World()
    world.deploy(a_spec("falcon"))
    world.endpoints.create_seconds = 60
    refuse(world, "create", BUSY, RATE)
    world.renew("falcon", 60)
    world.advance(seconds=16)
    assert told(world).startswith("create throttled: it waits for its turn (tries that failed: 1;")
    world.advance(seconds=10)
    assert world.status("falcon") is Status.CREATING
    assert told(world) == (
        "create refused: InternalFailure: try again (tries that failed: 1; the next one is under "
        "way)"
    )


def test_restored_table_is_not_told_once_it_is_accepted() -> None:
    world = World()
    world.deploy(a_spec("falcon"))
    world.renew("falcon", 60)
    world.advance(seconds=10)
    world.store.id = "table-2"
    world.stop("falcon")
    assert told(world) == "the state table was restored: until that is accepted, no delete"
    assert world.sweeper.accept_restored_table()
    world.settle()
    assert told(world).startswith("being deleted: stopped by hand at ")


# --- one refusal is not the n-th ------------------------------------------------------------------


def start_of(world: World, *errors: AwsRefused) -> None:
    world.deploy(a_spec("falcon"))
    refuse(world, "create", *errors)
    world.renew("falcon", 24 * 60)
    world.advance(minutes=60)


@pytest.mark.parametrize("before", [[BUSY] * 6, [BUSY, INVALID, BUSY, INVALID, BUSY]])
def test_start_is_not_dropped_after_refusals_of_another_kind(before: list[AwsRefused]) -> None:
    world = World()
    start_of(world, *before, INVALID)
    assert world.status("falcon") is Status.IN_SERVICE


def test_start_is_not_dropped_after_failed_ones() -> None:
    world = World()
    world.deploy(a_spec("falcon"))
    world.endpoints.failing = "no image"
    world.renew("falcon", 24 * 60)
    world.advance(minutes=12)
    assert world.state("falcon").attempts >= 5
    world.endpoints.failing = ""
    refuse(world, "create", INVALID)
    world.advance(minutes=40)
    assert world.status("falcon") is Status.IN_SERVICE


def test_start_is_not_dropped_after_looks_that_failed() -> None:
    world = World()
    world.deploy(a_spec("falcon"))
    refuse(world, "describe", *[RATE] * 8)
    refuse(world, "create", INVALID)
    world.renew("falcon", 24 * 60)
    world.advance(minutes=15)
    assert world.status("falcon") is Status.IN_SERVICE


def test_invalid_start_is_dropped_also_if_other_errors_come_between() -> None:
    world = World()
    start_of(world, *[INVALID, INVALID, BUSY, RATE] * 9)
    assert told(world).startswith("create refused: ValidationException")
    assert "it is tried again once its entry is changed" in told(world)


def test_update_is_not_dropped_after_refusals_of_another_kind() -> None:
    world = World()
    world.endpoints.configs.add("cfg-b")
    world.deploy(a_spec("falcon"))
    world.renew("falcon", 24 * 60)
    world.advance(seconds=10)
    refuse(world, "update", *[BUSY] * 5, INVALID)
    world.update("falcon", "cfg-b")
    world.advance(minutes=40)
    assert world.get("falcon")["ServedConfigName"] == "cfg-b"


def test_config_set_by_hand_is_kept_if_it_is_missing_once_after_other_refusals() -> None:
    world = World()
    world.endpoints.configs.add("cfg-b")
    world.deploy(a_spec("falcon"))
    world.update("falcon", "cfg-b")
    missing = AwsRefused("ValidationException", 'Could not find endpoint configuration "cfg-b".')
    refuse(world, "create", *[BUSY] * 5, missing)
    world.renew("falcon", 24 * 60)
    world.advance(minutes=40)
    assert world.get("falcon")["EndpointConfigName"] == "cfg-b"
    assert world.get("falcon")["ServedConfigName"] == "cfg-b"


# --- deletions and moves --------------------------------------------------------------------------


def deleted_for(world: World) -> str:
    (event,) = [e for e in world.history.newest("falcon", 99) if e.kind == "delete"]
    return event.reason


def test_endpoint_that_is_paid_for_again_says_what_it_is_being_deleted_for() -> None:
    world = World()
    world.endpoints.delete_seconds = 60
    world.deploy(a_spec("falcon"))
    world.renew("falcon", 1)
    world.advance(minutes=1, seconds=5)
    assert told(world) == f"being deleted: {deleted_for(world)}"
    answer = world.renew("falcon", 60)
    reason = (
        "being deleted: the lease ended at 2026-03-02T09:01:00Z; created after that: the lease is "
        "paid until 2026-03-02T10:01:05Z"
    )
    assert told(world) == answer.document["Reason"] == reason


def test_failed_endpoint_that_is_stopped_says_what_it_is_being_deleted_for() -> None:
    world = World()
    world.endpoints.delete_seconds, world.endpoints.failing = 60, "no image"
    world.deploy(a_spec("falcon"))
    world.renew("falcon", 60)
    world.advance(seconds=20)
    assert deleted_for(world) == "Failed: no image"
    stopped(world)
    assert told(world) == "being deleted: Failed: no image"


def test_deletion_by_somebody_outside_is_not_said_to_be_of_the_meter() -> None:
    world = World()
    world.endpoints.delete_seconds = 60
    world.deploy(a_spec("falcon"))
    world.renew("falcon", 60)
    world.advance(seconds=10)
    world.endpoints.delete("falcon")
    world.sweeper.sweep()
    world.settle()
    assert told(world).startswith("being deleted; created after that: the lease is paid until ")


def test_running_endpoint_says_that_a_move_to_another_config_is_to_come() -> None:
    world = World()
    world.endpoints.configs.add("cfg-b")
    world.deploy(a_spec("falcon"))
    world.renew("falcon", 60)
    world.advance(seconds=20)
    move = "it serves falcon-1, and the move to cfg-b is still to come"
    answer = world.updates.update("falcon", "cfg-b", {}, world.now, by())
    assert answer.document["Reason"] == told(world) == move
    world.settle()
    assert told(world) == "being updated to cfg-b"
    world.advance(minutes=1)
    assert told(world).startswith(PAID)


def test_deploy_that_nobody_has_acted_on_yet_is_a_move_to_come() -> None:
    spec: Spec = a_spec("falcon", "cfg-b")
    state = State(
        expires_at=clock(10), observed_status=Status.IN_SERVICE, observed_config="falcon-1"
    )
    shown = endpoint_document(Record("falcon", config_spec=spec, state=state), clock(9))
    assert shown["Reason"] == "it serves falcon-1, and the move to cfg-b is still to come"
