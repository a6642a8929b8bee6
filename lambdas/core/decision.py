"""Decides the next step for one endpoint: a pure function of its spec, its state and what SageMaker
says."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from lambdas.core.errors import AwsRefused
from lambdas.core.in_the_way import (
    ADOPTING,
    ANOTHERS_DELETION,
    PERHAPS_CREATED,
    RESTORED,
    ROLLBACK_FAILED,
    call_mark,
    in_the_way,
    known_trouble,
    may_appear,
    note_on_config,
    restored_mark,
    unread,
    why_dropped,
    with_trouble,
    without_trouble,
)
from lambdas.core.meter import Meter
from lambdas.core.reasons import last_end, why_running, why_stopped, with_wanted
from lambdas.core.rollout import duration_of
from lambdas.core.spec import Spec
from lambdas.core.state import (
    BROKEN,
    LONGEST_TEXT,
    Adoption,
    Dropped,
    Observed,
    Owner,
    Rollback,
    State,
    Status,
    Step,
    Trouble,
    Update,
    live_sessions,
)
from lambdas.core.strangers import cannot_act
from lambdas.core.wanted_config import (
    after_rollback,
    next_fallback,
    rollback_mark,
    set_outside,
    wanted_config,
    with_served,
)

POLL = timedelta(seconds=15)
"""How long until the next look at an endpoint that is changing, if no event comes first."""
LONGEST_POLL = timedelta(minutes=1)
POLL_DELETING = timedelta(seconds=5)
"""SageMaker sends no event at the end of a deletion."""
POLL_RESTART = timedelta(seconds=2)
"""How long until the next look at a deletion if the endpoint is wanted again."""
TURN = timedelta(milliseconds=75)
"""The time between two calls if many endpoints wait for the same step: 13 calls a second. SageMaker
does not document its rate limit. This rate uses up five creates a second even if some calls are
lost or late, and it does not grow with the number of endpoints that wait. 2,000 endpoints have each
called once after two and a half minutes."""
SOONEST_TURN = timedelta(seconds=2)
FIRST_BACKOFF = timedelta(seconds=15)
MAX_BACKOFF = timedelta(minutes=15)
ORPHAN_GRACE = timedelta(hours=1)
"""How long an orphan is left alone before it is deleted. An alarm reports it meanwhile."""
LOOK_AGAIN = timedelta(minutes=15)
"""How long until the next look if only a person can solve the problem."""
LOOK_AGAIN_WANTED = timedelta(minutes=1)
UNSURE = "maybe"
"""The value of `State.restored` while scaling is being changed: parts of it may be in place."""
TAG_SETTLES = timedelta(seconds=10)
"""How long after we tagged an endpoint another stack's tag may still replace ours. If two stacks
adopt one endpoint concurrently, the last tag stays. After this time both see which one it is."""

DRAINED = "the stack is being destroyed"
NO_CAPACITY = "InsufficientInstanceCapacity"
"""Part of the FailureReason of an endpoint for which SageMaker had no instances."""

_IN_TRANSITION = frozenset(
    {
        Status.CREATING,
        Status.UPDATING,
        Status.SYSTEM_UPDATING,
        Status.ROLLING_BACK,
        Status.DELETING,
        Status.UNKNOWN,
    }
)
ACTIONS = frozenset({Step.CREATE, Step.DELETE, Step.UPDATE, Step.RESTORE, Step.REWEIGH, Step.ADOPT})
"""The steps that change an endpoint by a call that is intended first."""
_UNTIL = {
    Step.CREATE: " (it is tried again once its entry is changed or it is paid for again)",
    Step.UPDATE: " (it is tried again once its entry or its config is changed)",
    Step.RESTORE: " (it is tried again once its entry is changed, or at the next start)",
}
"""What leads to another try of a call that was dropped."""
_NOT_WHEN_RESTORED = ACTIONS | {Step.VOID}


@dataclass(frozen=True, slots=True)
class Decision:
    """The step to take, its reason, and the state to save if the step makes no call.

    `config_name` is the endpoint config for a create or an update.
    """

    step: Step
    reason: str
    state: State
    config_name: str | None = None

    @property
    def next_due(self) -> datetime | None:
        return self.state.next_due


def meter_of(spec: Spec | None, state: State) -> Meter:
    """The meter of an endpoint. Without a spec it has no schedules and no lease."""
    if spec is None:
        return Meter()
    return Meter.paid(state.lease_end, state.paid_at, spec.schedules, state.held_since)


def paying_sessions(state: State, meter: Meter, now: datetime) -> int:
    """How many sessions pay at `now`. A lone stop ends them before that is written down."""
    return len(live_sessions(state, now)) if meter.leased(now) else 0


def undecided(spec: Spec | None, state: State, now: datetime) -> bool:
    """Whether it is unknown if the endpoint is wanted, because its schedules cannot be read (such
    as by code that is older than they are). Then a running endpoint goes on, unless somebody
    stopped it by hand after the last time that this was known. A stopped endpoint is not
    started."""
    if spec is None or not spec.unreadable or meter_of(spec, state).leased(now):
        return False
    held, last = state.held_since, state.last_wanted
    return held is None or (last is not None and held < last.since)


def backoff(attempts: int) -> timedelta:
    """The wait after `attempts` (1 or more) failures in a row."""
    doublings = min(attempts - 1, 10)
    return min(FIRST_BACKOFF * (1 << doublings), MAX_BACKOFF)


def decide(
    spec: Spec | None,
    state: State,
    observed: Observed,
    now: datetime,
    *,
    draining: bool = False,
    restored: bool = False,
) -> Decision:
    """Return the one step that brings the endpoint closer to what is wanted at `now`.

    While `draining`, nothing is wanted. If the state table was `restored`, no endpoint is changed:
    its leases, configs and weights may be out of date.
    """
    decision = _decide(spec, state, observed, now, draining=draining)
    if restored and not draining and decision.step in _NOT_WHEN_RESTORED:
        why = f"the state table was restored: until that is accepted, no {decision.step}"
        next_step = Step.CREATE if decision.step is Step.CREATE else Step.WAIT
        mark = call_mark(spec, observed.created_at, decision.step, decision.config_name)
        waiting = with_trouble(decision.state, decision.step, Trouble(mark, why, RESTORED))
        waiting = replace(waiting, next_due=now + LOOK_AGAIN, next_step=next_step)
        return Decision(Step.GIVE_UP, why, waiting)
    return decision


def _decide(
    spec: Spec | None, state: State, observed: Observed, now: datetime, *, draining: bool
) -> Decision:
    meter = meter_of(None if draining else spec, state)
    before, state = state, _with_observation(spec, state, observed, now)
    if draining or spec is None or not spec.unreadable:
        state = with_wanted(meter, state, now, draining=draining)
    if state.adopting is not None:
        taking_over = _decide_adoption(
            spec, state, state.adopting, observed, now, draining=draining
        )
        if taking_over is not None:
            return taking_over
        state = replace(state, adopting=None)
    late_tag = observed.owner is Owner.ADOPTED and not on_record(state, observed)
    if late_tag and observed.status is not Status.DELETING:
        return Decision(Step.VOID, "no adoption of this endpoint is on record", state)
    if observed.status is Status.ABSENT:
        return _decide_absent(spec, before, state, meter, now, draining=draining)
    if not observed.ours:
        return _decide_foreign(spec, state, observed, meter, now)
    if observed.status in _IN_TRANSITION:
        return _decide_moving(spec, state, observed, meter, now)
    if draining:
        return Decision(Step.DELETE, DRAINED, state, observed.config_name)
    return _decide_settled(spec, state, observed, meter, now)


def _decide_settled(
    spec: Spec | None, state: State, observed: Observed, meter: Meter, now: datetime
) -> Decision:
    """Decide for an endpoint of ours that is not changing now."""
    wanted = meter.wanted(now)
    if spec is not None and spec.unreadable and (wanted or undecided(spec, state, now)):
        return _decide_unread(spec, state, meter, now)
    if not wanted:
        return _decide_unwanted(spec, state, observed, now)
    if observed.status in BROKEN:
        return Decision(Step.DELETE, _failure(observed), state, observed.config_name)
    if observed.status is Status.UPDATE_ROLLBACK_FAILED:
        due = _earlier(now + LOOK_AGAIN, meter.next_transition(now))
        return _give_up(state, due, ROLLBACK_FAILED)
    return _decide_running(spec, state, observed, meter, now)


def _decide_adoption(
    spec: Spec | None,
    state: State,
    adoption: Adoption,
    observed: Observed,
    now: datetime,
    *,
    draining: bool,
) -> Decision | None:
    """Take the next step of an accepted adoption. None if the adoption is complete or was
    withdrawn.

    The adoption is for this one endpoint only. If its owner deleted it, created it again, set the
    tag `endpoint-meter:ignore` or gave it to another stack, it is not ours and stays unchanged.
    """
    same = adoption.is_of(observed) and observed.status is not Status.DELETING
    if spec is None and same and (observed.ours or observed.owner is Owner.NOBODY):
        return None  # it was forgotten meanwhile: it is deleted if it is ours, else left alone
    settles = adoption.tagged_at + TAG_SETTLES if adoption.tagged_at else None
    settled = settles is not None and now >= settles
    void = _why_void(observed, same=same, settled=settled, draining=draining)
    if void:
        return Decision(Step.VOID, void, state)
    if settled:
        return None
    if observed.owner is Owner.NOBODY and settles is None:
        if state.retry_at and state.retry_at > now:
            return _wait(state, state.retry_at, ADOPTING)
        if why := why_dropped(spec, state, Step.ADOPT):
            return Decision(Step.VOID, why, state)
        return Decision(Step.ADOPT, "an accepted request put it on the meter", state)
    # Until then the tags may not show ours yet, or may show ours though another stack's replaces
    # it.
    tagged = replace(state, adopting=replace(adoption, tagged_at=adoption.tagged_at or now))
    return _wait(tagged, settles or now + TAG_SETTLES, ADOPTING)


def on_record(state: State, observed: Observed) -> bool:
    """Whether the state says that this endpoint is ours: we created it, or its adoption was
    requested and not taken back. Our tag alone is no proof: a late TagResource may have hit a later
    endpoint."""
    if observed.owner is not Owner.ADOPTED:
        return observed.ours
    underway = state.adopting is not None and state.adopting.is_of(observed)
    return underway or observed.created_at in (state.owned_since, state.set_aside)


def is_metered(state: State, live: Observed) -> bool:
    """Whether the live endpoint is the meter's, or its adoption is under way."""
    underway = state.adopting is not None and state.adopting.is_of(live)
    return underway or on_record(state, live)


