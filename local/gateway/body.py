"""Reads the body of a request in pieces, up to API Gateway's limit."""

from collections.abc import Iterator
from email.message import Message
from io import BufferedIOBase

from local.gateway.refusal import MAX_BODY_BYTES, malformed, too_large

PIECE_BYTES = 64 * 1024
MAX_CHUNK_LINE_BYTES = 1024


class DisconnectedError(Exception):
    """The client closed the connection in the middle of its request."""


def body_length(headers: Message) -> int | None:
    """Return the announced length in bytes; None for a chunked request.

    Raises RefusedError if the framing is ambiguous (two parsers could read it differently) or the
    body is too large.
    """
    lengths = set(headers.get_all("Content-Length", []))
    encoding = headers.get_all("Transfer-Encoding", [])
    if encoding:
        if lengths or [e.strip().lower() for e in encoding] != ["chunked"]:
            raise malformed("Send either Content-Length or Transfer-Encoding: chunked.")
        return None
    if not lengths:
        return 0
    length = lengths.pop()
    if lengths or not (length.isascii() and length.isdigit()):
        raise malformed("Content-Length is not one whole number.")
    if int(length) > MAX_BODY_BYTES:
        raise too_large()
    return int(length)


def pieces(stream: BufferedIOBase, length: int) -> Iterator[bytes]:
    """Yield exactly `length` bytes as they arrive. Raises DisconnectedError if they end early."""
    while length:
        try:
            piece = stream.read(min(length, PIECE_BYTES))
        except OSError:  # connection reset, or the handler's timeout is over
            raise DisconnectedError from None
        if not piece:
            raise DisconnectedError
        length -= len(piece)
        yield piece


def unchunked(stream: BufferedIOBase) -> bytes:
    """Read a whole chunked body: the next reader needs its length."""
    body = bytearray()
    while size := _chunk_size(_line(stream)):
        if len(body) + size > MAX_BODY_BYTES:
            raise too_large()
        for piece in pieces(stream, size):
            body += piece
        if _line(stream):
            raise malformed("A chunk is longer than it says.")
    while _line(stream):  # trailers, which nobody needs
        pass
    return bytes(body)


def _line(stream: BufferedIOBase) -> bytes:
    line = stream.readline(MAX_CHUNK_LINE_BYTES)
    if not line:
        raise DisconnectedError
    if not line.endswith(b"\n"):
        raise malformed("A chunk is malformed.")
    return line.rstrip(b"\r\n")


def _chunk_size(line: bytes) -> int:
    digits = line.partition(b";")[0].strip()
    if not digits or digits.strip(b"0123456789abcdefABCDEF") or len(digits) > 8:
        raise malformed("A chunk has no size.")
    return int(digits, 16)
