"""Specs, states and adoptions as plain values: their rules at their limits."""

from __future__ import annotations

from dataclasses import replace
from datetime import time, timedelta
from typing import Any

import pytest

from lambdas.core.errors import (
    ConfigNotAddable,
    InvalidField,
    LeaseTooLong,
    NotAdoptable,
    NotOurs,
    ScopeMissing,
)
from lambdas.core.in_the_way import call_mark, in_the_way
from lambdas.core.meter import Meter
from lambdas.core.name_patterns import ANY_NAME, NamePatterns
from lambdas.core.names import endpoint_key, sagemaker_name
from lambdas.core.ports import AddLimits, Declaration
from lambdas.core.reasons import (
    ended_at,
    ended_now,
    last_end,
    why_running,
    why_stopped,
    with_wanted,
)
from lambdas.core.rollout import Variant
from lambdas.core.schedule import Schedule
from lambdas.core.spec import AsyncMode, Origin, Scaling, digest, with_hash
from lambdas.core.state import (
    Adoption,
    Dropped,
    Ended,
    EndedBy,
    Observed,
    Owner,
    Reweighing,
    State,
    Status,
    Step,
    Trouble,
    Wanted,
    live_sessions,
    paid_again,
)
from lambdas.core.takeover import (
    Limits,
    Takeover,
    adoption_of,
    before_adoption,
    lease_end,
    renewed_meanwhile,
)
from tests.fakes import OFFICE_HOURS, a_spec, by, clock

NOW = clock(9)
SPEC = a_spec("falcon")
FRACTION = timedelta(milliseconds=300)
LIVE = Observed(Status.IN_SERVICE, "cfg", "", clock(8), clock(8), "arn:x", Owner.NOBODY)


# --- names ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a", "A-1", "a--b", "x" * 63])
def test_names_of_sagemaker_are_taken(name: str) -> None:
    assert sagemaker_name(name, "f") == name


@pytest.mark.parametrize("name", ["", "-a", "a-", "a_b", "ä", "x" * 64, "a b", "a\n"])
def test_other_names_are_refused_with_their_field(name: str) -> None:
    with pytest.raises(InvalidField) as refused:
        sagemaker_name(name, "f")
    assert refused.value.field == "f"


def test_names_of_endpoints_are_compared_without_case() -> None:
    assert endpoint_key("Falcon-A") == endpoint_key("FALCON-a") == "falcon-a"


# --- specs ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("least", "most", "valid"),
    [(0, 1, True), (1, 1, True), (0, 0, False), (2, 1, False), (-1, 1, False)],
)
def test_scaling_is_between_nothing_and_at_least_one(least: int, most: int, valid: bool) -> None:
    if valid:
        assert Scaling.parse(Scaling("all", least, most).document()) == Scaling("all", least, most)
        return
    with pytest.raises(InvalidField) as refused:
        Scaling("all", least, most)
    assert refused.value.field == "min_capacity"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"max_lease_minutes": 0}, "max_lease_minutes"),
        ({"initial_provision_minutes": -1}, "initial_provision_minutes"),
        ({"initial_provision_minutes": 61, "max_lease_minutes": 60}, "initial_provision_minutes"),
        ({"schedules": (OFFICE_HOURS,) * 101}, "schedules"),
        ({"schedules": (OFFICE_HOURS, OFFICE_HOURS)}, "schedules[1].name"),
    ],
)
def test_spec_that_breaks_a_rule_names_the_field(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidField) as refused:
        a_spec(**fields)
    assert refused.value.field == field


def test_spec_at_its_limits_is_taken() -> None:
    hundred = tuple(replace(OFFICE_HOURS, name=f"s{number}") for number in range(100))

    spec = a_spec("Falcon", max_lease_minutes=1, initial_provision_minutes=1, schedules=hundred)

    assert (spec.key, spec.configs()) == ("falcon", ("falcon-1",))
    with pytest.raises(InvalidField):
        a_spec("no name!")


def test_hash_of_an_added_spec_changes_with_what_callers_declare() -> None:
    spec = a_spec(origin=Origin.API)
    hashes = {
        with_hash(changed).spec_hash
        for changed in (
            spec,
            replace(spec, name="other"),
            replace(spec, endpoint_config_name="other"),
            replace(spec, schedules=(OFFICE_HOURS,)),
            replace(spec, max_lease_minutes=5),
            replace(spec, async_api=AsyncMode.DIRECT),
        )
    }

    assert len(hashes) == 6
    assert with_hash(replace(spec, tags={"a": "b"})).spec_hash == with_hash(spec).spec_hash


def test_digest_does_not_depend_on_the_order_of_keys() -> None:
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    assert digest({"a": 1}) != digest({"a": 2})
    assert len(digest([])) == 16


# --- states -----------------------------------------------------------------------------------


