"""The gateway process, and the health of the API behind it."""

import http.client
import os
import re
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass

from local.daemon import Daemon, NotStartedError, digest, require_free
from local.embedded import Embedded
from local.environment import LOOPBACK, for_daemons
from local.places import Places
from local.processes import ours, stop

DEFAULT_PORT = 8080
HEALTH_SECONDS = 60.0
STAGE = "prod"


class PortTakenError(Exception):
    """The gateway's port is not usable."""


@dataclass(frozen=True)
class Front:
    """The gateway: `http://127.0.0.1:{port}/prod`."""

    places: Places
    port: int

    @property
    def url(self) -> str:
        """Return the base address of the REST API."""
        return f"http://{LOOPBACK}:{self.port}/{STAGE}"

    def require_port(self) -> None:
        """Raise PortTakenError unless the port is free, or held by a gateway of this checkout."""
        if any(
            found.daemon == "gateway" and found.port == self.port for found in ours(self.places)
        ):
            return
        try:
            require_free(self.port)
        except OSError as error:
            raise PortTakenError(
                f"Port {self.port} cannot be used ({os.strerror(error.errno or 0)}):"
                f" choose another, such as LOCAL_PORT={self.port + 1} make up."
            ) from None

    def serve(self, api_url: str, embedded: Embedded, environ: Mapping[str, str]) -> None:
        """Let the gateway serve the deployed API. Raises NotStartedError."""
        address = ("--port", str(self.port), "--emulator-url", embedded.emulator_url)
        arguments = (*address, "--api-id", api_id(api_url), "--stage", STAGE)
        version = digest("gateway", "serving")
        gateway = Daemon("gateway", arguments, for_daemons(environ), version)
        if gateway.find(self.places) is None:
            stop(self.places, [old for old in ours(self.places) if old.daemon == "gateway"])
            gateway.start(self.places, ready=lambda: bool(self._health()[0]))
        self._require_health()

    def _require_health(self) -> None:
        """Raise NotStartedError unless `GET /health` answers 200 within a minute."""
        deadline = time.monotonic() + HEALTH_SECONDS
        while (answer := self._health())[0] != 200:
            if time.monotonic() > deadline:
                raise NotStartedError(
                    f"GET {self.url}/health answers {answer[0]}: {answer[1]}\n"
                    f"The functions' logs: {self.places.log('emulator')}"
                )
            time.sleep(0.2)

    def _health(self) -> tuple[int, str]:
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=35)
        try:
            with closing(connection):
                connection.request("GET", f"/{STAGE}/health")
                answer = connection.getresponse()
                return answer.status, answer.read().decode(errors="replace")
        except (OSError, http.client.HTTPException) as error:
            return 0, repr(error)


def chosen_port(environ: Mapping[str, str]) -> int:
    """Return the port in LOCAL_PORT, or the default. Raises PortTakenError if it is not a port."""
    text = environ.get("LOCAL_PORT") or str(DEFAULT_PORT)
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise PortTakenError(f"LOCAL_PORT={text} is no port: choose one of 1 to 65535.")
    return int(text)


def api_id(invoke_url: str) -> str:
    """Return the API's id from a stage's address: https://{id}.execute-api.{region}…/prod."""
    named = re.match(r"https://([a-z0-9]+)\.execute-api\.", invoke_url)
    if named is None:
        raise NotStartedError(f"The output api_url is not a REST API's address: {invoke_url!r}")
    return named[1]
