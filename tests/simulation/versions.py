"""Deploys and rollbacks of code: for some minutes a function may run older code, which does not
know the form in which newer code and Terraform write specs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, cast

from lambdas.core.spec import Spec
from tests.simulation.expressions import Item, once
from tests.simulation.kernel import Actor, Kernel

FUNCTIONS = ("api", "tick", "reconciler", "sweep")
_CLOSED = {"start_time": "00:00", "stop_time": "00:01", "timezone": "UTC", "date": "01/01/2001"}
"""What is left of a window for a reader that ignores what it does not know."""

Values = Mapping[str, Any]


class Form(StrEnum):
    """How a newer spec differs from the form that older code knows."""

    WINDOW = "a key of a window"
    ATTRIBUTE = "an attribute of the spec"


class Versions:
    """`behind` are the functions that run older code at their next invocations. `form` is how the
    API's newer code writes specs. None: as before."""

    def __init__(self, kernel: Kernel) -> None:
        self.behind: frozenset[str] = frozenset()
        self.form: Form | None = None
        self.changed_at: datetime | None = None
        self._kernel = kernel

    def roll(self, behind: Iterable[str]) -> None:
        """From now on only these functions run older code."""
        self.behind = frozenset(behind)
        self.changed_at = self._kernel.now

    def is_behind(self, actor: Actor | None) -> bool:
        """Whether an invocation runs older code. It keeps its code until it ends."""
        if actor is None:
            return False
        behind: bool = actor.notes.setdefault("behind", actor.notes["function"] in self.behind)
        return behind

    def reading(self, spec_of: Callable[[Values], Spec]) -> Callable[[Values], Spec]:
        """Read an item as the code of the running invocation does."""
        before = once(spec_of)
        after = once(lambda item: spec_of(in_old_form(item)))

        def read(item: Values) -> Spec:
            known = before if self.is_behind(self._kernel.actor) else after
            return known(cast("Item", item))

        return read

    def writing(self, spec_values: Callable[[Spec], Values]) -> Callable[[Spec], Values]:
        """Write a spec as the code of the running invocation does."""

        def written(spec: Spec) -> Values:
            values = spec_values(spec)
            if self.form is None or not spec.schedules or self.is_behind(self._kernel.actor):
                return values
            return in_new_form(values, self.form)

        return written


def in_new_form(values: Values, form: Form) -> dict[str, Any]:
    """The attributes of a spec as newer code writes them."""
    if form is Form.ATTRIBUTE:
        return {**values, "schedules": "[]", "windows": values["schedules"]}
    windows = [
        {**_CLOSED, "name": schedule["name"], "instead": schedule}
        for schedule in json.loads(values["schedules"])
    ]
    return {**values, "schedules": json.dumps(windows)}


def in_old_form(item: Values) -> Values:
    """The attributes of a spec of any form, as older code writes them."""
    if "windows" in item:
        rest = {name: value for name, value in item.items() if name != "windows"}
        return {**rest, "schedules": item["windows"]}
    if '"instead"' not in item["schedules"]:
        return item
    windows = [window["instead"] for window in json.loads(item["schedules"])]
    return {**item, "schedules": json.dumps(windows)}


def is_newer(item: Values) -> bool:
    """Whether older code cannot read it."""
    return "windows" in item or '"instead"' in item["schedules"]