def _why_void(observed: Observed, *, same: bool, settled: bool, draining: bool) -> str | None:
    """Why an adoption is void. None if it may still succeed, or has succeeded."""
    if observed.status in (Status.ABSENT, Status.DELETING):
        return "it was deleted before it was on the meter"
    if not same:
        return "it was replaced by another endpoint before it was on the meter"
    if observed.owner is Owner.IGNORED:
        return "its tag endpoint-meter:ignore keeps it off the meter"
    if observed.owner is Owner.ANOTHER_STACK:
        return "another stack put it on its own meter"
    if settled:
        return None if observed.ours else "somebody took this stack's tag off it"
    return DRAINED if draining else None


def _decide_unread(spec: Spec, state: State, meter: Meter, now: datetime) -> Decision:
    due = _earlier(now + LOOK_AGAIN, meter.next_transition(now))
    return _give_up(state, due, unread(spec))


def _decide_moving(
    spec: Spec | None, state: State, observed: Observed, meter: Meter, now: datetime
) -> Decision:
    """Look again: often before a stop, and less and less often during a start.

    SageMaker sends an event at the end of a start. The looks at a start wait in the queue of the
    starts: many starts at once must not fill the queue of the stops.
    """
    wanted = meter.wanted(now)
    reason = in_the_way(spec, state, meter, now) if spec else ""
    if observed.status is Status.CREATING and wanted:
        age = now - (observed.created_at or now)
        return _wait(state, now + min(max(age, POLL), LONGEST_POLL), reason, Step.CREATE)
    deleting = POLL_RESTART if wanted else POLL_DELETING
    poll = deleting if observed.status is Status.DELETING else POLL
    return _wait(state, now + poll, reason)


