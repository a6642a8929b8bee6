"""Alarms. The costly failure is silence: where a dead scheduler would send nothing, missing
data is itself the alarm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from cdktf_cdktf_provider_aws.cloudwatch_metric_alarm import CloudwatchMetricAlarm
from cdktf_cdktf_provider_aws.sns_topic import SnsTopic
from cdktf_cdktf_provider_aws.sns_topic_subscription import SnsTopicSubscription
from constructs import Construct

from constructs_lib.deployment import Deployment, addressed
from constructs_lib.policy import nobody_without_tls, of_account, resource_document, service_may
from constructs_lib.python_function import PythonFunction
from constructs_lib.queues import HintQueue
from lambdas.core.settings import HEARTBEAT_METRIC, METRICS_NAMESPACE

TOPIC = "alarms"
_MINUTE_SECONDS = 60
_SWEEP_SECONDS = 15 * _MINUTE_SECONDS
# What can only be mended by people is looked at every 15 minutes, and a failing step is tried
# again after as long: a little more, so that an alarm does not go off and on between two of them.
_REPEAT_SECONDS = 20 * _MINUTE_SECONDS


def alarm_topic_arn(at: Deployment) -> str:
    """The topic's ARN before there is a topic: functions are made first."""
    return at.arn("sns", at.name(TOPIC))


@dataclass(frozen=True, slots=True)
class _Metric:
    namespace: str
    name: str
    dimensions: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _When:
    """Goes off where `statistic` breaks the threshold in each of `periods`; `missing` says what
    a period without data means."""

    statistic: str = "Sum"
    comparison: str = "GreaterThanThreshold"
    threshold: int = 0
    periods: int = 1
    period_seconds: int = _MINUTE_SECONDS
    missing: str = "notBreaching"


# A gauge that the sweep publishes every 15 minutes. The window that CloudWatch looks at slides and
# may fall between two sweeps that were some seconds apart: then the alarm stays as it is.
_SWEPT = _When(statistic="Maximum", period_seconds=_SWEEP_SECONDS, missing="ignore")

# A crowd that is due at once is throttled until all have had their turn: at five calls a second,
# 4,500 starts are through in a quarter of an hour. What lasts longer is no crowd any more. What
# waits asks at least once a minute, every other second where it waits for its turn, so that more
# than three in five minutes are more than chance.
_LASTING = _When(threshold=3, periods=4, period_seconds=5 * _MINUTE_SECONDS)


class Alarms(Construct):
    """The topic `{prefix}-alarms` and the alarms that speak to it."""

    def __init__(  # all keyword-only: what is watched
        self,
        scope: Construct,
        at: Deployment,
        *,
        queues: Sequence[HintQueue],
        functions: Sequence[PythonFunction],
        emails: Sequence[str],
        late_minutes: int,
        reports_unmanaged: bool,
    ) -> None:
        super().__init__(scope, "observability")
        self._at = at
        self._topic = addressed(
            # Not encrypted with the AWS-managed key: CloudWatch may not publish through it.
            SnsTopic(
                self,
                "topic",
                name=at.name(TOPIC),
                kms_master_key_id=at.key_arn,
                policy=self._topic_policy(),
            ),
            "alarms",
        )
        self.alarm_names: list[str] = []
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
        self._silence()
        self._reality(late_minutes, reports_unmanaged=reports_unmanaged)
        self._steps()
        for queue in queues:
            self._dead_letters(queue)
        for function in functions:
            self._errors(function)

    def _topic_policy(self) -> str:
        """It takes the place of SNS's own, so it names CloudWatch; functions have their roles."""
        arn = alarm_topic_arn(self._at)
        ours = of_account(self._at.account_id)
        return resource_document(
            nobody_without_tls("sns:Publish", arn),
            service_may("cloudwatch.amazonaws.com", "sns:Publish", arn, ours),
        )

    def _silence(self) -> None:
        # The reconciler beats when the tick's canary reaches it: scheduler, tick, queue and
        # reconciler are all well, or the alarm goes off.
        silent = _When(comparison="LessThanThreshold", threshold=1, missing="breaching")
        self._alarm(
            "no-heartbeat",
            "No heartbeat for five minutes: endpoints are not being stopped.",
            self._own(HEARTBEAT_METRIC),
            replace(silent, periods=5),
        )
        self._alarm(
            "no-sweep",
            "No sweep for half an hour: nobody compares the records with what SageMaker runs.",
            self._own("Endpoints"),
            replace(silent, statistic="SampleCount", periods=2, period_seconds=_SWEEP_SECONDS),
        )

    def _reality(self, late_minutes: int, *, reports_unmanaged: bool) -> None:
        """What the sweep found when it compared the records with SageMaker."""
        self._alarm(
            "late",
            f"Endpoints are not what they should be for {late_minutes} minutes.",
            self._own("Late"),
            _SWEPT,
        )
        self._alarm(
            "orphans",
            "Endpoints carry our tag though nobody declared them; they are deleted an hour after "
            "they were found unless somebody adds them.",
            self._own("Orphans"),
            _SWEPT,
        )
        self._alarm(
            "restored-table",
            "The state table was restored, so nothing is deleted until someone has looked: "
            'invoke the sweep with {"action": "accept_restored_table"}.',
            self._own("RestoredTable"),
            _SWEPT,
        )
        if reports_unmanaged:
            self._alarm(
                "unmanaged",
                "Endpoints run that nobody put on a meter.",
                self._own("Unmanaged"),
                _SWEPT,
            )

    def _steps(self) -> None:
        """What the reconciler could not do."""
        self._alarm(
            "gave-up",
            "An endpoint needs a person; its Reason says why.",
            self._own("GaveUp"),
            _When(period_seconds=_REPEAT_SECONDS),
        )
        self._alarm(
            "failures",
            "Steps have been failing for more than 20 minutes; the events say which.",
            self._own("Failures"),
            _When(periods=2, period_seconds=_REPEAT_SECONDS),
        )
        self._alarm(
            "throttled",
            "SageMaker has been throttling our calls for 20 minutes: starts and stops come late. "
            "Others may use up the account's rate, or its quota is too small.",
            self._own("Throttled"),
            _LASTING,
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
            _When("Maximum"),
        )

    def _errors(self, function: PythonFunction) -> None:
        self._alarm(
            f"{function.name.removeprefix(f'{self._at.prefix}-')}-errors",
            "The function raised an error or ran out of time in each of three minutes.",
            _Metric("AWS/Lambda", "Errors", {"FunctionName": function.name}),
            _When(periods=3),
        )

    def _own(self, metric: str) -> _Metric:
        """A metric that our functions publish."""
        return _Metric(METRICS_NAMESPACE, metric, {"service": self._at.prefix})

    def _alarm(self, name: str, description: str, metric: _Metric, when: _When) -> None:
        self.alarm_names.append(self._at.name(name))
        addressed(
            CloudwatchMetricAlarm(
                self,
                name,
                alarm_name=self._at.name(name),
                alarm_description=description,
                namespace=metric.namespace,
                metric_name=metric.name,
                dimensions=dict(metric.dimensions),
                statistic=when.statistic,
                period=when.period_seconds,
                evaluation_periods=when.periods,
                threshold=when.threshold,
                comparison_operator=when.comparison,
                treat_missing_data=when.missing,
                alarm_actions=[self._topic.arn],
                ok_actions=[self._topic.arn],
            ),
            name.replace("-", "_"),
        )
