"""Rare orders of events that once went wrong, or almost did."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from lambdas.core.decision import decide
from lambdas.core.errors import AwsRefused, NameTaken
from lambdas.core.hints import Cause, Hint
from lambdas.core.ports import Listed
from lambdas.core.schedule import Schedule
from lambdas.core.state import ABSENT, Intent, Observed, Owner, State, Status, Step
from lambdas.core.sweep import Policy, Unmanaged
from tests.fakes import OFFICE_HOURS, a_spec, by, clock
from tests.unit.interleaving import before, failing
from tests.world import World

ANN = by()
ALWAYS = Schedule.parse(
    {
        "name": "always",
        "start_time": "00:00",
        "stop_time": "00:00",
        "days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"],
    }
)


def test_endpoint_that_was_given_up_is_still_due_at_the_end_of_its_lease() -> None:
    state = State(expires_at=clock(9, 2), observed_status=Status.UPDATING)
    seen = Observed(Status.UPDATE_ROLLBACK_FAILED, "falcon-0")
    assert decide(a_spec("falcon"), state, seen, clock(9)).next_due == clock(9, 2)


def test_fix_deployed_during_a_rollback_is_tried(world: World) -> None:
    world.renew("falcon", 600)
    world.advance(minutes=1)
    world.endpoints.rolling_back = "an alarm tripped"
    world.deploy(a_spec("falcon", "falcon-2"))
    assert world.status("falcon") is Status.UPDATING
    world.endpoints.rolling_back = ""
    world.deploy(a_spec("falcon", "falcon-3"))
    world.advance(minutes=1)
    assert world.get("falcon")["ServedConfigName"] == "falcon-3"


def test_update_of_an_endpoint_that_disappeared_is_not_recorded_as_rolled_back(
    world: World,
) -> None:
    world.renew("falcon", 600)
    world.advance(minutes=1)
    world.deploy(a_spec("falcon", "falcon-2"))
    world.endpoints.live.clear()
    world.advance(minutes=1)
    assert world.state("falcon").rolled_back is None
    assert "rolled back" not in world.history.kinds("falcon")


def test_foreign_endpoint_of_a_config_entry_is_adopted_when_asked(world: World) -> None:
    world.endpoints.run_by_hand("falcon", "falcon-1")
    with pytest.raises(NameTaken):
        world.add("falcon", "falcon-1", 30)
    world.add("falcon", "falcon-1", 30, adopt=True)
    world.advance(minutes=2)
    assert "did not make" not in world.get("falcon")["Reason"]


def test_endpoint_of_another_stack_is_never_adopted(world: World) -> None:
    world.endpoints.run_by_hand("theirs", "cfg", Owner.ANOTHER_STACK)
    with pytest.raises(NameTaken, match="another stack"):
        world.add("theirs", "cfg", 30, adopt=True)


def test_add_over_a_foreign_endpoint_that_is_being_deleted_starts_soon(world: World) -> None:
    world.endpoints.run_by_hand("mine", "cfg")
    world.endpoints.delete("mine")
    world.add("mine", "cfg", 60)
    world.advance(seconds=65)
    assert world.status("mine") is Status.IN_SERVICE


def test_endpoint_starts_within_two_minutes_after_a_foreign_namesake_is_deleted(
    world: World,
) -> None:
    before(world.store, "renew", lambda: world.endpoints.run_by_hand("falcon", "theirs"))
    world.renew("falcon", 600)
    world.advance(minutes=1)
    world.endpoints.delete("falcon")
    world.advance(minutes=2)
    assert world.status("falcon") is Status.IN_SERVICE


def test_add_works_while_the_state_of_an_earlier_life_is_being_forgotten(world: World) -> None:
    world.expiry.add("mine", "cfg", 10, world.now, ANN)
    world.expiry.stop("mine", world.now, ANN, forget=True)
    world.hints.queue.clear()

    def forgotten() -> None:
        state = world.state("mine")
        world.store.lock("mine", "run", world.now, world.now + timedelta(seconds=45))
        world.store.forget("mine", "run", state.rev)

    before(world.store, "renew", forgotten)
    answer = world.add("mine", "cfg", 10)
    assert answer.document["LeaseExpiresAt"] == "2026-03-02T09:10:00Z"
    assert world.status("mine") is Status.CREATING


def test_renewal_after_a_refused_create_tries_again_at_once(world: World) -> None:
    refusal = AwsRefused("ResourceLimitExceeded", "quota")
    world.endpoints.refusals["create"] = [refusal] * 7
    world.renew("falcon", 600)
    world.advance(minutes=20)
    world.endpoints.refusals["create"] = []
    world.renew("falcon", 10)
    assert world.status("falcon") is Status.CREATING


def test_refused_delete_does_not_delay_a_later_start(world: World) -> None:
    world.renew("falcon", 1)
    world.advance(seconds=55)
    world.endpoints.refusals["delete"] = [AwsRefused("InternalFailure", "odd")]
    world.advance(seconds=10)
    assert world.state("falcon").retry_at is None


def test_foreign_namesake_does_not_block_a_destroy(world: World) -> None:
    world.renew("falcon", 1)
    world.advance(minutes=3)
    world.endpoints.run_by_hand("falcon", "theirs")
    world.deploys.drain(60)
    assert world.status("falcon") is Status.IN_SERVICE


def test_destroy_does_not_trust_a_listing_that_lags_behind_our_own_create(world: World) -> None:
    world.renew("falcon", 60)
    listing = world.endpoints.list
    stale = [True, True]

    def lagging() -> Iterator[Listed]:
        return iter(()) if stale and stale.pop() else listing()

    world.endpoints.list = lagging  # type: ignore[method-assign]
    world.deploys.drain(60)
    assert world.status("falcon") is Status.ABSENT


def test_destroy_reads_the_tags_of_a_stranger_once(world: World) -> None:
    world.endpoints.run_by_hand("theirs", "cfg")
    world.endpoints.create_seconds = 30
    world.renew("falcon", 60)
    reads: list[str] = []
    owner = world.endpoints.owner

    def counted(arn: str) -> Owner:
        reads.append(arn)
        return owner(arn)

    world.endpoints.owner = counted  # type: ignore[method-assign]
    world.deploys.drain(120)
    assert reads.count("arn:theirs") == 1


def test_unanswered_create_is_looked_for_even_when_no_longer_wanted() -> None:
    intent = Intent(Step.CREATE, "falcon-1", clock(8, 59, 59))
    state = State(intent=intent, expires_at=clock(9))
    decision = decide(a_spec("falcon"), state, ABSENT, clock(9))
    assert decision.next_due == clock(9, 0, 15)
    assert decision.state.intent == intent
    late = decide(a_spec("falcon"), decision.state, ABSENT, clock(9, 3))
    assert (late.next_due, late.state.intent) == (None, None)


def test_endpoints_run_again_by_themselves_once_a_drain_has_expired(world: World) -> None:
    world.renew("falcon", 600)
    world.advance(minutes=1)
    world.deploys.drain(60)
    world.advance(minutes=40)
    assert world.status("falcon") is Status.IN_SERVICE


def test_orphan_is_reported_and_deleted_after_an_hour(world: World) -> None:
    world.endpoints.run_by_hand("stray", "cfg", Owner.US)
    assert world.sweeper.sweep().orphans == ["stray"]
    assert "stray" in world.notices[0]
    world.advance(minutes=50)
    world.sweeper.sweep()
    world.settle()
    assert world.status("stray") is Status.IN_SERVICE
    world.advance(minutes=15)
    assert world.status("stray") is Status.ABSENT
    assert "orphan" in world.history.kinds("stray")
    assert "stray" not in world.store.records


def test_orphan_that_somebody_adds_stays(world: World) -> None:
    world.endpoints.run_by_hand("stray", "cfg", Owner.US)
    world.sweeper.sweep()
    world.add("stray", "cfg", 600)
    world.advance(hours=3)
    assert world.status("stray") is Status.IN_SERVICE


def test_restored_table_pauses_deletes_until_it_is_accepted(world: World) -> None:
    world.renew("falcon", 10)
    world.advance(minutes=5)
    world.store.id = "table-2"
    world.advance(minutes=20)
    assert world.status("falcon") is Status.IN_SERVICE
    assert "restored" in world.get("falcon")["Reason"]
    assert world.sweeper.sweep().restored
    assert world.sweeper.accept_restored_table()
    world.advance(minutes=16)
    assert world.status("falcon") is Status.ABSENT


def test_sweep_corrects_the_drift_of_an_endpoint_changed_by_hand(world: World) -> None:
    world.renew("falcon", 600)
    world.advance(minutes=1)
    live = world.endpoints.live["falcon"]
    live.config_name, live.modified_at = "by-hand", world.now
    world.sweeper.sweep()
    world.advance(minutes=1)
    assert world.get("falcon")["ServedConfigName"] == "falcon-1"


def test_sweep_sends_a_hint_where_next_due_is_missing(world: World) -> None:
    world.renew("falcon", 60)
    world.advance(minutes=1)
    record = world.store.load("falcon")
    state = world.state("falcon")
    object.__setattr__(state, "next_due", None)
    assert record.state is state
    assert world.sweeper.sweep().hinted == ["falcon"]


def test_endpoint_is_reported_late_after_half_an_hour(world: World) -> None:
    world.endpoints.failing = "did not pass the ping health check"
    world.renew("falcon", 600)
    world.advance(minutes=20)
    assert world.sweeper.sweep().late == []
    world.advance(minutes=15)
    assert world.sweeper.sweep().late == ["falcon"]
    world.endpoints.failing = ""
    world.advance(minutes=20)
    assert world.sweeper.sweep().late == []


def test_tick_replaces_a_message_lost_between_save_and_send(world: World) -> None:
    world.renew("falcon", 1)
    world.hints.queue.clear()
    world.hints.send([Hint("falcon", Cause.EVENT)])
    world.settle()
    world.hints.queue.clear()
    world.advance(minutes=3)
    assert world.status("falcon") is Status.ABSENT


def test_unmanaged_endpoints_are_ignored_reported_or_metered_by_policy(world: World) -> None:
    world.endpoints.run_by_hand("forgotten", "cfg")
    world.endpoints.run_by_hand("elsewhere", "cfg", Owner.ANOTHER_STACK)
    assert world.sweeper.sweep().unmanaged == []
    report = world.sweep_with(Policy(Unmanaged.REPORT))
    assert report.sweep().unmanaged == ["forgotten"]
    assert world.endpoints.owner("arn:forgotten") is Owner.NOBODY
    meter = world.sweep_with(Policy(Unmanaged.METER, timedelta(hours=2)))
    assert meter.sweep().unmanaged == ["forgotten"]
    world.advance(minutes=1)
    assert world.get("forgotten")["LeaseExpiresAt"] == "2026-03-02T11:00:00Z"
    assert "forgotten" in world.notices[0]
    assert "adopted" in world.history.kinds("forgotten")
    world.advance(hours=3)
    assert world.status("forgotten") is Status.ABSENT
    assert world.status("elsewhere") is Status.IN_SERVICE


def test_one_foreign_endpoint_that_cannot_be_read_does_not_hide_the_others(world: World) -> None:
    world.endpoints.run_by_hand("bad", "cfg")
    world.endpoints.run_by_hand("good", "cfg")
    owner = world.endpoints.owner

    def refusing(arn: str) -> Owner:
        if arn == "arn:bad":
            raise AwsRefused("AccessDeniedException", "no")
        return owner(arn)

    world.endpoints.owner = refusing  # type: ignore[method-assign]
    assert world.sweep_with(Policy(Unmanaged.REPORT)).sweep().unmanaged == ["good"]


def test_reconcile_that_breaks_off_leaves_no_lock(world: World) -> None:
    world.expiry.renew("falcon", 10, world.now, ANN)
    world.store.begin = failing(RuntimeError("a bug"))  # type: ignore[method-assign]
    with pytest.raises(RuntimeError):
        world.settle()
    assert world.store.load("falcon").lock_owner is None


def test_refused_update_does_not_delay_the_stop(world: World) -> None:
    world.renew("falcon", 10)
    world.advance(minutes=1)
    world.endpoints.refusals["update"] = [AwsRefused("ResourceLimitExceeded", "quota")] * 20
    world.deploy(a_spec("falcon", "falcon-2"))
    world.advance_to(clock(9, 9, 59))
    retry_at = world.state("falcon").retry_at
    assert retry_at is not None
    assert retry_at > clock(9, 10)
    world.advance_to(clock(9, 10))
    assert world.status("falcon") is Status.DELETING


@pytest.mark.parametrize("seen", [ABSENT, Observed(Status.IN_SERVICE, "falcon-0")])
def test_look_during_a_backoff_does_not_delay_the_end_of_the_lease(seen: Observed) -> None:
    state = State(expires_at=clock(9, 2), retry_at=clock(9, 10), attempts=6)
    assert decide(a_spec("falcon"), state, seen, clock(9)).next_due == clock(9, 2)


def test_backoff_ends_once_the_endpoint_is_as_declared_again(world: World) -> None:
    world.renew("falcon", 600)
    world.advance(minutes=1)
    world.endpoints.refusals["update"] = [AwsRefused("ResourceLimitExceeded", "quota")] * 6
    world.deploy(a_spec("falcon", "falcon-2"))
    world.advance(minutes=8)
    world.deploy(a_spec("falcon", "falcon-1"))
    world.deploy(a_spec("falcon", "falcon-3"))
    assert world.status("falcon") is Status.UPDATING


def test_sweep_leaves_alone_what_is_as_it_should_be() -> None:
    world = World(clock(9, 30))
    world.deploy(
        a_spec("leased"),
        a_spec("stopped"),
        a_spec("closed", schedules=(OFFICE_HOURS,)),
        a_spec("always", schedules=(ALWAYS,)),
        a_spec("failing", "no-capacity"),
    )
    world.endpoints.full = {"no-capacity"}
    world.renew("leased", 60)
    world.renew("failing", 60)
    world.advance(minutes=2)
    assert world.status("always") is Status.IN_SERVICE
    assert world.status("failing") is Status.ABSENT
    assert world.sweeper.sweep().hinted == []


def test_sweep_leaves_alone_what_runs_by_a_spec_that_cannot_be_read() -> None:
    world = World(clock(11))
    world.deploy(a_spec("flan", schedules=(OFFICE_HOURS,)))
    world.advance(minutes=1)
    world.store.deploy(a_spec("flan", unreadable="a newer form"))
    assert world.sweeper.sweep().hinted == []


# --- log groups -------------------------------------------------------------------------------


def test_log_group_of_each_life_of_an_endpoint_is_kept_once(world: World) -> None:
    world.renew("falcon", 90)
    world.advance(minutes=80)
    world.renew("falcon", 30)
    world.sweeper.sweep()
    world.advance(hours=1)
    assert world.endpoints.logs_kept == ["falcon"]
    world.renew("falcon", 10)
    world.advance(minutes=20)
    assert world.endpoints.logs_kept == ["falcon", "falcon"]


def test_log_group_of_an_adopted_endpoint_is_kept_and_that_of_a_stranger_is_not(
    world: World,
) -> None:
    for name in ("theirs", "falcon"):
        world.endpoints.run_by_hand(name, "cfg")
    world.add("theirs", "cfg", 60, adopt=True)
    world.advance(minutes=5)
    world.sweeper.sweep()
    world.advance(minutes=5)
    assert world.endpoints.logs_kept == ["theirs"]


def test_log_group_of_an_endpoint_that_runs_already_is_kept_after_the_next_sweep(
    world: World,
) -> None:
    world.renew("falcon", 600)
    world.advance(minutes=1)
    before_there_was_this = replace(world.state("falcon"), logs_kept=None)
    world.store.records["falcon"] = replace(world.store.load("falcon"), state=before_there_was_this)
    world.endpoints.logs_kept.clear()
    world.advance(minutes=30)
    assert world.endpoints.logs_kept == [], "an idle tick looks at nothing"
    world.sweeper.sweep()
    world.advance(minutes=5)
    world.sweeper.sweep()
    world.advance(minutes=5)
    assert world.endpoints.logs_kept == ["falcon"]


def test_log_group_that_could_not_be_kept_is_tried_again_at_the_next_look(world: World) -> None:
    world.endpoints.logs_answer = False
    world.renew("falcon", 60)
    world.advance(minutes=1)
    assert world.status("falcon") is Status.IN_SERVICE
    world.endpoints.logs_answer = True
    world.endpoints.logs_kept.clear()
    world.sweeper.sweep()
    world.advance(minutes=5)
    assert world.endpoints.logs_kept == ["falcon"]
