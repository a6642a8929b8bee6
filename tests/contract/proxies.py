"""A proxy that writes down what it is asked for, and refuses it."""

from __future__ import annotations

import contextlib
import socketserver
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
REFUSAL = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True)
class Proxy:
    """`asked` are the first lines of its requests."""

    url: str
    asked: list[str] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """That of a user who has to go through it for everything."""
        return {**dict.fromkeys(VARIABLES, self.url), "NO_PROXY": "", "no_proxy": ""}

    @property
    def asked_for_this_machine(self) -> list[str]:
        return [line for line in self.asked if "127.0.0.1" in line or "localhost" in line]


@contextlib.contextmanager
def a_proxy() -> Iterator[Proxy]:
    """A running proxy on loopback."""

    class Refuse(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            proxy.asked.append(self.rfile.readline().decode("latin-1"))
            self.wfile.write(REFUSAL)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Refuse) as server:
        proxy = Proxy(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield proxy
        finally:
            server.shutdown()
            thread.join()
