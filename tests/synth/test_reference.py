"""docs/configuration.md has each field of the config, with the type and default of the schema."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import main
from constructs_lib.config.schema import SCHEMA_FILE

HEADER = "| field | type | default | meaning |"
ROW = re.compile(r"\| `([^`]+)` \| ([^|]+) \| ([^|]+) \| (.+) \|")
ENTRY = "jumpstart_models[]."
INHERITED = ("variants[].", "shadow_variants[].")
Shape = tuple[str, str]
"""Type and default, as the reference shows them."""


def fields(schema: Mapping[str, Any]) -> dict[str, Shape]:
    """Each field by its path in the file; those of an entry by their path in the entry."""
    found: dict[str, Shape] = {}
    for full, (kind, default) in _below(schema, schema, ""):
        path = full.removeprefix(ENTRY)
        if path in found:  # what tells the shapes of a union apart
            found[path] = (f"{found[path][0]} or {kind}", found[path][1])
        else:
            found[path] = (kind, default)
    return found


def _below(
    schema: Mapping[str, Any], part: Mapping[str, Any], path: str
) -> Iterator[tuple[str, Shape]]:
    for name, field in part.get("properties", {}).items():
        choices = _choices(schema, field)
        required = name in part.get("required", ())
        yield f"{path}{name}", (_type(choices), _default(field, required=required))
        for choice in choices:
            yield from _below(schema, choice, f"{path}{name}.")
            for item in _choices(schema, choice.get("items", {})):
                yield from _below(schema, item, f"{path}{name}[].")


def _choices(schema: Mapping[str, Any], field: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The shapes that a field may have, but for null, which stands for leaving it out."""
    if "$ref" in field:
        return [schema["$defs"][field["$ref"].rpartition("/")[2]]]
    every = [*field.get("anyOf", ()), *field.get("oneOf", ())]
    if not every:
        return [field]
    return [shape for each in every if each != {"type": "null"} for shape in _choices(schema, each)]


def _type(choices: list[Mapping[str, Any]]) -> str:
    words = [word for choice in choices for word in _words(choice)]
    return " or ".join(dict.fromkeys(words))


def _words(choice: Mapping[str, Any]) -> list[str]:
    values = choice.get("enum", [choice["const"]] if "const" in choice else [])
    if values and all(isinstance(value, str) for value in values):
        return [f"`{value}`" for value in values]
    return ["list" if choice["type"] == "array" else choice["type"]]


def _default(field: Mapping[str, Any], *, required: bool) -> str:
    if required:
        return "required"
    default = field.get("default")
    if default is None or default in ({}, []):
        return "none"
    if isinstance(default, dict):
        return "below"
    return f"`{default if isinstance(default, str) else json.dumps(default)}`"


def rows() -> dict[str, Shape]:
    """What the reference says, by field."""
    found: dict[str, Shape] = {}
    lines = iter((main.PROJECT / "docs" / "configuration.md").read_text().splitlines())
    for line in lines:
        if line == HEADER:
            next(lines)
            for row in iter(lambda: next(lines), ""):
                told = ROW.fullmatch(row)
                assert told, f"no row of the reference: {row}"
                assert told[1] not in found, f"`{told[1]}` stands there twice"
                found[told[1]] = (told[2], told[3])
    return found


def inherited(path: str, known: Mapping[str, Shape]) -> bool:
    """Whether a variant's field is one that entries, or other variants, have too."""
    for prefix in INHERITED:
        name = path.removeprefix(prefix)
        if name != path and (name in known or f"variants[].{name}" in known):
            return True
    return False


def test_the_reference_has_each_field_with_its_type_and_default() -> None:
    schema = fields(json.loads(SCHEMA_FILE.read_text()))
    told = rows()
    wrong = {path: shape for path, shape in told.items() if schema.get(path) != shape}
    assert wrong == {}, {path: schema.get(path, "no such field") for path in wrong}
    own = {path: shape for path, shape in schema.items() if not inherited(path, told)}
    missing = [f"| `{p}` | {kind} | {default} | … |" for p, (kind, default) in own.items()
               if p not in told]  # fmt: skip
    assert missing == []
