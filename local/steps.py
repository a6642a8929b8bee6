"""Progress on a terminal or in a log: the step, its progress and its duration."""

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import TextIO

QUIET_SECONDS = 10.0
"""In a log, a longer step shows its progress at this interval."""


class Step:
    """A step in progress."""

    def __init__(self, title: str, out: TextIO) -> None:
        self._title = title
        self._out = out
        self._began = self._last_shown = time.monotonic()
        self.outcome = ""

    @property
    def seconds(self) -> float:
        """Return how long the step has taken so far."""
        return time.monotonic() - self._began

    def progress(self, status: str) -> None:
        """Show the progress: on a terminal immediately, in a log every few seconds."""
        now = time.monotonic()
        if self._out.isatty():
            self._line(f"\r\x1b[K{self._title} … {status} ({self.seconds:.0f} s)")
        elif now - self._last_shown >= QUIET_SECONDS:
            self._last_shown = now
            self._line(f"{self._title} … {status} ({self.seconds:.0f} s)\n")

    def begin(self) -> None:
        """Show that the step has begun."""
        self._line(f"{self._title} …" + ("" if self._out.isatty() else "\n"))

    def end(self) -> None:
        """Show that the step is done, and its outcome."""
        start = "\r\x1b[K" if self._out.isatty() else ""
        outcome = f"  {self.outcome}" if self.outcome else ""
        self._line(f"{start}{self._title} {self.seconds:.1f} s{outcome}\n")

    def abandon(self) -> None:
        """End the line without an outcome: an error message follows."""
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
        """Run one step. Its duration is shown unless it raises."""
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
        """Return how long all steps took together."""
        return time.monotonic() - self._began
