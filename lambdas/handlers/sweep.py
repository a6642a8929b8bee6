"""The sweep, and the calls of Terraform during a deploy and before a destroy."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger

from lambdas.aws import clients
from lambdas.aws.notices import SnsNotices
from lambdas.core.deploys import Deploys
from lambdas.core.name_patterns import NamePatterns
from lambdas.core.settings import SweepSettings
from lambdas.core.sweep import Policy, Sweep, Unmanaged
from lambdas.handlers import wiring
from lambdas.handlers.at_import import prepare
from lambdas.handlers.metrics import count

_log = Logger()


@cache
def _settings() -> SweepSettings:
    return SweepSettings.from_environment(os.environ)


def _now() -> datetime:
    return datetime.now(UTC)


@cache
def _deploys() -> Deploys:
    environment = _settings()
    return Deploys(
        store=wiring.store(environment.state_table),
        endpoints=wiring.endpoints(environment.stack_tag),
        hints=wiring.hints(environment.starts_queue_url, environment.work_queue_url),
        clock=_now,
        sleep=time.sleep,
        report=lambda unsettled: _log.info("waiting", unsettled=list(unsettled)[:100]),
    )


@cache
def _sweep() -> Sweep:
    environment = _settings()
    return Sweep(
        store=wiring.store(environment.state_table),
        endpoints=wiring.endpoints(environment.stack_tag),
        hints=wiring.hints(environment.starts_queue_url, environment.work_queue_url),
        history=wiring.history(environment.history_table, environment.history_days),
        notices=SnsNotices(clients.sns(), environment.alarm_topic_arn),
        clock=_now,
        policy=Policy(
            Unmanaged(environment.unmanaged_endpoints),
            timedelta(minutes=environment.unmanaged_lease_minutes),
            timedelta(minutes=environment.late_minutes),
            NamePatterns.stored(environment.adoptable),
            environment.max_lease_minutes,
        ),
    )


def handler(event: Mapping[str, Any], _context: object) -> Mapping[str, Any]:
    """Do what `action` says: sweep (by schedule), sync, wait or settle (by Terraform),
    verdict or accept_restored_table (by hand).

    Terraform's `delete` of the sync drains the stack. It fails while an endpoint is left, and the
    destroy with it. `settle` fails while an endpoint serves something else, and the deploy with it.
    """
    action = event.get("action", "sweep")
    manifest: Mapping[str, str] = event.get("manifest", {})
    destroying = event.get("tf", {}).get("action") == "delete"
    _log.info("called", action=action, destroying=destroying)
    match action:
        case "sync" if destroying:
            _deploys().drain(_settings().drain_wait_seconds)
            return {"drained": True}
        case "sync":
            return {"looked_at": len(_deploys().sync(manifest))}
        case "wait" if destroying:
            return {}
        case "wait":
            return asdict(_deploys().wait(manifest))
        case "verdict":
            return asdict(_deploys().verdict(manifest))
        case "settle":
            _deploys().settle(manifest)
            return {"settled": True}
        case "accept_restored_table":
            return {"accepted": _sweep().accept_restored_table()}
        case "sweep":
            return _swept()
        case _:
            raise ValueError(f"unknown action '{action}'")


def _swept() -> Mapping[str, Any]:
    found = _sweep().sweep()
    count("Endpoints", found.endpoints)
    count("Orphans", len(found.orphans))
    count("Unmanaged", len(found.unmanaged))
    count("Late", len(found.late))
    count("RestoredTable", int(found.restored))
    _log.info(
        "swept",
        endpoints=found.endpoints,
        hinted=list(found.hinted)[:100],
        orphans=list(found.orphans)[:100],
        unmanaged=list(found.unmanaged)[:100],
        late=list(found.late)[:100],
        restored=found.restored,
    )
    return {
        "endpoints": found.endpoints,
        "hinted": len(found.hinted),
        "orphans": len(found.orphans),
        "unmanaged": len(found.unmanaged),
        "late": len(found.late),
    }


prepare(_deploys, _sweep)
