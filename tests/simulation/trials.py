"""Where it shows whether something is wrong: lives, and situations that are gone through with each
fault at each call, or against a rival at each call."""

from __future__ import annotations

from collections.abc import Sequence

from tests.simulation.faults import Fault
from tests.simulation.life import live
from tests.simulation.scenes import ONE_TICK, SITUATIONS, Played, Situation, play, rivals

SEEDS, DAYS, ENDPOINTS = range(1, 7), 0.4, 40
KILLS = (Fault.CRASH_BEFORE, Fault.CRASH_AFTER)
WAYS = (*KILLS, Fault.LOST_ANSWER, Fault.THROTTLE)
LIVES = "lives"


def findings(where: str) -> Sequence[str]:
    """The first that goes wrong there: in one of the lives, in a situation (by its name), or in
    one that a rival meets ("situation against rival")."""
    if where == LIVES:
        return in_lives()
    if " against " in where:
        name, rival = where.split(" against ")
        return against(_situation(name), rival)
    return in_situation(_situation(where))


def in_lives() -> Sequence[str]:
    for seed in SEEDS:
        found = live(seed, DAYS, ENDPOINTS).violations
        if found:
            return found
    return ()


def in_situation(situation: Situation) -> Sequence[str]:
    """Without a fault, and with each at each of its calls: a tick later all is well again."""
    whole = play(situation)
    found = wrong(whole)
    if found or not whole.calls:
        return found or ("nothing was recorded",)
    for number, call in enumerate(whole.calls):
        for fault in WAYS:
            found = wrong(play(situation, number, fault))
            if found:
                return (f"{fault} at call {number} ({call})", *found)
    return ()


def against(situation: Situation, name: str) -> Sequence[str]:
    """While each of its calls waits, the rival does its whole work."""
    for number, call in enumerate(play(situation).calls):
        amiss = play(situation, number, rival=rivals(situation)[name]).amiss
        if amiss:
            return (f"during call {number} ({call})", *amiss)
    return ()


def wrong(played: Played) -> Sequence[str]:
    if played.amiss or played.well_after is None:
        return played.amiss or ("never well",)
    if played.well_after > ONE_TICK:
        return (f"well only after {played.well_after} s",)
    return ()


def _situation(name: str) -> Situation:
    return next(one for one in SITUATIONS if one.name == name)
