"""The accepted changes in a file, from which a new process makes the same world again.

The world depends only on its changes and their instants. So a change is one line, written before
it is made and taken back if it is refused. Time goes on while no process runs. Not kept are faults,
recorded calls, and asynchronous inferences that have not finished.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from local.simulator.errors import ApiError
from local.simulator.lifecycle import Json, Outcome
from local.simulator.world import World

RELEASE = "ReleaseStuck"
"""Not an operation: stuck endpoints continue, because the faults were removed."""


@dataclass(frozen=True)
class Change:
    """An accepted change: a valid request, and how it will end."""

    operation: str
    at: datetime
    request: Json
    outcome: Outcome = Outcome.SUCCESS

    def make(self, world: World) -> Json:
        """Make the change. Raises ApiError if SageMaker would refuse it."""
        if self.operation == RELEASE:
            world.release_stuck(self.at)
            return {}
        return world.perform(self.operation, self.request, self.at, self.outcome)

    def as_line(self) -> bytes:
        fields = [self.operation, self.at.isoformat(), self.request, self.outcome.value]
        return json.dumps(fields).encode() + b"\n"

    @classmethod
    def of_line(cls, line: bytes) -> Change:
        operation, at, request, outcome = json.loads(line)
        return cls(operation, datetime.fromisoformat(at), request, Outcome(outcome))


class Journal:
    """A file of changes, oldest first. Only its owner can read it."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        self._path = path

    def replay(self, world: World) -> None:
        """Make all changes in a new world. What they cause was announced when it happened."""
        for change in self._changes():
            with contextlib.suppress(ApiError):  # killed before it took a refused one back
                change.make(world)
        world.take_changes()

    @contextlib.contextmanager
    def keeping(self, change: Change) -> Iterator[None]:
        """Write the change that is made in this context. It outlives the process.

        If it fails, or cannot be written in full, nothing of it stays: the next line would be added
        to half a line. Raises OSError if it cannot be written, such as on a full disk.
        """
        line, size = change.as_line(), os.fstat(self._file).st_size
        try:
            while line:  # a disk that is nearly full takes a part, and refuses the rest
                line = line[os.write(self._file, line) :]
            yield
        except BaseException:
            os.ftruncate(self._file, size)
            raise

    def _changes(self) -> Iterator[Change]:
        """The complete lines. A last one without its end was never answered: it is removed."""
        content = self._path.read_bytes()
        complete = content[: content.rfind(b"\n") + 1]
        os.truncate(self._file, len(complete))
        return map(Change.of_line, complete.splitlines())
