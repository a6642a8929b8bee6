"""Loopback counts as TLS, for policies that ask for `aws:SecureTransport`.

The emulator speaks plain HTTP, on loopback only. Buckets that refuse whoever comes without TLS
would otherwise be closed to every role.
"""

from importlib import import_module
from typing import Any

app: Any = import_module("ministack.app")


def apply() -> None:
    """Say of each request that it came over TLS."""
    pin = app.pin_request_origin
    app.pin_request_origin = lambda source_ip, _secure: pin(source_ip, True)