def _decide_unwanted(
    spec: Spec | None, state: State, observed: Observed, now: datetime
) -> Decision:
    if spec is None and state.orphaned_at and now < state.orphaned_at + ORPHAN_GRACE:
        grace_ends = state.orphaned_at + ORPHAN_GRACE
        return _wait(state, grace_ends, "nobody declared it, though it carries our tag")
    why = _why_unwanted(spec, state, now)
    return Decision(Step.DELETE, why, state, observed.config_name)


def _decide_absent(
    spec: Spec | None,
    before: State,
    state: State,
    meter: Meter,
    now: datetime,
    *,
    draining: bool,
) -> Decision:
    if may_appear(before, now) and not meter.wanted(now):
        return _wait(replace(state, intent=before.intent), now + POLL, PERHAPS_CREATED)
    if spec is None:
        return Decision(Step.FORGET, "no spec and no endpoint are left", state)
    if spec.unreadable and not draining and not (meter.wanted(now) and spec.endpoint_config_name):
        return _decide_unread(spec, state, meter, now)
    if not meter.wanted(now):
        return _wait(
            replace(
                state, attempts=0, retry_at=None, fallback_config=None, dropped={}, troubles={}
            ),
            meter.next_transition(now),
            DRAINED if draining else _why_unwanted(spec, state, now),
            Step.CREATE,
        )
    if state.retry_at and state.retry_at > now:
        due = _earlier(state.retry_at, meter.next_transition(now))
        return _wait(state, due, in_the_way(spec, state, meter, now), Step.CREATE)
    config = wanted_config(spec, state)
    if why := why_dropped(spec, state, Step.CREATE, config):
        due = _earlier(now + LOOK_AGAIN, meter.next_transition(now))
        return _wait(state, due, why, Step.CREATE)
    return Decision(
        Step.CREATE, why_running(meter, now), replace(state, asked_config=config), config
    )


