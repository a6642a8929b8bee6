"""Runs once a minute: sends hints for due endpoints."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger

from lambdas.core.ports import Hints, StateStore
from lambdas.core.settings import TickSettings
from lambdas.core.tick import tick
from lambdas.handlers import wiring
from lambdas.handlers.at_import import prepare

_log = Logger()


@cache
def _ports() -> tuple[StateStore, Hints]:
    settings = TickSettings.from_environment(os.environ)
    store = wiring.store(settings.state_table)
    return store, wiring.hints(settings.starts_queue_url, settings.work_queue_url)


def handler(_event: Mapping[str, Any], _context: object) -> Mapping[str, Any]:
    """Send a hint for each endpoint that is due within two minutes, and the canary."""
    store, hints = _ports()
    ticked = tick(store, hints, datetime.now(UTC))
    _log.info("ticked", hinted=ticked.hinted)
    return {"hinted": ticked.hinted}


prepare(_ports)
