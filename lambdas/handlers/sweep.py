"""The sweep, and what Terraform asks of it during a deploy and before a destroy."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger

from lambdas.core.settings import SweepSettings
from lambdas.core.sweep import Sweep
from lambdas.handlers import wiring
from lambdas.handlers.metrics import count

_log = Logger()


@cache
def _settings() -> SweepSettings:
    return SweepSettings.from_environment(os.environ)


@cache
def _sweep() -> Sweep:
    settings = _settings()
    return Sweep(
        store=wiring.store(settings.state_table),
        endpoints=wiring.endpoints(settings.stack_tag),
        hints=wiring.hints(settings.starts_queue_url, settings.work_queue_url),
        clock=lambda: datetime.now(UTC),
        sleep=time.sleep,
    )


def handler(event: Mapping[str, Any], _context: object) -> Mapping[str, Any]:
    """Do what `action` says: sweep (by schedule), sync, wait or verdict (by Terraform).

    Terraform's `delete` of the sync drains the stack; it fails, and with it the destroy, while
    an endpoint is left.
    """
    action = event.get("action", "sweep")
    manifest: Mapping[str, str] = event.get("manifest", {})
    destroying = event.get("tf", {}).get("action") == "delete"
    _log.info("called", action=action, destroying=destroying)
    match action:
        case "sync" if destroying:
            _sweep().drain(_settings().drain_wait_seconds)
            return {"drained": True}
        case "sync":
            return {"looked_at": len(_sweep().sync(manifest))}
        case "wait" if destroying:
            return {}
        case "wait":
            return asdict(_sweep().wait(manifest))
        case "verdict":
            return asdict(_sweep().verdict(manifest))
        case "sweep":
            return _swept()
        case _:
            raise ValueError(f"unknown action '{action}'")


def _swept() -> Mapping[str, Any]:
    found = _sweep().sweep()
    count("Endpoints", found.endpoints)
    count("Unexplained", len(found.unexplained))
    if found.unexplained:
        _log.warning("endpoints with our tag but no record", endpoints=list(found.unexplained))
    _log.info("swept", endpoints=found.endpoints, hinted=list(found.hinted)[:100])
    return asdict(found)
