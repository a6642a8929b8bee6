"""Progress on a terminal, or in a log: which step, how far, how long."""

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import TextIO

QUIET_SECONDS = 10.0
"""In a log, a step that takes longer says how far it is this often."""


class Step:
    """One step under way."""

    def __init__(self, title: str, out: TextIO) -> None:
        self._title = title
        self._out = out
        self._began = self._last_shown = time.monotonic()
        self.outcome = ""

    @property
    def seconds(self) -> float:
        """Return how long it has taken so far."""
        return time.monotonic() - self._began

    def progress(self, how_far: str) -> None:
        """Show how far it is: on a terminal at once, in a log every few seconds."""
        now = time.monotonic()
        if self._out.isatty():
            self._line(f"\r\x1b[K{self._title} … {how_far} ({self.seconds:.0f} s)")
        elif now - self._last_shown >= QUIET_SECONDS:
            self._last_shown = now
            self._line(f"{self._title} … {how_far} ({self.seconds:.0f} s)\n")

    def begin(self) -> None:
        """Show that it has begun."""
        self._line(f"{self._title} …" + ("" if self._out.isatty() else "\n"))

    def end(self) -> None:
        """Show that it is done, and its outcome."""
        start = "\r\x1b[K" if self._out.isatty() else ""
        outcome = f"  {self.outcome}" if self.outcome else ""
        self._line(f"{start}{self._title} {self.seconds:.1f} s{outcome}\n")

    def abandon(self) -> None:
        """Leave the line as it stands: what went wrong follows."""
        if self._out.isatty():
            self._line("\n")

    def _line(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()


class Steps:
    """Numbered steps, one after another."""

    def __init__(self, count: int, out: TextIO = sys.stdout) -> None:
        self._count = count
        self._number = 0
        self._out = out
        self._began = time.monotonic()

    @contextlib.contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """Run one step; its time is shown unless it raises."""
        self._number += 1
        step = Step(f"[{self._number}/{self._count}] {title}", self._out)
        step.begin()
        try:
            yield step
        except BaseException:
            step.abandon()
            raise
        step.end()

    @property
    def seconds(self) -> float:
        """Return how long all took together."""
        return time.monotonic() - self._began
