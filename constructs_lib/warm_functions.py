"""Measures against cold starts: provisioned concurrency, a snapshot of the imported function, or a
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
from constructs_lib.python_function import InvokedFunction, PythonFunction
from constructs_lib.role import own_role
from lambdas.core.settings import WARM_UP


class ReadyInstances(Construct):
    """The alias `live` of a function's newest version, with provisioned concurrency. Only calls to
    the alias use those instances."""

    def __init__(self, scope: Construct, function: PythonFunction, count: int) -> None:
        name = function.node.id
        super().__init__(scope, f"{name}-ready")
        self.alias = _live(self, function)
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


class Snapshots(Construct):
    """The alias `live` of the newest version of a function with `snap_start`. Only calls to the
    alias start from the snapshot."""

    def __init__(self, scope: Construct, function: PythonFunction) -> None:
        super().__init__(scope, f"{function.node.id}-snapshots")
        self.alias = _live(self, function)


def _live(scope: Construct, function: PythonFunction) -> LambdaAlias:
    return addressed(
        LambdaAlias(
            scope,
            "alias",
            name=LIVE,
            function_name=function.resource.function_name,
            function_version=function.resource.version,
        ),
        function.node.id,
    )


class KeepWarm(Construct):
    """Calls each function every few minutes, with an event that it answers immediately."""

    def __init__(
        self, scope: Construct, at: Deployment, minutes: Mapping[InvokedFunction, int]
    ) -> None:
        super().__init__(scope, "keep-warm")
        role, policy = own_role(
            self,
            at,
            thing="keep-warm",
            logical_id="keep_warm",
            trust=trust_document("scheduler.amazonaws.com", of_account(at.account_id)),
            statements=(function.invoke() for function in minutes),
        )
        for invoked, every in minutes.items():
            name = invoked.function.node.id
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
                        arn=invoked.arn,
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
