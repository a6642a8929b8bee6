"""Tags a live endpoint as ours. Its role alone may tag endpoints that lack our tag."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from aws_lambda_powertools import Logger

from lambdas.core.settings import AdopterSettings
from lambdas.handlers import wiring

_log = Logger()


def handler(event: Mapping[str, Any], _context: object) -> Mapping[str, Any]:
    """Adopt the endpoint of `arn`."""
    settings = AdopterSettings.from_environment(os.environ)
    wiring.endpoints(settings.stack_tag).adopt(event["arn"])
    _log.info("adopted", arn=event["arn"])
    return {"adopted": event["arn"]}
