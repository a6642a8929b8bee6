"""The HTTP server: SageMaker's JSON 1.1 protocol, the runtime's REST paths, our own `/_` paths."""

from __future__ import annotations

import logging
import select
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from local.simulator import routes
from local.simulator.routes import Reply
from local.simulator.service import NoReplyError, Simulator

LARGEST_BODY = 8 * 1024 * 1024
SILENCE_SECONDS = 120.0
"""How long a caller without an answer is kept waiting, unless it closes the connection."""

log = logging.getLogger(__name__)


class SimulatorServer(ThreadingHTTPServer):
    """Serves one simulator on loopback. It has a thread per connection and does not wait for them
    at the end."""

    request_queue_size = 256
    daemon_threads = True
    block_on_close = False

    def __init__(self, simulator: Simulator, port: int = 0) -> None:
        self.simulator = simulator
        super().__init__(("127.0.0.1", port), Handler)

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def handle_error(self, *_: object) -> None:
        """Ignore callers that close the connection; log anything else, which is a bug of ours."""
        error = sys.exc_info()[1]
        if not isinstance(error, ConnectionError | TimeoutError):
            log.error("connection failed", exc_info=error)


class Handler(BaseHTTPRequestHandler):
    """One keep-alive connection. With `wbufsize`, every reply is sent in one write."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 64 * 1024
    server_version = "sagemaker-simulator"
    sys_version = ""
    timeout = 300
    server: SimulatorServer

    def do_POST(self) -> None:
        self._handle()

    def do_GET(self) -> None:
        self._handle()

    def do_DELETE(self) -> None:
        self._handle()

    def log_message(self, *_: object) -> None:
        """Log nothing: `_handle` logs its own line."""

    def _handle(self) -> None:
        started = time.perf_counter()
        body = self._body()
        if body is None:
            self.close_connection = True
            reply = Reply(413, b'{"message":"Send a body of at most 8 MiB, with its length."}')
        else:
            request = routes.Request(self.command, self.path, self.headers, body)
            try:
                reply = routes.answer(self.server.simulator, request)
            except NoReplyError:
                self._log("no reply", started)
                self._stay_silent()
                return
            except Exception:  # even a bug of ours must get an answer, as from SageMaker
                log.exception("call failed")
                reply = Reply(500, b'{"__type":"InternalFailure","message":"See the log."}')
        self._log(str(reply.status), started, reply.note)
        self._send(reply)

    def _body(self) -> bytes | None:
        """The body; None if it is too long or has no length."""
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return None
        length = self.headers.get("Content-Length", "0")
        if not length.isdecimal() or int(length) > LARGEST_BODY:
            return None
        return self.rfile.read(int(length))

    def _send(self, reply: Reply) -> None:
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Content-Length", str(len(reply.body)))
        self.send_header("x-amzn-RequestId", str(uuid.uuid4()))
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(reply.body)

    def _stay_silent(self) -> None:
        """Wait until the caller closes the connection, then close it here too."""
        self.close_connection = True
        select.select([self.connection], [], [], SILENCE_SECONDS)

    def _log(self, result: str, started: float, note: str = "") -> None:
        what = self.headers.get("X-Amz-Target") or f"{self.command} {self.path}"
        milliseconds = (time.perf_counter() - started) * 1000
        log.info("%s %s %s %.1f ms", _printable(what), _printable(note), result, milliseconds)


def _printable(text: str) -> str:
    """The caller's text, made safe for one line of a log."""
    return "".join(c if c.isprintable() else "?" for c in text[:200]) or "-"


@contextmanager
def serving(simulator: Simulator, port: int = 0) -> Iterator[SimulatorServer]:
    """A running server and its thread for due changes. Both stop on exit, and the port is free."""
    server = SimulatorServer(simulator, port)
    threads = [
        threading.Thread(target=server.serve_forever, args=(0.02,), name="http", daemon=True),
        threading.Thread(target=simulator.run_changes, name="changes", daemon=True),
    ]
    for thread in threads:
        thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        simulator.stop()
        server.server_close()
        for thread in threads:
            thread.join(2)
