"""Characters that steer a terminal or turn the order of letters instead of being shown.

They are refused in what people write now, and not in what is stored already: a spec must stay
readable. So whatever shows texts to people makes them visible.
"""

from __future__ import annotations

import unicodedata

from lambdas.core.errors import InvalidField

_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Control characters, halves of characters, and ends of lines."""
_TURNING = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})
"""Embeddings, overrides and isolates: https://www.unicode.org/reports/tr9/"""


def refuse_control_characters(text: str, field: str) -> None:
    """Raises InvalidField."""
    for position, character in enumerate(text, start=1):
        if _steers(character):
            raise InvalidField(
                field,
                f"its character {position} is the control character U+{ord(character):04X}: "
                "take it out",
            )


def visible(text: str) -> str:
    r"""The text with `\u001b` and the like in place of such characters."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(f"\\u{ord(each):04x}" if _steers(each) else each for each in text)


def _steers(character: str) -> bool:
    return (
        unicodedata.category(character) in _CATEGORIES
        or unicodedata.bidirectional(character) in _TURNING
    )
