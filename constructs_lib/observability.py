"""Alarms. The costly failure is silence: where a dead scheduler would send nothing, missing
data is itself the alarm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cdktf_cdktf_provider_aws.cloudwatch_metric_alarm import CloudwatchMetricAlarm
from cdktf_cdktf_provider_aws.sns_topic import SnsTopic
from cdktf_cdktf_provider_aws.sns_topic_subscription import SnsTopicSubscription
from constructs import Construct

from constructs_lib.deployment import Deployment, addressed
from constructs_lib.function import PythonFunction
from constructs_lib.queues import HintQueue
from lambdas.core.settings import HEARTBEAT_METRIC, METRICS_NAMESPACE

TOPIC = "alarms"


def alarm_topic_arn(at: Deployment) -> str:
    """The topic's ARN before there is a topic: functions are made first."""
    return at.arn("sns", at.name(TOPIC))


@dataclass(frozen=True, slots=True)
class _Metric:
    namespace: str
    name: str
    dimensions: Mapping[str, str]


class Observability(Construct):
    """The topic `{prefix}-alarms` and the alarms that speak to it."""

    def __init__(
        self,
        scope: Construct,
        at: Deployment,
        *,
        queues: Sequence[HintQueue],
        functions: Sequence[PythonFunction],
        emails: Sequence[str],
    ) -> None:
        super().__init__(scope, "observability")
        self._at = at
        self._topic = addressed(
            # Not encrypted with the AWS-managed key: CloudWatch may not publish through it.
            SnsTopic(self, "topic", name=at.name(TOPIC)),
            "alarms",
        )
        for number, email in enumerate(emails):
            addressed(
                SnsTopicSubscription(
                    self,
                    f"email-{number}",
                    topic_arn=self._topic.arn,
                    protocol="email",
                    endpoint=email,
                ),
                f"email_{number}",
            )
        self._heartbeat()
        for queue in queues:
            self._dead_letters(queue)
        for function in functions:
            self._errors(function)

    def _heartbeat(self) -> None:
        # The reconciler beats when the tick's canary reaches it: scheduler, tick, queue and
        # reconciler are all well, or the alarm goes off.
        self._alarm(
            "no-heartbeat",
            "No heartbeat for five minutes: endpoints are not being stopped.",
            _Metric(METRICS_NAMESPACE, HEARTBEAT_METRIC, {"service": self._at.prefix}),
            comparison="LessThanThreshold",
            threshold=1,
            periods=5,
            missing="breaching",
        )

    def _dead_letters(self, queue: HintQueue) -> None:
        self._alarm(
            queue.dead_name.removeprefix(f"{self._at.prefix}-"),
            "Hints could not be handled; the message says which endpoint.",
            _Metric(
                "AWS/SQS",
                "ApproximateNumberOfMessagesVisible",
                {"QueueName": queue.dead_name},
            ),
            statistic="Maximum",
        )

    def _errors(self, function: PythonFunction) -> None:
        self._alarm(
            f"{function.name.removeprefix(f'{self._at.prefix}-')}-errors",
            "The function raised an error or ran out of time in each of three minutes.",
            _Metric("AWS/Lambda", "Errors", {"FunctionName": function.name}),
            periods=3,
        )

    def _alarm(  # noqa: PLR0913
        self,
        name: str,
        description: str,
        metric: _Metric,
        *,
        comparison: str = "GreaterThanThreshold",
        threshold: int = 0,
        periods: int = 1,
        statistic: str = "Sum",
        missing: str = "notBreaching",
    ) -> None:
        addressed(
            CloudwatchMetricAlarm(
                self,
                name,
                alarm_name=self._at.name(name),
                alarm_description=description,
                namespace=metric.namespace,
                metric_name=metric.name,
                dimensions=dict(metric.dimensions),
                statistic=statistic,
                period=60,
                evaluation_periods=periods,
                threshold=threshold,
                comparison_operator=comparison,
                treat_missing_data=missing,
                alarm_actions=[self._topic.arn],
                ok_actions=[self._topic.arn],
            ),
            name.replace("-", "_"),
        )
