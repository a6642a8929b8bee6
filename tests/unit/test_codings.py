"""Bodies in a content coding."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdas.core.codings import DecodedTooLarge, NotDecodable, coding_of, decoded, is_in

PACKED = gzip.compress(b"{}", mtime=0)  # the time would be in the names of tests
CODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
}


@given(body=st.binary(max_size=2000), coding=st.sampled_from(sorted(CODERS)))
def test_body_is_as_it_was_before_it_was_coded(body: bytes, coding: str) -> None:
    coded = CODERS[coding](body)

    assert is_in(coded, coding)
    assert decoded(coded, coding, len(body)) == body


def test_members_of_gzip_follow_one_another() -> None:
    assert decoded(gzip.compress(b"one ") + gzip.compress(b"two"), "gzip", 7) == b"one two"


def test_many_small_members_are_unpacked_in_one_pass() -> None:
    """Copying what is left of the body for each of them took minutes."""
    member = gzip.compress(b"")
    assert decoded(member * 200_000 + gzip.compress(b"end"), "gzip", 3) == b"end"


def test_a_form_that_begins_with_x_is_not_taken_for_deflate() -> None:
    assert not is_in(b"x=1&y=2", "deflate")
    assert not is_in(b"x", "deflate")


@pytest.mark.parametrize("members", [1, 3])
def test_body_that_would_be_too_large_is_not_unpacked(members: int) -> None:
    coded = gzip.compress(b"x" * 30_000_000) * members

    with pytest.raises(DecodedTooLarge):
        decoded(coded, "gzip", 29_999_999)


@pytest.mark.parametrize(
    "coded",
    [
        b"",
        b"{}",
        PACKED[:-1],
        PACKED[:12],
        PACKED + b"{}",
        zlib.compress(b"{}"),
    ],
)
def test_body_that_is_not_in_its_coding_is_refused(coded: bytes) -> None:
    with pytest.raises(NotDecodable):
        decoded(coded, "gzip", 100)


@pytest.mark.parametrize("coded", [b"x\x9c", zlib.compress(b"{}")[:-1], zlib.compress(b"{}") * 2])
def test_body_that_is_not_whole_or_goes_on_is_refused(coded: bytes) -> None:
    with pytest.raises(NotDecodable):
        decoded(coded, "deflate", 100)


@pytest.mark.parametrize(
    ("header", "coding"),
    [("", None), ("identity", None), (" GZIP ", "gzip"), ("identity, x-gzip,", "x-gzip")],
)
def test_header_names_a_coding_or_none(header: str, coding: str | None) -> None:
    assert coding_of(header) == coding


@pytest.mark.parametrize("header", ["br", "gzip, gzip", "gzip;q=1", "compress"])
def test_header_with_another_coding_is_refused(header: str) -> None:
    with pytest.raises(NotDecodable):
        coding_of(header)
