"""What the simulator's routes take and return."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from local.signature import Head

JSON = "application/json"


@dataclass(frozen=True)
class Incoming:
    """A request. `headers` ignores case; `endpoint` is the name in the path, if it has one."""

    head: Head
    headers: Mapping[str, str]
    body: bytes
    endpoint: str


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
