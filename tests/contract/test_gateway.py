"""The gateway in front of a stand-in for the emulator, which records the requests it gets."""

import gzip
import socket
import threading
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from lambdas.core.answer_headers import SECURITY
from local.gateway import upstream
from local.gateway.application import gateway as gateway_application
from local.gateway.upstream import Api
from local.serving.server import serving

MEGABYTE = 1024 * 1024


@dataclass
class Received:
    """One request as the emulator saw it."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((v for n, v in self.headers if n.lower() == name.lower()), None)


@dataclass
class StandIn:
    """A stand-in for the emulator: answers as configured and records requests."""

    status: int = 200
    answer_headers: list[tuple[str, str]] = field(default_factory=list)
    answer_body: bytes = b"{}"
    silent_seconds: float = 0
    hangs_up: bool = False
    together: threading.Barrier = field(default_factory=lambda: threading.Barrier(1))
    """No request is answered before so many have come."""
    pieces: list[bytes] = field(default_factory=list)
    """Chunks of the answer, instead of its body. Before all but the first, it waits."""
    next_piece: threading.Event = field(default_factory=threading.Event)
    received: list[Received] = field(default_factory=list)
    connections: int = 0


@dataclass
class Gateway:
    """A running gateway and the server behind it."""

    port: int
    emulator: StandIn
    behind: ThreadingHTTPServer

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/prod"

    def raw(self, request: bytes) -> bytes:
        """Send raw bytes and read until the gateway closes the connection."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    emulator = StandIn()
    behind = ThreadingHTTPServer(("127.0.0.1", 0), recording(emulator))
    behind.daemon_threads = True
    threading.Thread(target=behind.serve_forever, args=[0.02], daemon=True).start()
    api = Api(f"http://127.0.0.1:{behind.server_port}", "abcd1234", "prod")
    with serving(gateway_application(api)) as front:
        yield Gateway(front.port, emulator, behind)
    behind.shutdown()
    behind.server_close()


def recording(emulator: StandIn) -> type[BaseHTTPRequestHandler]:
    class Recorder(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def setup(self) -> None:
            super().setup()
            emulator.connections += 1

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            emulator.received.append(
                Received(self.command, self.path, list(self.headers.items()), body)
            )
            emulator.together.wait()
            threading.Event().wait(emulator.silent_seconds)
            self.send_response_only(emulator.status)
            for name, value in emulator.answer_headers:
                self.send_header(name, value)
            if emulator.pieces:
                self.send_pieces()
                return
            self.send_header("Content-Length", str(len(emulator.answer_body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(emulator.answer_body)
            self.close_connection = emulator.hangs_up

        def send_pieces(self) -> None:
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for number, piece in enumerate([*emulator.pieces, b""]):
                if number == 1:
                    emulator.next_piece.wait(5)
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))

        do_GET = do_HEAD = do_POST = do_DELETE = answer  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    return Recorder


def test_a_request_is_forwarded_unchanged(gateway: Gateway) -> None:
    httpx.post(
        f"{gateway.url}/endpoint-expiry?EndpointName=a%20b&x=%2F",
        content=b'{"minutes": 5}',
        headers={"Authorization": "token", "Content-Type": "application/json"},
    )

    (received,) = gateway.emulator.received
    assert received.method == "POST"
    assert received.target == "/prod/endpoint-expiry?EndpointName=a%20b&x=%2F"
    assert received.body == b'{"minutes": 5}'
    assert received.header("Authorization") == "token"
    assert received.header("Host") == "abcd1234.execute-api.localhost"
    assert received.header("X-Forwarded-For") == "127.0.0.1"


def test_the_answer_is_returned_unchanged(gateway: Gateway) -> None:
    gateway.emulator.status = 201
    gateway.emulator.answer_headers = [
        ("X-Next", "token"),
        ("Set-Cookie", "a"),
        ("Set-Cookie", "b"),
    ]
    gateway.emulator.answer_body = bytes(range(256))

    answer = httpx.get(f"{gateway.url}/endpoint-expiry")

    assert answer.status_code == 201
    assert answer.headers["X-Next"] == "token"
    assert answer.headers.get_list("Set-Cookie") == ["a", "b"]
    assert answer.content == bytes(range(256))


def test_hop_by_hop_headers_are_not_forwarded(gateway: Gateway) -> None:
    gateway.emulator.answer_headers = [("Keep-Alive", "timeout=5"), ("Proxy-Authenticate", "x")]

    answer = httpx.get(
        gateway.url, headers={"Connection": "keep-alive, X-Mine", "X-Mine": "1", "TE": "gzip"}
    )

    (received,) = gateway.emulator.received
    assert not any(received.header(name) for name in ("Connection", "X-Mine", "TE"))
    assert "Keep-Alive" not in answer.headers
    assert "Proxy-Authenticate" not in answer.headers


def test_requests_of_one_client_share_connections(gateway: Gateway) -> None:
    with httpx.Client() as client:
        for _ in range(5):
            client.get(gateway.url)

    assert len(gateway.emulator.received) == 5
    # The next request may come a moment before the first connection is free again.
    assert gateway.emulator.connections <= 2


def test_many_clients_are_served_concurrently(gateway: Gateway) -> None:
    gateway.emulator.together = threading.Barrier(20, timeout=30)

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: httpx.get(gateway.url, timeout=30), range(20)))

    assert {answer.status_code for answer in answers} == {200}


