"""The situations in which each use case is killed, and the rivals that come in between."""

from __future__ import annotations

from collections.abc import Mapping

from lambdas.core.hints import Cause
from lambdas.core.spec import OutsideUpdates
from tests.simulation.preparations import (
    SCALED,
    after,
    at_lease_end,
    changed_config,
    drained,
    drained_in_session,
    failed,
    failed_before,
    falcon,
    falcon_alone,
    forgets,
    going,
    gone_by_hand,
    held,
    hinted,
    in_session,
    mine,
    moved_outside,
    new_entry,
    paid_for,
    paid_long,
    refused_for_good,
    renewed,
    reweighed,
    rolled_back,
    rolled_back_by_hand,
    rolling_back,
    rolls_back,
    running,
    scaled_soon,
    scaled_update,
    second_config,
    set_by_hand,
    start_refused_for_good,
    steps,
    stopped_mine,
    stopping,
    stops_soon,
    to_falcon_2,
    two_due,
    two_due_and_sqs_moody,
    unseen_config,
    weights_roll_back,
    weights_rolled_back,
    windows,
    withdrawn,
    withdrawn_over_mine,
    without_state,
)
from tests.simulation.refusals import INVALID, UNREADABLE
from tests.simulation.scene import (
    AT_NINE,
    CLOCKS_FALL_BACK,
    CLOSED,
    ENDS_SOON,
    FROM_TEN,
    LAST_MONDAY,
    SHARED,
    STOPS_SOON,
    Scene,
)
from tests.simulation.situation import Rival, Situation

