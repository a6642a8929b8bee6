"""What the simulator's routes take and return."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from local.simulator.authority import session_of

JSON = "application/json"


@dataclass(frozen=True)
class Incoming:
    """A request. `headers` ignores case; `endpoint` is the name in the path, if it has one."""

    headers: Mapping[str, str]
    body: bytes
    endpoint: str

    @property
    def session(self) -> str | None:
        """The session of the calling role; None for the root user. Raises ApiError."""
        headers = self.headers
        return session_of(headers.get("X-Amz-Security-Token"), headers.get("Authorization"))


@dataclass(frozen=True)
class Reply:
    """A response. `note` is for the log."""

    status: int
    body: bytes
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    note: str = ""


def json_reply(
    status: int, content: Mapping[str, object], content_type: str = JSON, note: str = ""
) -> Reply:
    return Reply(status, json.dumps(content).encode(), content_type, {}, note)
