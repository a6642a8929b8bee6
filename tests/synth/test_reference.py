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
"""Type and default, as docs/configuration.md shows them."""


def fields(schema: Mapping[str, Any]) -> dict[str, Shape]:
    """Each field by its path in the file; fields of an entry by their path in the entry, unless the
    file has a field of that name too."""
    found: dict[str, Shape] = {}
    for full, (kind, default) in _below(schema, schema, ""):
        path = full.removeprefix(ENTRY)
        path = full if path in schema["properties"] else path
        if path in found:  # another shape of a union has the field too
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
    """The shapes that a field may have, without null, which means that it is left out."""
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
    """Type and default of each field in docs/configuration.md."""
    found: dict[str, Shape] = {}
    lines = iter((main.PROJECT / "docs" / "configuration.md").read_text().splitlines())
    for line in lines:
        if line == HEADER:
            next(lines)
            for row in iter(lambda: next(lines), ""):
                cells = ROW.fullmatch(row)
                assert cells, f"no row of the reference: {row}"
                assert cells[1] not in found, f"`{cells[1]}` stands there twice"
                found[cells[1]] = (cells[2], cells[3])
    return found


def inherited(path: str, known: Mapping[str, Shape]) -> bool:
    """Whether a field of a variant is a field of entries, or of production variants, too."""
    for prefix in INHERITED:
        name = path.removeprefix(prefix)
        if name != path and (name in known or f"variants[].{name}" in known):
            return True
    return False


def test_configuration_md_lists_each_field_with_its_type_and_default() -> None:
    schema = fields(json.loads(SCHEMA_FILE.read_text()))
    documented = rows()
    wrong = {path: shape for path, shape in documented.items() if schema.get(path) != shape}
    assert wrong == {}, {path: schema.get(path, "no such field") for path in wrong}
    own = {path: shape for path, shape in schema.items() if not inherited(path, documented)}
    missing = [f"| `{p}` | {kind} | {default} | … |" for p, (kind, default) in own.items()
               if p not in documented]  # fmt: skip
    assert missing == []
