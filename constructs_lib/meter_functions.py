"""The functions of the meter, the tables and queues they share, and their permissions.

Least privilege: a function gets one statement for each call that its code makes, and no others.
"""

from __future__ import annotations

from dataclasses import replace

from constructs import Construct

from constructs_lib.alarms import alarm_topic_arn
from constructs_lib.api.guarded_routes import guarded_routes
from constructs_lib.artifacts import Artifacts
from constructs_lib.async_api import call_asynchronously, state_machine_arn
from constructs_lib.canonical import canonical
from constructs_lib.config.concurrency import reservations
from constructs_lib.config.document import DeployConfig
from constructs_lib.deployment import Deployment
from constructs_lib.policy import Statement
from constructs_lib.private_bucket import PrivateBucket
from constructs_lib.python_function import InvokedFunction, PythonFunction, Sizing
from constructs_lib.queues import EVENTS_RULE, HintQueue
from constructs_lib.sagemaker_access import SageMakerAccess
from constructs_lib.tables import AuthTable, HistoryTable, StateTable
from constructs_lib.user_pool import UserPool
from constructs_lib.warm_functions import Snapshots
from lambdas.core.executions import RESULTS_PREFIX
from lambdas.core.name_patterns import NamePatterns
from lambdas.core.settings import (
    AdopterSettings,
    ApiSettings,
    AuthorizerSettings,
    InvokerSettings,
    ReconcilerSettings,
    Settings,
    SweepSettings,
    TickSettings,
)
from lambdas.core.spec import AsyncMode

AUTHORIZER = Sizing(timeout_seconds=5)
API = Sizing(timeout_seconds=28, memory_mb=512)  # API Gateway waits 29 s
TICK = Sizing(timeout_seconds=55)  # it must end before the next one
RECONCILER = Sizing(timeout_seconds=30)
SWEEP = Sizing(timeout_seconds=900)  # Lambda's maximum: it waits while Terraform waits
ADOPTER = Sizing(timeout_seconds=15)
INVOKER = Sizing(timeout_seconds=80, memory_mb=512)  # SageMaker gives a model 60 s
RESULT_DAYS = 7


