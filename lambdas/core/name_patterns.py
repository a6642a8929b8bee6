"""Lists of names with `*`. In a config they say what may be adopted or added."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from lambdas.core.errors import InvalidField

MAX_PATTERNS = 20
"""More do not fit into the environment of a function, which is limited to 4 KB."""
PATTERN = "[A-Za-z0-9*][A-Za-z0-9*-]{0,62}"


@dataclass(frozen=True, slots=True)
class NamePatterns:
    """The names that fit one of the patterns; None: all names. `*` stands for any characters. Names
    are compared without case, as SageMaker does."""

    patterns: tuple[str, ...] | None

    @classmethod
    def parse(cls, values: Iterable[str] | None, field: str) -> Self:
        """Read what a person wrote. Raises InvalidField with `field` and the index in it."""
        if values is None:
            return cls(None)
        patterns = tuple(values)
        if len(patterns) > MAX_PATTERNS:
            raise InvalidField(field, f"at most {MAX_PATTERNS} patterns; join some with '*'")
        for index, pattern in enumerate(patterns):
            if not re.fullmatch(PATTERN, pattern):
                raise InvalidField(
                    f"{field}[{index}]",
                    "must be a name of up to 63 letters, digits and hyphens, in which '*' stands "
                    "for any characters, such as 'team-a-*'",
                )
        return cls(patterns)

    @classmethod
    def stored(cls, text: str) -> Self:
        """Read the text that `str()` wrote."""
        values = json.loads(text)
        return cls(None if values is None else tuple(values))

    def __str__(self) -> str:
        return json.dumps(self.patterns, separators=(",", ":"))

    def allows(self, name: str) -> bool:
        if self.patterns is None:
            return True
        return any(_fits(pattern, name) for pattern in self.patterns)


ANY_NAME = NamePatterns(None)


def _fits(pattern: str, name: str) -> bool:
    parts = (re.escape(part) for part in pattern.lower().split("*"))
    return re.fullmatch(".*".join(parts), name.lower()) is not None
