"""Serves an ASGI application on a port of loopback."""

import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from local.serving.errors import error_response

LOOPBACK = "127.0.0.1"
KEEP_ALIVE_SECONDS = 300
"""Longer than clients keep idle connections (Go: 90 s), so that the server never closes a
connection on which a request is under way."""
MOST_HEAD_BYTES = 64 * 1024


class JsonErrorProtocol(H11Protocol):
    """Answers what is not HTTP with the status that h11 suggests, and in JSON."""

    def send_400_response(self, msg: str) -> None:
        """Answer a malformed request and close. uvicorn calls this where it catches the error."""
        if self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            error = sys.exception()
            hint = error.error_status_hint if isinstance(error, h11.ProtocolError) else 400
            status = HTTPStatus(hint)
            answer = error_response(status, f"The request is not valid HTTP: {error or msg}.")
            headers = [*answer.raw_headers, (b"connection", b"close")]
            for event in (
                h11.Response(status_code=status, headers=headers, reason=status.phrase),
                h11.Data(data=bytes(answer.body)),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()


@dataclass(frozen=True)
class Address:
    """Where a server listens."""

    port: int

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"


def listener(port: int) -> socket.socket:
    """Listen on loopback; port 0 takes a free one. Raises OSError if the port is taken."""
    # With the protocol named, asyncio sets TCP_NODELAY: without it each answer waits for 40 ms.
    opened = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((LOOPBACK, port))
        opened.listen(256)
    except OSError:
        opened.close()
        raise
    return opened


def server(app: ASGIApp) -> uvicorn.Server:
    """A server of the application: call `run` with listening sockets."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            loop="asyncio",
            http=JsonErrorProtocol,
            ws="none",
            h11_max_incomplete_event_size=MOST_HEAD_BYTES,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=1,
            log_config=None,
            log_level="warning",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
        )
    )


@contextmanager
def serving(app: ASGIApp, port: int = 0) -> Iterator[Address]:
    """Serve in a thread. On exit the port is free. Raises OSError if it is taken."""
    opened = listener(port)
    running = server(app)
    thread = threading.Thread(target=running.run, args=([opened],), name="http", daemon=True)
    address = Address(opened.getsockname()[1])
    thread.start()
    try:
        yield address
    finally:
        running.should_exit = True
        thread.join(3)
