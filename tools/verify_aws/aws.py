"""The account that is asked."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import boto3
from botocore.config import Config

EMBEDDED_ACCOUNT = "000000000000"
_CONFIG = Config(connect_timeout=5, read_timeout=60, retries={"mode": "standard"})
Found = TypeVar("Found")


class NotInTime(Exception):
    """What was waited for did not happen. The message says what."""


@dataclass(frozen=True)
class Aws:
    """An account and a region, with credentials."""

    session: boto3.Session
    account: str
    region: str
    _clients: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def embedded(self) -> bool:
        """Whether it is the embedded AWS of this project: no real account has its number."""
        return self.account == EMBEDDED_ACCOUNT

    @property
    def partition(self) -> str:
        return self.session.get_partition_for_region(self.region)

    def arn(self, service: str, resource: str) -> str:
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"

    def client(self, service: Any) -> Any:
        """The client of any service."""
        if service not in self._clients:
            self._clients[service] = self.patient_client(service, _CONFIG)
        return self._clients[service]

    def patient_client(self, service: Any, config: Config) -> Any:
        return self.session.client(service, region_name=self.region, config=config)

    def until(
        self,
        what: str,
        look: Callable[[], Found | None],
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> Found:
        """What `look` finds, once it finds something. Raises NotInTime."""
        deadline = clock() + seconds
        while (found := look()) is None:
            if clock() > deadline:
                raise NotInTime(f"{what} did not happen within {seconds:.0f} s")
            time.sleep(0.2 if self.embedded else 5)
        return found

    def latest(
        self,
        look: Callable[[], Found],
        settled: Callable[[Found], bool],
    ) -> Found:
        """What `look` sees once it is `settled`; what it saw last, if it does not become so. New
        roles and stages take seconds to be known everywhere."""
        seen = look()

        def again() -> bool | None:
            nonlocal seen
            seen = look()
            return settled(seen) or None

        if not settled(seen):
            with contextlib.suppress(NotInTime):
                self.until("what a new role allows", again, 5 if self.embedded else 120)
        return seen
