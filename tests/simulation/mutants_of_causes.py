"""Deliberate bugs with which the meter says what is not so. See `mutants`."""

from __future__ import annotations

from tests.simulation.mutants import AWS, CORE, Mutant

CAUSE_MUTANTS = (
    Mutant(
        "an update from outside is reverted as if it were ours",
        f"{CORE}.decision",
        'since = f"somebody outside moved it to {outside}; " if outside else ""',
        'since = ""',
        "reconcile: moved outside",
    ),
    Mutant(
        "nobody is told of an update from outside",
        f"{CORE}.reconcile",
        "if outside and outside != before.observed_config:",
        "if outside is before:",
        "reconcile: moved outside",
    ),
    Mutant(
        "what we did is told to come from outside",
        f"{CORE}.wanted_config",
        "if before.asked_config is None or served in asked:",
        "if before.asked_config in (None, served):",
        "reconcile: updated",
    ),
    Mutant(
        "what is to be kept is reverted",
        f"{CORE}.wanted_config",
        "if spec.outside_updates is OutsideUpdates.REVERT or served == before.observed_config:",
        "if spec is not None:",
        "reconcile: moved outside, to be kept",
    ),
    Mutant(
        "what is to be reverted is kept",
        f"{CORE}.wanted_config",
        "if spec.outside_updates is OutsideUpdates.REVERT or served == before.observed_config:",
        "if served == before.observed_config:",
        "reconcile: moved outside",
    ),
    Mutant(
        "an update of ours that was overtaken from outside was rolled back",
        f"{CORE}.decision",
        "if before.observed_config and observed.config_name not in served_before:",
        "if served_before is None:",
        "reconcile: moved outside after our update",
    ),
    Mutant(
        "a stop by hand is not the cause of the stop",
        f"{CORE}.expiry",
        "if ended or undecided(spec, state, now):",
        "if undecided(spec, state, now):",
        "stop: leased",
    ),
    Mutant(
        "the first of all causes is told, not the last one",
        f"{CORE}.reasons",
        "newest = max([",
        "newest = min([",
        "lives",
    ),
    Mutant(
        "new schedules rewrite what ended the last run",
        f"{CORE}.reasons",
        "if last and looked and not last.running:",
        "if looked and looked > now:",
        "schedules: over already",
    ),
    Mutant(
        "what ended a run is not stored",
        f"{CORE}.reasons",
        "ended = state.ended if wanted else last_end(",
        "ended = state.ended if now else last_end(",
        "reconcile: delete",
    ),
    Mutant(
        "what ended a run is lost when it is saved",
        f"{AWS}.items",
        '"ended": ended and _ended_values(ended),',
        '"ended": None,',
        "reconcile: delete",
    ),
    Mutant(
        "a window bears another's name",
        f"{CORE}.reasons",
        "yield Ended(EndedBy.WINDOW, stop, schedule.name)",
        "yield Ended(EndedBy.WINDOW, stop, meter.schedules[0].name)",
        "reconcile: in the second of two windows",
    ),
    Mutant(
        "an answer is built without the hold",
        f"{CORE}.documents",
        "own = meter_of(spec, state)",
        "from dataclasses import replace\n"
        "    own = meter_of(spec, replace(state, held_since=None))",
        "stop: in a window",
    ),
    Mutant(
        "the lease is the reason though a window stays open for longer",
        f"{CORE}.reasons",
        "what = max(reversed(ends), key=lambda each: ends[each] or _FOR_EVER)",
        "what = next(reversed(ends))",
        "lives",
    ),
    Mutant(
        "what is in the way of a start is told of an endpoint that is not wanted",
        f"{CORE}.in_the_way",
        "    if meter.wanted(now):\n",
        "    if state is not None:\n",
        "reconcile: again after a failure against a stop",
    ),
    Mutant(
        "an endpoint that is wanted again does not say what it is being deleted for",
        f"{CORE}.in_the_way",
        'return f"being deleted: {state.deletion}" if state.deletion else ""',
        'return ""',
        "renew: being deleted",
    ),
    Mutant(
        "nobody is told that a move to another config is still to come",
        f"{CORE}.in_the_way",
        "return _trouble(spec, state, meter, now, Step.UPDATE) or move",
        "return _trouble(spec, state, meter, now, Step.UPDATE)",
        "reconcile: update that cannot be read",
    ),
    Mutant(
        "a window that is taken away counts as closed long ago",
        f"{CORE}.reasons",
        "if last and last.running and (newest is None or newest.at < last.since):",
        "if last is None and state.ended:",
        "schedules: closing",
    ),
)
