"""Clients that call a model, or describe endpoints, in the background of a test."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import httpx

from tests.e2e.checkout import Checkout, until

_PAUSE_SECONDS = 0.05
_VARIANT = "x-Amzn-Invoked-Production-Variant"


class _Watcher:
    """Calls `look` repeatedly on its own thread until the `with` ends."""

    def __init__(self) -> None:
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()
        self.close()

    def _work(self) -> None:
        while not self._over.is_set():
            self.look()
            time.sleep(_PAUSE_SECONDS)

    def look(self) -> None:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError


class Callers(_Watcher):
    """Calls the model behind `route`. `failures` holds failed calls; `total` counts all calls."""

    def __init__(self, checkout: Checkout, route: str) -> None:
        super().__init__()
        self._route = route
        self._api = checkout.api()
        self.failures: list[str] = []
        self.total = 0
        self._answered: list[str] = []

    def look(self) -> None:
        self.total += 1
        try:
            answer = self._api.post(self._route, content=b"6.2,22", headers=_CSV)
        except httpx.HTTPError as error:
            self.failures.append(repr(error))
            return
        if answer.status_code == 200:
            self._answered.append(answer.headers[_VARIANT])
        else:
            self.failures.append(answer.text)

    def close(self) -> None:
        self._api.close()

    def make(self, calls: int) -> None:
        """Wait until `calls` more calls have been answered; `shares` then counts these."""
        self._answered.clear()
        until(lambda: len(self._answered) >= calls or self.failures, 30)
        assert not self.failures, self.failures
        self._latest = self._answered[:calls]

    def shares(self) -> dict[str, float]:
        """The share of each variant in the answers that `make` waited for."""
        return {name: n / len(self._latest) for name, n in Counter(self._latest).items()}


class Follower(_Watcher):
    """Describes endpoints: `seen` holds each change of status and config, in order."""

    def __init__(self, checkout: Checkout, names: Sequence[str]) -> None:
        super().__init__()
        self._sagemaker: Any = checkout.client("sagemaker")
        self.created = {name: checkout.calls("CreateEndpoint", name) for name in names}
        self.seen: dict[str, list[tuple[str, str]]] = {name: [] for name in names}

    def look(self) -> None:
        for name, seen in self.seen.items():
            live = self._sagemaker.describe_endpoint(EndpointName=name)
            now = live["EndpointStatus"], live["EndpointConfigName"]
            if not seen or seen[-1] != now:
                seen.append(now)

    def close(self) -> None:
        self._sagemaker.close()


_CSV = {"Content-Type": "text/csv"}
