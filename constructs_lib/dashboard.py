"""The dashboard `{prefix}-endpoints`: what runs, what is wrong, and the health of the stack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cdktf_cdktf_provider_aws.cloudwatch_dashboard import CloudwatchDashboard
from constructs import Construct

from constructs_lib.canonical import canonical
from constructs_lib.deployment import Deployment, addressed
from constructs_lib.python_function import PythonFunction
from constructs_lib.queues import HintQueue
from lambdas.core.settings import HEARTBEAT_METRIC, METRICS_NAMESPACE

_COLUMNS, _WIDTH, _HEIGHT = 3, 8, 6  # CloudWatch's grid is 24 wide
_MINUTE, _SWEEP = 60, 900


class Dashboard(Construct):
    """Its body is canonical JSON: equal stacks have equal dashboards."""

    def __init__(  # keyword-only: everything that is shown
        self,
        scope: Construct,
        at: Deployment,
        *,
        alarms: Sequence[str],
        functions: Sequence[PythonFunction],
        queues: Sequence[HintQueue],
        tables: Mapping[str, Sequence[str]],
        api_name: str,
    ) -> None:
        super().__init__(scope, "dashboard")
        self._at = at
        self.name = at.name("endpoints")
        widgets = [
            self._alarms(alarms),
            self._graph("Endpoints", self._own("Endpoints", "Late"), _SWEEP, "Maximum"),
            self._graph(
                "Not ours, or not to be trusted",
                self._own("Orphans", "Unmanaged", "RestoredTable"),
                _SWEEP,
                "Maximum",
            ),
            self._graph("Heartbeat", self._own(HEARTBEAT_METRIC), _MINUTE, "Sum"),
            self._graph(
                "Steps that failed",
                self._own("Failures", "GaveUp", "Throttled"),
                5 * _MINUTE,
                "Sum",
            ),
            self._queues("Hints waiting", "ApproximateNumberOfMessagesVisible", queues),
            self._queues("Oldest hint (seconds)", "ApproximateAgeOfOldestMessage", queues),
            self._functions("Errors of functions", "Errors", functions, "Sum"),
            self._functions("Throttled functions", "Throttles", functions, "Sum"),
            self._functions("Time that functions take (ms)", "Duration", functions, "p99"),
            self._graph(
                "Requests",
                [
                    ["AWS/ApiGateway", metric, "ApiName", api_name]
                    for metric in ("Count", "4XXError", "5XXError")
                ],
                _MINUTE,
                "Sum",
            ),
            self._graph(
                "Throttled tables",
                [
                    ["AWS/DynamoDB", metric, "TableName", table, *index]
                    for table, indexes in tables.items()
                    for index in ([], *(["GlobalSecondaryIndexName", name] for name in indexes))
                    for metric in ("ReadThrottleEvents", "WriteThrottleEvents")
                ],
                _MINUTE,
                "Sum",
            ),
        ]
        placed = [
            {
                **widget,
                "width": _WIDTH,
                "height": _HEIGHT,
                "x": place % _COLUMNS * _WIDTH,
                "y": place // _COLUMNS * _HEIGHT,
            }
            for place, widget in enumerate(widgets)
        ]
        addressed(
            CloudwatchDashboard(
                self,
                "dashboard",
                dashboard_name=self.name,
                dashboard_body=canonical({"widgets": placed}),
            ),
            "endpoints",
        )

    def _own(self, *metrics: str) -> list[list[str]]:
        return [[METRICS_NAMESPACE, metric, "service", self._at.prefix] for metric in metrics]

    def _alarms(self, names: Sequence[str]) -> Mapping[str, Any]:
        arns = [self._at.arn("cloudwatch", f"alarm:{name}") for name in names]
        return {"type": "alarm", "properties": {"title": "Alarms", "alarms": arns}}

    def _functions(
        self, title: str, metric: str, functions: Sequence[PythonFunction], statistic: str
    ) -> Mapping[str, Any]:
        lines = [["AWS/Lambda", metric, "FunctionName", function.name] for function in functions]
        return self._graph(title, lines, _MINUTE, statistic)

    def _queues(self, title: str, metric: str, queues: Sequence[HintQueue]) -> Mapping[str, Any]:
        names = [name for queue in queues for name in (self._at.name(queue.id), queue.dead_name)]
        lines = [["AWS/SQS", metric, "QueueName", name] for name in names]
        return self._graph(title, lines, _MINUTE, "Maximum")

    def _graph(
        self, title: str, lines: Sequence[Sequence[str]], period: int, statistic: str
    ) -> Mapping[str, Any]:
        return {
            "type": "metric",
            "properties": {
                "title": title,
                "metrics": lines,
                "period": period,
                "stat": statistic,
                "region": self._at.region,
                "view": "timeSeries",
                "yAxis": {"left": {"min": 0}},
            },
        }
