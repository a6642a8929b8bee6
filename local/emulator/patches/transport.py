"""Loopback counts as TLS, for policies that ask for `aws:SecureTransport`.

The emulator speaks plain HTTP, on loopback only. Buckets, queues and topics that refuse whoever
comes without TLS would otherwise be closed to every role, and to what the emulator itself delivers.
"""

from contextvars import ContextVar
from importlib import import_module
from typing import Any

app: Any = import_module("ministack.app")
evaluator: Any = import_module("ministack.core.iam_evaluator")

LOOPBACK = "127.0.0.1"


def apply() -> None:
    """Say of each request, and of what comes in none, that it came over TLS."""
    pin = app.pin_request_origin
    app.pin_request_origin = lambda source_ip, _secure: pin(source_ip, True)
    evaluator._request_origin = ContextVar("origin", default=(LOOPBACK, True))
