"""A row of the table."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """What was measured, the figure with its unit, and the figure that it should have.

    `ok` is False if the figure is not allowed.
    """

    what: str
    figure: str
    against: str
    ok: bool = True
