"""Reads the body of a request, up to a limit."""

import asyncio
from http import HTTPStatus

from starlette.requests import Request

from local.serving.errors import RefusedError

BODY_SECONDS = 75.0


async def whole_body(request: Request, most_bytes: int) -> bytes:
    """Return the body. A body whose announced length is too long is refused unread.

    Raises RefusedError if it is too long or too slow, and ClientDisconnect if it ends early.
    """
    if int(request.headers.get("Content-Length", 0)) > most_bytes:  # h11 has checked the number
        raise _too_large(most_bytes)
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for piece in request.stream():
                body += piece
                if len(body) > most_bytes:
                    raise _too_large(most_bytes)
    except TimeoutError:
        raise RefusedError(
            HTTPStatus.REQUEST_TIMEOUT,
            f"The body did not arrive within {BODY_SECONDS:.0f} seconds.",
        ) from None
    return bytes(body)


def _too_large(most_bytes: int) -> RefusedError:
    """The error for a longer body."""
    sentence = f"A body may hold {most_bytes:,} bytes at most."
    return RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, sentence)
