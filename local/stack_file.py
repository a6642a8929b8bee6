"""`.local/stack.json`: what clients and tests need to know about the running stack."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class StackFile:
    """The fields of the file."""

    api_url: str
    token: str
    admin_token: str
    region: str
    aws_endpoint_url: str
    sagemaker_endpoint_url: str
    aws_access_key_id: str
    aws_secret_access_key: str
    state_table: str
    auth_table: str
    pids: Mapping[str, int]

    def write(self, path: Path) -> None:
        """Write it in one step, readable only by its owner: it holds tokens and a key."""
        write_private(path, json.dumps(asdict(self), indent=2) + "\n")

    @classmethod
    def read(cls, path: Path) -> "StackFile":
        """Read it. Raises FileNotFoundError if no stack is up, and ValueError if it is damaged or
        has the fields of another version."""
        document = json.loads(path.read_text(encoding="utf-8"))
        try:
            return cls(**document)
        except TypeError as error:
            raise ValueError(f"{path} is of another version: {error}") from error


def write_private(path: Path, text: str) -> None:
    """Replace a file in one step. Only its owner can read it, at any time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    draft.replace(path)
