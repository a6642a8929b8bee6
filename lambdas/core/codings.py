"""Bodies in a content coding (`Content-Encoding: gzip`), back to what they were.

API Gateway decodes them before a function or SageMaker gets them, and answers 415 if it cannot:
https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-make-request-with-compressed-payload.html
"""

from __future__ import annotations

import gzip
import zlib
from io import BytesIO

ACCEPTED = "gzip, deflate or identity"
ADVICE = f"It may be {ACCEPTED}; without the header the body passes as it is."
_GZIP = frozenset({"gzip", "x-gzip"})
_CODINGS = _GZIP | {"deflate"}


class NotDecodable(Exception):
    """The coding is none of ours, or the body is not in it: its text says which."""


class DecodedTooLarge(Exception):
    """Decoded, the body would be larger than it may be. A small body can hold a huge one."""


def coding_of(content_encoding: str) -> str | None:
    """The coding that a header names; None if it says that there is none. Raises NotDecodable."""
    named = [each.strip().lower() for each in content_encoding.split(",")]
    codings = [each for each in named if each not in ("", "identity")]
    if len(codings) > 1 or (codings and codings[0] not in _CODINGS):
        raise NotDecodable("The Content-Encoding is not known here.")
    return codings[0] if codings else None


def is_in(body: bytes, coding: str) -> bool:
    """Whether a body begins as one in that coding."""
    if coding in _GZIP:
        return body.startswith(b"\x1f\x8b")
    # The header of zlib: https://www.rfc-editor.org/rfc/rfc1950#section-2.2
    return len(body) > 1 and body[0] & 0x0F == 8 and int.from_bytes(body[:2]) % 31 == 0


def decoded(body: bytes, coding: str, most_bytes: int) -> bytes:
    """The body as it was before. Raises NotDecodable and DecodedTooLarge."""
    other = NotDecodable(f"The body is not in {coding} as its Content-Encoding says, or not whole.")
    if not is_in(body, coding):
        raise other
    try:
        whole = (_ungzipped if coding in _GZIP else _inflated)(body, most_bytes + 1)
    except (EOFError, OSError, zlib.error):
        raise other from None
    if len(whole) > most_bytes:
        raise DecodedTooLarge
    return whole


def _ungzipped(body: bytes, most_bytes: int) -> bytes:
    """At most so many bytes. The body may have several members."""
    with gzip.GzipFile(fileobj=BytesIO(body)) as members:
        return members.read(most_bytes)


def _inflated(body: bytes, most_bytes: int) -> bytes:
    """The same of one stream. Raises EOFError if it is not whole or something follows it."""
    stream = zlib.decompressobj()
    whole = stream.decompress(body, most_bytes)
    if len(whole) < most_bytes and (not stream.eof or stream.unused_data):
        raise EOFError
    return whole
