"""boto3's conversions are the reference."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from boto3.dynamodb.types import Binary, TypeDeserializer, TypeSerializer
from hypothesis import given
from hypothesis import strategies as st

from lambdas.aws.attribute_values import decode, encode

_NUMBERS = st.integers(-(10**37), 10**37) | st.decimals(
    allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9, places=6
)
_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.text() | _NUMBERS | st.frozensets(st.text(), min_size=1),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(value=_VALUES)
def test_values_are_written_as_boto3_writes_them(value: Any) -> None:
    assert _unordered(encode({"a": value})["a"]) == _unordered(TypeSerializer().serialize(value))


@given(value=_VALUES)
def test_values_are_read_as_boto3_reads_them(value: Any) -> None:
    written = encode({"a": value})
    assert decode(written) == {"a": TypeDeserializer().deserialize(written["a"])}


@pytest.mark.parametrize(
    "value",
    [b"\x00", {b"\x00", b"\x01"}, {Decimal("1.5"), 2}],
    ids=["bytes", "set of bytes", "set of numbers"],
)
def test_types_that_only_tables_of_others_have_are_read(value: Any) -> None:
    written = TypeSerializer().serialize(value)
    read = TypeDeserializer().deserialize(written)
    assert decode({"a": written}) == {"a": b"\x00" if isinstance(read, Binary) else read}


@pytest.mark.parametrize(
    "value",
    [1.5, float("nan"), object(), b"\x00", set()],
    ids=["float", "nan", "object", "bytes", "empty set"],
)
def test_other_types_are_not_written(value: object) -> None:
    with pytest.raises(TypeError):
        encode({"a": value})


@pytest.mark.parametrize("value", [Decimal("Infinity"), Decimal("NaN")], ids=str)
def test_numbers_that_are_not_finite_are_not_written(value: Decimal) -> None:
    with pytest.raises(TypeError):
        encode({"a": value})


def test_numbers_of_more_digits_than_dynamodb_has_are_not_rounded() -> None:
    with pytest.raises(ArithmeticError):
        encode({"a": Decimal("1." + "1" * 38)})


def _unordered(value: Any) -> Any:
    """Sets of strings have no order on the wire."""
    match value:
        case {"SS": members}:
            return {"SS": sorted(members)}
        case {"L": parts}:
            return {"L": [_unordered(part) for part in parts]}
        case {"M": parts}:
            return {"M": {name: _unordered(part) for name, part in parts.items()}}
        case _:
            return value