def _decide_foreign(
    spec: Spec | None, state: State, observed: Observed, meter: Meter, now: datetime
) -> Decision:
    if spec is None:
        return Decision(Step.FORGET, "the endpoint of that name is not ours", state)
    if observed.status is Status.DELETING:
        return _wait(state, now + POLL_DELETING, ANOTHERS_DELETION)
    # No event says that its owner has deleted it: while ours is wanted, look every minute.
    soon = LOOK_AGAIN_WANTED if meter.wanted(now) else LOOK_AGAIN
    due = _earlier(now + soon, meter.next_transition(now))
    waiting = replace(state, stranger=observed.owner, next_due=due, next_step=Step.WAIT)
    # The owner of an ignored one wants no history to mention it.
    step = Step.WAIT if observed.owner is Owner.IGNORED else Step.GIVE_UP
    return Decision(step, cannot_act(spec.name), waiting)


def _decide_running(
    spec: Spec | None, state: State, observed: Observed, meter: Meter, now: datetime
) -> Decision:
    assert spec is not None, "an endpoint without a spec is never wanted"
    due = meter.next_transition(now)
    config = wanted_config(spec, state)
    note = note_on_config(spec, state, meter, now)
    unscaled = why_dropped(spec, state, Step.RESTORE, config)
    restored = unscaled or state.restored == restored_mark(spec, observed.created_at)
    must_reweigh = state.reweighing is not None and not state.reweighing.begun
    if restored and note is not None and not must_reweigh:
        recovered = replace(state, attempts=0, retry_at=None, troubles={})
        return _wait(recovered, due, note or unscaled or why_running(meter, now), Step.DELETE)
    if state.retry_at and state.retry_at > now:
        reason = in_the_way(spec, state, meter, now)
        return _wait(state, _earlier(state.retry_at, due), reason)
    if note is not None and not restored:
        why = "its scaling is to be put in place"
        return Decision(Step.RESTORE, why, replace(state, restored=UNSURE), config)
    if note is not None:
        return Decision(Step.REWEIGH, "weights or capacities were set by hand", state)
    # Scaling is removed for an update, and put back afterwards.
    aside = replace(state, restored=UNSURE if state.restored else None)
    outside = set_outside(state)
    since = f"somebody outside moved it to {outside}; " if outside else ""
    return Decision(Step.UPDATE, f"{since}it is to run {config}", aside, config)