SITUATIONS: tuple[Situation, ...] = (
    Situation("renew: absent", falcon_alone, lambda s: s.renew()),
    Situation("renew: with a key", falcon_alone, lambda s: s.renew(key="k")),
    Situation("renew: running", running, lambda s: s.renew()),
    Situation("renew: being deleted", going, lambda s: s.renew()),
    Situation("renew: held", held, lambda s: s.renew()),
    Situation(
        "renew: after a start that cannot be read",
        steps(start_refused_for_good(UNREADABLE), Scene.listen, hinted, after(10)),
        lambda s: s.renew(),
    ),
    Situation("renew: added", mine, lambda s: s.renew("Mine"), about="Mine"),
    Situation("renew: added, with a key", mine, lambda s: s.renew("Mine", key="k"), about="Mine"),
    Situation(
        "renew: declared while it is forgotten",
        steps(mine, forgets, after(0.3), lambda s: s.write(s.spec("Mine", SHARED))),
        lambda s: s.renew("Mine"),
        about="Mine",
    ),
    Situation("session: added", mine, lambda s: s.pay_session("Mine"), about="Mine"),
    Situation("weights: added", mine, lambda s: s.reweigh("Mine"), about="Mine"),
    Situation("renew: until a later instant", running, lambda s: s.renew_until(9)),
    Situation("renew: until an earlier instant", running, lambda s: s.renew_until(2)),
    Situation("session: two callers, one name", in_session, lambda s: s.pay_session(who="bob")),
    Situation("session: absent", falcon_alone, lambda s: s.pay_session()),
    Situation("session: with a key", falcon_alone, lambda s: s.pay_session(key="k")),
    Situation("session: paid again", in_session, lambda s: s.pay_session()),
    Situation("session: held", held, lambda s: s.pay_session()),
    Situation("session: ends", in_session, lambda s: s.end_session()),
    Situation("session: ends with a key", in_session, lambda s: s.end_session(key="k")),
    Situation(
        "session: ends beside another",
        steps(in_session, lambda s: s.pay_session(who="bob"), after(1)),
        lambda s: s.end_session(),
    ),
    Situation(
        "session: ends again with its key",
        steps(in_session, lambda s: s.end_session(key="k"), lambda s: s.pay_session(), after(1)),
        lambda s: s.end_session(key="k"),
    ),
    Situation(
        "session: ends beside a lease",
        steps(running, lambda s: s.pay_session()),
        lambda s: s.end_session(),
    ),
    Situation("wake: absent", falcon_alone, lambda s: s.wake()),
    Situation("wake: running", running, lambda s: s.wake()),
    Situation("wake: being deleted", going, lambda s: s.wake()),
    Situation("extend: running", running, lambda s: s.extend()),
    Situation(
        "extend: in the minute of another call",
        steps(running, lambda s: s.extend(), after(30)),
        lambda s: s.extend(),
    ),
    Situation("extend: in a session", in_session, lambda s: s.extend()),
    Situation(
        "extend: paid for longer",
        steps(running, lambda s: s.renew(minutes=60)),
        lambda s: s.extend(),
    ),
    Situation("extend: being deleted", going, lambda s: s.extend()),
    Situation("extend: held", held, lambda s: s.extend()),
    Situation("stop: leased", running, lambda s: s.stop()),
    Situation("stop: in a session", in_session, lambda s: s.stop()),
    Situation(
        "stop: in a window", steps(falcon(schedules=(AT_NINE,)), after(20)), lambda s: s.stop()
    ),
    Situation("stop: being created", steps(renewed, after(3)), lambda s: s.stop()),
    Situation(
        "lone stop: of a lease", steps(stops_soon, paid_long, after(118), Scene.mute), hinted
    ),
    Situation(
        "lone stop: in a window",
        steps(falcon(schedules=(AT_NINE, STOPS_SOON)), after(118), Scene.mute),
        hinted,
    ),
    Situation(
        "lone stop: on the last Monday, which this is not",
        steps(falcon(schedules=(LAST_MONDAY,)), paid_long, after(118), Scene.mute),
        hinted,
    ),
    Situation(
        "renew: after a lone stop", steps(stops_soon, paid_long, after(140)), lambda s: s.renew()
    ),
    Situation(
        "renew: after a lone stop of a session",
        steps(stops_soon, lambda s: s.pay_session(minutes=10), after(140)),
        lambda s: s.renew(),
    ),
    Situation("forget: running", mine, forgets, about="Mine"),
    Situation("forget: absent", stopped_mine, forgets, about="Mine"),
    Situation("add: new", steps(), lambda s: s.add(), about="Mine"),
    Situation("add: again", mine, lambda s: s.add(), about="Mine"),
    Situation(
        "add: while an earlier life ends",
        steps(mine, forgets, after(0.3)),
        lambda s: s.add(),
        about="Mine",
    ),
    Situation("schedules: opening", stopped_mine, lambda s: s.set_schedules(AT_NINE), about="Mine"),
    Situation(
        "schedules: later",
        stopped_mine,
        lambda s: s.set_schedules(ENDS_SOON, FROM_TEN),
        about="Mine",
    ),
    Situation(
        "schedules: over already",
        steps(stopped_mine, after(90)),
        lambda s: s.set_schedules(CLOSED),
        about="Mine",
    ),
    Situation(
        "schedules: closing",
        steps(stopped_mine, lambda s: s.set_schedules(AT_NINE), after(30)),
        lambda s: s.set_schedules(),
        about="Mine",
    ),
    Situation("update: running", running, lambda s: s.update()),
    Situation("update: with a key", running, lambda s: s.update(key="k")),
    Situation("update: absent", falcon_alone, lambda s: s.update()),
    Situation("update: being updated", steps(running, to_falcon_2), lambda s: s.update()),
    Situation("update: again after a rollback", rolled_back, lambda s: s.update(config="falcon-2")),
    Situation("update: added", mine, lambda s: s.update("Mine"), about="Mine"),
    Situation("weights: running", running, lambda s: s.reweigh()),
    Situation("tick: two due", two_due, lambda s: s.tick()),
    Situation(
        "tick: hints were lost",
        steps(two_due, lambda s: s.tick(), after(45)),
        lambda s: s.tick(),
    ),
    Situation(
        "tick: hints of a sweep were lost",
        steps(gone_by_hand, lambda s: s.sweep(), after(2)),
        lambda s: s.tick(),
    ),
    Situation("tick: windows", windows, lambda s: s.tick(), begin=CLOCKS_FALL_BACK),
    Situation("tick: messages not taken", two_due_and_sqs_moody, lambda s: s.tick()),
    Situation("reconcile: create", steps(falcon_alone, Scene.mute, paid_for, after(1)), hinted),
    Situation("reconcile: being created", steps(renewed, after(3), Scene.mute), hinted),
    Situation("reconcile: in service", steps(renewed, after(3), Scene.mute, after(9)), hinted),
    Situation("reconcile: delete", at_lease_end, hinted),
    Situation(
        "reconcile: in the second of two windows",
        steps(falcon(schedules=(FROM_TEN, ENDS_SOON)), after(20), Scene.mute),
        hinted,
    ),
    Situation("reconcile: being deleted", stopping, hinted),
    Situation("reconcile: gone", steps(stopping, after(4)), hinted),
    Situation("reconcile: update", changed_config, hinted),
    Situation("reconcile: being updated", steps(running, to_falcon_2, Scene.mute), hinted),
    Situation("reconcile: updated", steps(running, to_falcon_2, Scene.mute, after(8)), hinted),
    Situation("reconcile: update that is rolled back", rolls_back, hinted),
    Situation("reconcile: update of what is scaled", scaled_update, hinted),
    Situation("reconcile: update by hand", set_by_hand, hinted),
    Situation(
        "reconcile: update by hand of what is scaled",
        lambda s: set_by_hand(s, scaling=SCALED),
        hinted,
    ),
    # If this hint is lost, a sweep finds it: so nothing is killed here.
    Situation("reconcile: moved outside", moved_outside, hinted, killed=False),
    Situation(
        "reconcile: moved outside, to be kept",
        lambda s: moved_outside(s, outside_updates=OutsideUpdates.KEEP),
        hinted,
        killed=False,
    ),
    Situation(
        "reconcile: moved outside after our update",
        steps(running, to_falcon_2, Scene.mute, after(9), Scene.move_outside, after(9)),
        hinted,
    ),
    Situation("reconcile: weights by hand", reweighed, hinted),
    Situation(
        "reconcile: weights for an earlier life",
        steps(reweighed, Scene.delete_by_hand, after(6)),
        hinted,
    ),
    Situation("reconcile: weights that are rolled back", weights_roll_back, hinted),
    Situation("reconcile: weights rolled back", weights_rolled_back, hinted),
    Situation("reconcile: rolled back", rolling_back, hinted),
    Situation("reconcile: rolled back by hand", rolled_back_by_hand, hinted),
    Situation("reconcile: failed", failed, hinted),
    Situation(
        "reconcile: again after a failure",
        steps(failed, Scene.listen, hinted, after(6), Scene.mute, after(15)),
        hinted,
    ),
    Situation("reconcile: failed again after a while", failed_before, hinted, again=True),
    Situation("reconcile: config not seen", unseen_config, hinted),
    Situation(
        "reconcile: stopped while created",
        steps(renewed, after(3), Scene.mute, lambda s: s.stop(), after(9)),
        hinted,
    ),
    Situation("reconcile: withdrawn", withdrawn, hinted),
    Situation(
        "reconcile: forget",
        steps(withdrawn, Scene.listen, hinted, after(3), Scene.mute, after(4)),
        hinted,
    ),
    Situation(
        "reconcile: forget what was added",
        steps(stopped_mine, Scene.mute, forgets, after(1)),
        lambda s: s.hint("mine"),
        about="Mine",
    ),
    Situation(
        "reconcile: foreign",
        steps(lambda s: s.foreign(), after(10), falcon_alone, Scene.mute, paid_for, after(1)),
        hinted,
    ),
    Situation("reconcile: scaling", scaled_soon, hinted),
    Situation("reconcile: start that cannot be read", start_refused_for_good(UNREADABLE), hinted),
    Situation("reconcile: start that stays invalid", start_refused_for_good(INVALID), hinted),
    Situation(
        "reconcile: update that cannot be read",
        steps(changed_config, refused_for_good("UpdateEndpoint", UNREADABLE)),
        hinted,
    ),
    Situation(
        "reconcile: scaling that cannot be read",
        steps(scaled_soon, refused_for_good("PutScalingPolicy", UNREADABLE)),
        hinted,
    ),
    Situation("reconcile: early", steps(running, after(206)), lambda s: s.hint(cause=Cause.TICK)),
    Situation("sweep: gone by hand", gone_by_hand, lambda s: s.sweep(), again=True),
    Situation("sweep: without state", without_state, lambda s: s.sweep(), again=True),
    Situation("sweep: withdrawn", withdrawn, lambda s: s.sweep(), again=True),
    Situation("sync: new", new_entry, lambda s: s.sync(), again=True),
    Situation("sync: changed", steps(running, second_config), lambda s: s.sync(), again=True),
    Situation(
        "sync: withdrawn", steps(running, lambda s: s.withdraw()), lambda s: s.sync(), again=True
    ),
    Situation(
        "sync: withdrawn from over the API's",
        withdrawn_over_mine,
        lambda s: s.sync(),
        again=True,
        about="Mine",
    ),
    Situation("sync: after a drain", drained, lambda s: s.sync(), again=True),
    Situation(
        "sync: after a drain that outlasted the lease",
        steps(drained, after(240)),
        lambda s: s.sync(),
        again=True,
    ),
    Situation(
        "sync: changed after an update by hand",
        steps(running, lambda s: s.update(), after(12), second_config),
        lambda s: s.sync(),
        again=True,
    ),
    Situation("sync: the same after a rollback", rolled_back, lambda s: s.sync(), again=True),
    Situation(
        "sync: taken back after a rollback",
        steps(rolled_back, lambda s: s.write(s.spec())),
        lambda s: s.sync(),
        again=True,
    ),
    Situation("wait: for an update", steps(running, to_falcon_2), lambda s: s.wait(), again=True),
    Situation("wait: for one that is rolled back", rolling_back, lambda s: s.wait(), again=True),
    Situation("settle: while updated", steps(running, to_falcon_2), Scene.settle, again=True),
    Situation("settle: updated", steps(running, to_falcon_2, after(12)), Scene.settle, again=True),
    Situation(
        "settle: taken back while updated",
        steps(running, to_falcon_2, falcon_alone),
        Scene.settle,
        again=True,
    ),
    Situation(
        "settle: withdrawn from over the API's",
        steps(withdrawn_over_mine, Scene.sync, after(2)),
        Scene.settle,
        again=True,
        about="Mine",
    ),
    Situation("settle: rolled back", rolled_back, Scene.settle, again=True),
    Situation("settle: taken back", steps(rolled_back, falcon_alone), Scene.settle, again=True),
    Situation(
        "settle: set to an old config by hand",
        steps(rolled_back, lambda s: s.update(config="falcon-1"), after(5)),
        Scene.settle,
        again=True,
    ),
    Situation("stop: in a drain", drained, lambda s: s.stop()),
    Situation("session: ends in a drain", drained_in_session, lambda s: s.end_session()),
    Situation("drain", steps(running, mine), lambda s: s.drain(), again=True),
)

