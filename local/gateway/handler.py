"""One client connection: it checks and forwards each request, and streams the response back."""

import contextlib
import http.client
import json
import socket
import sys
import time
import uuid
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import ClassVar

from local.gateway.body import PIECE_BYTES, DisconnectedError, body_length, pieces, unchunked
from local.gateway.refusal import ERROR_CODES, MAX_HEADER_BYTES, RefusedError, malformed
from local.gateway.upstream import Api, Upstream

HOP_BY_HOP = {
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
}
LINGER_SECONDS = 2.0
METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")


class Handler(BaseHTTPRequestHandler):
    """Serves one connection. A subclass sets `api`."""

    protocol_version = "HTTP/1.1"
    timeout = 75
    disable_nagle_algorithm = True
    wbufsize = -1
    api: ClassVar[Api]

    def setup(self) -> None:
        super().setup()
        self.upstream = Upstream(self.api)

    def finish(self) -> None:
        self.upstream.close()
        super().finish()

    def forward(self) -> None:
        """Answer one request of a method that API Gateway knows."""
        began = time.monotonic()
        try:
            answer = self._send_upstream()
        except RefusedError as refused:
            self.send_error(refused.status, refused.sentence)
        except DisconnectedError:
            self.close_connection = True
        else:
            try:
                self._stream_back(answer)
            except (OSError, http.client.HTTPException):  # one of the two closed the connection
                self.close_connection = True
                self.upstream.close()
            milliseconds = (time.monotonic() - began) * 1000
            self._log(f"{answer.status} in {milliseconds:.0f} ms")

    # The base class looks for these names.
    do_DELETE = do_GET = do_HEAD = do_OPTIONS = do_PATCH = do_POST = do_PUT = forward  # noqa: N815

    def handle_expect_100(self) -> bool:
        """Do not ask for the body yet: `_send_upstream` first checks the request."""
        return True

    def _send_upstream(self) -> http.client.HTTPResponse:
        prefix = f"/{self.api.stage}"
        if self.path.partition("?")[0] != prefix and not self.path.startswith(f"{prefix}/"):
            raise RefusedError(HTTPStatus.NOT_FOUND, f"The API's addresses begin with {prefix}/.")
        folded = any("\n" in value for value in self.headers.values())
        if folded or self.headers.defects or self.headers.get_payload():
            raise malformed("A header is malformed.")
        head_bytes = len(self.requestline) + sum(len(n) + len(v) for n, v in self.headers.items())
        if head_bytes > MAX_HEADER_BYTES:
            raise RefusedError(
                HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
                f"Request line and headers may hold {MAX_HEADER_BYTES:,} bytes at most.",
            )
        length = body_length(self.headers)
        if self.headers.get("Expect", "").lower() == "100-continue":
            self.send_response_only(HTTPStatus.CONTINUE)
            self.end_headers()
            self.wfile.flush()
        if length is None:
            whole = unchunked(self.rfile)
            return self.upstream.send(
                self.command, self.path, self._forwarded_headers(len(whole)), [whole]
            )
        headers, body = self._forwarded_headers(length), pieces(self.rfile, length)
        return self.upstream.send(self.command, self.path, headers, body)

    def _forwarded_headers(self, length: int) -> Iterator[tuple[str, str]]:
        """Yield the headers that API Gateway would forward, and those that it adds."""
        named = self.headers.get("Connection", "").lower().split(",")
        own = {"host", "content-length", "expect", "x-forwarded-for", "x-forwarded-port"}
        dropped = HOP_BY_HOP | own | {"x-forwarded-proto"} | {name.strip() for name in named}
        yield "Host", self.api.host
        yield from ((n, v) for n, v in self.headers.items() if n.lower() not in dropped)
        if length or self.command in {"PATCH", "POST", "PUT"}:
            yield "Content-Length", str(length)
        hops = [*self.headers.get_all("X-Forwarded-For", []), self.client_address[0]]
        yield "X-Forwarded-For", ", ".join(hops)
        yield "X-Forwarded-Port", str(self.connection.getsockname()[1])
        yield "X-Forwarded-Proto", "http"

    def _stream_back(self, answer: http.client.HTTPResponse) -> None:
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in HOP_BY_HOP | {"content-length"}:
                self.send_header(name, value)
        bodiless = self.command == "HEAD" or answer.status in {204, 304}
        announced = answer.getheader("Content-Length") if bodiless else answer.length
        if announced is not None:
            self.send_header("Content-Length", str(announced))
        elif not bodiless:
            self.close_connection = True  # the end of the connection ends the body
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        while piece := answer.read1(PIECE_BYTES):
            self.wfile.write(piece)
            self.wfile.flush()
        if answer.length:  # the emulator stopped early: close, or the client would wait
            self.close_connection = True
        answer.close()  # frees the connection for the next request

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer in the API's own format. The base class calls this too, for malformed requests."""
        del explain
        status = HTTPStatus(code)
        if status is HTTPStatus.NOT_IMPLEMENTED:  # a method that the base class doesn't find
            status, message = HTTPStatus.METHOD_NOT_ALLOWED, f"Methods are {', '.join(METHODS)}."
        request_id = str(uuid.uuid4())
        error = {"error": message or status.phrase, "code": ERROR_CODES.get(status, "BadRequest")}
        body = json.dumps({**error, "requestId": request_id}).encode()
        self.close_connection = True  # the connection may still hold an unread body
        self.send_response_only(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("x-amzn-RequestId", request_id)
        if status is HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", ", ".join(METHODS))
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self._log(f"{status} {error['code']}")
        self._linger()

    def _linger(self) -> None:
        """Read for a while what the client still sends: a reset would destroy our response."""
        deadline = time.monotonic() + LINGER_SECONDS
        with contextlib.suppress(OSError):
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(LINGER_SECONDS)
            while self.connection.recv(PIECE_BYTES) and time.monotonic() < deadline:
                pass

    def _log(self, outcome: str) -> None:
        """Log a request, without its query and headers, which may hold a token."""
        path = getattr(self, "path", "").partition("?")[0]
        print(f"{self.log_date_time_string()} {self.command} {path} {outcome}", file=sys.stderr)