def test_lease_ends_with_the_latest_of_the_shared_end_and_the_sessions() -> None:
    sessions = {"a": clock(10), "b": clock(8)}

    assert State().lease_end is None
    assert State(expires_at=clock(9)).lease_end == clock(9)
    assert State(expires_at=clock(9), sessions=sessions).lease_end == clock(10)
    assert State(expires_at=clock(11), sessions=sessions).lease_end == clock(11)
    assert State(sessions=sessions).lease_end == clock(10)
    assert list(live_sessions(State(sessions=sessions), clock(9))) == ["a"]
    assert list(live_sessions(State(sessions=sessions), clock(10))) == []


def test_payment_ends_what_was_in_the_way() -> None:
    hindered = State(
        held_since=NOW,
        stranger=Owner.NOBODY,
        dropped={Step.CREATE: Dropped("mark", "why")},
        attempts=3,
        retry_at=NOW,
    )

    assert paid_again(hindered, NOW) == State(paid_at=NOW)


@pytest.mark.parametrize(
    ("desired", "served", "scaled", "expected"),
    [
        ({"DesiredWeight": 0.5}, Variant("a", 1, 0.5), (), True),
        ({"DesiredWeight": 0.5}, Variant("a", 1, 0.6), (), False),
        ({"DesiredWeight": 1 / 3}, Variant("a", 1, 0.33333334), (), True),
        ({"DesiredInstanceCount": 2}, Variant("a", 2, 1.0), (), True),
        ({"DesiredInstanceCount": 2}, Variant("a", 3, 1.0), (), False),
        ({"DesiredInstanceCount": 2}, Variant("a", 3, 1.0), ("a",), True),
        ({"DesiredWeight": 0.5}, Variant("b", 1, 0.5), (), False),
    ],
)
def test_weights_are_in_force_if_the_variant_serves_them(
    desired: dict[str, Any], served: Variant, scaled: tuple[str, ...], expected: bool
) -> None:
    reweighing = Reweighing([{"VariantName": "a", **desired}], clock(8))

    assert reweighing.served_by([served], scaled) is expected
    other = Reweighing([*reweighing.desired, {"VariantName": "gone"}], clock(8))
    assert not other.served_by([served], scaled), "all of them have to be"


def test_declaration_begins_a_life_over_the_one_before() -> None:
    now = NOW + FRACTION
    before = State(
        rev=6,
        held_since=clock(8),
        attempts=3,
        retry_at=clock(10),
        orphaned_at=clock(8),
        stranger=Owner.NOBODY,
        dropped={Step.CREATE: Dropped("mark", "why")},
        ended=Ended(EndedBy.HAND, clock(8)),
        last_wanted=Wanted(False, clock(8)),
        observed_config="old",
        asked_config="old",
    )
    adoption = adoption_of(LIVE, declared=True)
    added = Declaration(a_spec(), clock(10), over=before)
    adopted = replace(added, observed=LIVE, adopting=adoption)

    assert added.state(now) == State(
        rev=7,
        expires_at=clock(10),
        paid_at=NOW,
        set_up_at=NOW,
        next_due=now,
        next_step=Step.CREATE,
        observed_config="old",
        asked_config="old",
    )
    assert adopted.state(now) == State(
        rev=7,
        expires_at=clock(10),
        paid_at=NOW,
        set_up_at=NOW,
        next_due=now,
        next_step=Step.WAIT,
        adopting=adoption,
        observed_status=Status.IN_SERVICE,
        observed_config="cfg",
        asked_config="cfg",
    )
    assert replace(added, over=None).state(now).rev == 0


# --- adoptions --------------------------------------------------------------------------------


def test_void_adoption_takes_back_what_it_brought_and_nothing_else() -> None:
    adoption = Adoption("arn", clock(8), declared=False, minutes=30, held_since=clock(7))
    state = State(adopting=adoption, expires_at=clock(10), sessions={"a": clock(11)})

    assert before_adoption(state) == State(
        expires_at=clock(9, 30), sessions={"a": clock(11)}, held_since=clock(7)
    )
    assert before_adoption(replace(state, held_since=clock(6))).held_since == clock(6)
    assert before_adoption(replace(state, expires_at=None)).expires_at is None
    declared = replace(state, adopting=replace(adoption, declared=True))
    assert before_adoption(declared) == State(held_since=clock(7))
    assert before_adoption(State(attempts=1)) == State(attempts=1)


def test_renewal_during_an_adoption_uses_its_minutes_up_if_the_lease_had_run_out() -> None:
    adoption = Adoption("arn", clock(8), declared=False, minutes=30, held_since=clock(7))
    kept = replace(adoption, held_since=None)

    assert renewed_meanwhile(State(), NOW) is None
    assert renewed_meanwhile(State(adopting=adoption, expires_at=clock(9, 1)), NOW) == kept
    for ended in (NOW, None):
        state = State(adopting=adoption, expires_at=ended)
        assert renewed_meanwhile(state, NOW) == replace(kept, minutes=0)


