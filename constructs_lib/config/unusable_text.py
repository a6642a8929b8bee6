"""Values that would not arrive as they were written, or not be shown so, in any field."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Iterator

from constructs_lib.config.problems import Problem
from lambdas.core.control_characters import refuse_control_characters
from lambdas.core.errors import InvalidField

_TOKEN = "{TfToken["  # noqa: S105  # no secret: cdktf replaces what follows
_TAGS = re.compile(r"\.tags\b")
"""These have a stricter rule."""
_VARIABLE = ".environment."
"""Values of variables may have lines, and are shown nowhere."""
_MAX_DEPTH = 100
TOO_DEEP = f"objects and arrays lie in each other more than {_MAX_DEPTH} times"


def unusable_texts(document: object) -> Iterator[Problem]:
    """Problems with the keys and values of a JSON document: texts, and numbers that are none."""
    waiting = [("", document)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, dict):
            for key, below in value.items():
                yield from _problem(path, key)
                waiting.append((f"{path}.{key}".lstrip("."), below))
        elif isinstance(value, list):
            waiting += [(f"{path}[{index}]", below) for index, below in enumerate(value)]
        elif isinstance(value, str):
            yield from _problem(path, value)
        elif isinstance(value, float) and not math.isfinite(value):
            yield Problem(path, f"{json.dumps(value)} is no number of JSON: write a finite one")


def is_too_deep(document: object) -> bool:
    """Whether objects and arrays lie in each other too deep for what reads them."""
    level = [document]
    for _ in range(_MAX_DEPTH):
        level = [
            below
            for value in level
            if isinstance(value, dict | list)
            for below in (value.values() if isinstance(value, dict) else value)
        ]
    return bool(level)


def _problem(path: str, text: str) -> Iterator[Problem]:
    if _TOKEN in text:
        yield Problem(path, f"holds '{_TOKEN}', which cdktf would replace: write it in another way")
    elif any("\ud800" <= c <= "\udfff" for c in text):
        yield Problem(path, r"holds half of a character (\ud800 to \udfff): write both halves")
    elif not unicodedata.is_normalized("NFC", text):
        yield Problem(
            path,
            "holds decomposed characters, and Terraform would deploy them composed: write them "
            "composed (Unicode NFC)",
        )
    elif _VARIABLE in path:
        if "\0" in text:
            yield Problem(path, "holds the character U+0000, which no variable can: take it out")
    elif not _TAGS.search(path):
        try:
            refuse_control_characters(text, path)
        except InvalidField as error:
            yield Problem(path, error.sentence)
