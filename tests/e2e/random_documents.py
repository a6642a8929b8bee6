"""JSON documents full of characters that are often lost or changed on the way."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

_HARD = ['"', "\\", "'", "$", "#", "{", "}", "\n", "\t", "\0", "/", "<", "&", "%", "é", "日", "😀"]
_WORDS = ["$input.path('$')", "#set($x=1)", "${context}", "\\u0041", "null", "{{x}}", " ", ""]


COUNTS = [20, pytest.param(200, marks=pytest.mark.prove)]


def random_documents(*, seed: int, count: int) -> list[Any]:
    """Objects and arrays, nested up to five levels deep."""
    chance = Random(seed)  # noqa: S311  # they need not be unguessable
    return [_nested(chance, 5) for _ in range(count)]


def _nested(chance: Random, depth: int) -> Any:
    size = chance.randrange(5)
    if chance.random() < 0.5:
        return [_value(chance, depth - 1) for _ in range(size)]
    return {_text(chance): _value(chance, depth - 1) for _ in range(size)}


def _value(chance: Random, depth: int) -> Any:
    if depth and chance.random() < 0.4:
        return _nested(chance, depth)
    numbers = [0, -1, 10**18, 1.5, -0.001, 1e300, chance.random()]
    return chance.choice([_text(chance), chance.choice(numbers), True, False, None])


def _text(chance: Random) -> str:
    return "".join(chance.choice([*_HARD, *_WORDS, "a", "Z"]) for _ in range(chance.randrange(12)))
