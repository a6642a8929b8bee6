"""Calls a model for the state machine, for answers that are too large for Step Functions."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from functools import cache
from typing import Any

from lambdas.aws import clients
from lambdas.aws.results import S3Results
from lambdas.aws.runtime import SageMakerRuntime
from lambdas.core.executions import output_of, output_of_kept
from lambdas.core.invocation import Invocation
from lambdas.core.settings import InvokerSettings
from lambdas.handlers.at_import import prepare

MODEL_SECONDS = 65
"""A little more than the 60 s that SageMaker gives a model."""


@cache
def _results() -> S3Results:
    settings = InvokerSettings.from_environment(os.environ)
    return S3Results(clients.s3(), settings.results_bucket)


@cache
def _runtime() -> SageMakerRuntime:
    return SageMakerRuntime(clients.sagemaker_runtime(MODEL_SECONDS))


def handler(event: Mapping[str, Any], _context: object) -> Mapping[str, Any]:
    """The output of the execution. The state machine tells errors apart by the names of their
    classes."""
    body = json.dumps(event["body"], ensure_ascii=False, separators=(",", ":")).encode()
    invocation = Invocation(body, content_type="application/json")
    answer = _runtime().invoke(event["endpointname"], invocation)
    output = output_of(answer)
    if output is not None:
        return output
    _results().keep(event["execution"], answer.body, answer.content_type)
    return output_of_kept(answer)


prepare(_results, _runtime)
