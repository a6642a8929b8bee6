"""Reconcile: compare what is wanted of one endpoint with what SageMaker says, and take one step.

A crash between any two calls heals: the intent is written before the call, the lock expires, and
`next_due` stays in the past until a reconcile has saved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from lambdas.core.decision import (
    ACTIONS,
    POLL,
    POLL_DELETING,
    SOONEST_TURN,
    TAG_SETTLES,
    TURN,
    Decision,
    decide,
    dropped,
    meter_of,
    not_seen,
    on_record,
    refusal_of,
    refused,
    throttled,
)
from lambdas.core.errors import (
    AlreadyExists,
    AwsDenied,
    AwsRefused,
    Conflict,
    Gone,
    InProgress,
    Locked,
    Throttled,
    Unanswered,
)
from lambdas.core.hints import ARM_AHEAD, MAX_HOPS, Cause, Hint, hint_at
from lambdas.core.history import Event, in_order
from lambdas.core.idempotency import forgotten
from lambdas.core.in_the_way import (
    call_mark,
    had_its_turn,
    restored_mark,
    trouble_text,
    without_trouble,
)
from lambdas.core.ports import NO_CONFIG, Adopter, Control, Endpoints, Hints, StateStore
from lambdas.core.spec import Spec
from lambdas.core.state import (
    ABSENT,
    BROKEN,
    LONGEST_TEXT,
    Intent,
    Observed,
    Owner,
    Record,
    State,
    Status,
    Step,
    Update,
)
from lambdas.core.takeover import before_adoption
from lambdas.core.wanted_config import (
    rollback_mark,
    rollback_reason,
    set_outside,
    update_policy,
    weights_undone,
    without_missing,
)

LOCK = timedelta(seconds=45)
"""Longer than the reconciler's timeout of 30 s."""
EARLY = timedelta(seconds=5)
"""A hint that is up to this much too early is sent again, not dropped. The clocks of the sender and
of the receiver may each be wrong by two seconds."""
CLAIM_GRACE = timedelta(seconds=30)
MAX_ROUNDS = 5
_UNREADABLE = frozenset({"ParamValidationError", "SerializationException"})
"""Error codes that mean: what was sent cannot be read, so no retry can succeed."""
_INVALID = "ValidationException"
"""The error code for a wrong request, but also for what SageMaker cannot see yet, such as a role or
an endpoint config made a moment ago."""
_INVALID_FOR_GOOD = 5
"""After so many refusals in a row (four minutes) it is no lag of SageMaker."""
_NO_SUCH_WEIGHTS = frozenset({_INVALID, "ResourceLimitExceeded"})
"""Error codes that mean: no retry with these weights or capacities can succeed."""
_EVEN_IF_NOT_DUE = frozenset({Cause.EVENT, Cause.SWEEP})
_ON_OURS = ACTIONS - {Step.CREATE, Step.ADOPT}
"""Steps that change an existing endpoint. It must be ours."""
PROBED_NAME = "endpoint-meter-canary"
"""The endpoint that is described to see whether SageMaker answers. It need not exist."""
THROTTLED = "throttled"
"""The word of an Outcome if SageMaker throttled the call."""
_NOTABLE = frozenset(
    {Status.IN_SERVICE, Status.FAILED, Status.OUT_OF_SERVICE, Status.UPDATE_ROLLBACK_FAILED}
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a hint, for the log: a word, and the decision if there was one."""

    word: str
    decision: Decision | None = None


def new_state(spec: Spec, now: datetime) -> State:
    """The first STATE of an endpoint, with its initial lease. That is granted only once."""
    minutes = spec.initial_provision_minutes
    expires_at = _whole_second(now) + timedelta(minutes=minutes) if minutes else None
    return State(
        expires_at=expires_at,
        paid_at=_whole_second(now) if minutes else None,
        set_up_at=_whole_second(now),
        next_due=now,
        next_step=Step.CREATE if minutes else Step.WAIT,
    )


def load_or_create(store: StateStore, key: str, now: datetime) -> Record:
    """The record of an endpoint. If it has a readable spec and no STATE, the STATE (with the
    initial lease) is created."""
    record = store.load(key)
    if record.state is not None or record.spec is None or record.spec.unreadable:
        return record
    with suppress(Conflict):  # another created it first: the same result
        store.create_state(key, new_state(record.spec, now))
    return store.load(key)


@dataclass(frozen=True, slots=True)
class Reconciler:
    """The use case. `owner` identifies this run in locks (a request id). The clock is read again
    after each call that may take long: waits count from the answer. `hops` are those of the hint
    that it handles."""

    store: StateStore
    endpoints: Endpoints
    adopter: Adopter
    hints: Hints
    owner: str
    clock: Callable[[], datetime]
    hops: int = 0

    def handle(self, hint: Hint) -> Outcome:
        """Look at the endpoint that a hint names and take one step if something is due.

        Raises AwsRefused if the state table failed: the hint must be delivered again.
        """
        now = self.clock()
        if hint.endpoint is None:
            self.store.beat("reconcile", now)
            self.store.beat("sagemaker" if self._sagemaker_answers() else "silence", now)
            return Outcome("heartbeat")
        record = load_or_create(self.store, hint.endpoint, now)
        if record.state is None:
            return Outcome("unknown")
        due = record.state.next_due
        if hint.cause not in _EVEN_IF_NOT_DUE and (due is None or due > now):
            if due is None or due - now > EARLY or hint.at not in (None, due):
                return Outcome("not due")  # if the instant was changed, another hint is on its way
            self._send(hint_at(record.key, Cause.RETRY, record.state.next_step, due))
            return Outcome("early")
        try:
            self.store.lock(record.key, self.owner, now, now + LOCK)
        except Locked as locked:
            self._send(hint_at(record.key, hint.cause, Step.WAIT, locked.until))
            return Outcome("locked")
        except Conflict:  # the state was forgotten meanwhile
            return Outcome("unknown")
        try:
            return self._reconcile(record.key)
        except BaseException:
            self.store.unlock(record.key, self.owner)
            raise

    def _sagemaker_answers(self) -> bool:
        """Whether SageMaker answers. A throttle, a missing permission, and that there is no such
        endpoint are answers; that it cannot be reached or is out of order are not."""
        try:
            self.endpoints.describe(PROBED_NAME)
        except (Throttled, AwsDenied):
            return True
        except AwsRefused:
            return False
        return True

    def _reconcile(self, key: str) -> Outcome:
        """Decide and act. Repeat if a user wrote to the state before the result was saved."""
        for _ in range(MAX_ROUNDS):
            record = self.store.load(key)
            if record.state is None or record.lock_owner != self.owner:
                return Outcome("lock lost")
            try:
                return self._round(record, record.state)
            except Conflict:
                continue
        self.store.unlock(key, self.owner)  # it is still due: the tick sends another hint
        return Outcome("too many changes")

    def _round(self, record: Record, state: State) -> Outcome:
        spec = record.spec
        name = spec.name if spec else record.key
        try:
            observed = self._observe(name, state)
            control = self.store.control()
            state, decision = self._decide(spec, state, observed, control)
            if decision.step in _ON_OURS:
                # The owner may have changed since the tags were last read.
                observed = replace(observed, owner=self.endpoints.owner(observed.arn))
                state, decision = self._decide(spec, state, observed, control)
        except AwsRefused as error:
            now = self.clock()
            self._save(record.key, not_seen(state, error, now), now)
            return Outcome(THROTTLED if isinstance(error, Throttled) else "not seen")
        now = self.clock()
        events = list(in_order(_observed_events(record.key, state, decision, now)))
        if decision.step is Step.FORGET:
            self.store.forget(record.key, self.owner, state.rev, events)
            return Outcome("forgotten", decision)
        if decision.step is Step.VOID:
            return self._void(record, decision, observed, events, now)
        saved = decision.state
        if saved.next_due is None and control.draining(now):
            saved = replace(saved, next_due=control.drain_until)  # if nobody ends the drain
        word = "settled"
        if decision.step in ACTIONS:
            transition = meter_of(spec, state).next_transition(now)
            refusal = self._act(record, name, decision, events, now)
            now = self.clock()
            saved = self._state_after_call(record, decision, observed, refusal, now)
            # The wait before a retry must not delay a stop.
            due = min(filter(None, (saved.next_due, transition)), default=None)
            saved = replace(saved, next_due=due)
            told = _refusal_events(record.key, state, saved, decision.step, refusal, now)
            events = list(in_order(told, after=len(events) + 1))
            word = _word(refusal)
        elif _may_keep_logs(saved, observed) and self.endpoints.keep_logs(name):
            saved = replace(saved, logs_kept=observed.created_at)
        # One that is not ours may change for as long as it likes: the tick looks at it.
        ours = observed.ours or saved.adopting is not None
        self._save(record.key, saved, now, events, chained=ours)
        return Outcome(word, decision)

    def _observe(self, name: str, state: State) -> Observed:
        seen = self.endpoints.describe(name)
        if seen is None:
            return ABSENT
        known = state.owned_since is not None and seen.created_at == state.owned_since
        if known and state.adopting is None:
            return seen
        return replace(seen, owner=self.endpoints.owner(seen.arn))

    def _decide(
        self, spec: Spec | None, state: State, observed: Observed, control: Control
    ) -> tuple[State, Decision]:
        """The decision, and the state that says if the endpoint is ours."""
        restored = control.table_id not in (None, self.store.table_id())
        now = self.clock()  # after that call: the lease may have ended meanwhile
        if observed.created_at is not None:
            was_ours = observed.created_at in (state.owned_since, state.set_aside)
            aside = was_ours and observed.owner is Owner.IGNORED
            state = replace(
                state,
                owned_since=observed.created_at if on_record(state, observed) else None,
                set_aside=observed.created_at if aside else None,
            )
        decision = decide(
            spec,
            state,
            observed,
            now,
            draining=control.draining(now),
            restored=restored,
        )
        return state, decision

    def _void(
        self,
        record: Record,
        decision: Decision,
        observed: Observed,
        events: Sequence[Event],
        now: datetime,
    ) -> Outcome:
        """Undo an adoption: remove the spec and the lease that came with it. Also remove our tag
        from an endpoint that no accepted request covers."""
        state = decision.state
        if observed.owner is Owner.ADOPTED:
            try:
                self.adopter.release(observed.arn)
            except AwsRefused as error:
                mark = call_mark(record.spec, state.observed_created, Step.VOID)
                trouble = refusal_of(record.state or state, Step.VOID, mark, error.code, str(error))
                waiting = refused(state, Step.VOID, trouble, self.clock())
                self._save(record.key, waiting, now, events)
                return Outcome("refused", decision)
        api_spec, declared = record.api_spec, bool(state.adopting and state.adopting.declared)
        removed = api_spec if declared else None
        self.store.void(
            record.key,
            self.owner,
            before_adoption(state),
            forgotten(record, removed, now) if removed else None,
            [*in_order([*events, Event(record.key, now, "adoption void", decision.reason)])],
        )
        self._send(hint_at(record.key, Cause.RETRY, Step.WAIT, now))
        return Outcome("void", decision)

    def _act(
        self,
        record: Record,
        name: str,
        decision: Decision,
        events: Sequence[Event],
        now: datetime,
    ) -> AwsRefused | None:
        """Write the intent and the events, and make the call. Returns the error if the call was
        refused."""
        step, config = decision.step, decision.config_name or ""
        self.store.begin(
            record.key,
            self.owner,
            # After a crash a hint takes the queue of this step.
            replace(decision.state, next_step=step, deletion=_deleted_for(decision)),
            Intent(step, config, now),
            [*in_order([*events, Event(record.key, now, step, decision.reason)])],
        )
        try:
            self._call(name, decision, record)
        except AwsRefused as refusal:
            return refusal
        return None

    def _state_after_call(
        self,
        record: Record,
        decision: Decision,
        observed: Observed,
        refusal: AwsRefused | None,
        now: datetime,
    ) -> State:
        """The state after the call, which was answered at `now`."""
        step, state = decision.step, replace(decision.state, deletion=_deleted_for(decision))
        before = record.state.intent if record.state else None
        look_again = replace(had_its_turn(state, step), next_due=now + POLL, next_step=Step.WAIT)
        match refusal:
            case Gone():
                return replace(look_again, next_due=now + POLL_DELETING)
            case Unanswered() if step is Step.UPDATE:
                # If an update is under way, it is this one.
                return replace(look_again, intent=Intent(step, decision.config_name or "", now))
            case InProgress() | Unanswered():
                return look_again
            case AlreadyExists() if before is None or before.step is not Step.CREATE:
                # We did not create it before a crash. Perhaps its deletion is not complete yet.
                mark = call_mark(record.spec, None, step, decision.config_name)
                trouble = refusal_of(state, step, mark, "AlreadyExists", refusal.message)
                return refused(state, step, trouble, now)
            case AlreadyExists():  # by an earlier call of ours, perhaps with another config
                look_again = replace(look_again, asked_config=None)
            case None:
                pass
            case _:
                return self._refused(record, decision, observed, refusal, now)
        if step is Step.ADOPT and state.adopting:
            adopting = replace(state.adopting, tagged_at=now)
            state = replace(without_trouble(state, step), adopting=adopting, attempts=0)
            return replace(state, next_due=now + TAG_SETTLES)
        if step is Step.RESTORE and record.spec:
            restored = restored_mark(record.spec, observed.created_at)
            state = replace(without_trouble(state, step), restored=restored, attempts=0)
            return replace(state, next_due=now)
        if step is Step.UPDATE and record.spec:
            config = decision.config_name or ""
            update = Update(config, rollback_mark(record.spec, config))
            look_again = replace(look_again, updating=update)
        return _begun(look_again, decision, now)

    def _refused(
        self,
        record: Record,
        decision: Decision,
        observed: Observed,
        error: AwsRefused,
        now: datetime,
    ) -> State:
        """The state after a refusal."""
        step, state, spec = decision.step, decision.state, record.spec
        mark = call_mark(spec, observed.created_at, step, decision.config_name)
        if isinstance(error, Throttled):
            place = self.store.take_place(step, now + SOONEST_TURN, TURN)
            return throttled(state, step, mark, place)
        missing = error.message.startswith(NO_CONFIG)
        kind = NO_CONFIG if missing else error.code
        trouble = refusal_of(state, step, mark, kind, str(error))
        times = trouble.refusals[kind]
        if _is_final(step, error, times):
            waiting = dropped(state, step, trouble, now)
        else:
            waiting = refused(state, step, trouble, now)
        return without_missing(spec, waiting, times) if spec and missing else waiting

    def _call(self, name: str, decision: Decision, record: Record) -> None:
        spec, config = record.spec, decision.config_name or ""
        match decision.step:
            case Step.CREATE:
                self.endpoints.create(name, config, spec.tags if spec else {})
            case Step.DELETE:
                self.endpoints.delete(name)
                if record.state and record.state.restored:
                    self.endpoints.forget_scaling(name)
            case Step.ADOPT if decision.state.adopting:
                self.adopter.adopt(decision.state.adopting.arn)
            case Step.RESTORE:
                self.endpoints.scale(name, spec.scaling if spec else ())
            case Step.REWEIGH:
                reweighing = decision.state.reweighing
                self.endpoints.reweigh(name, reweighing.desired if reweighing else ())
            case _:
                if record.state and record.state.restored:
                    # SageMaker refuses another instance type for a variant with scaling.
                    self.endpoints.scale(name, ())
                options = update_policy(spec, decision.state).options if spec else {}
                self.endpoints.update(name, config, options)

    def _send(self, hint: Hint) -> None:
        self.hints.send([replace(hint, hops=self.hops + 1)])

    def _save(
        self,
        key: str,
        state: State,
        now: datetime,
        events: Sequence[Event] = (),
        *,
        chained: bool = True,
    ) -> None:
        """Save. If the next instant is near, send its hint now: the tick runs only once a minute.
        After MAX_HOPS hints in a row, or unless `chained`, the tick sends the next one."""
        due = state.next_due
        near = due is not None and due - now <= ARM_AHEAD
        sent = near and chained and self.hops < MAX_HOPS
        claimed_until = max(due, now) + CLAIM_GRACE if due and sent else None
        self.store.save(key, self.owner, state, claimed_until, events)
        if due and sent:
            self._send(hint_at(key, Cause.RETRY, state.next_step, due))


def _may_keep_logs(state: State, observed: Observed) -> bool:
    """Whether the log group of an endpoint of ours may be as SageMaker made it."""
    ours = observed.created_at is not None and observed.created_at == state.owned_since
    going = observed.status in (Status.ABSENT, Status.DELETING)
    return ours and not going and state.logs_kept != observed.created_at


def _is_final(step: Step, error: AwsRefused, times: int) -> bool:
    """Whether no retry of a step can succeed that was refused so many `times` with this error. A
    stop is always tried again: until then the endpoint costs money."""
    if step is Step.DELETE:
        return False
    if step is Step.REWEIGH and error.code in _NO_SUCH_WEIGHTS:
        return True
    invalid = error.code == _INVALID and times >= _INVALID_FOR_GOOD
    return invalid or error.code in _UNREADABLE


def _deleted_for(decision: Decision) -> str | None:
    return decision.reason if decision.step is Step.DELETE else None


def _word(refusal: AwsRefused | None) -> str:
    match refusal:
        case None:
            return "acted"
        case Throttled():
            return THROTTLED
        case _:
            return "refused"


def _begun(state: State, decision: Decision, now: datetime) -> State:
    """The state after SageMaker has accepted the step."""
    if decision.step is not Step.CREATE:  # a start may still fail: until then all of it is told
        state = without_trouble(state, decision.step)
    match decision.step:
        case Step.CREATE:
            return replace(
                state,
                next_step=Step.CREATE,
                observed_status=Status.CREATING,
                observed_config=decision.config_name,
            )
        case Step.DELETE:
            return replace(
                state,
                observed_status=Status.DELETING,
                next_due=now + POLL_DELETING,
            )
        case Step.REWEIGH if state.reweighing:
            return replace(
                state,
                observed_status=Status.UPDATING,
                reweighing=replace(state.reweighing, begun=True),
            )
        case _:
            before = state.reweighing
            return replace(
                state,
                observed_status=Status.UPDATING,
                reweighing=None if before and before.begun else before,
            )


def _observed_events(key: str, before: State, decision: Decision, now: datetime) -> Iterator[Event]:
    """The events for the history: changes that were observed."""
    after = decision.state
    status = after.observed_status
    if status is not before.observed_status:
        if status is Status.IN_SERVICE:
            yield Event(key, now, status, decision.reason)
        elif status in _NOTABLE:
            failure = after.troubles.get(Step.CREATE) if status in BROKEN else None
            yield Event(key, now, status, failure.why if failure else decision.reason)
        elif status is Status.ABSENT:
            yield Event(key, now, status, "the endpoint is gone")
    if after.rolled_back and after.rolled_back != before.rolled_back:
        yield Event(key, now, "rolled back", rollback_reason(after.rolled_back))
    elif (undone := weights_undone(after)) and undone != weights_undone(before):
        yield Event(key, now, "rolled back", undone)
    outside = set_outside(after)
    if outside and outside != before.observed_config:
        yield Event(key, now, "updated outside", _outside_update(before, after, outside))
    known = after.stranger is not None and after.stranger is before.stranger
    told = {trouble.why for trouble in before.troubles.values()}
    if decision.step is Step.GIVE_UP and decision.reason not in told and not known:
        yield Event(key, now, decision.step, decision.reason)


def _outside_update(before: State, after: State, config: str) -> str:
    # An update of ours may have come between, with a result that nobody saw.
    known = before.updating is None and before.intent is None
    origin = f" from {before.observed_config}" if known and before.observed_config else ""
    kept = after.override is not before.override
    until = ": it is kept until a deploy changes the entry" if kept else ""
    return f"somebody outside moved it{origin} to {config}{until}"


def _refusal_events(
    key: str, before: State, after: State, step: Step, refusal: AwsRefused | None, now: datetime
) -> Iterator[Event]:
    """The event for the history if SageMaker refused a step: one per reason, not one per retry."""
    known, told = (
        trouble_text(step, trouble) if (trouble := state.troubles.get(step)) else ""
        for state in (before, after)
    )
    if refusal is not None and told and told[:LONGEST_TEXT] != known[:LONGEST_TEXT]:
        yield Event(key, now, f"{step} refused", told.removeprefix(f"{step} refused: "))


def _whole_second(instant: datetime) -> datetime:
    return instant.replace(microsecond=0)