def test_minutes_are_added_to_what_is_left_up_to_the_longest_lease() -> None:
    now = NOW + FRACTION

    assert lease_end(None, 10, now, 60) == clock(9, 10)
    assert lease_end(State(), 60, now, 60) == clock(10)
    assert lease_end(State(expires_at=clock(9, 30)), 30, now, 60) == clock(10)
    assert lease_end(State(expires_at=clock(8)), 10, now, 60) == clock(9, 10)
    for state, minutes in ((None, 61), (State(expires_at=clock(9, 30)), 31)):
        with pytest.raises(LeaseTooLong):
            lease_end(state, minutes, now, 60)


def test_adoption_is_of_the_very_endpoint() -> None:
    adoption = adoption_of(LIVE, declared=True)

    assert adoption == Adoption("arn:x", clock(8), declared=True)
    assert adoption.is_of(LIVE)
    assert not adoption.is_of(replace(LIVE, created_at=NOW))


@pytest.mark.parametrize(
    ("scopes", "adopt", "needed"),
    [
        ("add", False, None),
        ("add", True, None),
        ("manage", True, None),
        ("manage", False, "add"),
        ("read", True, "manage"),
        ("add:other", False, "add"),
    ],
)
def test_only_who_may_add_or_adopt_learns_what_exists(
    scopes: str, adopt: bool, needed: str | None
) -> None:
    takeover = Takeover("mine", "cfg", adopt=adopt)
    if needed is None:
        takeover.require_right(by("eve", scopes))
        return
    with pytest.raises(ScopeMissing, match=f"'{needed}'"):
        takeover.require_right(by("eve", scopes))


@pytest.mark.parametrize(
    ("takeover", "scopes", "adoptable", "chosen", "refused"),
    [
        (Takeover("x", "cfg", adopt=True), "manage", ANY_NAME, (), None),
        (Takeover("x", "new", adopt=True), "manage", ANY_NAME, ("new", "old"), None),
        (Takeover("x", "old", adopt=True), "manage", ANY_NAME, ("new", "old"), None),
        (Takeover("x", "other", adopt=True), "manage", ANY_NAME, (), NotOurs),
        (Takeover("x", "cfg", adopt=True), "manage", ANY_NAME, ("new",), NotOurs),
        (Takeover("x", "cfg", adopt=False), "manage", ANY_NAME, (), NotOurs),
        (Takeover("x", "cfg", adopt=True), "add", ANY_NAME, (), ScopeMissing),
        (Takeover("x", "cfg", adopt=False), "add", ANY_NAME, (), NotOurs),
        (Takeover("x", "cfg", adopt=True), "manage", NamePatterns(()), (), NotAdoptable),
        (Takeover("x", "cfg", adopt=False), "manage", NamePatterns(()), (), NotOurs),
    ],
)
def test_live_endpoint_is_adopted_by_who_may_with_the_config_that_it_runs(
    takeover: Takeover,
    scopes: str,
    adoptable: NamePatterns,
    chosen: tuple[str, ...],
    refused: type[Exception] | None,
) -> None:
    if refused is None:
        takeover.allow(LIVE, by("eve", scopes), adoptable, chosen)
        starting = replace(LIVE, status=Status.CREATING)
        for other in (starting, replace(LIVE, owner=Owner.IGNORED)):
            with pytest.raises(NotOurs):
                takeover.allow(other, by("eve", scopes), adoptable, chosen)
        return
    with pytest.raises(refused) as error:
        takeover.allow(LIVE, by("eve", scopes), adoptable, chosen)
    assert type(error.value) is refused or issubclass(type(error.value), NotOurs)


def test_adds_are_limited_as_the_stack_says() -> None:
    limits = Limits(ANY_NAME, NamePatterns(("cfg-*",)), 5, 3)

    assert limits.of(by("ann"), "cfg-1") == AddLimits("ann", 5, 3)
    with pytest.raises(ConfigNotAddable):
        limits.of(by("ann"), "other")


# --- reasons ----------------------------------------------------------------------------------


def test_reason_of_a_running_endpoint_is_its_lease_or_the_window_that_closes_last() -> None:
    long = Schedule("long", time(10), time(18), frozenset({"mon"}))
    open_both = Meter(None, (OFFICE_HOURS, long))

    assert why_running(Meter(clock(10)), NOW) == "the lease is paid until 2026-03-02T10:00:00Z"
    assert why_running(open_both, clock(11)) == (
        "the window 'long' is open until 2026-03-02T18:00:00Z"
    )


