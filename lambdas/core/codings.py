"""Bodies in a content coding (`Content-Encoding: gzip`), back to what they were.

API Gateway decodes them before a function or SageMaker gets them, and answers 415 if it cannot:
https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-make-request-with-compressed-payload.html
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping

ACCEPTED = "gzip, deflate or identity"
_WINDOWS: Mapping[str, int] = {"gzip": 31, "x-gzip": 31, "deflate": 15}
"""What zlib has to be told for each coding."""
_BEGINNINGS: Mapping[str, bytes] = {"gzip": b"\x1f\x8b", "x-gzip": b"\x1f\x8b", "deflate": b"\x78"}


class NotDecodable(Exception):
    """The coding is none of ours, or the body is not in it."""


class DecodedTooLarge(Exception):
    """Decoded, the body would be larger than it may be. A small body can hold a huge one."""


def coding_of(content_encoding: str) -> str | None:
    """The coding that a header names; None if it says that there is none. Raises NotDecodable."""
    named = [each.strip().lower() for each in content_encoding.split(",")]
    codings = [each for each in named if each not in ("", "identity")]
    if len(codings) > 1 or (codings and codings[0] not in _WINDOWS):
        raise NotDecodable
    return codings[0] if codings else None


def is_in(body: bytes, coding: str) -> bool:
    """Whether a body begins as one in that coding."""
    return body.startswith(_BEGINNINGS[coding])


def decoded(body: bytes, coding: str, most_bytes: int) -> bytes:
    """The body as it was before. Raises NotDecodable and DecodedTooLarge."""
    whole = bytearray()
    while True:  # gzip allows several members, one after the other
        member = zlib.decompressobj(_WINDOWS[coding])
        try:
            whole += member.decompress(body, most_bytes + 1 - len(whole))
        except zlib.error:
            raise NotDecodable from None
        if len(whole) > most_bytes:
            raise DecodedTooLarge
        if not member.eof:
            raise NotDecodable
        body = member.unused_data
        if not body:
            return bytes(whole)
