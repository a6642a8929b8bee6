"""Attribute values of DynamoDB, as boto3's TypeSerializer and TypeDeserializer convert them. boto3
itself is not imported: every cold start would pay for it.

Floats are not written: DynamoDB's numbers are decimal.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Clamped, Context, Decimal, Inexact, Overflow, Rounded, Underflow
from typing import Any

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html
_NUMBERS = Context(
    Emin=-128, Emax=126, prec=38, traps=[Clamped, Overflow, Inexact, Rounded, Underflow]
)


def encode(values: Mapping[str, Any]) -> dict[str, Any]:
    """An item, or values of an expression. Raises TypeError for types that no table of ours has."""
    return {name: _to_wire(value) for name, value in values.items()}


def decode(item: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers become Decimal."""
    return {name: _from_wire(value) for name, value in item.items()}


def epoch(instant: datetime | None) -> Decimal | None:
    """Exact epoch seconds, with microseconds."""
    if instant is None:
        return None
    return Decimal((instant - _EPOCH) // timedelta(microseconds=1)) / 1_000_000


def instant(seconds: Any) -> datetime | None:
    if seconds is None:
        return None
    return _EPOCH + timedelta(microseconds=int(Decimal(seconds) * 1_000_000))


def _to_wire(value: object) -> dict[str, Any]:
    match value:
        case None:
            return {"NULL": True}
        case bool():
            return {"BOOL": value}
        case str():
            return {"S": value}
        case int() | Decimal():
            return {"N": _number(value)}
        case set() | frozenset() if value and all(isinstance(member, str) for member in value):
            return {"SS": sorted(value)}
        case Mapping():
            return {"M": encode(value)}
        case list() | tuple():
            return {"L": [_to_wire(each) for each in value]}
        case _:
            raise TypeError(f"DynamoDB gets no {type(value).__name__} from here: {value!r}")


def _number(value: int | Decimal) -> str:
    number = _NUMBERS.create_decimal(value)
    if not number.is_finite():
        raise TypeError(f"DynamoDB has no {number}")
    return str(number)


def _from_wire(value: Mapping[str, Any]) -> Any:
    """All types are read: an auth table of others may have any attribute."""
    ((kind, content),) = value.items()
    match kind:
        case "S" | "BOOL" | "B":
            return content
        case "N":
            return _NUMBERS.create_decimal(content)
        case "NULL":
            return None
        case "M":
            return decode(content)
        case "L":
            return [_from_wire(each) for each in content]
        case "SS" | "BS":
            return set(content)
        case "NS":
            return {_NUMBERS.create_decimal(each) for each in content}
        case _:
            raise TypeError(f"DynamoDB has no type {kind}")
