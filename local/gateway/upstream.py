"""The connection to the emulator's API Gateway."""

import contextlib
import http.client
import select
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlsplit

from local.gateway.refusal import INTEGRATION_SECONDS, RefusedError, malformed


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
    """One keep-alive connection to the emulator. Not thread-safe."""

    def __init__(self, api: Api) -> None:
        self.api = api
        address = urlsplit(api.emulator_url)
        self._connection = http.client.HTTPConnection(
            address.hostname or "", address.port, timeout=INTEGRATION_SECONDS
        )

    def send(
        self, method: str, target: str, headers: Iterable[tuple[str, str]], body: Iterable[bytes]
    ) -> http.client.HTTPResponse:
        """Forward a request. The caller must read the body of the response.

        Raises RefusedError if the request is malformed, or if the emulator does not answer.
        """
        if self._closed_by_peer():
            self.close()
        try:
            self._put_head(method, target, headers)
            for piece in body:
                self._connection.send(piece)
            return self._connection.getresponse()
        except TimeoutError:
            self.close()
            raise RefusedError(
                HTTPStatus.GATEWAY_TIMEOUT,
                f"No answer within {INTEGRATION_SECONDS:.0f} seconds, API Gateway's own limit.",
            ) from None
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise RefusedError(
                HTTPStatus.BAD_GATEWAY, "The embedded AWS does not answer: `make up` starts it."
            ) from error
        except BaseException:
            self.close()
            raise

    def _put_head(self, method: str, target: str, headers: Iterable[tuple[str, str]]) -> None:
        try:
            self._connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
            for name, value in headers:
                self._connection.putheader(name, value)
        except (ValueError, http.client.InvalidURL):
            raise malformed(
                "The request line or a header holds a character that it may not."
            ) from None
        self._connection.endheaders()

    def _closed_by_peer(self) -> bool:
        """Tell whether the peer closed the idle connection: a request on it would be lost."""
        sock = self._connection.sock
        return sock is not None and bool(select.select([sock], [], [], 0)[0])

    def close(self) -> None:
        """Close the connection. The next request opens a new one."""
        with contextlib.suppress(OSError):
            self._connection.close()
