"""The JSON object in a body, with nothing in it that Python or DynamoDB cannot carry.

Imports neither Powertools nor pydantic.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

from lambdas.handlers.refusals import BodyTooDeep, InvalidBody, InvalidRequest, MalformedJson

MOST_DIGITS = 1000
MAX_BODY_DEPTH = 200
"""Depth of nested arrays and objects. What is accepted here must be readable later, too."""


def json_object(body: str) -> dict[str, Any]:
    """Read a body. Raises MalformedJson, InvalidBody, BodyTooDeep, and InvalidRequest that names
    each value that is valid JSON, but cannot be carried."""
    try:
        document = json.loads(body, parse_constant=_refuse_constant, parse_int=_whole)
    except RecursionError:
        raise BodyTooDeep(MAX_BODY_DEPTH) from None
    except ValueError as error:
        raise MalformedJson(str(error)) from error
    if not isinstance(document, dict):
        raise InvalidBody
    if _deeper_than(MAX_BODY_DEPTH, document):
        raise BodyTooDeep(MAX_BODY_DEPTH)
    faults = "; ".join(_faults("", document))
    if faults:
        raise InvalidRequest(faults)
    return document


def _deeper_than(limit: int, document: dict[str, Any]) -> bool:
    level: list[Any] = [document]
    for _ in range(limit):
        inner = (each.values() if isinstance(each, dict) else each for each in level)
        level = [each for values in inner for each in values if isinstance(each, dict | list)]
        if not level:
            return False
    return True


def _faults(path: str, value: object) -> Iterator[str]:
    if isinstance(value, float) and not math.isfinite(value):
        yield f"{path}: is too large a number: send a smaller one"
    elif isinstance(value, str) and not _is_text(value):
        yield f"{path}: holds half of a surrogate pair: send whole characters"
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _faults(f"{path}[{index}]", each)
    elif isinstance(value, dict):
        for name, each in value.items():
            shown = name.encode("ascii", "backslashreplace").decode()
            below = f"{path}.{shown}" if path else shown
            if not _is_text(name):
                yield f"{below}: this name holds half of a surrogate pair: send whole characters"
            yield from _faults(below, each)


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _whole(text: str) -> int | float:
    """Python reads no integer of more than some thousand digits: it is as infinite as 1e999."""
    return int(text) if len(text) <= MOST_DIGITS else math.inf
