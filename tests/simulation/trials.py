"""The places where a bug shows: lives, and situations with each fault at each call, or with a rival
at each call."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tests.simulation.faults import Fault
from tests.simulation.life import live
from tests.simulation.situation import ONE_TICK, Played, Situation, play
from tests.simulation.situations import SITUATIONS, rivals
from tests.simulation.takeovers import TAKEOVERS

SEEDS, DAYS, ENDPOINTS = (6, 1, 2, 3, 4, 5), 0.4, 40
"""The first one is calm: there the bounds are tightest."""
KILLS = (Fault.CRASH_BEFORE, Fault.CRASH_AFTER)
WAYS = (*KILLS, Fault.LOST_ANSWER, Fault.THROTTLE, Fault.BROKEN)
LIVES = "lives"
EVERY_SITUATION = (*SITUATIONS, *TAKEOVERS)
CRASHES = tuple(situation.name for situation in EVERY_SITUATION)
RACES = tuple(f"{one.name} against {rival}" for one in EVERY_SITUATION for rival in rivals(one))


def a_race_of_each() -> Iterator[str]:
    """Each rival that no situation before has, or else one of them in turn."""
    met = set[str]()
    for number, one in enumerate(EVERY_SITUATION):
        names = list(rivals(one))
        turn = names[number % len(names) :][:1] if names else []
        for rival in [name for name in names if name not in met] or turn:
            met.add(rival)
            yield f"{one.name} against {rival}"


def findings(where: str) -> Sequence[str]:
    """The first violations there. `where` is LIVES, or a name in CRASHES or RACES."""
    if where == LIVES:
        return _in_lives()
    if where in RACES:
        name, rival = where.split(" against ")
        return _against(_situation(name), rival)
    return _in_situation(_situation(where))


def _in_lives() -> Sequence[str]:
    for seed in SEEDS:
        found = live(seed, DAYS, ENDPOINTS).violations
        if found:
            return found
    return ()


def _in_situation(situation: Situation) -> Sequence[str]:
    """Without a fault, and with each fault at each call: one tick later everything is right
    again."""
    whole = play(situation)
    found = _wrong(whole)
    if found or not situation.killed:
        return found
    if not whole.calls:
        return ("nothing was recorded",)
    for number, call in enumerate(whole.calls):
        for fault in WAYS:
            found = _wrong(play(situation, number, fault))
            if found:
                return (f"{fault} at call {number} ({call})", *found)
    return ()


def _against(situation: Situation, name: str) -> Sequence[str]:
    """The rival does all of its work while a call waits, for each call."""
    for number, call in enumerate(play(situation).calls):
        amiss = play(situation, number, rival=rivals(situation)[name]).amiss
        if amiss:
            return (f"during call {number} ({call})", *amiss)
    return ()


def _wrong(played: Played) -> Sequence[str]:
    if played.amiss or played.well_after is None:
        return played.amiss or ("never well",)
    if played.well_after > ONE_TICK:
        return (f"well only after {played.well_after} s",)
    return ()


def _situation(name: str) -> Situation:
    return next(one for one in EVERY_SITUATION if one.name == name)
