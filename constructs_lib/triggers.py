"""The triggers of the functions: schedules, queues, and SageMaker's events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cdktf_cdktf_provider_aws.cloudwatch_event_rule import CloudwatchEventRule
from cdktf_cdktf_provider_aws.cloudwatch_event_target import (
    CloudwatchEventTarget,
    CloudwatchEventTargetInputTransformer,
)
from cdktf_cdktf_provider_aws.iam_role import IamRole
from cdktf_cdktf_provider_aws.lambda_event_source_mapping import (
    LambdaEventSourceMapping,
    LambdaEventSourceMappingScalingConfig,
)
from cdktf_cdktf_provider_aws.lambda_function_recursion_config import (
    LambdaFunctionRecursionConfig,
)
from cdktf_cdktf_provider_aws.scheduler_schedule import (
    SchedulerSchedule,
    SchedulerScheduleFlexibleTimeWindow,
    SchedulerScheduleTarget,
    SchedulerScheduleTargetRetryPolicy,
)
from constructs import Construct

from constructs_lib.canonical import canonical
from constructs_lib.deployment import Deployment, addressed
from constructs_lib.policy import of_account, trust_document
from constructs_lib.python_function import PythonFunction
from constructs_lib.queues import EVENTS_RULE, HintQueue
from constructs_lib.role import own_role

_BATCH_SIZE = 10


class Scheduler(Construct):
    """EventBridge Scheduler for the tick and the sweep, under a role that may call only these."""

    def __init__(
        self, scope: Construct, at: Deployment, *, tick: PythonFunction, sweep: PythonFunction
    ) -> None:
        super().__init__(scope, "scheduler")
        role, self.policy = own_role(
            self,
            at,
            thing="scheduler",
            logical_id="scheduler",
            trust=trust_document("scheduler.amazonaws.com", of_account(at.account_id)),
            statements=[*tick.invoke(), *sweep.invoke()],
        )
        self._every("tick", "rate(1 minute)", tick, role, at, {})
        self._every("sweep", "rate(15 minutes)", sweep, role, at, {"action": "sweep"})

    def _every(
        self,
        name: str,
        rate: str,
        function: PythonFunction,
        role: IamRole,
        at: Deployment,
        event: Mapping[str, str],
    ) -> None:
        addressed(
            SchedulerSchedule(
                self,
                name,
                name=at.name(name),
                schedule_expression=rate,
                flexible_time_window=SchedulerScheduleFlexibleTimeWindow(mode="OFF"),
                target=SchedulerScheduleTarget(
                    arn=function.arn,
                    role_arn=role.arn,
                    input=canonical(event),
                    # no retry: the next call comes soon, and a late retry would overlap it
                    retry_policy=SchedulerScheduleTargetRetryPolicy(
                        maximum_event_age_in_seconds=60, maximum_retry_attempts=0
                    ),
                ),
                depends_on=[self.policy],
            ),
            name,
        )


class HintConsumers(Construct):
    """Sends the messages of the queues to the reconciler, which answers with messages to the same
    queues. Single messages of a batch may fail."""

    def __init__(
        self,
        scope: Construct,
        *,
        queues: Sequence[HintQueue],
        function: PythonFunction,
        concurrency: int,
    ) -> None:
        super().__init__(scope, "hint-consumers")
        self._function = function
        self._concurrency = concurrency
        # Otherwise Lambda ends such a loop after about 16 rounds (docs/decisions/0105).
        self._loop = addressed(
            LambdaFunctionRecursionConfig(
                self, "recursion", function_name=function.arn, recursive_loop="Allow"
            ),
            "reconciler",
        )
        for queue in queues:
            self._consume(queue)

    def _consume(self, queue: HintQueue) -> None:
        function = self._function
        addressed(
            LambdaEventSourceMapping(
                self,
                queue.id,
                event_source_arn=queue.arn,
                function_name=function.arn,
                batch_size=_BATCH_SIZE,
                function_response_types=["ReportBatchItemFailures"],
                scaling_config=LambdaEventSourceMappingScalingConfig(
                    maximum_concurrency=self._concurrency
                ),
                depends_on=[function.policy, self._loop],
            ),
            queue.id,
        )


class EndpointEvents(Construct):
    """Turns SageMaker's state-change events into hints on `queue`. The queue's policy allows it."""

    def __init__(self, scope: Construct, at: Deployment, *, queue: HintQueue) -> None:
        super().__init__(scope, "endpoint-events")
        pattern = {
            "source": ["aws.sagemaker"],
            "detail-type": ["SageMaker Endpoint State Change"],
        }
        rule = addressed(
            CloudwatchEventRule(
                self,
                "rule",
                name=at.name(EVENTS_RULE),
                event_pattern=canonical(pattern),
            ),
            "endpoint_events",
        )
        addressed(
            CloudwatchEventTarget(
                self,
                "target",
                rule=rule.name,
                target_id="work",
                arn=queue.arn,
                input_transformer=CloudwatchEventTargetInputTransformer(
                    input_paths={"endpoint": "$.detail.EndpointName"},
                    input_template='{"endpoint": <endpoint>, "cause": "event"}',
                ),
            ),
            "endpoint_events",
        )
