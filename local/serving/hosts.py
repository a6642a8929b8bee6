"""Only answers requests that name this machine as their host.

Otherwise a page in a browser could give its own host name the address 127.0.0.1, and then read the
answers of a server here (DNS rebinding).

The host is named in the header Host alone. A request as to a proxy (`GET http://other/ HTTP/1.1`)
names a second one, which counts more than the header: it is refused.
"""

import re
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from local.serving.errors import error_response

LOOPBACK_HOST = re.compile(r"(127\.0\.0\.1|localhost)(:\d+)?", re.IGNORECASE)


class OnlyLoopbackHosts:
    """Middleware that refuses other hosts with 403, and targets that are no paths with 400."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = _refusal(scope) if scope["type"] == "http" else None
        await (refusal or self._app)(scope, receive, send)


def _refusal(scope: Scope) -> Response | None:
    if not LOOPBACK_HOST.fullmatch(Headers(scope=scope).get("host", "")):
        sentence = "This server only answers to the hosts 127.0.0.1 and localhost."
        return error_response(HTTPStatus.FORBIDDEN, sentence)
    if not scope["raw_path"].startswith(b"/"):
        sentence = "Ask for a path alone, such as GET / HTTP/1.1: this server is no proxy."
        return error_response(HTTPStatus.BAD_REQUEST, sentence)
    return None