@pytest.mark.parametrize(
    ("ended", "sentence"),
    [
        (None, "no lease was paid and no window has opened yet"),
        (Ended(EndedBy.HAND, NOW, "ann"), "stopped by hand at 2026-03-02T09:00:00Z (ann)"),
        (Ended(EndedBy.HAND, NOW), "stopped by hand at 2026-03-02T09:00:00Z"),
        (Ended(EndedBy.LEASE, NOW), "the lease ended at 2026-03-02T09:00:00Z"),
        (Ended(EndedBy.WINDOW, NOW, "w"), "the window 'w' closed at 2026-03-02T09:00:00Z"),
        (
            Ended(EndedBy.DRAIN, NOW),
            "it was stopped at 2026-03-02T09:00:00Z, as the stack was being destroyed",
        ),
        (
            Ended(EndedBy.CHANGE, NOW),
            "its schedules or its lease were changed after 2026-03-02T09:00:00Z",
        ),
    ],
)
def test_reason_of_a_stopped_endpoint_is_what_ended_its_last_run(
    ended: Ended | None, sentence: str
) -> None:
    assert why_stopped(ended) == sentence


FAILED = Trouble(call_mark(SPEC, None, Step.CREATE, SPEC.endpoint_config_name), "no", tries=2)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"attempts": 0}, ""),
        ({"attempts": 0, "observed_status": Status.FAILED}, "no"),
        ({"retry_at": clock(9, 1)}, "the next one at 2026-03-02T09:01:00Z)"),
        ({"retry_at": clock(11)}, "would be at 2026-03-02T11:00:00Z, and it is not wanted until"),
        ({"retry_at": NOW}, "no"),
        ({"observed_status": Status.CREATING}, "the next one is under way)"),
        ({"observed_status": Status.IN_SERVICE}, ""),
        ({"troubles": {Step.CREATE: replace(FAILED, mark="another")}}, ""),
        ({"troubles": {}}, ""),
    ],
)
def test_failure_tells_when_the_next_try_is(fields: dict[str, Any], told: str) -> None:
    state = replace(State(attempts=2, troubles={Step.CREATE: FAILED}), **fields)

    text = in_the_way(SPEC, state, Meter(clock(10)), NOW)

    if told in ("", "no"):
        assert text == told
    else:
        assert text.startswith("no (tries that failed: 2; ")
        assert told in text


def test_what_ended_a_run_is_stored_once_and_kept() -> None:
    running = State(last_wanted=Wanted(True, clock(8), clock(8, 30)))
    meter = Meter(clock(8, 45))

    stopped = with_wanted(meter, running, NOW, draining=False)

    assert stopped.ended == Ended(EndedBy.LEASE, clock(8, 45))
    assert stopped.last_wanted == Wanted(False, NOW, NOW)
    later = with_wanted(Meter(), stopped, clock(10), draining=False)
    assert later.ended == stopped.ended
    assert later.last_wanted == Wanted(False, NOW, clock(10))
    assert with_wanted(meter, stopped, clock(8), draining=False) == stopped, "a slow clock"


def test_run_that_nothing_ended_was_changed_or_drained() -> None:
    running = State(last_wanted=Wanted(True, clock(8), clock(8, 30) + FRACTION))

    assert last_end(Meter(), running, NOW + FRACTION) == Ended(EndedBy.CHANGE, clock(8, 30))
    assert last_end(Meter(), running, NOW + FRACTION, draining=True) == Ended(EndedBy.DRAIN, NOW)
    unseen = State(last_wanted=Wanted(True, clock(8) + FRACTION))
    assert last_end(Meter(), unseen, NOW) == Ended(EndedBy.CHANGE, clock(8))
    assert last_end(Meter(), State(), NOW) is None


def test_lease_that_runs_out_during_a_drain_is_told() -> None:
    drained = State(
        last_wanted=Wanted(False, clock(8), clock(8, 30)),
        ended=Ended(EndedBy.DRAIN, clock(8)),
    )
    stopped = replace(drained, ended=Ended(EndedBy.HAND, clock(8)))
    meter = Meter(clock(8, 45))

    assert last_end(meter, drained, NOW) == Ended(EndedBy.LEASE, clock(8, 45))
    assert last_end(meter, drained, clock(8, 40)) == drained.ended
    assert last_end(meter, stopped, NOW) == Ended(EndedBy.LEASE, clock(8, 45))
    assert last_end(meter, stopped, clock(8, 40)) == stopped.ended


def test_write_that_ended_a_run_is_told_from_others() -> None:
    by_hand = Ended(EndedBy.HAND, NOW, "ann")
    stopped = ended_now(State(), NOW, by_hand)

    assert stopped == State(ended=by_hand, last_wanted=Wanted(False, NOW, NOW))
    assert ended_at(stopped, NOW)
    assert not ended_at(stopped, clock(10))
    assert not ended_at(State(), NOW)
    assert not ended_at(State(last_wanted=Wanted(True, NOW, NOW)), NOW)