def test_head_has_no_body(gateway: Gateway) -> None:
    with httpx.Client() as client:
        answers = [client.head(gateway.url), client.get(gateway.url)]

    assert [answer.content for answer in answers] == [b"", b"{}"]
    assert answers[0].headers["Content-Length"] == "2"


def test_a_chunked_body_is_forwarded_completely(gateway: Gateway) -> None:
    httpx.post(gateway.url, content=iter([b"ab", b"c" * MEGABYTE]))

    (received,) = gateway.emulator.received
    assert received.body == b"ab" + b"c" * MEGABYTE
    assert received.header("Transfer-Encoding") is None


def test_ten_megabytes_pass_and_one_byte_more_is_refused(gateway: Gateway) -> None:
    answers = [httpx.post(gateway.url, content=bytes(10 * MEGABYTE + more)) for more in (0, 1)]

    assert answers[0].status_code == 200
    assert len(gateway.emulator.received[0].body) == 10 * MEGABYTE
    assert_refused(answers[1], 413, "RequestTooLarge")


def test_a_chunked_body_has_the_same_limit(gateway: Gateway) -> None:
    answer = httpx.post(gateway.url, content=(bytes(MEGABYTE) for _ in range(11)))

    assert_refused(answer, 413, "RequestTooLarge")


