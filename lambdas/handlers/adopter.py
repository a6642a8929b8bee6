"""Tags a live endpoint as taken over, or takes that tag off again. Its role alone may tag
endpoints that lack our tag."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger

from lambdas.aws.sagemaker import SageMakerEndpoints
from lambdas.core.settings import AdopterSettings
from lambdas.handlers import wiring
from lambdas.handlers.at_import import prepare

_log = Logger()


@cache
def _endpoints() -> SageMakerEndpoints:
    return wiring.endpoints(AdopterSettings.from_environment(os.environ).stack_tag)


def handler(event: Mapping[str, Any], _context: object) -> Mapping[str, Any]:
    """Adopt the endpoint of `arn`, or with `release` take the tag of an adoption off it."""
    endpoints, arn = _endpoints(), event["arn"]
    if event.get("release"):
        endpoints.release(arn)
    else:
        endpoints.adopt(arn)
    _log.info("done", **event)
    return {"done": arn}


prepare(_endpoints)
