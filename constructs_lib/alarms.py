"""The alarms. The costly failure is silence: a dead scheduler sends no data, so its alarms treat
missing data as a breach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from cdktf_cdktf_provider_aws.cloudwatch_metric_alarm import CloudwatchMetricAlarm
from cdktf_cdktf_provider_aws.sns_topic import SnsTopic
from cdktf_cdktf_provider_aws.sns_topic_subscription import SnsTopicSubscription
from constructs import Construct

from constructs_lib.deployment import API_FAILURES_METRIC, Deployment, addressed
from constructs_lib.policy import nobody_without_tls, of_account, resource_document, service_may
from constructs_lib.python_function import PythonFunction
from constructs_lib.queues import HintQueue
from lambdas.core.hints import MAX_HOPS
from lambdas.core.settings import HEARTBEAT_METRIC, METRICS_NAMESPACE

TOPIC = "alarms"
_MINUTE_SECONDS = 60
_SWEEP_SECONDS = 15 * _MINUTE_SECONDS
# The reconciler looks every 15 minutes at what needs a person, and retries a failing step after at
# most 15 minutes. This period is longer, so that an alarm does not flap between two attempts.
_REPEAT_SECONDS = 20 * _MINUTE_SECONDS


def alarm_topic_arn(at: Deployment) -> str:
    """The topic's ARN, computed from its name: the functions are made before the topic."""
    return at.arn("sns", at.name(TOPIC))


@dataclass(frozen=True, slots=True)
class _Metric:
    namespace: str
    name: str
    dimensions: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _When:
    """The alarm goes off if `statistic` breaches the threshold in each of `periods`. `missing` says
    how to treat a period without data."""

    statistic: str = "Sum"
    comparison: str = "GreaterThanThreshold"
    threshold: int = 0
    periods: int = 1
    period_seconds: int = _MINUTE_SECONDS
    missing: str = "notBreaching"


# A gauge that the sweep publishes every 15 minutes. CloudWatch's evaluation period slides. It may
# contain no sweep if two sweeps are some seconds further apart; then the alarm keeps its state.
_SWEEP_GAUGE = _When(statistic="Maximum", period_seconds=_SWEEP_SECONDS, missing="ignore")

# Many endpoints that are due at once are throttled until each has had its turn. At five calls a
# second, 4,500 starts take a quarter of an hour; throttling that lasts longer has another cause. A
# waiting endpoint retries at least once a minute (every other second while it waits for its turn),
# so more than three throttled calls in five minutes are not chance.
_LASTING_THROTTLE = _When(threshold=3, periods=4, period_seconds=5 * _MINUTE_SECONDS)


class Alarms(Construct):
    """The topic `{prefix}-alarms` and the alarms that publish to it."""

    def __init__(  # noqa: PLR0913  # keyword-only: everything that is watched
        self,
        scope: Construct,
        at: Deployment,
        *,
        queues: Sequence[HintQueue],
        functions: Sequence[PythonFunction],
        of_meter: Sequence[PythonFunction],
        emails: Sequence[str],
        late_minutes: int,
        reports_unmanaged: bool,
    ) -> None:
        super().__init__(scope, "observability")
        self._at = at
        topic = addressed(
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
        self._topic_arn = topic.arn
        self.alarm_names: list[str] = []
        for number, email in enumerate(emails):
            addressed(
                SnsTopicSubscription(
                    self,
                    f"email-{number}",
                    topic_arn=self._topic_arn,
                    protocol="email",
                    endpoint=email,
                ),
                f"email_{number}",
            )
        self._no_data_alarms()
        self._sweep_alarms(late_minutes, reports_unmanaged=reports_unmanaged)
        self._step_alarms()
        self._alarm(
            "api-failures",
            "The API answered 500, 502 or 504 more than five times in each of two periods of five "
            "minutes: a function of it fails, the authorizer fails, or AWS does.",
            _Metric(at.metrics_namespace, API_FAILURES_METRIC, {}),
            _When(threshold=5, periods=2, period_seconds=5 * _MINUTE_SECONDS),
        )
        for queue in queues:
            self._dead_letter_alarm(queue)
        for function in functions:
            self._error_alarm(function)
        for function in of_meter:
            self._throttle_alarm(function)

    def _topic_policy(self) -> str:
        """This policy replaces the default of SNS, so it must allow CloudWatch. Functions publish
        under their roles."""
        arn = alarm_topic_arn(self._at)
        ours = of_account(self._at.account_id)
        return resource_document(
            nobody_without_tls("sns:Publish", arn),
            service_may("cloudwatch.amazonaws.com", "sns:Publish", arn, ours),
        )

    def _no_data_alarms(self) -> None:
        # The reconciler sends the heartbeat when the tick's canary reaches it. So a heartbeat
        # proves that scheduler, tick, queue and reconciler all work.
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

    def _sweep_alarms(self, late_minutes: int, *, reports_unmanaged: bool) -> None:
        """Differences that the sweep found between the records and SageMaker."""
        self._alarm(
            "late",
            f"Endpoints are not what they should be for {late_minutes} minutes.",
            self._own("Late"),
            _SWEEP_GAUGE,
        )
        self._alarm(
            "orphans",
            "Endpoints carry our tag though nobody declared them; they are deleted an hour after "
            "they were found unless somebody adds them.",
            self._own("Orphans"),
            _SWEEP_GAUGE,
        )
        self._alarm(
            "restored-table",
            "The state table was restored, so nothing is deleted until someone has looked: "
            'invoke the sweep with {"action": "accept_restored_table"}.',
            self._own("RestoredTable"),
            _SWEEP_GAUGE,
        )
        if reports_unmanaged:
            self._alarm(
                "unmanaged",
                "Endpoints run that nobody put on a meter.",
                self._own("Unmanaged"),
                _SWEEP_GAUGE,
            )

    def _step_alarms(self) -> None:
        """Steps that the reconciler could not finish."""
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
            "long-chains",
            f"The reconciler has looked at an endpoint {MAX_HOPS:,} times in a row: something "
            "keeps it from coming to rest, such as a deletion that never ends.",
            self._own("LongChains"),
            _When(period_seconds=_REPEAT_SECONDS),
        )
        self._alarm(
            "throttled",
            "SageMaker has been throttling our calls for 20 minutes: starts and stops come late. "
            "Others may use up the account's rate, or its quota is too small.",
            self._own("Throttled"),
            _LASTING_THROTTLE,
        )

    def _dead_letter_alarm(self, queue: HintQueue) -> None:
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

    def _error_alarm(self, function: PythonFunction) -> None:
        self._alarm(
            f"{function.name.removeprefix(f'{self._at.prefix}-')}-errors",
            "The function raised an error or ran out of time in each of three minutes.",
            _Metric("AWS/Lambda", "Errors", {"FunctionName": function.name}),
            _When(periods=3),
        )

    def _throttle_alarm(self, function: PythonFunction) -> None:
        self._alarm(
            f"{function.name.removeprefix(f'{self._at.prefix}-')}-throttles",
            "Lambda refused to start the function: its own concurrency, or the account's, is used "
            "up.",
            _Metric("AWS/Lambda", "Throttles", {"FunctionName": function.name}),
            _When(period_seconds=5 * _MINUTE_SECONDS),
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
                alarm_actions=[self._topic_arn],
                ok_actions=[self._topic_arn],
            ),
            name.replace("-", "_"),
        )
