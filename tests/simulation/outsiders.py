"""People with a console: they create, tag, update and delete endpoints, with names that are on the
meter and with other names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

from lambdas.core.settings import IGNORE_TAG_KEY, STACK_TAG_KEY
from tests.simulation.people import API_CONFIG, BY_HAND
from tests.simulation.stage import Stage

A_THIRD_STACK = "third"
"""It does nothing; only its tag is seen."""


@dataclass
class Outsiders:
    """`contested` are names that nobody has at first and several people want."""

    stage: Stage
    contested: list[str]
    until: datetime
    rng: Random = field(init=False)

    def __post_init__(self) -> None:
        self.rng = self.stage.rng

    def begin(self) -> None:
        for name in self.contested:
            self._make(name)
        self._plan(3, lambda: self._meddle(self._metered()))
        self._plan(0.3, lambda: self._meddle(self.rng.choice(self.contested).lower()))

    def _plan(self, hours: float, act: Callable[[], None]) -> None:
        """Do it some hours from now, and again and again."""
        seconds = self.rng.expovariate(1 / (hours * 3600))

        def acted() -> None:
            act()
            self._plan(hours, act)

        if self.stage.kernel.now + timedelta(seconds=seconds) < self.until:
            self.stage.kernel.after(seconds, acted)

    def _metered(self) -> str:
        """An endpoint that is on the meter, often a running one."""
        sagemaker, keys = self.stage.sagemaker, sorted(self.stage.watch.cases)
        live = [key for key in keys if sagemaker.status(key) == "InService"]
        return self.rng.choice(live if live and self.rng.random() < 0.6 else keys)

    def _meddle(self, key: str) -> None:
        status = self.stage.sagemaker.status(key)
        if status is None and (self.rng.random() < 0.3 or key in self.contested):
            self._make(key)
        elif status == "InService":
            acts = (
                self._delete,
                self._delete,
                self._delete,
                self._retag,
                self._retag,
                self._update,
            )
            self.rng.choice(acts)(key)
        elif status == "Failed":
            self._delete(key)

    def _make(self, name: str) -> None:
        self._did("made", name.lower())
        request = {"EndpointName": name, "EndpointConfigName": API_CONFIG}
        self.stage.sagemaker.perform("CreateEndpoint", request)

    def _delete(self, key: str) -> None:
        self._did("deleted", key)
        self.stage.sagemaker.perform("DeleteEndpoint", {"EndpointName": key})
        if self.rng.random() < 0.3:  # and creates it again
            self.stage.kernel.after(self.rng.uniform(30, 90), lambda: self._make_again(key))

    def _make_again(self, key: str) -> None:
        if self.stage.sagemaker.status(key) is None:
            self._make(key)

    def _update(self, key: str) -> None:
        self._did("updated", key)
        self.stage.watch.ledger.account(key).weights = None
        request = {"EndpointName": key, "EndpointConfigName": self.rng.choice(BY_HAND)}
        sagemaker = self.stage.sagemaker
        if sagemaker.config_exists(sagemaker.endpoint(key).config_name):
            self.stage.watch.updated_outside(key)
            sagemaker.perform("UpdateEndpoint", request)

    def _retag(self, key: str) -> None:
        tags = self.stage.sagemaker.tags(key)
        if IGNORE_TAG_KEY in tags:
            self._tag("not to be ignored any more,", key, remove=[IGNORE_TAG_KEY])
        elif tags.get(STACK_TAG_KEY) == A_THIRD_STACK or self.rng.random() < 0.3:
            self._tag("untagged", key, remove=[STACK_TAG_KEY])
        elif self.rng.random() < 0.5:
            self._tag("to be ignored,", key, add={IGNORE_TAG_KEY: ""})
        else:
            self._tag("given to a third stack", key, add={STACK_TAG_KEY: A_THIRD_STACK})

    def _tag(
        self,
        what: str,
        key: str,
        add: dict[str, str] | None = None,
        remove: list[str] | None = None,
    ) -> None:
        self._did(what, key)
        self.stage.sagemaker.retag(key, add or {}, remove or [])

    def _did(self, what: str, key: str) -> None:
        self.stage.faults.count(f"{what} by an outsider")
        self.stage.watch.meddled(key)
        self.stage.wire.trace(f"outsider: {key} {what}")
