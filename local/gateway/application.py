"""The gateway as an ASGI application: it checks and forwards requests, and streams responses."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

import httpcore
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from lambdas.core import codings
from local.gateway.upstream import Api, connected, end_to_end
from local.serving.bodies import whole_body
from local.serving.errors import RefusedError, error_response
from local.serving.hosts import OnlyLoopbackHosts

MAX_BODY_BYTES = 10 * 1024 * 1024
MAX_HEADER_BYTES = 10_240
METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")


class Streamed(StreamingResponse):
    """Passes the pieces of an answer on as they come, and frees its connection."""

    def __init__(self, answer: httpcore.Response) -> None:
        super().__init__(answer.aiter_stream(), answer.status)
        self.raw_headers = end_to_end(answer.headers)
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._answer.aclose()


def gateway(api: Api) -> Starlette:
    """The gateway of one API."""

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[Mapping[str, Any]]:
        async with connected(api) as upstream:
            yield {"upstream": upstream}

    async def no_route(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        sentence = f"The API's addresses begin with /{api.stage}/."
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            sentence = f"Methods are {', '.join(METHODS)}."
        return _refused(request, HTTPStatus(error.status_code), sentence, error.headers)

    return Starlette(
        routes=[
            Route(f"/{api.stage}{rest}", _forward, methods=METHODS) for rest in ("", "/{path:path}")
        ],
        middleware=[Middleware(OnlyLoopbackHosts)],
        lifespan=lifespan,
        exception_handlers={
            HTTPException: no_route,
            RefusedError: _no_answer,
            ClientDisconnect: _nobody_there,
        },
    )


async def _forward(request: Request) -> Response:
    began = time.monotonic()
    _check_head(request)
    # In a thread, because unpacking may take a second.
    body = await asyncio.to_thread(_decoded, request, await whole_body(request, MAX_BODY_BYTES))
    answer = await request.state.upstream.send(request, body)
    _log(request, f"{answer.status} in {(time.monotonic() - began) * 1000:.0f} ms")
    return Streamed(answer)


def _check_head(request: Request) -> None:
    """Raise RefusedError for a head that API Gateway would refuse."""
    if "Content-Length" in request.headers and "Transfer-Encoding" in request.headers:
        raise RefusedError(
            HTTPStatus.BAD_REQUEST, "Send either Content-Length or Transfer-Encoding: chunked."
        )
    line = len(request.method) + len(request.scope["raw_path"]) + len(request.scope["query_string"])
    if line + sum(len(n) + len(v) for n, v in request.headers.raw) > MAX_HEADER_BYTES:
        raise RefusedError(
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
            f"Request line and headers may hold {MAX_HEADER_BYTES:,} bytes at most.",
        )


def _decoded(request: Request, body: bytes) -> bytes:
    """The body without its Content-Encoding, as API Gateway hands it on. Raises RefusedError."""
    try:
        coding = codings.coding_of(",".join(request.headers.getlist("Content-Encoding")))
        return codings.decoded(body, coding, MAX_BODY_BYTES) if coding and body else body
    except codings.NotDecodable as error:
        raise RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"{error} {codings.ADVICE}") from None
    except codings.DecodedTooLarge:
        raise RefusedError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"A body may hold {MAX_BODY_BYTES:,} bytes at most, and unpacked this one has more.",
        ) from None


async def _no_answer(request: Request, error: Exception) -> Response:
    assert isinstance(error, RefusedError)
    return _refused(request, error.status, error.sentence)


async def _nobody_there(_request: Request, _error: Exception) -> Response:
    return Response()  # the client has gone


def _refused(
    request: Request,
    status: HTTPStatus,
    sentence: str,
    headers: Mapping[str, str] | None = None,
) -> Response:
    _log(request, str(status.value))
    return error_response(status, sentence, headers)


def _log(request: Request, outcome: str) -> None:
    """Log a request, without its query and headers, which may hold a token."""
    now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    path = request.scope["raw_path"].decode("ascii")
    print(f"{now} {request.method} {path} {outcome}", file=sys.stderr)
