"""Loopback counts as TLS, for policies that require `aws:SecureTransport`.

The emulator uses plain HTTP, on loopback only. Without this patch, buckets, queues and topics that
require TLS would deny every role, and the emulator's own deliveries.
"""

from contextvars import ContextVar
from importlib import import_module
from typing import Any

app: Any = import_module("ministack.app")
evaluator: Any = import_module("ministack.core.iam_evaluator")

LOOPBACK = "127.0.0.1"


def apply() -> None:
    """Mark each request, and each delivery without a request, as TLS."""
    pin = app.pin_request_origin
    app.pin_request_origin = lambda source_ip, _secure: pin(source_ip, True)
    evaluator._request_origin = ContextVar("origin", default=(LOOPBACK, True))
