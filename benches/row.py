"""One line of the table."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """What was measured, the figure with its unit, and what it should be read against.

    `ok` is False where it must not be so."""

    what: str
    figure: str
    against: str
    ok: bool = True
