"""Forms of JSON documents. A form finds the problems of a value, with sentences that say the
limits, and is also its JSON Schema."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from lambdas.core.errors import InvalidField

MAX_INTEGER = 2_147_483_647
"""SageMaker's integers have 32 bits: https://smithy.io/2.0/spec/simple-types.html#integer"""
MAX_FLOAT = 3.4e38
"""So have its floats, roughly: https://smithy.io/2.0/spec/simple-types.html#float"""


class Form(Protocol):
    def problems(self, value: object, path: str = "") -> Iterator[InvalidField]:
        """All problems of the `value` at `path`."""
        ...

    def schema(self) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Flag:
    """true or false."""

    def problems(self, value: object, path: str = "") -> Iterator[InvalidField]:
        if not isinstance(value, bool):
            yield InvalidField(path, f"must be true or false, not {_shown(value)}")

    def schema(self) -> dict[str, Any]:
        return {"type": "boolean"}


@dataclass(frozen=True, slots=True)
class Number:
    """`least` to `most`; `unit` is for the sentence."""

    least: int
    most: float = MAX_INTEGER
    unit: str = ""
    whole: bool = True

    def problems(self, value: object, path: str = "") -> Iterator[InvalidField]:
        right = isinstance(value, int if self.whole else int | float)
        if not right or isinstance(value, bool) or not self._within(value):
            yield InvalidField(path, f"must be {self._limits()}, not {_shown(value)}")

    def _within(self, value: Any) -> bool:
        return bool(self.least <= value <= self.most)  # false for NaN, too

    def _limits(self) -> str:
        kind = "a whole number" if self.whole else "a number"
        unit = f" of {self.unit}" if self.unit else ""
        return f"{kind}{unit}, {self.least} to {self.most}"

    def schema(self) -> dict[str, Any]:
        kind = "integer" if self.whole else "number"
        return {"type": kind, "minimum": self.least, "maximum": self.most}


@dataclass(frozen=True, slots=True)
class Text:
    """`least` to `most` characters, not only spaces."""

    least: int
    most: int

    def problems(self, value: object, path: str = "") -> Iterator[InvalidField]:
        right = isinstance(value, str) and self.least <= len(value) <= self.most
        if not right or not str(value).strip():
            limits = f"must be {self.least} to {self.most} characters, not all of them blank"
            yield InvalidField(path, f"{limits}, not {_shown(value)}")

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "minLength": self.least, "maxLength": self.most}


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the `words`."""

    words: tuple[str, ...]

    def problems(self, value: object, path: str = "") -> Iterator[InvalidField]:
        if value in self.words:
            return
        near = difflib.get_close_matches(str(value).upper(), map(str.upper, self.words), n=1)
        hint = "".join(f"; did you mean {w}?" for w in self.words if w.upper() in near)
        yield InvalidField(path, f"must be {_either(self.words)}, not {_shown(value)}{hint}")

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "enum": list(self.words)}


@dataclass(frozen=True, slots=True)
class Each:
    """An array of `least` to `most` entries of one form."""

    of: Form
    least: int = 0
    most: int | None = None

    def problems(self, value: object, path: str = "") -> Iterator[InvalidField]:
        if not isinstance(value, list):
            yield InvalidField(path, f"must be an array [...], not {_shown(value)}")
            return
        if len(value) < self.least or (self.most is not None and len(value) > self.most):
            limits = (
                f"{self.least} or more" if self.most is None else f"{self.least} to {self.most}"
            )
            yield InvalidField(path, f"must have {limits} entries, not {len(value)}")
        for index, entry in enumerate(value):
            yield from self.of.problems(entry, f"{path}[{index}]")

    def schema(self) -> dict[str, Any]:
        most = {} if self.most is None else {"maxItems": self.most}
        return {"type": "array", "items": self.of.schema(), "minItems": self.least, **most}


@dataclass(frozen=True, slots=True)
class Fields:
    """An object with these fields and no others."""

    fields: Mapping[str, Form]
    required: frozenset[str] = field(default_factory=frozenset)

    def problems(self, value: object, path: str = "") -> Iterator[InvalidField]:
        if not isinstance(value, dict):
            yield InvalidField(path, f"must be an object {{...}}, not {_shown(value)}")
            return
        for name in value:
            if name not in self.fields:
                yield InvalidField(below(path, name), self._unknown(name))
        for name, form in self.fields.items():
            if name in value:
                yield from form.problems(value[name], below(path, name))
            elif name in self.required:
                yield InvalidField(below(path, name), "is required")

    def _unknown(self, name: str) -> str:
        by_folded = {known.casefold(): known for known in self.fields}
        near = difflib.get_close_matches(name.casefold(), by_folded, n=1)
        if near:
            return f"unknown key; did you mean '{by_folded[near[0]]}'?"
        return f"unknown key; known here: {', '.join(self.fields)}"

    def schema(self) -> dict[str, Any]:
        required = {"required": sorted(self.required)} if self.required else {}
        return {
            "type": "object",
            "properties": {name: form.schema() for name, form in self.fields.items()},
            "additionalProperties": False,
            **required,
        }


def refuse(problems: Iterable[InvalidField]) -> None:
    """Raise all problems as one InvalidField, if there are any."""
    found = list(problems)
    if found:
        sentences = "; ".join([found[0].sentence, *map(str, found[1:])])
        raise InvalidField(found[0].field, sentences)


def below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _either(words: tuple[str, ...]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"


def _shown(value: object) -> str:
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "an array"
    if value is None or isinstance(value, bool):
        return str(value).lower().replace("none", "null")
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
