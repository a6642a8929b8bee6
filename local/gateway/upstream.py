"""The connections to the emulator's API Gateway."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus

import httpcore
from starlette.requests import Request

from local.serving.errors import RefusedError

SILENT_SECONDS = 310.0
"""The emulator answers before that: it ends each integration after its own time, at most 300 s."""
IDLE_SECONDS = 60.0
"""How long an idle connection is kept. The emulator keeps it longer."""
HOP_BY_HOP = {
    b"connection",
    b"keep-alive",
    b"proxy-authenticate",
    b"proxy-authorization",
    b"proxy-connection",
    b"te",
    b"trailer",
    b"transfer-encoding",
    b"upgrade",
}
REPLACED = {
    b"content-encoding",
    b"content-length",
    b"expect",
    b"host",
    b"x-forwarded-for",
    b"x-forwarded-port",
    b"x-forwarded-proto",
}

RawHeaders = list[tuple[bytes, bytes]]


@dataclass(frozen=True)
class Api:
    """The REST API that gets the requests."""

    emulator_url: str
    api_id: str
    stage: str

    @property
    def host(self) -> str:
        """Return the Host header from which the emulator knows the API, as AWS does."""
        return f"{self.api_id}.execute-api.localhost"


class Upstream:
    """Sends the requests of all clients. Idle connections are kept and used again."""

    def __init__(self, api: Api, pool: httpcore.AsyncConnectionPool) -> None:
        self._api = api
        self._pool = pool

    async def send(self, request: Request, body: bytes) -> httpcore.Response:
        """Forward a request. The caller must read the response and close it.

        Raises RefusedError if the emulator does not answer.
        """
        query = request.scope["query_string"]
        target = request.scope["raw_path"] + (b"?" + query if query else b"")
        address = httpcore.URL(self._api.emulator_url)
        steps = ("connect", "pool", "read", "write")
        forwarded = httpcore.Request(
            request.method,
            httpcore.URL(scheme="http", host=address.host, port=address.port, target=target),
            headers=self._headers(request, body),
            content=body,
            extensions={"timeout": dict.fromkeys(steps, SILENT_SECONDS)},
        )
        try:
            return await self._pool.handle_async_request(forwarded)
        except httpcore.TimeoutException:
            raise RefusedError(
                HTTPStatus.GATEWAY_TIMEOUT,
                f"The embedded AWS did not answer within {SILENT_SECONDS:.0f} seconds.",
            ) from None
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            raise RefusedError(
                HTTPStatus.BAD_GATEWAY, "The embedded AWS does not answer: `make up` starts it."
            ) from error

    def _headers(self, request: Request, body: bytes) -> RawHeaders:
        """The headers that API Gateway would forward, and those that it adds."""
        client, server = request.scope["client"], request.scope["server"]
        hops = [*request.headers.getlist("X-Forwarded-For"), client[0]]
        added = {
            "Host": self._api.host,
            "X-Forwarded-For": ", ".join(hops),
            "X-Forwarded-Port": str(server[1]),
            "X-Forwarded-Proto": "http",
        }
        if body or request.method in {"PATCH", "POST", "PUT"}:
            added["Content-Length"] = str(len(body))
        kept = [(n, v) for n, v in end_to_end(request.headers.raw) if n not in REPLACED]
        return [*((n.encode(), v.encode("latin-1")) for n, v in added.items()), *kept]


def end_to_end(headers: RawHeaders) -> RawHeaders:
    """The headers that a proxy forwards: not those that only concern its own connection."""
    named = b",".join(value for name, value in headers if name.lower() == b"connection")
    dropped = HOP_BY_HOP | {name.strip().lower() for name in named.split(b",")}
    return [(name, value) for name, value in headers if name.lower() not in dropped]


@asynccontextmanager
async def connected(api: Api) -> AsyncIterator[Upstream]:
    """The connections, closed at the end."""
    async with httpcore.AsyncConnectionPool(
        max_connections=None, keepalive_expiry=IDLE_SECONDS
    ) as pool:
        yield Upstream(api, pool)
