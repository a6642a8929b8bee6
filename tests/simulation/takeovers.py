"""Situations in which the meter might touch endpoints of others: adoptions, changed tags, specs
that cannot be read, restored tables; with what outsiders and other stacks do meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from lambdas.aws.attribute_values import encode
from lambdas.aws.items import spec_values
from lambdas.core.settings import adopted_tag
from lambdas.core.sweep import Policy, Unmanaged
from tests.simulation.kernel import Actor
from tests.simulation.preparations import after, falcon, steps
from tests.simulation.sagemaker import STACK_TAG
from tests.simulation.scene import AT_NINE, BY_HAND, FROM_TEN, SHARED, Scene
from tests.simulation.situation import Rival, Situation
from tests.simulation.situations import RIVALS
from tests.simulation.stack import LIMITS
from tests.simulation.versions import FUNCTIONS, Form, in_new_form

_THIRD = "third"
"""The tag of a stack that does nothing here."""
_LONG = "a-config-whose-name-has-as-many-characters-as-sagemaker-allows-"[:60]


def _key(name: str) -> str:
    return name.lower()


OWNERS: Mapping[str, Rival] = {
    "its deletion by hand": lambda s, name: s.delete_by_hand(_key(name)),
    "its replacement by hand": lambda s, name: s.replace_by_hand(_key(name)),
    "its owner's wish to have it ignored": lambda s, name: s.retag(_key(name), ignore=""),
    "its tag being taken off": lambda s, name: s.retag(_key(name), untag=True),
    "the tag of another stack": lambda s, name: s.retag(_key(name), stack=_THIRD),
}
"""What a person with a console may do to any endpoint."""


def _deploy(scene: Scene, name: str) -> None:
    scene.deploy_soon(scene.spec(name, SHARED, schedules=(AT_NINE,)))


TAKERS: Mapping[str, Rival] = {
    **OWNERS,
    "an adoption by another stack": lambda s, name: s.adopt_next_door(name),
    "a deploy of that name": _deploy,
    "an adoption": lambda s, name: s.add(name, adopt=True),
    "a renewal": lambda s, name: s.renew(name),
    "a stop": lambda s, name: s.stop(name),
    "a forget": lambda s, name: s.stop(name, forget=True),
    "another hint": lambda s, name: s.hint(_key(name)),
    "a tick": lambda s, _: s.tick(),
    "new schedules": lambda s, name: s.set_schedules(FROM_TEN, name=name),
}
"""What may happen to an endpoint that is being adopted."""
ADDERS: Mapping[str, Rival] = {
    "an add": lambda s, name: s.add(name),
    "an endpoint made by hand": lambda s, name: s.foreign(name),
    "a deploy of that name": _deploy,
    "an adoption by another stack": lambda s, name: s.adopt_next_door(name),
}
READERS: Mapping[str, Rival] = {
    name: RIVALS[name]
    for name in ("a renewal", "a stop", "another hint", "a tick", "an update by hand")
}
CALLERS: Mapping[str, Rival] = {
    "a renewal": RIVALS["a renewal"],
    "a stop with its key": lambda s, name: s.stop(name, key="k"),
}


def _theirs(scene: Scene, **tags: str) -> None:
    """A running endpoint of somebody else."""
    scene.foreign("Mine", **tags)
    scene.advance(10)


def _accepted(scene: Scene) -> None:
    """An adoption is accepted, and no reconcile has begun yet."""
    _theirs(scene)
    scene.mute()
    scene.add(adopt=True)
    scene.advance(1)


def _tagged(scene: Scene) -> None:
    """It has the tag of its adoption, but another stack's tag may still replace it."""
    _accepted(scene)
    scene.listen()
    scene.hint("mine")
    scene.advance(1)
    scene.mute()
    scene.advance(10.5)


def _refused(act: Callable[[Scene], Actor]) -> dict[str, Any]:
    """A request that is refused: somebody else's endpoint and the list stay as they were."""
    return {"prepare": _theirs, "act": act, "about": "Mine", "rivals": _WHILE_REFUSED}