def _with_observation(spec: Spec | None, state: State, observed: Observed, now: datetime) -> State:
    """The state with what was observed. A new failure or rollback is counted once."""
    if state.observed_created not in (None, observed.created_at):
        # It was deleted, and perhaps created again between two looks: this is another life.
        state = replace(state, intent=None, updating=None, rolled_back=None, deletion=None)
    seen = replace(
        state,
        observed_status=observed.status,
        observed_config=observed.config_name,
        observed_modified=observed.modified_at,
        observed_created=observed.created_at,
        retained_seconds=_retained_seconds(observed),
        intent=None,
        stranger=None,
        deletion=state.deletion if observed.status is Status.DELETING else None,
    )
    seen = without_trouble(seen, Step.WAIT, Step.GIVE_UP, Step.VOID)
    if observed.status in BROKEN and state.observed_status is not observed.status:
        attempts = state.attempts + 1
        no_capacity = spec is not None and NO_CAPACITY in observed.failure_reason
        fallback = (
            next_fallback(spec, state, observed.config_name) if spec and no_capacity else None
        )
        seen = replace(
            seen,
            attempts=attempts,
            # Another instance type has its own capacity: there is no reason for a long wait.
            retry_at=now + (FIRST_BACKOFF if fallback else backoff(attempts)),
            fallback_config=fallback,
        )
        config = wanted_config(spec, seen) if spec else None
        mark = call_mark(spec, None, Step.CREATE, config)
        known = known_trouble(state, Step.CREATE, mark)
        failure = Trouble(
            mark, _failure(observed), observed.status, known.refusals, known.tries + 1
        )
        seen = with_trouble(seen, Step.CREATE, failure)
    if state.reweighing and state.reweighing.life != observed.created_at:
        seen = replace(seen, reweighing=None)
    if observed.status is Status.ABSENT:
        return replace(seen, updating=None, rolled_back=None, asked_config=None)
    if observed.status is Status.IN_SERVICE and state.observed_status is Status.CREATING:
        seen = replace(seen, start_seconds=_start_seconds(observed))
    seen = _with_update(spec, state, _with_weights(spec, seen, observed), observed)
    if state.adopting and state.adopting.is_of(observed):
        return seen
    if not observed.ours or spec is None:
        return replace(seen, asked_config=None)
    if spec.unreadable or observed.status is not Status.IN_SERVICE:
        return seen
    return with_served(spec, state, seen, observed.config_name)


def _with_weights(spec: Spec | None, seen: State, observed: Observed) -> State:
    """The state with the result of weights that were set by hand."""
    reweighing = seen.reweighing
    if (
        not reweighing
        or not reweighing.begun
        or reweighing.undone
        or observed.status is not Status.IN_SERVICE
    ):
        return seen
    scaled = {each.variant for each in spec.scaling} if spec else set()
    if reweighing.served_by(observed.variants, scaled):
        return replace(seen, reweighing=None)
    why = observed.failure_reason or "SageMaker gave no reason"
    return replace(seen, reweighing=replace(reweighing, undone=why))


def _with_update(spec: Spec | None, before: State, seen: State, observed: Observed) -> State:
    """The state with the progress of our update, also if its UpdateEndpoint got no answer."""
    intent = before.intent
    moving = observed.status in (Status.UPDATING, Status.ROLLING_BACK)
    # Or it is over already: the endpoint was changed after we last looked, before the call.
    moved = moving or observed.modified_at != before.observed_modified
    if intent and intent.step is Step.UPDATE and spec and moved:
        mark = rollback_mark(spec, intent.config_name)
        seen = replace(seen, updating=Update(intent.config_name, mark))
    update = seen.updating
    if moving and update and observed.failure_reason:
        seen = replace(seen, updating=replace(update, reason=observed.failure_reason))
    if observed.status is not Status.IN_SERVICE or not update:
        return seen
    if observed.config_name == update.config_name:
        return replace(seen, updating=None, rolled_back=None)
    served_before = (before.observed_config, before.asked_config)
    if before.observed_config and observed.config_name not in served_before:
        return replace(seen, updating=None)  # somebody outside moved it on
    kept = after_rollback(spec, seen, observed.config_name) if spec else seen
    rollback = Rollback(update.mark, observed.failure_reason or update.reason)
    return replace(kept, updating=None, rolled_back=rollback)


