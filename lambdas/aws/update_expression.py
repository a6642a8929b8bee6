"""Builds one conditional UpdateItem. Names and values are bound as placeholders, never inserted as
text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lambdas.aws.attribute_values import encode


class UpdateExpression:
    """Collects SET, REMOVE, ADD, DELETE and a condition. `arguments` returns the keywords for
    boto3.

    In expressions attributes are written as `{name}` (a path as `{ops}.{id}`) and values as
    `:name`.
    """

    def __init__(self) -> None:
        self._sets: list[str] = []
        self._removes: list[str] = []
        self._adds: list[str] = []
        self._deletes: list[str] = []
        self._conditions: list[str] = []
        self._names: dict[str, str] = {}
        self._values: dict[str, Any] = {}

    def set(self, attribute: str, expression: str, **values: Any) -> UpdateExpression:
        self._sets.append(f"{self.path(attribute)} = {self._bind(expression, values)}")
        return self

    def assign(self, attributes: Mapping[str, Any]) -> UpdateExpression:
        """SET each attribute to its value. None removes it."""
        for name, value in attributes.items():
            if value is None:
                self.remove(name)
            else:
                self.set(name, f":{name}", **{name: value})
        return self

    def remove(self, *attributes: str) -> UpdateExpression:
        self._removes += [self.path(attribute) for attribute in attributes]
        return self

    def add(self, attribute: str, value: int | frozenset[str]) -> UpdateExpression:
        """Add to a number or a set."""
        self._adds.append(f"{self.path(attribute)} {self._bind(':by', {'by': value})}")
        return self

    def take_out(self, attribute: str, members: frozenset[str]) -> UpdateExpression:
        """DELETE members of a set."""
        self._deletes.append(f"{self.path(attribute)} {self._bind(':out', {'out': members})}")
        return self

    def when(self, expression: str, **values: Any) -> UpdateExpression:
        self._conditions.append(f"({self._bind(expression, values)})")
        return self

    def path(self, attribute: str) -> str:
        """Bind each part of a dotted path and return its placeholders."""
        parts = attribute.split(".", 1)
        for part in parts:
            self._names.setdefault(part, f"#n{len(self._names)}")
        return ".".join(self._names[part] for part in parts)

    def _bind(self, expression: str, values: Mapping[str, Any]) -> str:
        self._values.update({f":{name}": value for name, value in values.items()})
        while "{" in expression:
            head, _, rest = expression.partition("{")
            name, _, tail = rest.partition("}")
            expression = head + self.path(name) + tail
        return expression

    def arguments(self) -> dict[str, Any]:
        clauses = [
            f"{word} {', '.join(parts)}"
            for word, parts in (
                ("SET", self._sets),
                ("REMOVE", self._removes),
                ("ADD", self._adds),
                ("DELETE", self._deletes),
            )
            if parts
        ]
        arguments: dict[str, Any] = {
            "UpdateExpression": " ".join(clauses),
            "ExpressionAttributeNames": {alias: name for name, alias in self._names.items()},
        }
        if self._conditions:
            arguments["ConditionExpression"] = " AND ".join(self._conditions)
        if self._values:
            arguments["ExpressionAttributeValues"] = encode(self._values)
        return arguments
