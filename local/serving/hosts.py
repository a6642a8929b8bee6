"""Only answers requests that name this machine as their host.

Otherwise a page in a browser could give its own host name the address 127.0.0.1, and then read the
answers of a server here (DNS rebinding).
"""

import re
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from local.serving.errors import error_response

LOOPBACK_HOST = re.compile(r"(127\.0\.0\.1|localhost)(:\d+)?", re.IGNORECASE)


class OnlyLoopbackHosts:
    """Middleware that refuses other hosts with 403."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            host = Headers(scope=scope).get("host", "")
            if not LOOPBACK_HOST.fullmatch(host):
                refusal = error_response(
                    HTTPStatus.FORBIDDEN,
                    "This server only answers to the hosts 127.0.0.1 and localhost.",
                )
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)
