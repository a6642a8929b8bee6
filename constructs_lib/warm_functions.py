"""Measures against cold starts of the functions that call models: provisioned concurrency, or a
regular call that keeps one instance warm."""

from __future__ import annotations

from collections.abc import Mapping

from cdktf_cdktf_provider_aws.lambda_alias import LambdaAlias
from cdktf_cdktf_provider_aws.lambda_provisioned_concurrency_config import (
    LambdaProvisionedConcurrencyConfig,
)
from cdktf_cdktf_provider_aws.scheduler_schedule import (
    SchedulerSchedule,
    SchedulerScheduleFlexibleTimeWindow,
    SchedulerScheduleTarget,
    SchedulerScheduleTargetRetryPolicy,
)
from constructs import Construct

from constructs_lib.canonical import canonical
from constructs_lib.config.called import LIVE
from constructs_lib.deployment import Deployment, addressed
from constructs_lib.policy import of_account, trust_document
from constructs_lib.python_function import PythonFunction
from constructs_lib.role import own_role
from lambdas.core.settings import WARM_UP


class ReadyInstances(Construct):
    """The alias `live` of a function's newest version, with provisioned concurrency. Only calls to
    the alias use those instances."""

    def __init__(self, scope: Construct, function: PythonFunction, count: int) -> None:
        name = function.node.id
        super().__init__(scope, f"{name}-ready")
        self.alias = addressed(
            LambdaAlias(
                self,
                "alias",
                name=LIVE,
                function_name=function.resource.function_name,
                function_version=function.resource.version,
            ),
            name,
        )
        addressed(
            LambdaProvisionedConcurrencyConfig(
                self,
                "provisioned",
                function_name=function.resource.function_name,
                qualifier=self.alias.name,
                provisioned_concurrent_executions=count,
            ),
            name,
        )


class KeepWarm(Construct):
    """Calls each function every few minutes, with an event that it answers immediately."""

    def __init__(
        self, scope: Construct, at: Deployment, minutes: Mapping[PythonFunction, int]
    ) -> None:
        super().__init__(scope, "keep-warm")
        role, policy = own_role(
            self,
            name=at.role_name("keep-warm"),
            logical_id="keep_warm",
            trust=trust_document("scheduler.amazonaws.com", of_account(at.account_id)),
            statements=(each for function in minutes for each in function.invoke()),
        )
        for function, every in minutes.items():
            name = function.node.id
            kind, _, entry = name.partition("-")
            addressed(
                SchedulerSchedule(
                    self,
                    name,
                    # No name of an entry has an underscore.
                    name=at.name(f"warm-{entry}" if entry else f"warm_{kind}"),
                    schedule_expression=f"rate({every} minute{'s' * (every > 1)})",
                    flexible_time_window=SchedulerScheduleFlexibleTimeWindow(mode="OFF"),
                    target=SchedulerScheduleTarget(
                        arn=function.arn,
                        role_arn=role.arn,
                        input=canonical(WARM_UP),
                        retry_policy=SchedulerScheduleTargetRetryPolicy(
                            maximum_event_age_in_seconds=60, maximum_retry_attempts=0
                        ),
                    ),
                    depends_on=[policy],
                ),
                name,
            )
