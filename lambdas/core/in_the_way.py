"""What is in the way of what is wanted of an endpoint, or under way: pure.

What SageMaker said of a call is stored with that call (`Trouble`). It is told only while that very
call is still to be made: docs/decisions/0115.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from lambdas.core.meter import Meter
from lambdas.core.spec import Spec, digest
from lambdas.core.state import BROKEN, State, Status, Step, Trouble
from lambdas.core.strangers import cannot_act
from lambdas.core.wanted_config import (
    is_rolled_back,
    longest_update,
    outlasts,
    postponed,
    rolled_back,
    wanted_config,
    weights_undone,
)

UNSEEN = timedelta(minutes=2)
"""How long after a CreateEndpoint without an answer its endpoint may still appear."""
RESTORED = "restored"
"""The kind of the trouble with a call that is not made before the restored table is accepted."""
ROLLBACK_FAILED = "an update failed and so did its rollback; SageMaker support can mend it"
ADOPTING = "it is being put on the meter"
ANOTHERS_DELETION = "SageMaker is deleting another's endpoint"
PERHAPS_CREATED = "it may have been created without our knowing"
_OF_SAGEMAKER = ("being ", "SageMaker is ")
"""How each sentence begins that says what SageMaker does (`_doing`, `_of_deletion`)."""
_CHANGING = frozenset(
    {Status.UPDATING, Status.SYSTEM_UPDATING, Status.ROLLING_BACK, Status.UNKNOWN}
)
_OF_A_CONFIG = frozenset({Step.CREATE, Step.UPDATE, Step.RESTORE})


def call_mark(
    spec: Spec | None, life: datetime | None, step: Step, config_name: str | None = None
) -> str:
    """Identifies a call by the endpoint, which was created at `life`, and by all that it may send.
    It changes if a deploy or a person changes something of it."""
    if step is Step.DELETE:
        return digest([step, str(life)])
    sent: list[Any] = []
    if spec:
        scaling = [each.document() for each in spec.scaling]
        sent = [dict(spec.tags), dict(spec.update), scaling]
    return digest([step, config_name, "" if step is Step.CREATE else str(life), sent])


def restored_mark(spec: Spec, life: datetime | None) -> str | None:
    """Identifies an endpoint, created at `life`, and the scaling that it should have. None: no
    scaling."""
    if not spec.scaling:
        return None
    scaling = digest([each.document() for each in spec.scaling])
    return f"{life:%Y-%m-%dT%H:%M:%S.%f}:{scaling}"


def known_trouble(state: State, step: Step, mark: str) -> Trouble:
    """What is known of the trouble with a step, to count on. Nothing, if it was of another call or
    if somebody asked for another try since (`attempts` is 0). Tries of a start go on counting with
    another config."""
    known = state.troubles.get(step)
    asked_anew = step not in (Step.DELETE, Step.WAIT) and not state.attempts
    if known is None or asked_anew or (known.mark != mark and step is not Step.CREATE):
        return Trouble(mark, "")
    return known if known.mark == mark else replace(known, mark=mark, refusals={})


def with_trouble(state: State, step: Step, trouble: Trouble) -> State:
    return replace(state, troubles={**state.troubles, step: trouble})


def without_trouble(state: State, *steps: Step) -> State:
    left = {step: each for step, each in state.troubles.items() if step not in steps}
    return replace(state, troubles=left)


def had_its_turn(state: State, step: Step) -> State:
    """The state after a call was made that may have waited for its turn before."""
    trouble = state.troubles.get(step)
    if trouble is None or not trouble.waits:
        return state
    if not trouble.tries:
        return without_trouble(state, step)
    return with_trouble(state, step, replace(trouble, waits=False))


def why_dropped(
    spec: Spec | None, state: State, step: Step, config_name: str | None = None
) -> str | None:
    """The reason for people, if this call was refused with an error that no retry changes. Else
    None."""
    last = state.dropped.get(step)
    mark = call_mark(spec, state.observed_created, step, config_name)
    return last.why if last and last.mark == mark else None


def note_on_config(spec: Spec, state: State, meter: Meter, now: datetime) -> str | None:
    """What to say of the config that a running endpoint serves and keeps; empty if it is the wanted
    one. None: it must be updated."""
    config = wanted_config(spec, state)
    if state.observed_config == config:
        return rolled_back(spec, state) or weights_undone(state) or ""
    if is_rolled_back(spec, state, config):
        return rolled_back(spec, state)
    if outlasts(longest_update(spec, state), meter, now):
        return postponed(config)
    return why_dropped(spec, state, Step.UPDATE, config)


def in_the_way(spec: Spec, state: State, meter: Meter, now: datetime) -> str:
    """What is in the way or under way at `now`, without what the rule of running says. Empty: that
    says it all."""
    told = _whoever_wants_it(spec, state, meter, now)
    if told is not None:
        return told
    if meter.wanted(now):
        return _wanted(spec, state, meter, now)
    if state.observed_status is Status.ABSENT:
        return PERHAPS_CREATED if may_appear(state, now) else ""
    if state.observed_status is Status.CREATING:
        return ""
    return _trouble(spec, state, meter, now, Step.DELETE)


def is_of_sagemaker(told: str) -> bool:
    """Whether what `in_the_way` told is what SageMaker does, or nothing. Then the meter acts after
    that. Else it cannot act, or does not know when."""
    return not told or told.startswith(_OF_SAGEMAKER)


def unread(spec: Spec) -> str:
    """The reason for people, if the spec of an endpoint cannot be read."""
    return f"its spec cannot be read ({spec.unreadable}): what runs goes on, only leases act"


def may_appear(state: State, now: datetime) -> bool:
    """Whether an endpoint that is not there may have been created by a call without an answer."""
    intent = state.intent
    return intent is not None and intent.step is Step.CREATE and now - intent.at < UNSEEN


def trouble_text(step: Step, trouble: Trouble) -> str:
    return f"{step} throttled: it waits for its turn" if trouble.waits else trouble.why


def _whoever_wants_it(spec: Spec, state: State, meter: Meter, now: datetime) -> str | None:
    """What is in the way or under way, if it does not depend on whether the endpoint is wanted."""
    unseen = state.troubles.get(Step.WAIT)
    unvoided = _trouble(spec, state, meter, now, Step.VOID)
    if state.stranger:
        return cannot_act(spec.name)
    if spec.unreadable:
        return unread(spec)
    if unseen or unvoided:
        return unseen.why if unseen else unvoided
    if state.adopting:
        return _trouble(spec, state, meter, now, Step.ADOPT) or ADOPTING
    if state.observed_status is Status.DELETING:
        return _of_deletion(state)
    return _doing(state) if state.observed_status in _CHANGING else None


def _wanted(spec: Spec, state: State, meter: Meter, now: datetime) -> str:
    match state.observed_status:
        case Status.IN_SERVICE:
            return _running(spec, state, meter, now)
        case Status.UPDATE_ROLLBACK_FAILED:
            return ROLLBACK_FAILED
        case Status.ABSENT:
            config = wanted_config(spec, state)
            return why_dropped(spec, state, Step.CREATE, config) or _start(spec, state, meter, now)
        case Status.CREATING:
            return _start(spec, state, meter, now)
        case _:
            stop = _trouble(spec, state, meter, now, Step.DELETE)
            return stop or _start(spec, state, meter, now)


def _start(spec: Spec, state: State, meter: Meter, now: datetime) -> str:
    return _trouble(spec, state, meter, now, Step.CREATE)


def _running(spec: Spec, state: State, meter: Meter, now: datetime) -> str:
    """Of a wanted endpoint in service: what is still to be done."""
    unscaled = state.restored != restored_mark(spec, state.observed_created)
    if unscaled and (told := _trouble(spec, state, meter, now, Step.RESTORE)):
        return told
    unweighed = state.reweighing is not None and not state.reweighing.begun
    if unweighed and (told := _trouble(spec, state, meter, now, Step.REWEIGH)):
        return told
    note = note_on_config(spec, state, meter, now)
    if note is None and state.observed_config:
        served, config = state.observed_config, wanted_config(spec, state)
        move = f"it serves {served}, and the move to {config} is still to come"
        return _trouble(spec, state, meter, now, Step.UPDATE) or move
    return note or why_dropped(spec, state, Step.RESTORE, wanted_config(spec, state)) or ""


def _of_deletion(state: State) -> str:
    if state.observed_created != state.owned_since and state.observed_created is not None:
        return ANOTHERS_DELETION
    return f"being deleted: {state.deletion}" if state.deletion else ""


def _doing(state: State) -> str:
    match state.observed_status:
        case Status.ROLLING_BACK:
            return "SageMaker is rolling an update back"
        case Status.UPDATING if state.updating:
            return f"being updated to {state.updating.config_name}"
        case Status.UPDATING if state.reweighing and state.reweighing.begun:
            return "being given the weights or capacities that were set by hand"
        case Status.UNKNOWN:
            return "SageMaker tells a status that the meter does not know"
        case _:
            return "SageMaker is updating it"


def _trouble(spec: Spec, state: State, meter: Meter, now: datetime, step: Step) -> str:
    """What is told of the trouble with a call. Empty if there is none, if another call is to be
    made now, or if somebody asked for another try since."""
    trouble, failed = state.troubles.get(step), state.observed_status in BROKEN
    if trouble is None:
        return ""
    config = wanted_config(spec, state) if step in _OF_A_CONFIG else None
    same = trouble.mark == call_mark(spec, state.observed_created, step, config)
    if not same and not (failed and trouble.kind == state.observed_status):
        return ""
    creating = state.observed_status is Status.CREATING
    trouble = replace(trouble, waits=trouble.waits and same and not creating)
    text = trouble_text(step, trouble)
    if step is Step.DELETE:
        again = state.next_due if state.next_step is step else None
        return f"{text}{_next_try(trouble.tries, again, now)}"
    if (trouble.tries or trouble.waits) and not (state.attempts or state.retry_at or failed):
        return ""
    if not text or not state.attempts or not trouble.tries:
        return text
    if creating:
        return f"{text} (tries that failed: {trouble.tries}; the next one is under way)"
    return f"{text}{_next_try(trouble.tries, state.retry_at, now, meter)}"


def _next_try(tries: int, again: datetime | None, now: datetime, meter: Meter | None = None) -> str:
    """How many tries failed and when the next one is. With a `meter` it comes only if the endpoint
    stays wanted."""
    if not tries or again is None or again <= now:
        return ""
    at = f"{again:%Y-%m-%dT%H:%M:%SZ}"
    until = meter.wanted_until(now) if meter else None
    if until and until <= again:
        at = f"would be at {at}, and it is not wanted until then"
        return f" (tries that failed: {tries}; the next one {at})"
    return f" (tries that failed: {tries}; the next one at {at})"