@pytest.mark.parametrize(
    ("coding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("identity", bytes)]
)
def test_a_compressed_body_is_handed_on_as_it_was(
    gateway: Gateway, coding: str, pack: Callable[[bytes], bytes]
) -> None:
    body, headers = b"{}" * 1000, {"Content-Encoding": coding}
    answer = httpx.post(gateway.url, content=pack(body), headers=headers)

    assert answer.status_code == 200
    (received,) = gateway.emulator.received
    assert (received.body, received.header("Content-Encoding")) == (body, None)
    assert received.header("Content-Length") == "2000"


@pytest.mark.parametrize(
    ("coding", "body", "why"),
    [
        ("gzip", b"{}", "not in gzip"),
        ("br", b"{}", "not known"),
        ("gzip", gzip.compress(b"{}", mtime=0)[:-1], "not whole"),
    ],
)
def test_a_body_that_is_not_in_its_coding_is_a_415(
    gateway: Gateway, coding: str, body: bytes, why: str
) -> None:
    answer = httpx.post(gateway.url, content=body, headers={"Content-Encoding": coding})

    assert_refused(answer, 415, "UnsupportedMediaType")
    assert why in answer.json()["error"]
    assert not gateway.emulator.received


def test_a_small_body_that_holds_a_huge_one_is_refused(gateway: Gateway) -> None:
    headers = {"Content-Encoding": "gzip"}
    most = [gzip.compress(bytes(10 * MEGABYTE + more)) for more in (0, 1)]
    answers = [httpx.post(gateway.url, content=body, headers=headers) for body in most]

    assert answers[0].status_code == 200
    assert_refused(answers[1], 413, "RequestTooLarge")
    assert "unpacked" in answers[1].json()["error"]


def test_more_headers_than_api_gateway_takes_are_refused(gateway: Gateway) -> None:
    fitting = httpx.get(gateway.url, headers={"X-Long": "a" * 9_900})
    flood = httpx.get(gateway.url, headers={"X-Long": "a" * 10_240})

    assert fitting.status_code == 200
    assert_refused(flood, 431, "HeadersTooLarge")


@pytest.mark.parametrize("path", ["/", "/production", "/other/prod/x", "/prodx/y"])
def test_other_paths_are_not_found(gateway: Gateway, path: str) -> None:
    answer = httpx.get(f"http://127.0.0.1:{gateway.port}{path}")

    assert_refused(answer, 404, "RouteNotFound")
    assert not gateway.emulator.received


def test_the_error_for_an_unknown_method_names_the_allowed_ones(gateway: Gateway) -> None:
    answer = httpx.request("BREW", gateway.url)

    assert_refused(answer, 405, "MethodNotAllowed")
    assert "DELETE" in answer.headers["Allow"]


@pytest.mark.parametrize(
    "media_type",
    [
        "multipart/form-data; boundary=x",
        'multipart/mixed; boundary="a b"',
        "message/rfc822",
        "message/http",
        "text/plain; charset=unknown; charset=again",
        "not a media type",
    ],
)
def test_a_body_of_any_media_type_is_forwarded(gateway: Gateway, media_type: str) -> None:
    answer = httpx.post(gateway.url, content=b"--x\r\n", headers={"Content-Type": media_type})

    (received,) = gateway.emulator.received
    assert answer.status_code == 200
    assert received.header("Content-Type") == media_type
    assert received.body == b"--x\r\n"


@pytest.mark.parametrize(
    ("line", "head"),
    [
        (b"GET", b""),
        (b"nonsense nonsense nonsense nonsense", b""),
        (b"\x00", b""),
        (b"GET /prod/\0 HTTP/1.1", b""),
        (b"GET /prod/\xc3\xa9 HTTP/1.1", b""),
        (b"GET /prod/x HTTP/1.1", b"no colon here\r\n"),
        (b"GET /prod/x HTTP/1.1", b"X-A: a\rX-B: b\r\n"),
        (b"GET /prod/x HTTP/1.1", b"X-A: a\0b\r\n"),
        (b"GET /prod/x HTTP/1.1", b"X-A\0: b\r\n"),
        (b"GET /prod/x HTTP/1.1", b"Host: second\r\n"),
        (b"POST /prod/x HTTP/1.1", b"Content-Length: -1\r\n"),
        (b"POST /prod/x HTTP/1.1", b"Content-Length: 1e3\r\n"),
        (b"POST /prod/x HTTP/1.1", b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
        (b"POST /prod HTTP/1.1", b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n"),
        (b"POST /prod HTTP/1.1", b"Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n"),
    ],
)
def test_a_malformed_request_is_a_400_in_json(gateway: Gateway, line: bytes, head: bytes) -> None:
    answer = gateway.raw(line + b"\r\nHost: localhost\r\n" + head + b"\r\n")

    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b'"code": "BadRequest"' in answer
    assert not gateway.emulator.received


def test_two_framings_of_a_body_are_a_400(gateway: Gateway) -> None:
    both = {"Content-Length": "5", "Transfer-Encoding": "chunked"}

    assert_refused(httpx.post(gateway.url, content=b"0\r\n\r\n", headers=both), 400, "BadRequest")


def test_another_transfer_encoding_is_a_501_in_json(gateway: Gateway) -> None:
    answer = gateway.raw(
        b"POST /prod HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"
    )

    assert answer.startswith(b"HTTP/1.1 501 Not Implemented\r\n")
    assert b'"requestId"' in answer


def test_a_head_without_end_is_a_431_in_json(gateway: Gateway) -> None:
    answer = gateway.raw(b"GET /prod HTTP/1.1\r\nX-Long: " + b"a" * 100_000)

    assert answer.startswith(b"HTTP/1.1 431 ")
    assert b'"code": "HeadersTooLarge"' in answer


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:8080", "LOCALHOST"])
def test_this_machine_is_an_allowed_host(gateway: Gateway, host: str) -> None:
    assert httpx.get(gateway.url, headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "127.0.0.2",
        "[::1]:8080",
        "",
    ],
)
def test_another_host_is_refused(gateway: Gateway, host: str) -> None:
    assert_refused(httpx.get(gateway.url, headers={"Host": host}), 403, "HostNotAllowed")
    assert not gateway.emulator.received


@pytest.mark.parametrize(
    "target",
    [
        b"http://evil.example/prod/health",
        b"http://localhost/prod/health",
        b"evil.example/prod/health",
        b"*",
    ],
)
def test_a_target_that_is_no_path_is_refused(gateway: Gateway, target: bytes) -> None:
    answer = gateway.raw(b"GET " + target + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"no proxy" in answer
    assert not gateway.emulator.received


def test_a_piece_of_an_answer_is_passed_on_before_the_next_one_comes(gateway: Gateway) -> None:
    gateway.emulator.pieces = [b"first", b"second"]

    with httpx.stream("GET", gateway.url) as answer:
        pieces = answer.iter_raw()
        first = next(pieces)
        gateway.emulator.next_piece.set()
        rest = b"".join(pieces)

    assert (first, rest) == (b"first", b"second")


def test_an_incomplete_body_is_not_forwarded(gateway: Gateway) -> None:
    answer = gateway.raw(
        b"POST /prod/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nonly this"
    )

    assert answer == b""
    assert not gateway.emulator.received


def test_an_emulator_that_is_gone_is_a_502(gateway: Gateway) -> None:
    gateway.behind.shutdown()
    gateway.behind.server_close()

    assert_refused(httpx.get(gateway.url), 502, "BadGateway")


def test_a_connection_closed_by_the_emulator_is_replaced_and_no_request_fails(
    gateway: Gateway,
) -> None:
    gateway.emulator.hangs_up = True

    with httpx.Client() as client:
        client.post(gateway.url)
        threading.Event().wait(0.1)
        answer = client.post(gateway.url)

    assert answer.status_code == 200
    assert gateway.emulator.connections == 2


def test_an_emulator_that_is_silent_for_too_long_is_a_504(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstream, "SILENT_SECONDS", 0.2)
    gateway.emulator.silent_seconds = 1

    assert_refused(httpx.get(gateway.url), 504, "Timeout")


def test_no_token_is_logged(gateway: Gateway, capfd: pytest.CaptureFixture[str]) -> None:
    httpx.get(f"{gateway.url}/health?token=secret", headers={"Authorization": "secret"})

    logged = ""
    while "\n" not in logged:  # the line is logged after the answer
        logged += capfd.readouterr().err
    assert "GET /prod/health 200" in logged
    assert "secret" not in logged


def assert_refused(answer: httpx.Response, status: int, code: str) -> None:
    assert answer.status_code == status
    error = answer.json()
    assert error.keys() == {"error", "code", "requestId"}
    assert error["code"] == code
    assert error["requestId"] == answer.headers["x-amzn-RequestId"]
    assert {name: answer.headers.get(name) for name in SECURITY} == SECURITY
