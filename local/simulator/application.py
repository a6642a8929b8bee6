"""The simulator as an ASGI application. Its work is synchronous and runs in threads."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import uuid
from collections.abc import Awaitable, Callable
from functools import partial
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route, request_response

from local.serving.bodies import whole_body
from local.serving.errors import RefusedError, error_response
from local.serving.hosts import OnlyLoopbackHosts
from local.serving.repeats import Repeats
from local.signature import Head
from local.simulator import control, routes
from local.simulator.callers import Callers
from local.simulator.reply import Incoming, Reply
from local.simulator.service import NoReplyError, Simulator

LARGEST_BODY = 8 * 1024 * 1024
SILENCE_SECONDS = 120.0
"""How long a caller without an answer is kept waiting, unless it closes the connection."""
Work = Callable[[Simulator, Incoming], Reply]
INFERENCES = (
    ("/endpoints/{endpoint}/invocations", routes.invocation),
    ("/endpoints/{endpoint}/async-invocations", routes.asynchronous_invocation),
)
UNSIGNED: tuple[tuple[str, str, Work], ...] = (
    ("GET", "/_health", control.health),
    ("GET", "/_faults", control.faults),
    ("POST", "/_faults", control.post_fault),
    ("DELETE", "/_faults", control.clear_faults),
    ("GET", "/_calls", control.calls),
    ("DELETE", "/_calls", control.forget_calls),
)

log = logging.getLogger(__name__)


def application(simulator: Simulator, callers: Callers) -> Starlette:
    """SageMaker's JSON 1.1 protocol, the runtime's REST paths, and our own `/_` paths."""

    def endpoint(work: Work) -> Callable[[Request], Awaitable[Response]]:
        async def handle(request: Request) -> Response:
            started = time.perf_counter()
            body = await whole_body(request, LARGEST_BODY)
            named = request.path_params.get("endpoint", "")
            incoming = Incoming(_head(request), request.headers, body, named)
            try:
                reply = await run_in_threadpool(work, simulator, incoming)
            except NoReplyError:
                _log(request, "no reply", started)
                return await _silence(request)
            _log(request, str(reply.status), started, reply.note)
            return _response(reply)

        return handle

    return Starlette(
        routes=[
            Route(
                "/",
                Repeats(request_response(endpoint(partial(routes.control_plane, callers=callers)))),
                methods=["POST"],
            ),
            *(
                Route(path, endpoint(partial(work, callers=callers)), methods=["POST"])
                for path, work in INFERENCES
            ),
            *(Route(path, endpoint(work), methods=[method]) for method, path, work in UNSIGNED),
        ],
        middleware=[Middleware(OnlyLoopbackHosts)],
        exception_handlers={
            HTTPException: _no_route,
            RefusedError: _refused,
            ClientDisconnect: _nobody_there,
            Exception: _failed,
        },
    )


def _head(request: Request) -> Head:
    """What a signature covers, besides the body."""
    names = request.headers.keys()
    return Head(
        request.method,
        request.scope["raw_path"].decode("ascii"),
        request.url.query,
        {name: ",".join(request.headers.getlist(name)) for name in names},
    )


def _response(reply: Reply) -> Response:
    given = {"Content-Type": reply.content_type, "x-amzn-RequestId": str(uuid.uuid4())}
    return Response(reply.body, reply.status, {**given, **reply.headers})


async def _silence(request: Request) -> Response:
    """Wait until the caller closes the connection. One that waits on is answered at last."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(SILENCE_SECONDS):
            while (await request.receive())["type"] != "http.disconnect":
                pass
    return error_response(HTTPStatus.GATEWAY_TIMEOUT, "The call took effect: TimeoutAfter.")


async def _no_route(request: Request, _error: Exception) -> Response:
    sentence = f"There is no {request.method} {request.url.path}."
    return error_response(HTTPStatus.NOT_FOUND, sentence)


async def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RefusedError)
    return error_response(error.status, error.sentence)


async def _nobody_there(_request: Request, _error: Exception) -> Response:
    return Response()  # the caller has gone


async def _failed(_request: Request, _error: Exception) -> Response:
    """Even a bug of ours gets an answer, as from SageMaker. Starlette logs the error."""
    return _response(Reply(500, b'{"__type":"InternalFailure","message":"See the log."}'))


def _log(request: Request, result: str, started: float, note: str = "") -> None:
    what = request.headers.get("X-Amz-Target") or f"{request.method} {request.url.path}"
    milliseconds = (time.perf_counter() - started) * 1000
    log.info("%s %s %s %.1f ms", _printable(what), _printable(note), result, milliseconds)


def _printable(text: str) -> str:
    """The caller's text, made safe for one line of a log."""
    return "".join(c if c.isprintable() else "?" for c in text[:200]) or "-"