def _failure(observed: Observed) -> str:
    return f"{observed.status}: {observed.failure_reason or 'no reason given'}"


def _start_seconds(observed: Observed) -> int | None:
    """How long the start of an endpoint took that is now in service."""
    if observed.created_at is None or observed.modified_at is None:
        return None
    return math.ceil((observed.modified_at - observed.created_at).total_seconds())


def _retained_seconds(observed: Observed) -> int | None:
    last = observed.last_deployment
    return None if last is None else int(duration_of(last).total_seconds())


def _wait(state: State, due: datetime | None, reason: str, next_step: Step = Step.WAIT) -> Decision:
    return Decision(Step.WAIT, reason, replace(state, next_due=due, next_step=next_step))


def _why_unwanted(spec: Spec | None, state: State, now: datetime) -> str:
    if spec is None:
        return "it was taken off the meter"
    return why_stopped(last_end(meter_of(spec, state), state, now))


def _give_up(state: State, due: datetime, reason: str) -> Decision:
    """Look again later. The reason is stored so that the history tells it once."""
    waiting = with_trouble(state, Step.GIVE_UP, Trouble("", reason))
    return Decision(Step.GIVE_UP, reason, replace(waiting, next_due=due, next_step=Step.WAIT))


def refusal_of(state: State, step: Step, mark: str, kind: str, why: str) -> Trouble:
    """The trouble after SageMaker refused the call with this mark, with an error of this kind."""
    known = known_trouble(state, step, mark)
    refusals = {**known.refusals, kind: known.refusals.get(kind, 0) + 1}
    return Trouble(mark, f"{step} refused: {why}", kind, refusals, known.tries + 1)


def refused(state: State, step: Step, trouble: Trouble, now: datetime) -> State:
    """The state after SageMaker refused a step. The retry backs off. A stop is tried again every
    minute, because the endpoint costs money until it is stopped."""
    state = replace(with_trouble(state, step, trouble), intent=None, deletion=None)
    if step is Step.DELETE:
        return replace(state, next_due=now + timedelta(minutes=1), next_step=step)
    attempts = state.attempts + 1
    retry_at = now + backoff(attempts)
    return replace(state, attempts=attempts, retry_at=retry_at, next_due=retry_at)


def dropped(state: State, step: Step, trouble: Trouble, now: datetime) -> State:
    """The state after SageMaker refused a call with an error that no retry changes: without the
    weights that were set by hand, or with the mark of what is not asked for again."""
    until = _UNTIL.get(step, "")
    told = f"{trouble.why[: LONGEST_TEXT - len(until)]}{until}"
    state = with_trouble(state, step, replace(trouble, why=told))
    state = replace(state, intent=None, retry_at=None, next_due=now)
    if step is Step.REWEIGH:
        return replace(state, reweighing=None)
    state = replace(state, dropped={**state.dropped, step: Dropped(trouble.mark, told)})
    # An endpoint that runs is well without it. One that does not start stays a failure.
    return replace(state, attempts=state.attempts + 1 if step is Step.CREATE else 0)


def throttled(state: State, step: Step, mark: str, place: datetime) -> State:
    """The state of an endpoint that was throttled and waits for its place in the line. The limit is
    per account: this is no failure of the endpoint, and the backoff does not grow."""
    trouble = replace(known_trouble(state, step, mark), waits=True)
    waiting = replace(with_trouble(state, step, trouble), intent=None, deletion=None)
    waiting = replace(waiting, next_due=place, next_step=step)
    return waiting if step is Step.DELETE else replace(waiting, retry_at=place)


def not_seen(state: State, error: AwsRefused, now: datetime) -> State:
    """The state after SageMaker did not describe the endpoint. The next look is soon: an endpoint
    that runs unwanted costs money."""
    tries = known_trouble(state, Step.WAIT, "").tries + 1
    soon = now + min(backoff(tries), timedelta(minutes=1))
    trouble = Trouble("", f"not seen: {error}", error.code, tries=tries)
    return replace(with_trouble(state, Step.WAIT, trouble), next_due=soon)


def _earlier(one: datetime, other: datetime | None) -> datetime:
    return min(one, other) if other else one