RIVALS: dict[str, Rival] = {
    "a renewal": lambda s, name: s.renew(name),
    "a renewal with its key": lambda s, name: s.renew(name, key="k"),
    "a session": lambda s, name: s.pay_session(name),
    "the end of a session": lambda s, name: s.end_session(name),
    "a stop": lambda s, name: s.stop(name),
    "another hint": lambda s, name: s.hint(name.lower()),
    "a tick": lambda s, _: s.tick(),
    "an update by hand": lambda s, name: s.update(name),
    "other weights": lambda s, name: s.reweigh(name),
}
RIVALS_FOR_ADDED: dict[str, Rival] = {
    "an add": lambda s, name: s.add(name),
    "a forget": lambda s, name: s.stop(name, forget=True),
    "new schedules": lambda s, name: s.set_schedules(FROM_TEN, name=name),
}
"""What users may do only with endpoints that were added over the API."""


RIVALS_OF_CALLS: dict[str, dict[str, Rival]] = {
    "wake": {"another call of the model": lambda s, name: s.wake(name)},
    "extend": {"another call of the model": lambda s, name: s.extend(name)},
}
"""Other calls of the model, by what the call in question does."""


def rivals(situation: Situation) -> Mapping[str, Rival]:
    if situation.rivals is not None:
        return situation.rivals
    found = RIVALS | (RIVALS_FOR_ADDED if situation.about == "Mine" else {})
    of_calls = RIVALS_OF_CALLS.get(situation.name.partition(":")[0], {})
    return {**found, **of_calls}
