"""Turns pydantic's errors into our paths and sentences."""

from __future__ import annotations

import difflib
import json
import typing
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from constructs_lib.config.base import CORE_RULE
from constructs_lib.config.document import UNION_TAGS, DeployConfig
from constructs_lib.config.problems import Problem
from constructs_lib.config.sagemaker_fields import why_not, why_not_value

_PATTERNS = {
    "project_prefix": "must be 1 to 30 letters, digits and single hyphens, beginning with a "
    "letter and not ending with a hyphen, such as 'demo'",
    "ddb_auth_table_name": "must be 3 to 255 letters, digits, '_', '.' or '-'",
    "api_resource_name": "must be 1 to 64 letters, digits, '.', '_' or '-', and not only dots: it "
    "becomes the path of the model's API",
    "handler": "must be a module and a name in it, such as 'index.handler'",
    "layers": "must be the ARN of a version of a layer, such as "
    "'arn:aws:lambda:us-east-1:123456789012:layer:name:1'",
    "alarm_emails": "must be an e-mail address",
}
_TYPES = {
    "string_type": "must be a string",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a number that is not infinite",
    "bool_type": "must be true or false",
    "list_type": "must be an array [...]",
    "dict_type": "must be an object {...}",
    "model_type": "must be an object {...}",
    "model_attributes_type": "must be an object {...}",
    "string_too_short": "must not be empty",
}
_LENGTHS = {
    "too_long": ("max_length", "entries", "at most {} go in"),
    "too_short": ("min_length", "entries", "needs at least {}"),
    "string_too_long": ("max_length", "characters", "at most {} go in"),
}
_UNLIKE = ("inference_ami_version",)
"""Their values are unlike each other, however near their names: one has another driver."""
_NO_FIELDS = UNION_TAGS | {"[key]"}  # parts that pydantic adds to a path
Path = tuple[str | int, ...]


def problems_of(error: ValidationError) -> list[Problem]:
    """The problems that pydantic found, with our sentences."""
    return [_problem(details) for details in error.errors(include_url=False)]


def _problem(details: ErrorDetails) -> Problem:
    path = tuple(part for part in details["loc"] if part not in _NO_FIELDS)
    context = details.get("ctx", {})
    if details["type"] == CORE_RULE:
        path = (*path, *_below(context["below"]))
    if details["type"] == "literal_error" or details["loc"][:1] == ("backend",):
        path = tuple(part for part in path if part not in ("local", "s3"))
    return Problem(path_text(path), _sentence(details, path, context))


def _sentence(details: ErrorDetails, path: Path, context: Mapping[str, Any]) -> str:
    kind, value = details["type"], details["input"]
    names = [part for part in path if isinstance(part, str)]
    field = names[-1] if names else ""
    if kind == "missing":
        return "is required"
    if kind == "extra_forbidden":
        return _unknown_key(field, path)
    if kind in ("string_pattern_mismatch", "string_too_long") and field in _PATTERNS:
        return f"{_PATTERNS[field]}, not {value!r}"
    if kind in _TYPES:
        shown = "" if isinstance(value, list | dict) or value == "" else f", not {_json(value)}"
        return _TYPES[kind] + shown
    if kind in ("literal_error", "union_tag_invalid", "union_tag_not_found"):
        return _one_of(field, context.get("tag", value), context)
    if kind in ("greater_than_equal", "less_than_equal"):
        bound, limit = ("least", "ge") if kind == "greater_than_equal" else ("most", "le")
        return f"must be at {bound} {context[limit]:.0f}, not {_json(value)}"  # limits are whole
    if kind in _LENGTHS:
        limit, of, bound = _LENGTHS[kind]
        return f"has {len(value)} {of}, and {bound.format(context[limit])}"
    message = details["msg"]
    return message[:1].lower() + message[1:]


def _unknown_key(key: str, path: Path) -> str:
    if why := why_not(key):
        return f"SageMaker has this, and it is {why}"
    known = _keys_at(path[:-1])
    below = _objects_with(key, _models_at(path[:-1]))
    near = difflib.get_close_matches(key.casefold(), known, n=1, cutoff=0.7 if below else 0.6)
    if near:
        return f"unknown key; did you mean '{near[0]}'?"
    if below:
        return f"unknown key; it belongs into {' or '.join(f'`{place}`' for place in below)}"
    return f"unknown key; known here: {', '.join(known)}"


def _one_of(field: str, value: object, context: Mapping[str, Any]) -> str:
    allowed = str(context.get("expected") or context.get("expected_tags") or "'local', 's3'")
    options = allowed.replace(" or ", ", ")
    names = [] if field in _UNLIKE else [o.strip("'") for o in options.split(", ")]
    near = difflib.get_close_matches(str(value), names, n=1)
    reason = why_not_value(value) if isinstance(value, str) else ""
    why = f" ({reason})" if reason else ""
    hint = f"; did you mean '{near[0]}'?" if near and isinstance(value, str) else ""
    shown = f", not {_json(value)}" if isinstance(value, str | int | float) else ""
    return f"must be one of {options}{shown}{why}{hint}"


def _objects_with(key: str, models: Iterable[type[BaseModel]]) -> list[str]:
    """The nearest objects below those of the classes that may have the key."""
    level = {"": list(models)}
    while level:
        level = {
            f"{place}.{info.alias or name}".lstrip("."): inner
            for place, above in level.items()
            for model in above
            for name, info in model.model_fields.items()
            if (inner := list(models_in(info.annotation)))
        }
        if found := [p for p, inner in level.items() if key in _keys_of(inner)]:
            return found
    return []


def _keys_at(path: Path) -> list[str]:
    """The keys that an object at `path` may have, according to the classes."""
    return _keys_of(_models_at(path))


def _keys_of(models: Iterable[type[BaseModel]]) -> list[str]:
    return sorted({info.alias or key for m in models for key, info in m.model_fields.items()})


def _models_at(path: Path) -> list[type[BaseModel]]:
    models: list[type[BaseModel]] = [DeployConfig]
    for part in path:
        if isinstance(part, str):
            models = [
                inner
                for model in models
                for name, info in model.model_fields.items()
                if part in (info.alias, name)
                for inner in models_in(info.annotation)
            ]
    return models


def models_in(annotation: object) -> Iterator[type[BaseModel]]:
    """The model classes that an annotation mentions."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) is typing.Annotated or get_args(annotation):
        for argument in get_args(annotation):
            yield from models_in(argument)


def _below(text: str) -> Iterable[str | int]:
    """`days[1]` -> 'days', 1."""
    for part in text.replace("]", "").replace("[", ".").split("."):
        if part:
            yield int(part) if part.isdigit() else part


def path_text(path: Path) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.lstrip(".")


def _json(value: object) -> str:
    return json.dumps(value) if value is None or isinstance(value, bool) else repr(value)
