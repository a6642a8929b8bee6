"""DynamoDB's update, condition and key expressions, as far as the adapters use them."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any, TypeVar

Item = dict[str, Any]
"""An item as it goes over the wire: every value is {"S": …}, {"N": …}, {"M": …}."""
Names = Mapping[str, str]
Test = Callable[[Item, Names, Item], bool]

_TOKEN = re.compile(r"\s*(<=|>=|<>|[()<>=,]|[\w:#.]+)")
_CLAUSE = re.compile(r"\b(SET|REMOVE|ADD|DELETE)\b")
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@lru_cache(maxsize=4096)
def condition(text: str) -> Test:
    """The predicate of a condition, filter or key expression."""
    tokens = _TOKEN.findall(text)
    test, rest = _any_of(tokens)
    if rest:
        raise ValueError(f"cannot read {rest} in {text!r}")
    return test


def _any_of(tokens: list[str]) -> tuple[Test, list[str]]:
    one, tokens = _all_of(tokens)
    while tokens and tokens[0] == "OR":
        other, tokens = _all_of(tokens[1:])
        one = _either(one, other)
    return one, tokens


def _all_of(tokens: list[str]) -> tuple[Test, list[str]]:
    one, tokens = _simple(tokens)
    while tokens and tokens[0] == "AND":
        other, tokens = _simple(tokens[1:])
        one = _both(one, other)
    return one, tokens


def _either(one: Test, other: Test) -> Test:
    return lambda item, names, values: one(item, names, values) or other(item, names, values)


def _both(one: Test, other: Test) -> Test:
    return lambda item, names, values: one(item, names, values) and other(item, names, values)


def _simple(tokens: list[str]) -> tuple[Test, list[str]]:
    head = tokens[0]
    if head == "(":
        test, rest = _any_of(tokens[1:])
        if rest[0] != ")":
            raise ValueError(f"expected ) at {rest}")
        return test, rest[1:]
    if head in ("attribute_exists", "attribute_not_exists"):
        path, wanted = tokens[2], head == "attribute_exists"
        return (
            lambda item, names, _values: (_lookup(item, path, names) is not None) is wanted
        ), tokens[4:]
    if tokens[1] == "BETWEEN":
        first, rest = _comparison(head, ">=", tokens[2]), tokens[4:]
        return _both(first, _comparison(head, "<=", rest[0])), rest[1:]
    if head == "size":  # size ( path ) < value
        return _comparison(f"size {tokens[2]}", tokens[4], tokens[5]), tokens[6:]
    return _comparison(head, tokens[1], tokens[2]), tokens[3:]


def _comparison(left: str, sign: str, right: str) -> Test:
    compare = _COMPARE[sign]

    def compared(item: Item, names: Names, values: Item) -> bool:
        one, other = _operand(left, item, names, values), _operand(right, item, names, values)
        if one is None or other is None:
            return False
        return compare(plain(one), plain(other))

    return compared


def plain(value: Mapping[str, Any]) -> Any:
    """A scalar of the wire as a Python value that can be compared."""
    ((kind, content),) = value.items()
    return Decimal(content) if kind == "N" else content


def _operand(text: str, item: Item, names: Names, values: Item) -> Any:
    if text.startswith("size "):
        members = _lookup(item, text.removeprefix("size "), names)
        return members and {"N": str(len(*members.values()))}  # of a set or a map
    return values[text] if text.startswith(":") else _lookup(item, text, names)


def _lookup(item: Item, path: str, names: Names) -> Any:
    value: Any = {"M": item}
    for part in path.split("."):
        value = value["M"].get(names.get(part, part))
        if value is None:
            return None
    return value


_Read = TypeVar("_Read")
_KEPT = 5_000


def once(read: Callable[[Item], _Read]) -> Callable[[Item], _Read]:
    """A cache: items are read again and again, and are never changed in place."""
    known: dict[int, tuple[Item, _Read]] = {}

    def read_once(item: Item) -> _Read:
        found = known.get(id(item))
        if found is None:
            if len(known) >= _KEPT:
                known.clear()
            found = known[id(item)] = (
                item,
                read(item),
            )  # keep the item, so that no other gets its id
        return found[1]

    return read_once


@lru_cache(maxsize=4096)
def _clauses(text: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    parts = _CLAUSE.split(text)[1:]
    return tuple(
        (word, tuple(action.strip() for action in actions.split(",")))
        for word, actions in zip(parts[::2], parts[1::2], strict=True)
    )


def update(item: Item, text: str, names: Names, values: Item) -> Item:
    """The item after an update expression. Operands are read from the item before it."""
    after = dict(item)
    for word, actions in _clauses(text):
        for action in actions:
            if word == "SET":
                path, expression = action.split(" = ")
                _put(after, path, names, _sum(expression, item, names, values))
            elif word == "REMOVE":
                _put(after, action, names, None)
            else:
                path, by = action.split(" ")
                old, change = _lookup(item, path, names), values[by]
                if "SS" in change:
                    _put(after, path, names, _members(old, change, added=word == "ADD"))
                else:
                    _put(after, path, names, _added(old or {"N": "0"}, change))
    return after


def _sum(expression: str, item: Item, names: Names, values: Item) -> Any:
    terms = [_operand(term, item, names, values) for term in expression.split(" + ")]
    if any(term is None for term in terms):
        raise ValueError(f"no such attribute in {expression}")
    total = terms[0]
    for term in terms[1:]:
        total = _added(total, term)
    return total


def _added(one: Item, other: Item) -> Item:
    return {"N": str(Decimal(one["N"]) + Decimal(other["N"]))}


def _members(old: Item | None, change: Item, *, added: bool) -> Item | None:
    """A set with members added or removed. DynamoDB does not store empty sets."""
    before = set(old["SS"]) if old else set()
    after = before | {*change["SS"]} if added else before - {*change["SS"]}
    return {"SS": sorted(after)} if after else None


def _put(item: Item, path: str, names: Names, value: Any) -> None:
    """Set the value at a path, or remove it (None). The maps above it are copied, not shared."""
    *above, last = (names.get(part, part) for part in path.split("."))
    for part in above:
        item[part] = {"M": dict(item[part]["M"])}
        item = item[part]["M"]
    if value is None:
        item.pop(last, None)
    else:
        item[last] = value
