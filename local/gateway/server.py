"""The gateway's listener."""

from http.server import ThreadingHTTPServer

from local.gateway.handler import Handler
from local.gateway.upstream import Api


class Server(ThreadingHTTPServer):
    """Runs a thread for each connection."""

    daemon_threads = True
    request_queue_size = 256


def make_server(api: Api, port: int) -> Server:
    """Listen on loopback for requests to one API. Raises OSError if the port is taken."""
    return Server(("127.0.0.1", port), type("ApiHandler", (Handler,), {"api": api}))