_WHILE_REFUSED = {
    name: TAKERS[name]
    for name in ("its replacement by hand", "an adoption by another stack", "a deploy of that name")
}
_hint_mine: Callable[[Scene], Any] = lambda scene: scene.hint("mine")  # noqa: E731
_hint: Callable[[Scene], Any] = lambda scene: scene.hint()  # noqa: E731


def _foreign_falcon(scene: Scene) -> None:
    """An endpoint of somebody else runs with a name of the config."""
    scene.foreign()
    scene.advance(10)
    scene.deploy(scene.spec(config=SHARED))


def _limited(scene: Scene, **limits: Any) -> None:
    expiry = scene.stage.expiry
    scene.stage.expiry = replace(expiry, limits=replace(expiry.limits, **limits))


def _full(scene: Scene) -> None:
    """The limit of added endpoints is reached. One of them is forgotten."""
    _limited(scene, max_added=2)
    for name in ("Mine-1", "Mine-2"):
        scene.add(name)
    scene.advance(1)
    scene.stop("Mine-1", forget=True)
    scene.advance(0.2)


def _running(scene: Scene, **fields: Any) -> None:
    scene.deploy(scene.spec(**fields))
    scene.renew()
    scene.advance(30)


def _newer(form: Form, name: str = "Falcon") -> Callable[[Scene], None]:
    """The code of the functions was rolled back. It does not know the form of a spec."""

    def prepare(scene: Scene) -> None:
        spec = scene.specs[_key(name)]
        scene.stage.roll(*FUNCTIONS)
        where = {"pk": f"ENDPOINT#{spec.key}", "sk": "SPEC#config"}
        scene.stage.declare(encode({**where, **in_new_form(spec_values(spec), form)}))
        scene.mute()
        scene.advance(50)

    return prepare


_IN_A_WINDOW = steps(falcon(schedules=(AT_NINE,)), after(20))


def _restored(scene: Scene) -> None:
    scene.stage.restore_table()
    scene.mute()
    scene.advance(65)


def _strangers(scene: Scene) -> None:
    """Unmanaged endpoints, and one of ours that is overdue and has the ignore tag."""
    scene.stage.policy = Policy(Unmanaged.REPORT, late_after=timedelta(minutes=1))
    _running(scene)
    scene.foreign("Quiet", ignore="")
    scene.foreign("Theirs", stack=_THIRD)
    scene.foreign("Nobodys")
    scene.foreign("Lost", stack=adopted_tag(STACK_TAG))
    scene.stage.trespass.lost("lost")
    scene.retag(ignore="yes")
    scene.stop()
    scene.advance(100)


def _metering(scene: Scene) -> None:
    """Sweeps adopt unmanaged endpoints, if the config allows it."""
    scene.stage.policy = Policy(Unmanaged.METER, adoptable=LIMITS.adoptable)
    scene.foreign("Nobodys")
    _theirs(scene)


def _many_keys(scene: Scene) -> None:
    """The state of one endpoint is as large as possible: long names of configs, and many requests
    with Idempotency-Keys."""
    scene.stage.sagemaker.create_config(f"{_LONG}-1")
    scene.deploy(scene.spec(config=f"{_LONG}-0"))
    scene.renew()
    scene.advance(20)
    for number in range(90):
        scene.update(config=f"{_LONG}-1", key=f"k{number}")
        scene.advance(0.2)


def _updated_by_hand(scene: Scene) -> None:
    _running(scene)
    scene.update()
    scene.advance(12)
    scene.write(scene.spec(schedules=(FROM_TEN,)))


