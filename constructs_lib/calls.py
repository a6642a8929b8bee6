"""The function before those that call models: it counts calls, hands them on, and wakes endpoints.

The functions behind it run code of others. So their roles reach no table, and only this function
may call them: docs/decisions/0066-calls-of-models.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from constructs import Construct

from constructs_lib.api.model_routes import LambdaRoute
from constructs_lib.artifacts import Artifacts
from constructs_lib.config.called import called_models
from constructs_lib.config.document import DeployConfig, JumpstartModel
from constructs_lib.config.integration import Integration
from constructs_lib.deployment import Deployment
from constructs_lib.meter_functions import MeterFunctions
from constructs_lib.policy import Statement
from constructs_lib.python_function import InvokedFunction, PythonFunction, Sizing
from constructs_lib.warm_functions import ReadyInstances, Snapshots
from lambdas.core.settings import CallsSettings

_MEMORY_MB = 512  # bodies have up to 6 MB


@dataclass(frozen=True, slots=True)
class ModelFunction:
    """The function of an entry. Its alias is called if it has provisioned instances."""

    entry: JumpstartModel
    integration: Integration
    invoked: InvokedFunction

    @property
    def route(self) -> LambdaRoute:
        properties = self.integration.properties
        return LambdaRoute(
            properties.api_resource_name,
            self.integration.public,
            self.integration.seconds,
            properties.proxy,
        )


class Calls(Construct):
    """The function `{prefix}-calls`. It has as many provisioned instances as all entries together:
    its own cold starts would delay their calls too."""

    def __init__(  # keyword-only: what the function works with
        self,
        scope: Construct,
        at: Deployment,
        config: DeployConfig,
        *,
        artifacts: Artifacts,
        meter: MeterFunctions,
        models: Sequence[ModelFunction],
    ) -> None:
        super().__init__(scope, "calls")
        self._config, self._meter, self._models = config, meter, models
        ready = sum(model.integration.properties.provisioned_concurrency or 0 for model in models)
        # Lambda does not take snapshots of versions with provisioned instances.
        from_snapshots = config.lambda_.snap_start and not ready
        self.function = PythonFunction(
            self,
            "calls",
            at=at,
            artifacts=artifacts,
            settings=self._settings(),
            sizing=Sizing(max(model.integration.seconds for model in models), _MEMORY_MB),
            statements=self._statements(),
            log_retention_days=config.log_retention_days,
            versioned=ready > 0,
            snap_start=from_snapshots,
        )
        alias = None
        if ready:
            alias = ReadyInstances(self, self.function, ready).alias
        elif from_snapshots:
            alias = Snapshots(self, self.function).alias
        self.invoked = InvokedFunction(self.function, alias)

    def _settings(self) -> CallsSettings:
        return CallsSettings(
            state_table=self._meter.state.name,
            history_table=self._meter.history.name,
            history_days=self._config.history_days,
            starts_queue_url=self._meter.starts.url,
            work_queue_url=self._meter.work.url,
            token_requests_per_minute=self._config.token_requests_per_minute,
            cors_origin=self._config.cors_origin or "",
            models=str(called_models(self._config)),
        )

    def _statements(self) -> list[Statement]:
        wakes = [
            self._config.endpoint_name(model.entry)
            for model in self._models
            if model.entry.wake_on_request
        ]
        return [
            *(model.invoked.invoke() for model in self._models),
            *self._meter.state.read_endpoint(),
            *self._meter.state.read_control(),
            *self._meter.history.count_requests(),
            *(self._wake(wakes) if wakes else ()),
        ]

    def _wake(self, endpoint_names: Sequence[str]) -> list[Statement]:
        return [
            *self._meter.state.write_only(endpoint_names),
            *self._meter.history.append(),
            *(statement for queue in self._meter.queues for statement in queue.send()),
        ]
