"""What tests ask of JSON Schemas."""

from __future__ import annotations

from collections.abc import Iterator


def unbounded(schema: object, path: str = "") -> Iterator[str]:
    """The numbers of a JSON Schema that lack a minimum or a maximum."""
    if isinstance(schema, list):
        for number, each in enumerate(schema):
            yield from unbounded(each, f"{path}[{number}]")
    if isinstance(schema, dict):
        if schema.get("type") in ("integer", "number") and not {"enum", "const"} & schema.keys():
            bounds = {name.removeprefix("exclusive").lower() for name in schema}
            if not {"minimum", "maximum"} <= bounds:
                yield path
        for name, each in schema.items():
            yield from unbounded(each, f"{path}.{name}")