TAKEOVERS: tuple[Situation, ...] = (
    Situation("adopt: theirs", _theirs, lambda s: s.add(adopt=True), about="Mine", rivals=TAKERS),
    Situation(
        "adopt: under a name of the config",
        _foreign_falcon,
        lambda s: s.add("Falcon", adopt=True),
        rivals=OWNERS,
    ),
    Situation(
        "adopt: by who may adopt that one alone",
        _theirs,
        lambda s: s.add(scopes="manage:mine", adopt=True),
        about="Mine",
        rivals={},
    ),
    Situation(
        "adopt: refused, too long a lease",
        **_refused(lambda s: s.add(minutes=50_000, adopt=True)),
    ),
    Situation(
        "adopt: refused, another config than it runs",
        **_refused(lambda s: s.add(config=BY_HAND, adopt=True)),
    ),
    Situation(
        "adopt: refused, may only renew and add",
        **_refused(lambda s: s.add(scopes="read renew add invoke", adopt=True)),
    ),
    Situation(
        "adopt: refused, may adopt another",
        **_refused(lambda s: s.add(scopes="add manage:falcon", adopt=True)),
    ),
    Situation(
        "adopt: refused, not asked for",
        **_refused(lambda s: s.add()),
    ),
    Situation(
        "adopt: refused, not to be adopted",
        steps(lambda s: s.foreign("Hidden"), after(10)),
        lambda s: s.add("Hidden", adopt=True),
        about="Hidden",
        rivals={},
    ),
    Situation(
        "adopt: refused, to be ignored",
        lambda s: _theirs(s, ignore=""),
        lambda s: s.add(adopt=True),
        about="Mine",
        rivals={},
    ),
    Situation(
        "adopt: refused, of another stack",
        lambda s: _theirs(s, stack=_THIRD),
        lambda s: s.add(adopt=True),
        about="Mine",
        rivals={},
    ),
    Situation("add: contested", steps(), lambda s: s.add(), about="Mine", rivals=ADDERS),
    Situation(
        "add: refused, may only renew",
        steps(),
        lambda s: s.add(scopes="renew manage", adopt=True),
        about="Mine",
        rivals=ADDERS,
    ),
    Situation(
        "add: refused, too long a lease",
        steps(),
        lambda s: s.add(minutes=50_000),
        about="Mine",
        rivals={},
    ),
    Situation(
        "add: the last place",
        _full,
        lambda s: s.add(),
        about="Mine",
        rivals={
            "an add of another": lambda s, _: s.add("Mine-3"),
            "a forget of another": lambda s, _: s.stop("Mine-2", forget=True),
        },
    ),
    Situation(
        "forget: refused, may only renew",
        steps(lambda s: s.add(), after(20)),
        lambda s: s.stop("Mine", scopes="renew manage", forget=True),
        about="Mine",
        rivals={},
        killed=False,
    ),
    Situation(
        "forget: being adopted",
        _accepted,
        lambda s: s.stop("Mine", forget=True),
        about="Mine",
        rivals=OWNERS,
    ),
    Situation("stop: with a key", _running, lambda s: s.stop(key="k"), rivals=CALLERS),
    Situation(
        "stop: again with its key",
        steps(_running, lambda s: s.stop(key="k"), after(1), lambda s: s.renew(), after(1)),
        lambda s: s.stop(key="k"),
        rivals={},
    ),
    Situation("reconcile: adopt", _accepted, _hint_mine, about="Mine", rivals=TAKERS),
    Situation("reconcile: adopted", _tagged, _hint_mine, about="Mine", rivals=TAKERS),
    Situation(
        "reconcile: adopt what is gone",
        steps(_accepted, lambda s: s.delete_by_hand("mine"), after(6)),
        _hint_mine,
        about="Mine",
        rivals=TAKERS,
    ),
    Situation(
        "reconcile: adopt what was replaced",
        steps(_accepted, lambda s: s.replace_by_hand("mine")),
        _hint_mine,
        about="Mine",
        rivals=TAKERS,
    ),
    Situation(
        "reconcile: adopt what is to be ignored",
        steps(_accepted, lambda s: s.retag("mine", ignore="")),
        _hint_mine,
        about="Mine",
        rivals=TAKERS,
    ),
    Situation(
        "reconcile: adopt what another stack has",
        steps(_accepted, lambda s: s.retag("mine", stack=_THIRD)),
        _hint_mine,
        about="Mine",
        rivals=TAKERS,
    ),
    Situation(
        "adopt: again, what was replaced meanwhile",
        steps(_accepted, lambda s: s.replace_by_hand("mine")),
        lambda s: s.add(adopt=True),
        about="Mine",
        rivals=OWNERS,
    ),
    Situation(
        "reconcile: adopt again what was replaced",
        steps(
            _accepted,
            lambda s: s.replace_by_hand("mine"),
            lambda s: s.add(adopt=True),
            after(1),
        ),
        _hint_mine,
        about="Mine",
        rivals=OWNERS,
    ),
    Situation(
        "reconcile: the tag reached a later endpoint",
        steps(
            _accepted,
            lambda s: s.replace_by_hand("mine"),
            lambda s: s.retag("mine", stack=adopted_tag(STACK_TAG)),
        ),
        _hint_mine,
        about="Mine",
        rivals=OWNERS,
    ),
    Situation(
        "reconcile: adopt under a name of the config",
        steps(_foreign_falcon, Scene.mute, lambda s: s.add("Falcon", adopt=True), after(1)),
        _hint,
        rivals=OWNERS,
    ),
    Situation(
        "reconcile: adopted and stopped",
        steps(_tagged, Scene.listen, _hint_mine, after(2), lambda s: s.stop("Mine"), Scene.mute),
        _hint_mine,
        about="Mine",
        rivals=OWNERS,
    ),
    Situation(
        "reconcile: delete what its owner may want",
        steps(_running, lambda s: s.stop(), Scene.mute, after(1)),
        _hint,
        rivals=OWNERS,
    ),
    Situation(
        "reconcile: update what its owner may want",
        steps(_running, Scene.mute, lambda s: s.update(), after(1)),
        _hint,
        rivals=OWNERS,
    ),
    Situation(
        "reconcile: weigh what its owner may want",
        steps(_running, Scene.mute, lambda s: s.reweigh(), after(1)),
        _hint,
        rivals=OWNERS,
    ),
    Situation(
        "reconcile: spec with a new kind of window",
        steps(_IN_A_WINDOW, _newer(Form.WINDOW)),
        _hint,
        rivals=READERS,
    ),
    Situation(
        "reconcile: spec with a new attribute",
        steps(_IN_A_WINDOW, _newer(Form.ATTRIBUTE)),
        _hint,
        rivals=READERS,
    ),
    Situation(
        "reconcile: spec of newer code, stopped",
        steps(_IN_A_WINDOW, lambda s: s.stop(), after(10), _newer(Form.WINDOW)),
        _hint,
        rivals=READERS,
    ),
    Situation(
        "stop: spec of newer code",
        steps(_IN_A_WINDOW, _newer(Form.WINDOW)),
        lambda s: s.stop(),
        rivals=READERS,
    ),
    Situation(
        "wake: stopped, spec of newer code",
        steps(_IN_A_WINDOW, lambda s: s.stop(), after(10), _newer(Form.WINDOW)),
        lambda s: s.wake(),
        rivals={},
    ),
    Situation(
        "sweep: spec of newer code",
        steps(_IN_A_WINDOW, _newer(Form.ATTRIBUTE)),
        lambda s: s.sweep(),
        again=True,
        rivals=READERS,
    ),
    Situation(
        "reconcile: wanted by a restored table",
        steps(falcon(), _restored, lambda s: s.renew(), after(1)),
        _hint,
        rivals=READERS,
    ),
    Situation(
        "reconcile: adopt by a restored table",
        steps(falcon(), _accepted, _restored),
        _hint_mine,
        about="Mine",
        rivals=OWNERS,
    ),
    Situation(
        "reconcile: stopped by a restored table",
        steps(_running, _restored, lambda s: s.stop(), after(1)),
        _hint,
        rivals=READERS,
    ),
    Situation(
        "sweep: restored table",
        steps(falcon(), _metering, _restored),
        lambda s: s.sweep(),
        again=True,
        rivals={},
    ),
    Situation(
        "accept: restored table",
        steps(falcon(), _restored),
        lambda s: s.stage.accept_restored_table(),
        again=True,
    ),
    Situation("sweep: strangers", _strangers, lambda s: s.sweep(), again=True, rivals=OWNERS),
    Situation(
        "sweep: puts strangers on the meter",
        _metering,
        lambda s: s.sweep(),
        again=True,
        about="Mine",
        rivals=TAKERS,
    ),
    Situation(
        "sync: other schedules after an update by hand",
        _updated_by_hand,
        lambda s: s.sync(),
        again=True,
        rivals={},
    ),
    Situation(
        "update: after many with keys",
        _many_keys,
        lambda s: s.update(config=f"{_LONG}-1", key="last"),
        rivals={},
        killed=False,
    ),
)
