"""How the summary of a plan is written: for a terminal, and as a comment in Markdown. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lambdas.core.control_characters import visible

UNKNOWN = "(known after apply)"
LONG = 160
COMMENT = 60_000
"""A comment of GitHub holds 65,536 characters."""
LINES_OF_A_PART = 50


@dataclass(frozen=True)
class Part:
    """A heading with lines. What is dangerous has a mark."""

    heading: str
    lines: Sequence[str]
    dangerous: bool = False


@dataclass(frozen=True)
class Summary:
    title: str
    parts: Sequence[Part]

    def text(self) -> str:
        lines = [self.title]
        for part in self.parts:
            lines += ["", f"{'! ' if part.dangerous else ''}{part.heading}"]
            lines += [f"  {line}" for line in part.lines]
        return "\n".join(map(visible, lines))

    def markdown(self) -> str:
        """For a comment on GitHub, as much as fits into one."""
        written = f"## {visible(self.title)}"
        for part in self.parts:
            more = "\n".join(map(visible, _in_markdown(part)))
            if len(written) + len(more) > COMMENT:
                return f"{written}\n\n**This is not all.** The rest is in the plan."
            written += f"\n\n{more}"
        return written


def _in_markdown(part: Part) -> Iterator[str]:
    """Lines stand in a fence: names and values in them are written by others."""
    yield f"**{':warning: ' if part.dangerous else ''}{part.heading}**"
    if not part.lines:
        return
    longest = max(map(len, re.findall("`+", " ".join(part.lines))), default=0)
    fence = "`" * max(3, longest + 1)
    yield from ("", f"{fence}text", *part.lines[:LINES_OF_A_PART])
    if len(part.lines) > LINES_OF_A_PART:
        yield f"… and {len(part.lines) - LINES_OF_A_PART} lines more"
    yield fence


def cut(text: str) -> str:
    """One line that is not too long to read."""
    text = " ".join(text.split())
    return text if len(text) <= LONG else f"{text[:LONG]}… ({len(text)} characters)"
