"""Counts for the alarms, written to the log in CloudWatch's embedded metric format. The only
dimension is the stack: a metric for each endpoint would cost too much."""

from __future__ import annotations

import os

from aws_lambda_powertools import single_metric
from aws_lambda_powertools.metrics import MetricUnit

from lambdas.core.settings import METRICS_NAMESPACE


def count(name: str, value: int = 1) -> None:
    """Publish one datum of the metric `name`."""
    with single_metric(
        name=name, unit=MetricUnit.Count, value=value, namespace=METRICS_NAMESPACE
    ) as metric:
        metric.add_dimension("service", os.environ["POWERTOOLS_SERVICE_NAME"])
