"""The meter as users see it: renewals start endpoints, time stops them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from lambdas.core import reconcile
from lambdas.core.decision import POLL
from lambdas.core.deploys import DrainIncomplete
from lambdas.core.errors import (
    AwsRefused,
    ConfigOwned,
    Draining,
    Gone,
    IdempotencyConflict,
    LeaseTooLong,
    NameTaken,
    Throttled,
    Unanswered,
    UnknownEndpoint,
    UnknownEndpointConfig,
)
from lambdas.core.health import health_of
from lambdas.core.hints import MAX_HOPS, Cause, Hint
from lambdas.core.schedule import Schedule
from lambdas.core.spec import Scaling
from lambdas.core.state import Owner, Status, Step
from tests.fakes import OFFICE_HOURS, a_spec, by, clock
from tests.unit.interleaving import before
from tests.world import World


def test_endpoint_without_lease_or_schedule_stays_absent(world: World) -> None:
    world.advance(hours=3)
    assert world.status("falcon") is Status.ABSENT
    assert world.get("falcon")["Wanted"] == "stopped"


def test_renewal_starts_an_absent_endpoint_at_once(world: World) -> None:
    world.renew("falcon", 10)
    assert world.status("falcon") is Status.CREATING


def test_expired_lease_deletes_the_endpoint_on_the_second(world: World) -> None:
    world.renew("falcon", 10)
    world.advance_to(clock(9, 9, 59))
    assert world.status("falcon") is Status.IN_SERVICE
    world.advance_to(clock(9, 10, 0))
    assert world.status("falcon") is Status.DELETING


def test_renewal_before_expiry_adds_to_what_is_left(world: World) -> None:
    world.renew("falcon", 10)
    world.advance(minutes=4)
    answer = world.renew("falcon", 10)
    assert answer.document["ExpiresAt"] == "2026-03-02T09:20:00Z"
    assert answer.document["TimeLeft"] == "0:16:00"


def test_renewal_after_expiry_counts_from_now(world: World) -> None:
    world.renew("falcon", 1)
    world.advance(hours=5)
    assert world.renew("falcon", 30).document["ExpiresAt"] == "2026-03-02T14:30:00Z"


def test_initial_lease_is_granted_once() -> None:
    world = World()
    spec = a_spec("falcon", initial_provision_minutes=90)
    world.deploy(spec)
    assert world.get("falcon")["LeaseExpiresAt"] == "2026-03-02T10:30:00Z"
    world.advance(hours=2)
    world.deploy(spec)
    assert world.get("falcon")["Wanted"] == "stopped"


def test_redeploy_never_resets_a_lease(world: World) -> None:
    world.renew("falcon", 60)
    world.deploy(a_spec("falcon", initial_provision_minutes=5, spec_hash="changed"))
    assert world.get("falcon")["LeaseExpiresAt"] == "2026-03-02T10:00:00Z"


def test_schedule_opens_and_closes_on_its_boundaries() -> None:
    world = World()
    world.deploy(a_spec("flan", schedules=(OFFICE_HOURS,)))
    world.advance_to(clock(9, 59, 59))
    assert world.status("flan") is Status.ABSENT
    world.advance_to(clock(10, 0, 5))
    assert world.status("flan") is Status.IN_SERVICE
    world.advance_to(clock(17, 0, 0))
    assert world.status("flan") is Status.DELETING


def test_stop_ends_the_lease_and_holds_the_open_window_only() -> None:
    world = World(clock(11))
    world.deploy(a_spec("flan", schedules=(OFFICE_HOURS,)))
    world.advance(minutes=1)
    world.renew("flan", 60)
    world.stop("flan")
    world.advance(minutes=10)
    assert world.status("flan") is Status.ABSENT
    world.advance_to(clock(10, 1, day=3))
    assert world.status("flan") is Status.IN_SERVICE


def test_renewing_ends_the_hold() -> None:
    world = World(clock(11))
    world.deploy(a_spec("flan", schedules=(OFFICE_HOURS,)))
    world.stop("flan")
    world.renew("flan", 5)
    world.advance(minutes=30)
    assert world.status("flan") is Status.IN_SERVICE


def test_tick_replaces_a_lost_hint(world: World) -> None:
    world.advance(seconds=1)
    world.expiry.renew("falcon", 10, world.now, by())
    world.hints.queue.clear()
    world.advance(minutes=1)
    assert world.status("falcon") is not Status.ABSENT


def test_duplicate_hints_create_the_endpoint_once(world: World) -> None:
    world.expiry.renew("falcon", 10, world.now, by())
    world.hints.queue *= 5
    world.settle()
    assert world.endpoints.made("create", "falcon") == 1


def test_failed_endpoint_is_deleted_and_recreated_with_growing_waits(world: World) -> None:
    world.endpoints.failing = "did not pass the ping health check"
    world.renew("falcon", 120)
    world.advance(seconds=60)
    assert world.endpoints.made("create", "falcon") >= 2, "first retry within 60 s"
    assert "ping health check" in world.get("falcon")["Reason"]
    world.advance(minutes=20)
    tries = world.endpoints.made("create", "falcon")
    assert 4 <= tries <= 8
    world.endpoints.failing = ""
    world.advance(minutes=20)
    assert world.status("falcon") is Status.IN_SERVICE
    assert world.state("falcon").attempts == 0
    assert {"create", "Failed", "delete", "InService"} <= set(world.history.kinds("falcon"))


def test_failed_endpoint_that_is_no_longer_wanted_is_only_deleted(world: World) -> None:
    world.endpoints.failing = "no capacity"
    world.endpoints.create_seconds = 120
    world.renew("falcon", 1)
    world.advance(minutes=10)
    assert world.status("falcon") is Status.ABSENT
    assert world.endpoints.made("create", "falcon") == 1


def test_endpoint_deleted_by_hand_comes_back_while_wanted(world: World) -> None:
    world.renew("falcon", 60)
    world.advance(minutes=1)
    world.endpoints.live.clear()
    world.sweeper.sweep()
    world.advance(seconds=10)
    assert world.status("falcon") is Status.IN_SERVICE


def test_state_change_event_is_handled_even_if_nothing_is_due(world: World) -> None:
    world.renew("falcon", 60)
    world.advance(minutes=1)
    world.endpoints.live.clear()
    world.hints.send([Hint("falcon", Cause.EVENT)])
    world.settle()
    assert world.status("falcon") is Status.CREATING


def test_entry_taken_out_of_the_config_is_stopped_and_forgotten(world: World) -> None:
    world.renew("falcon", 60)
    world.advance(minutes=1)
    world.deploy()
    world.advance(minutes=1)
    assert world.status("falcon") is Status.ABSENT
    assert "falcon" not in world.store.records


def test_entry_that_comes_back_is_new(world: World) -> None:
    world.renew("falcon", 60)
    world.deploy()
    world.advance(minutes=5)
    world.deploy(a_spec("falcon"))
    assert world.get("falcon")["LeaseExpiresAt"] is None


def test_running_endpoint_is_updated_to_a_changed_config(world: World) -> None:
    world.renew("falcon", 60)
    world.advance(minutes=1)
    world.deploy(a_spec("falcon", "falcon-2"))
    assert world.status("falcon") is Status.UPDATING
    world.advance(minutes=1)
    assert world.get("falcon")["ServedConfigName"] == "falcon-2"
    assert world.deploys.verdict({"falcon": "falcon-2"}).settled


def test_rolled_back_update_is_recorded_and_not_tried_again(world: World) -> None:
    world.renew("falcon", 600)
    world.advance(minutes=1)
    world.endpoints.rolling_back = "an alarm tripped"
    world.deploy(a_spec("falcon", "falcon-2"))
    world.advance(minutes=30)
    assert world.endpoints.made("update", "falcon") == 1
    assert "an alarm tripped" in world.get("falcon")["Reason"]
    verdict = world.deploys.verdict({"falcon": "falcon-2"})
    assert not verdict.settled
    assert "an alarm tripped" in verdict.unsettled[0]
    world.endpoints.rolling_back = ""
    world.deploy(a_spec("falcon", "falcon-3"))
    world.advance(minutes=1)
    assert world.get("falcon")["ServedConfigName"] == "falcon-3"


def test_wait_returns_when_the_update_is_complete(world: World) -> None:
    world.renew("falcon", 60)
    world.advance(minutes=1)
    world.deploy(a_spec("falcon", "falcon-2"))
    before = world.now
    assert world.deploys.wait({"falcon": "falcon-2"}).settled
    assert world.now - before < timedelta(seconds=30)


def test_throttled_create_is_tried_again_soon(world: World) -> None:
    world.endpoints.refusals["create"] = [Throttled("ThrottlingException", "Rate exceeded")]
    world.renew("falcon", 60)
    world.advance(seconds=60)
    assert world.status("falcon") is Status.IN_SERVICE


def test_unanswered_create_that_worked_is_not_repeated(world: World) -> None:
    world.endpoints.refusals["create"] = [Unanswered("ReadTimeoutError", "no answer")]
    world.expiry.renew("falcon", 60, world.now, by())
    world.settle()
    world.endpoints.create("falcon", "falcon-1")  # the call had worked
    world.advance(minutes=5)
    assert world.status("falcon") is Status.IN_SERVICE
    assert world.endpoints.made("create", "falcon") == 1


def test_refused_delete_is_tried_again_every_minute(world: World) -> None:
    world.renew("falcon", 1)
    world.advance(seconds=30)
    denied = AwsRefused("AccessDeniedException", "not authorized")
    world.endpoints.refusals["delete"] = [denied, denied]
    world.advance_to(clock(9, 1))
    assert "delete refused" in world.get("falcon")["Reason"]
    world.advance(minutes=2, seconds=30)
    assert world.status("falcon") is Status.ABSENT
    assert world.history.kinds("falcon").count("delete refused") == 1, (
        "the same reason is recorded once"
    )


def test_delete_of_an_endpoint_that_is_already_gone_is_no_failure(world: World) -> None:
    world.renew("falcon", 1)
    world.advance(seconds=30)
    world.endpoints.refusals["delete"] = [Gone("ValidationException", "Could not find endpoint")]
    world.advance_to(clock(9, 1, 0))
    world.endpoints.live.clear()
    world.advance(seconds=20)
    assert world.get("falcon")["Status"] == "Absent"


def test_failed_describe_releases_the_lock_and_is_tried_again(world: World) -> None:
    world.expiry.renew("falcon", 10, world.now, by())
    world.endpoints.refusals["describe"] = [Throttled("ThrottlingException", "Rate exceeded")]
    world.settle()
    assert "not seen" in world.get("falcon")["Reason"]
    assert world.store.load("falcon").lock_owner is None
    world.advance(seconds=20)
    assert world.status("falcon") is Status.IN_SERVICE


def test_foreign_endpoint_of_the_same_name_is_left_alone(world: World) -> None:
    before(world.store, "renew", lambda: world.endpoints.run_by_hand("falcon", "theirs"))
    world.renew("falcon", 5)
    world.advance(minutes=10)
    assert world.status("falcon") is Status.IN_SERVICE
    assert "the meter cannot act" in world.get("falcon")["Reason"]
    assert not world.endpoints.calls


def test_added_endpoint_runs_and_can_be_forgotten(world: World) -> None:
    world.endpoints.configs.add("inpainting-cfg")
    answer = world.add("test-inpainting", "inpainting-cfg", 30)
    assert answer.http_status == 201
    assert answer.document["TimeLeft"] == "0:30:00"
    assert world.add("test-inpainting", "inpainting-cfg", 30).http_status == 200
    world.advance(minutes=1)
    world.stop("test-inpainting", forget=True)
    world.advance(minutes=1)
    assert world.status("test-inpainting") is Status.ABSENT
    with pytest.raises(UnknownEndpoint):
        world.get("test-inpainting")
    assert "forgotten" in world.history.kinds("test-inpainting")


def test_add_refuses_taken_names_before_unknown_configs(world: World) -> None:
    with pytest.raises(NameTaken, match="only in case"):
        world.add("FALCON", "no-such-config", 5)
    with pytest.raises(NameTaken, match="with config 'falcon-1'"):
        world.add("falcon", "no-such-config", 5)
    with pytest.raises(UnknownEndpointConfig):
        world.add("other", "no-such-config", 5)


def test_live_endpoint_is_adopted_only_when_asked_and_with_its_config(world: World) -> None:
    world.endpoints.configs |= {"theirs", "other"}
    world.endpoints.run_by_hand("hand-made", "theirs")
    with pytest.raises(NameTaken):
        world.add("hand-made", "theirs", 5)
    with pytest.raises(NameTaken):
        world.add("hand-made", "other", 5, adopt=True)
    assert world.add("hand-made", "theirs", 5, adopt=True).http_status == 201
    world.advance(minutes=6)
    assert world.status("hand-made") is Status.ABSENT


def test_config_owned_endpoint_cannot_be_forgotten_or_rescheduled(world: World) -> None:
    with pytest.raises(ConfigOwned):
        world.stop("falcon", forget=True)
    with pytest.raises(ConfigOwned):
        world.schedules.replace("falcon", [OFFICE_HOURS], world.now, by())


def test_schedule_set_over_the_api_opens_the_endpoint(world: World) -> None:
    world.endpoints.configs.add("cfg")
    world.add("mine", "cfg", 1)
    world.schedules.replace("mine", [OFFICE_HOURS], world.now, by())
    world.advance_to(clock(10, 1))
    assert world.status("mine") is Status.IN_SERVICE
    assert world.schedules.read("mine", world.now).schedules == (OFFICE_HOURS,)


def test_lease_longer_than_the_maximum_changes_nothing(world: World) -> None:
    world.renew("falcon", 43_000)
    with pytest.raises(LeaseTooLong):
        world.renew("falcon", 201)
    assert world.renew("falcon", 200).document["LeaseExpiresAt"] == "2026-04-01T09:00:00Z"


def test_same_idempotency_key_gets_the_same_answer_and_no_second_effect(world: World) -> None:
    first = world.renew("falcon", 10, key="k1")
    world.advance(minutes=3)
    assert world.renew("falcon", 10, key="k1") == first
    assert world.get("falcon")["LeaseExpiresAt"] == "2026-03-02T09:10:00Z"
    with pytest.raises(IdempotencyConflict):
        world.renew("falcon", 11, key="k1")


def test_idempotency_keys_are_pruned_after_a_day(world: World) -> None:
    world.renew("falcon", 1, key="old")
    world.advance(hours=25)
    world.renew("falcon", 1, key="new")
    assert len(world.store.load("falcon").operations) == 1


def test_destroy_stops_a_running_endpoint_and_nothing_starts_it_again(world: World) -> None:
    world.renew("falcon", 600)
    world.advance(minutes=1)
    world.deploys.drain(60)
    assert world.status("falcon") is Status.ABSENT
    with pytest.raises(Draining):
        world.renew("falcon", 5)
    world.advance(minutes=5)
    assert world.status("falcon") is Status.ABSENT


def test_destroy_with_an_endpoint_in_creating_fails_and_names_it(world: World) -> None:
    world.endpoints.create_seconds = 3600
    world.renew("falcon", 600)
    with pytest.raises(DrainIncomplete, match="falcon"):
        world.deploys.drain(60)


def test_deploy_after_a_failed_destroy_lets_endpoints_run_again(world: World) -> None:
    world.renew("falcon", 600)
    world.deploys.drain(60)
    world.deploy(a_spec("falcon"))
    world.advance(minutes=1)
    assert world.status("falcon") is Status.IN_SERVICE


def test_wait_of_a_new_deploy_after_a_failed_destroy_ends_the_drain(world: World) -> None:
    world.renew("falcon", 600)
    world.deploys.drain(60)
    world.deploys.wait({"falcon": "falcon-1"})
    world.advance(minutes=1)
    assert world.status("falcon") is Status.IN_SERVICE


def test_destroy_waits_for_a_reconcile_that_began_before_it(world: World) -> None:
    world.store.lock("falcon", "an earlier run", world.now, world.now + timedelta(seconds=45))
    began = world.now
    world.deploys.drain(60)
    assert world.now - began >= timedelta(seconds=45)


def test_sweep_reports_endpoints_with_our_tag_that_nobody_declared(world: World) -> None:
    world.endpoints.run_by_hand("stray", "some-config", Owner.US)
    world.endpoints.run_by_hand("theirs", "some-config")
    assert world.sweeper.sweep().orphans == ["stray"]


def test_renewal_during_a_reconcile_prevents_the_delete(world: World) -> None:
    """The lease has ended. The renewal comes after the reconciler has read the state."""
    world.renew("falcon", 1)
    world.advance_to(clock(9, 0, 30))
    world.endpoints.now = world.hints.now = world.now = clock(9, 1, 0)
    late = world.reconciler()
    describe = world.endpoints.describe

    def describe_then_renew(name: str) -> object:
        seen = describe(name)
        world.endpoints.describe = describe  # type: ignore[method-assign]
        world.expiry.renew("falcon", 10, world.now, by("bob"))
        return seen

    world.endpoints.describe = describe_then_renew  # type: ignore[assignment,method-assign]
    late.handle(Hint("falcon", Cause.TICK))
    world.settle()
    assert world.endpoints.made("delete", "falcon") == 0
    assert world.status("falcon") is Status.IN_SERVICE


def test_hint_for_a_locked_endpoint_is_sent_again_for_the_end_of_the_lock(world: World) -> None:
    world.store.lock("falcon", "someone", world.now, world.now + timedelta(seconds=20))
    world.store.touch("falcon", world.now)
    outcome = world.reconciler().handle(Hint("falcon", Cause.API))
    assert outcome.word == "locked"
    assert world.hints.sent[-1].delay_seconds(world.now) == 20


def test_hint_that_comes_too_early_is_sent_again_not_dropped(world: World) -> None:
    world.renew("falcon", 10)
    world.advance(minutes=8)
    early = clock(9, 9, 58)
    world.advance_to(early)
    sent = len(world.hints.sent)
    assert world.reconciler().handle(Hint("falcon", Cause.TICK)).word == "early"
    assert world.hints.sent[sent].delay_seconds(early) == 2


def test_hint_for_an_unknown_endpoint_is_dropped(world: World) -> None:
    assert world.reconciler().handle(Hint("nobody", Cause.EVENT)).word == "unknown"


def test_canary_records_a_heartbeat(world: World) -> None:
    world.reconciler().handle(Hint(None, Cause.CANARY))
    assert world.store.control().last_reconcile == world.now


def test_health_says_at_the_next_canary_whether_sagemaker_answers(world: World) -> None:
    def late_after_a_canary(*refusals: Exception) -> list[str]:
        world.advance(seconds=10)  # not a minute: the tick would bring a canary of its own
        world.endpoints.refusals["describe"] = list(refusals)
        world.reconciler().handle(Hint(None, Cause.CANARY))
        return list(health_of(world.store.control(), world.now).late)

    answering = late_after_a_canary()
    unreachable = late_after_a_canary(AwsRefused("EndpointConnectionError", "not reached"))
    recovered = late_after_a_canary()
    silent = late_after_a_canary(Unanswered("ReadTimeoutError", "no answer"))
    throttling = late_after_a_canary(Throttled("ThrottlingException", "Rate exceeded"))

    assert answering == recovered == throttling == []
    assert unreachable == silent == ["sagemaker"]


def test_crash_between_create_and_save_does_not_count_as_a_failed_attempt(world: World) -> None:
    """The recorded intent explains why the second create is refused with 'already existing'."""
    save = world.store.save

    def crash(*_args: object) -> None:
        raise RuntimeError("killed")

    world.store.save = crash  # type: ignore[method-assign,assignment]
    world.expiry.renew("falcon", 60, world.now, by())
    with pytest.raises(RuntimeError):
        world.settle()
    world.store.save = save  # type: ignore[method-assign]
    world.advance(minutes=1)
    assert world.status("falcon") is Status.IN_SERVICE
    assert world.endpoints.made("create", "falcon") == 1
    assert world.state("falcon").attempts == 0


def test_list_pages_through_all_endpoints(world: World) -> None:
    world.deploy(*(a_spec(f"model-{number}") for number in range(7)))
    names, token = [], None
    for _ in range(10):
        documents, token = world.expiry.list(world.now, 3, token)
        names += [document["EndpointName"] for document in documents]
        if token is None:
            break
    assert names == [f"model-{number}" for number in range(7)]


def test_endpoint_with_windows_that_never_close_has_no_expiry() -> None:
    always = Schedule.parse(
        {
            "name": "always",
            "start_time": "00:00",
            "stop_time": "00:00",
            "days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"],
        }
    )
    world = World()
    world.deploy(a_spec("flan", schedules=(always,)))
    document = world.get("flan")
    assert (document["EndpointExpiry"], document["Wanted"]) == (None, "running")
    assert document["NextTransition"] is None


def test_events_are_listed_newest_first(world: World) -> None:
    world.renew("falcon", 1)
    world.advance(minutes=3)
    kinds = [event.kind for event in world.events.newest("falcon", 100)]
    assert kinds[-1] in {"renewed", "create"}
    assert kinds[0] == Status.ABSENT
    assert {"create", "delete", "InService", "renewed"} <= set(kinds)
    with pytest.raises(UnknownEndpoint):
        world.events.newest("nobody", 10)


def test_lease_ends_on_time_across_the_turn_of_the_year() -> None:
    world = World(datetime(2026, 12, 31, 23, 59, 30, tzinfo=UTC))
    world.deploy(a_spec("falcon"))
    world.renew("falcon", 1)
    world.advance(minutes=2)
    assert world.status("falcon") is Status.ABSENT
    assert world.endpoints.calls == [("create", "falcon"), ("delete", "falcon")]
    assert world.state("falcon").next_step is Step.CREATE


def test_fallbacks_are_tried_without_capacity_and_the_next_start_begins_with_the_first_choice() -> (
    None
):
    world = World()
    world.deploy(a_spec("falcon", "big", fallback_configs=("medium", "small")))
    world.endpoints.full = {"big", "medium"}
    world.renew("falcon", 30)
    world.advance(seconds=100)
    document = world.get("falcon")
    assert (document["Status"], document["ServedConfigName"]) == ("InService", "small")
    assert world.deploys.verdict({"falcon": "big"}).settled
    world.endpoints.full.clear()
    world.advance(minutes=20)
    assert world.get("falcon")["ServedConfigName"] == "small", "not while it runs"
    world.advance(hours=1)
    world.renew("falcon", 30)
    world.advance(seconds=10)
    assert world.get("falcon")["ServedConfigName"] == "big"


def test_without_capacity_anywhere_the_first_choice_is_tried_again_after_growing_waits() -> None:
    world = World()
    world.deploy(a_spec("falcon", "big", fallback_configs=("small",)))
    world.endpoints.full = {"big", "small"}
    world.renew("falcon", 60)
    world.advance(minutes=20)
    assert 4 <= world.endpoints.made("create", "falcon") <= 10
    world.endpoints.full = {"small"}
    world.advance(minutes=16)
    assert world.get("falcon")["ServedConfigName"] == "big"


def test_other_failures_stay_with_the_first_choice() -> None:
    world = World()
    world.deploy(a_spec("falcon", "big", fallback_configs=("small",)))
    world.endpoints.failing = "did not pass the ping health check"
    world.renew("falcon", 60)
    world.advance(minutes=2)
    world.endpoints.failing = ""
    world.advance(minutes=16)
    assert world.get("falcon")["ServedConfigName"] == "big"


def test_endpoint_on_a_fallback_that_a_deploy_removed_is_updated() -> None:
    world = World()
    world.deploy(a_spec("falcon", "big", fallback_configs=("small",)))
    world.endpoints.full = {"big"}
    world.renew("falcon", 60)
    world.advance(minutes=1)
    world.endpoints.full.clear()
    world.deploy(a_spec("falcon", "new"))
    world.advance(minutes=1)
    assert world.get("falcon")["ServedConfigName"] == "new"


def test_create_over_the_quota_is_reported_once_and_retried_with_backoff(world: World) -> None:
    quota = AwsRefused("ResourceLimitExceeded", "The account-level service limit is 0")
    world.endpoints.refusals["create"] = [quota] * 50
    world.renew("falcon", 60)
    world.advance(minutes=30)
    tries = 50 - len(world.endpoints.refusals["create"])
    assert 4 <= tries <= 8
    assert world.history.kinds("falcon").count("create refused") == 1
    assert "service limit" in world.get("falcon")["Reason"]


TARGET = {"PredefinedMetricSpecification": {}, "TargetValue": 70.0}
SCALING = (Scaling("AllTraffic", 1, 4, {"invocations": TARGET}),)


def test_scaling_and_tags_are_set_after_each_creation() -> None:
    world = World()
    world.deploy(a_spec("falcon", scaling=SCALING, tags={"team": "nlp"}))
    world.renew("falcon", 10)
    world.advance(minutes=1)
    assert world.endpoints.scaled == {"falcon": SCALING}
    assert world.endpoints.tags["falcon"] == {"team": "nlp"}
    world.advance(minutes=30)
    assert world.endpoints.scaled == {}
    world.renew("falcon", 10)
    world.advance(minutes=1)
    assert world.endpoints.scaled == {"falcon": SCALING}
    assert world.endpoints.made("scale", "falcon") == 2, "once for each creation"


def test_what_is_left_of_scaling_is_deleted_with_the_endpoint() -> None:
    world = World()
    world.deploy(a_spec("falcon", scaling=SCALING), a_spec("flan"))
    for name in ("falcon", "flan"):
        world.renew(name, minutes=60)
    world.advance(minutes=120)
    assert world.endpoints.made("delete", "falcon") == world.endpoints.made("delete", "flan") == 1
    assert world.endpoints.made("forget scaling", "falcon") == 1
    assert world.endpoints.made("forget scaling", "flan") == 0


def test_scaling_changed_by_a_deploy_is_applied_while_running() -> None:
    world = World()
    world.deploy(a_spec("falcon", scaling=SCALING, spec_hash="1"))
    world.renew("falcon", 60)
    world.advance(minutes=1)
    world.deploy(a_spec("falcon", scaling=(Scaling("AllTraffic", 2, 8),), spec_hash="2"))
    assert world.endpoints.scaled["falcon"][0].max_capacity == 8
    world.deploy(a_spec("falcon", spec_hash="3"))
    assert world.endpoints.scaled["falcon"] == ()


def test_refused_scaling_is_tried_again_and_does_not_stop_the_endpoint() -> None:
    world = World()
    world.deploy(a_spec("falcon", scaling=SCALING))
    world.endpoints.refusals["scale"] = [AwsRefused("AccessDeniedException", "not allowed")]
    world.renew("falcon", 30)
    world.advance(seconds=20)
    assert "restore refused" in world.get("falcon")["Reason"]
    assert world.status("falcon") is Status.IN_SERVICE
    world.advance(minutes=1)
    assert world.endpoints.scaled == {"falcon": SCALING}
    assert world.state("falcon").attempts == 0


def test_scaling_is_removed_during_an_update_and_set_again_after_it() -> None:
    world = World()
    world.deploy(a_spec("falcon", scaling=SCALING))
    world.renew("falcon", 60)
    world.advance(minutes=1)
    world.deploy(a_spec("falcon", "falcon-2", scaling=SCALING))
    assert not world.endpoints.scaled["falcon"]
    world.advance(minutes=1)
    assert world.get("falcon")["ServedConfigName"] == "falcon-2"
    assert world.endpoints.scaled["falcon"] == SCALING


def test_chain_of_hints_ends_and_the_tick_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile, "MAX_HOPS", 10)
    world.endpoints.create_seconds = 3600
    world.renew("falcon", 600)

    world.advance(minutes=70)

    assert max(hint.hops for hint in world.hints.sent) == 10
    assert world.status("falcon") is Status.IN_SERVICE


@pytest.mark.parametrize("seconds", [60, 4 * 60 * 60])
def test_no_chain_of_hints_follows_a_foreign_endpoint(world: World, seconds: int) -> None:
    world.endpoints.run_by_hand("falcon", "theirs")
    world.endpoints.delete_seconds = seconds
    world.store.renew("falcon", 600, world.now, 43_200, None)
    world.advance(minutes=10)
    world.endpoints.delete("falcon")

    world.advance(minutes=seconds / 60 + 2)

    assert max(hint.hops for hint in world.hints.sent) <= 5, "those of its own start"
    assert world.status("falcon") is Status.IN_SERVICE


def test_longest_update_ends_before_its_chain_of_hints() -> None:
    longest = timedelta(seconds=28_800)  # the most that UpdateEndpoint takes
    assert longest / POLL < MAX_HOPS
