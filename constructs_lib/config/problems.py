"""The problems of a config: for each, the field and a sentence that helps to fix it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lambdas.core.control_characters import visible


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    path: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.path}: {self.sentence}" if self.path else self.sentence


class InvalidConfig(Exception):
    """The config cannot be used. `problems` lists all of its problems."""

    def __init__(self, source: str, problems: Sequence[Problem]) -> None:
        count = f"{len(problems)} problems" if len(problems) != 1 else "a problem"
        lines = [f"{source} has {count}:", *(f"  {visible(str(problem))}" for problem in problems)]
        super().__init__("\n".join(lines))
        self.problems = problems
