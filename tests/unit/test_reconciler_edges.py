"""Single hints and single answers of SageMaker: what the reconciler does next, and when."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from lambdas.core.decision import Decision
from lambdas.core.errors import (
    AlreadyExists,
    AwsDenied,
    AwsRefused,
    Conflict,
    Gone,
    InProgress,
    Throttled,
    Unanswered,
)
from lambdas.core.hints import MAX_HOPS, Cause, Hint
from lambdas.core.reconcile import _begun, _is_final, new_state
from lambdas.core.state import Intent, Owner, Reweighing, State, Status, Step, Trouble
from tests.fakes import a_spec, clock
from tests.unit.interleaving import before, failing
from tests.world import World

NOW = clock(9)
SECOND = timedelta(seconds=1)
CANARY = Hint(None, Cause.CANARY)


def handled(world: World, hint: Hint, hops: int = 0) -> str:
    return replace(world.reconciler(), hops=hops).handle(hint).word


def with_state(world: World, **fields: object) -> None:
    record = world.store.load("falcon")
    state = replace(world.state("falcon"), **fields)  # type: ignore[arg-type]
    world.store.records["falcon"] = replace(record, state=state)


# --- hints ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "answers"),
    [
        (None, True),
        (Throttled("ThrottlingException", ""), True),
        (AwsDenied("AccessDeniedException", ""), True),
        (Unanswered("ReadTimeoutError", ""), False),
        (AwsRefused("EndpointConnectionError", ""), False),
    ],
)
def test_canary_tells_whether_sagemaker_answers(
    world: World, error: AwsRefused | None, answers: bool
) -> None:
    world.advance(seconds=70)
    if error:
        world.endpoints.refusals["describe"] = [error]
    assert handled(world, CANARY) == "heartbeat"

    control = world.store.control()
    assert control.last_reconcile == world.now
    assert (control.last_sagemaker == world.now) is answers
    assert (control.last_silence == world.now) is not answers


@pytest.mark.parametrize(
    ("cause", "due", "at", "word"),
    [
        (Cause.TICK, None, None, "not due"),
        (Cause.TICK, NOW + SECOND, None, "early"),
        (Cause.TICK, NOW + SECOND, NOW + SECOND, "early"),
        (Cause.TICK, NOW + SECOND, NOW, "not due"),
        (Cause.TICK, NOW + 5 * SECOND, None, "early"),
        (Cause.TICK, NOW + 6 * SECOND, None, "not due"),
        (Cause.TICK, NOW, None, "settled"),
        (Cause.EVENT, None, None, "settled"),
        (Cause.SWEEP, NOW + 60 * SECOND, None, "settled"),
        (Cause.API, NOW + 60 * SECOND, None, "not due"),
    ],
)
def test_hint_leads_to_a_look_if_something_is_due_or_was_seen(
    world: World, cause: Cause, due: object, at: object, word: str
) -> None:
    with_state(world, next_due=due, next_step=Step.CREATE)
    world.hints.sent.clear()

    assert handled(world, Hint("falcon", cause, at=at), hops=3) == word  # type: ignore[arg-type]
    again = Hint("falcon", Cause.RETRY, start=True, at=due, hops=4)  # type: ignore[arg-type]
    assert world.hints.sent == ([again] if word == "early" else [])


def test_hint_for_what_is_not_on_the_meter_or_forgotten_meanwhile_is_unknown(world: World) -> None:
    assert handled(world, Hint("nobody", Cause.EVENT)) == "unknown"
    world.store.lock = failing(Conflict("gone"))  # type: ignore[method-assign]
    assert handled(world, Hint("falcon", Cause.EVENT)) == "unknown"


def test_hint_for_a_locked_endpoint_comes_again_when_the_lock_ends(world: World) -> None:
    until = world.now + 45 * SECOND
    world.store.lock("falcon", "another run", world.now, until)
    world.hints.sent.clear()

    assert handled(world, Hint("falcon", Cause.EVENT), hops=1) == "locked"
    assert world.hints.sent == [Hint("falcon", Cause.EVENT, at=until, hops=2)]


def test_lock_is_held_for_45_seconds_and_given_back_whatever_happens(world: World) -> None:
    ends: list[object] = []
    lock = world.store.lock

    def locked(key: str, owner: str, now: object, until: object) -> None:
        ends.append(until)
        lock(key, owner, now, until)  # type: ignore[arg-type]

    world.store.lock = locked  # type: ignore[method-assign]
    world.endpoints.refusals["describe"] = [RuntimeError("a bug")]
    with pytest.raises(RuntimeError):
        handled(world, Hint("falcon", Cause.EVENT))

    assert ends == [world.now + 45 * SECOND]
    assert world.store.load("falcon").lock_owner is None


def test_reconcile_gives_up_after_five_writes_of_others(world: World) -> None:
    tries: list[int] = []
    real = world.store.save

    def save(*given: object) -> None:
        tries.append(1)
        raise Conflict("another revision")

    world.store.save = save  # type: ignore[assignment]
    assert handled(world, Hint("falcon", Cause.EVENT)) == "too many changes"
    assert len(tries) == 5
    assert world.store.load("falcon").lock_owner is None
    world.store.save = real  # type: ignore[method-assign]


def test_reconcile_stops_when_its_lock_is_another_s(world: World) -> None:
    def steal() -> None:
        record = world.store.load("falcon")
        world.store.records["falcon"] = replace(record, lock_owner="another run")

    before(world.store, "control", steal)
    assert handled(world, Hint("falcon", Cause.EVENT)) == "lock lost"


# --- the next hint ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ends", "hops", "sent"),
    [(120, 0, True), (121, 0, False), (60, MAX_HOPS - 1, True), (60, MAX_HOPS, False)],
)
def test_hint_of_a_near_instant_is_sent_at_once_up_to_the_end_of_a_chain(
    world: World, ends: int, hops: int, sent: bool
) -> None:
    world.endpoints.run_by_hand("falcon", "falcon-1", Owner.US)
    end = world.now + ends * SECOND
    with_state(world, expires_at=end, observed_status=Status.IN_SERVICE)
    world.hints.sent.clear()

    assert handled(world, Hint("falcon", Cause.EVENT), hops) == "settled"

    assert world.state("falcon").next_due == end
    hint = Hint("falcon", Cause.RETRY, at=end, hops=hops + 1)
    assert world.hints.sent == ([hint] if sent else [])
    claimed = end + 30 * SECOND if sent else None
    assert world.store.claims.get("falcon") == claimed


def test_stopped_endpoint_is_looked_at_again_when_a_drain_ends_by_itself(world: World) -> None:
    until = world.now + timedelta(minutes=30)
    world.store.set_drain(until)

    handled(world, Hint("falcon", Cause.EVENT))

    assert world.state("falcon").next_due == until


# --- answers of SageMaker ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "word", "seconds"),
    [
        (InProgress("ValidationException", "busy"), "refused", 15),
        (Unanswered("ReadTimeoutError", ""), "refused", 15),
        (AlreadyExists("ValidationException", "there"), "refused", 15),
        (AwsRefused("ResourceLimitExceeded", "no quota"), "refused", 15),
        (Throttled("ThrottlingException", ""), "throttled", 2),
    ],
)
def test_start_that_was_not_accepted_is_tried_again(
    world: World, error: AwsRefused, word: str, seconds: int
) -> None:
    with_state(world, expires_at=clock(12))
    world.endpoints.refusals["create"] = [error]

    assert handled(world, Hint("falcon", Cause.EVENT)) == word
    due = world.state("falcon").next_due
    assert due == world.now + seconds * SECOND


def test_stop_of_an_endpoint_that_is_gone_is_looked_at_soon(world: World) -> None:
    world.endpoints.run_by_hand("falcon", "falcon-1", Owner.US)
    world.endpoints.refusals["delete"] = [Gone("ValidationException", "Could not find endpoint")]

    assert handled(world, Hint("falcon", Cause.EVENT)) == "refused"
    assert world.state("falcon").next_due == world.now + 5 * SECOND


def test_wait_before_a_retry_is_cut_by_the_end_of_the_lease(world: World) -> None:
    with_state(world, expires_at=world.now + 10 * SECOND, attempts=3)
    world.endpoints.refusals["create"] = [AwsRefused("ResourceLimitExceeded", "no quota")]

    handled(world, Hint("falcon", Cause.EVENT))

    state = world.state("falcon")
    assert (state.next_due, state.retry_at) == (
        world.now + 10 * SECOND,
        world.now + 120 * SECOND,
    )


def test_update_without_an_answer_may_be_under_way(world: World) -> None:
    world.endpoints.run_by_hand("falcon", "old", Owner.US)
    with_state(world, expires_at=clock(12))
    world.endpoints.refusals["update"] = [Unanswered("ReadTimeoutError", "")]

    handled(world, Hint("falcon", Cause.EVENT))

    assert world.state("falcon").intent == Intent(Step.UPDATE, "falcon-1", world.now)


@pytest.mark.parametrize(
    ("step", "code", "attempts", "final"),
    [
        (Step.CREATE, "ValidationException", 4, False),
        (Step.CREATE, "ValidationException", 5, True),
        (Step.CREATE, "ParamValidationError", 1, True),
        (Step.UPDATE, "SerializationException", 1, True),
        (Step.UPDATE, "ResourceLimitExceeded", 9, False),
        (Step.REWEIGH, "ResourceLimitExceeded", 1, True),
        (Step.REWEIGH, "ValidationException", 1, True),
        (Step.REWEIGH, "InternalFailure", 9, False),
        (Step.DELETE, "ValidationException", 9, False),
        (Step.DELETE, "ParamValidationError", 9, False),
    ],
)
def test_call_is_given_up_only_if_no_retry_can_succeed_and_a_stop_never(
    step: Step, code: str, attempts: int, final: bool
) -> None:
    assert _is_final(step, AwsRefused(code, ""), attempts) is final


def test_accepted_step_is_known_before_it_is_seen() -> None:
    failed: dict[str, Trouble] = {Step.CREATE: Trouble("mark", "it failed", tries=1)}
    waits: dict[str, Trouble] = {
        step: Trouble("mark", "", waits=True) for step in (Step.DELETE, Step.UPDATE)
    }
    weights = Reweighing([], clock(8))

    def begun(step: Step, state: State) -> State:
        return _begun(state, Decision(step, "why", state, "cfg"), NOW)

    created = begun(Step.CREATE, State(troubles=failed))
    assert (created.observed_status, created.observed_config) == (Status.CREATING, "cfg")
    assert (created.next_step, created.troubles) == (Step.CREATE, failed)
    deleted = begun(Step.DELETE, State(troubles={**failed, **waits}))
    assert (deleted.observed_status, deleted.next_due) == (Status.DELETING, NOW + 5 * SECOND)
    assert deleted.troubles.keys() == {Step.CREATE, Step.UPDATE}
    reweighed = begun(Step.REWEIGH, State(reweighing=weights))
    assert reweighed.observed_status is Status.UPDATING
    assert reweighed.reweighing == replace(weights, begun=True)
    updated = begun(Step.UPDATE, State(troubles=waits, reweighing=replace(weights, begun=True)))
    assert (updated.observed_status, updated.reweighing) == (Status.UPDATING, None)
    assert updated.troubles.keys() == {Step.DELETE}
    assert begun(Step.UPDATE, State(reweighing=weights)).reweighing == weights


def test_first_state_has_the_initial_lease_from_the_whole_second() -> None:
    now = NOW + timedelta(milliseconds=300)

    granted = new_state(a_spec(initial_provision_minutes=30), now)
    bare = new_state(a_spec(), now)

    assert granted == State(
        expires_at=clock(9, 30),
        paid_at=NOW,
        set_up_at=NOW,
        next_due=now,
        next_step=Step.CREATE,
    )
    assert bare == State(set_up_at=NOW, next_due=now, next_step=Step.WAIT)
