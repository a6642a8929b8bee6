"""Serves a simulator on loopback, and makes its changes happen when they are due."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from local.serving import server
from local.serving.server import Address
from local.simulator.application import application
from local.simulator.callers import Anybody, Callers
from local.simulator.service import Simulator

ANYBODY = Anybody()


@contextmanager
def serving(simulator: Simulator, port: int = 0, callers: Callers = ANYBODY) -> Iterator[Address]:
    """A running server and its thread for due changes. Both stop on exit, and the port is free.

    Raises OSError if the port is taken.
    """
    changes = threading.Thread(target=simulator.run_changes, name="changes", daemon=True)
    with server.serving(application(simulator, callers), port) as address:
        changes.start()
        try:
            yield address
        finally:
            simulator.stop()
            changes.join(2)