class MeterFunctions(Construct):
    def __init__(
        self, scope: Construct, at: Deployment, config: DeployConfig, artifacts: Artifacts
    ) -> None:
        super().__init__(scope, "meter")
        self._at, self._config, self._artifacts = at, config, artifacts
        self._sagemaker = SageMakerAccess(at)
        self._reservations = reservations(config)
        self._adoptable = NamePatterns.parse(config.adoptable, "adoptable")
        protected = config.deletion_protection
        self.state = StateTable(self, at, deletion_protection=protected)
        self.history = HistoryTable(self, at, deletion_protection=protected)
        self.auth = AuthTable(
            self,
            at,
            config.ddb_auth_table_name,
            create=config.create_auth_table,
            deletion_protection=protected,
        )
        self.users = UserPool(self, at, config.auth, protected=protected) if config.auth else None
        consumer = RECONCILER.timeout_seconds
        self.starts = HintQueue(self, "starts", at, consumer_timeout_seconds=consumer)
        self.work = HintQueue(
            self, "work", at, consumer_timeout_seconds=consumer, fed_by=EVENTS_RULE
        )
        self.queues = (self.starts, self.work)
        large = any(e.async_mode is AsyncMode.THROUGH_LAMBDA for e in config.jumpstart_models)
        self._results = (
            PrivateBucket(self, at, "results", kept_days=RESULT_DAYS, protected=protected)
            if large
            else None
        )
        self.authorizer = self._authorizer()
        self.invoked_authorizer = self._invoked(self.authorizer)
        self.adopter = self._adopter()
        self.invoker = self._invoker(self._results) if self._results else None
        self.api = self._api()
        self.invoked_api = self._invoked(self.api)
        self.tick = self._tick()
        self.reconciler = self._reconciler()
        self.sweep = self._sweep()
        self.all = (
            self.authorizer,
            self.adopter,
            self.api,
            self.tick,
            self.reconciler,
            self.sweep,
            *([self.invoker] if self.invoker else []),
        )

    def _authorizer(self) -> PythonFunction:
        settings = AuthorizerSettings(
            auth_table=self.auth.name,
            notes_use=int(self.auth.is_ours),
            routes=str(guarded_routes(self._config)),
            user_pool=str(self.users.settings) if self.users else "",
        )
        return self._function(
            "authorizer",
            AUTHORIZER,
            settings,
            self.auth.authorize(),
            snap_start=self._config.lambda_.snap_start,
        )

    def _adopter(self) -> PythonFunction:
        settings = AdopterSettings(stack_tag=self._at.stack_tag)
        statements = self._sagemaker.adopt(self._adoptable)
        return self._function("adopter", ADOPTER, settings, statements)

    def _api(self) -> PythonFunction:
        settings = ApiSettings(
            state_table=self.state.name,
            history_table=self.history.name,
            history_days=self._config.history_days,
            starts_queue_url=self.starts.url,
            work_queue_url=self.work.url,
            stack_tag=self._at.stack_tag,
            max_lease_minutes=self._config.max_lease_minutes,
            token_requests_per_minute=self._config.token_requests_per_minute,
            async_state_machine_arn=state_machine_arn(self._at),
            cors_origin=self._config.cors_origin or "",
            async_results_bucket=self._results.name if self._results else "",
            adoptable=str(self._adoptable),
            addable_configs=str(
                NamePatterns.parse(self._config.addable_configs, "addable_configs")
            ),
            max_added_endpoints=self._config.max_added_endpoints,
            max_added_per_token_per_day=self._config.max_added_per_token_per_day,
        )
        statements = [
            *self.state.read_endpoint(),
            *self.state.read_control(),
            *self.state.list_endpoints(),
            *self.state.write(),
            *self.state.declare(),
            *self.state.forget(),
            *self.history.read(),
            *self.history.append(),
            *self.history.count_requests(),
            *self._send_hints(),
            *self._sagemaker.describe(),
            *self._sagemaker.describe_configs(),
            *call_asynchronously(self._at),
            *(self._result_statement("s3:GetObject") if self._results else []),
        ]
        return self._function(
            "api", API, settings, statements, snap_start=self._config.lambda_.snap_start
        )

    def _invoker(self, results: PrivateBucket) -> PythonFunction:
        settings = InvokerSettings(results_bucket=results.name)
        statements = [*self._sagemaker.invoke_declared(), *self._result_statement("s3:PutObject")]
        return self._function("invoker", INVOKER, settings, statements)

    def _result_statement(self, action: str) -> list[Statement]:
        assert self._results is not None
        return [Statement((action,), (f"{self._results.arn}/{RESULTS_PREFIX}*",))]

    def _tick(self) -> PythonFunction:
        settings = TickSettings(
            state_table=self.state.name,
            starts_queue_url=self.starts.url,
            work_queue_url=self.work.url,
        )
        statements = [*self.state.read_due(), *self.state.write(), *self._send_hints()]
        return self._function("tick", TICK, settings, statements)

    def _reconciler(self) -> PythonFunction:
        settings = ReconcilerSettings(
            state_table=self.state.name,
            history_table=self.history.name,
            history_days=self._config.history_days,
            starts_queue_url=self.starts.url,
            work_queue_url=self.work.url,
            adopter_function=self.adopter.name,
            stack_tag=self._at.stack_tag,
            log_days=self._config.log_retention_days,
            log_key_arn=self._at.key_arn or "",
            tags=canonical(self._config.tags),
        )
        statements = [
            *self.state.read_endpoint(),
            *self.state.read_control(),
            *self.state.read_id(),
            *self.state.write(),
            *self.state.forget(),
            *self.history.append(),
            *self._send_hints(),
            *(statement for queue in self.queues for statement in queue.consume()),
            *self._sagemaker.describe(),
            *self._sagemaker.operate(),
            *self._sagemaker.scale(),
            *self._sagemaker.keep_logs(),
            *self.adopter.invoke(),
            *self._sagemaker.use_keys(self._config.volume_keys()),
        ]
        return self._function("reconciler", RECONCILER, settings, statements)

    def _sweep(self) -> PythonFunction:
        settings = SweepSettings(
            state_table=self.state.name,
            history_table=self.history.name,
            history_days=self._config.history_days,
            starts_queue_url=self.starts.url,
            work_queue_url=self.work.url,
            alarm_topic_arn=alarm_topic_arn(self._at),
            stack_tag=self._at.stack_tag,
            drain_wait_seconds=self._config.destroy_wait_seconds,
            unmanaged_endpoints=self._config.unmanaged_endpoints,
            unmanaged_lease_minutes=self._config.unmanaged_lease_minutes,
            late_minutes=self._config.late_minutes,
            adoptable=str(self._adoptable),
            max_lease_minutes=self._config.max_lease_minutes,
        )
        statements = [
            *self.state.read_endpoint(),
            *self.state.read_control(),
            *self.state.read_id(),
            *self.state.list_endpoints(),
            *self.state.write(),
            *self.state.declare(),
            *self.state.forget(),
            *self.history.append(),
            *self._send_hints(),
            *self._sagemaker.list_all(),
            *self._sagemaker.describe(),
            *self._sagemaker.own_configs(),
            Statement(("sns:Publish",), (alarm_topic_arn(self._at),)),
        ]
        return self._function("sweep", SWEEP, settings, statements)

    def _send_hints(self) -> list[Statement]:
        return [statement for queue in self.queues for statement in queue.send()]

    def _invoked(self, function: PythonFunction) -> InvokedFunction:
        """What API Gateway calls."""
        if not self._config.lambda_.snap_start:
            return InvokedFunction(function)
        return InvokedFunction(function, Snapshots(self, function).alias)

    def _function(
        self,
        name: str,
        sizing: Sizing,
        settings: Settings,
        statements: list[Statement],
        *,
        snap_start: bool = False,
    ) -> PythonFunction:
        return PythonFunction(
            self,
            name,
            at=self._at,
            artifacts=self._artifacts,
            settings=settings,
            sizing=replace(sizing, reserved_concurrency=self._reservations.get(name)),
            statements=statements,
            log_retention_days=self._config.log_retention_days,
            snap_start=snap_start,
        )
