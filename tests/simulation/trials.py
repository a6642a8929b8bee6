"""Where mutants are tried: short lives by seed, the situations of the crash matrix, a crowd."""

from __future__ import annotations

from collections.abc import Sequence

from tests.simulation.faults import Fault
from tests.simulation.life import live
from tests.simulation.scenes import ONE_TICK, RIVALS, SITUATIONS, play

DAYS, ENDPOINTS = 0.4, 40
KILLS = (Fault.CRASH_BEFORE, Fault.CRASH_AFTER)
WAYS = (*KILLS, Fault.LOST_ANSWER, Fault.THROTTLE)


def findings(where: str) -> Sequence[str]:
    """What goes wrong there."""
    if where.startswith("seed "):
        return live(int(where.removeprefix("seed ")), DAYS, ENDPOINTS).violations
    if " against " in where:
        return _against(*where.split(" against "))
    situation = next(one for one in SITUATIONS if one.name == where)
    whole = play(situation)
    if whole.amiss or whole.well_after is None:
        return whole.amiss or ("never well",)
    for number in range(len(whole.calls)):
        for fault in WAYS:
            played = play(situation, number, fault)
            if played.amiss or played.well_after is None or played.well_after > ONE_TICK:
                return played.amiss or (f"well after {played.well_after} s",)
    return ()


def _against(name: str, rival: str) -> Sequence[str]:
    situation = next(one for one in SITUATIONS if one.name == name)
    for number in range(len(play(situation).calls)):
        amiss = play(situation, number, rival=RIVALS[rival]).amiss
        if amiss:
            return amiss
    return ()
