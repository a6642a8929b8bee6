"""The functions that call the models: one per entry with an integration of type `lambda`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from constructs import Construct

from constructs_lib.api.model_routes import LambdaRoute
from constructs_lib.artifacts import Artifacts
from constructs_lib.bundle import Archive
from constructs_lib.config.concurrency import reservations
from constructs_lib.config.document import DeployConfig, JumpstartModel
from constructs_lib.config.integration import Integration, IntegrationProperties
from constructs_lib.deployment import Deployment
from constructs_lib.meter_functions import MeterFunctions
from constructs_lib.policy import Statement
from constructs_lib.python_function import Package, PythonFunction, Sizing
from constructs_lib.sagemaker_access import SageMakerAccess
from constructs_lib.warm_functions import KeepWarm, ReadyInstances
from lambdas.core.settings import IntegrationSettings, WakingSettings

_SPARE_SECONDS = 3
"""Part of a function's timeout: time left to answer that the model did not respond."""


class Integrations(Construct):
    """`packages` holds the zip of each entry that has a `lambda_src`, by name."""

    def __init__(  # keyword-only: what the functions are made of
        self,
        scope: Construct,
        at: Deployment,
        config: DeployConfig,
        *,
        artifacts: Artifacts,
        packages: Mapping[str, Archive],
        meter: MeterFunctions,
    ) -> None:
        super().__init__(scope, "integrations")
        self._at, self._config, self._artifacts = at, config, artifacts
        self._packages, self._meter = packages, meter
        self._sagemaker = SageMakerAccess(at)
        self.routes: list[LambdaRoute] = []
        warm: dict[PythonFunction, int] = {}
        for entry in config.jumpstart_models:
            if entry.integration and entry.integration.type == "lambda":
                route = self._route(entry, entry.integration)
                self.routes.append(route)
                if entry.integration.properties.keep_warm:
                    warm[route.function] = entry.integration.properties.keep_warm.minutes
        self.functions = [route.function for route in self.routes]
        if warm:
            KeepWarm(self, at, warm)

    def _route(self, entry: JumpstartModel, integration: Integration) -> LambdaRoute:
        properties = integration.properties
        function = self._function(entry, integration)
        alias = None
        if properties.provisioned_concurrency:
            ready = ReadyInstances(self, entry.name, function, properties.provisioned_concurrency)
            alias = ready.alias
        return LambdaRoute(
            properties.api_resource_name, integration.public, function, alias, properties.proxy
        )

    def _function(self, entry: JumpstartModel, integration: Integration) -> PythonFunction:
        properties = integration.properties
        endpoint_name = self._config.endpoint_name(entry)
        settings = IntegrationSettings(
            endpoint_name=endpoint_name,
            route=properties.api_resource_name,
            state_table=self._meter.state.name,
            public_route=int(integration.public),
            answer_within_seconds=properties.timeout_seconds - _SPARE_SECONDS,
            cors_origin=self._config.cors_origin or "",
        )
        return PythonFunction(
            self,
            f"model-{entry.name}",
            at=self._at,
            artifacts=self._artifacts,
            settings=settings,
            sizing=Sizing(
                properties.timeout_seconds,
                properties.memory_mb,
                reservations(self._config).get(f"model-{entry.name}"),
            ),
            statements=[
                *self._sagemaker.invoke([endpoint_name]),
                *self._meter.state.read_endpoint(),
                *self._meter.state.read_control(),
                *(self._wake_statements() if entry.wake_on_request else ()),
            ],
            log_retention_days=self._config.log_retention_days,
            package=replace(
                self._package(entry.name, properties),
                versioned=bool(properties.provisioned_concurrency),
            ),
            variables={**properties.environment, **self._waking_variables(entry)},
        )

    def _waking_variables(self, entry: JumpstartModel) -> Mapping[str, str]:
        """The environment variables of a function that may start its endpoint."""
        if entry.wake_on_request is None:
            return {}
        return WakingSettings(
            history_table=self._meter.history.name,
            history_days=self._config.history_days,
            starts_queue_url=self._meter.starts.url,
            work_queue_url=self._meter.work.url,
            wake_minutes=entry.wake_on_request.minutes,
            wakes_per_token_an_hour=entry.wake_on_request.wakes_per_token_an_hour,
        ).to_environment()

    def _wake_statements(self) -> list[Statement]:
        return [
            *self._meter.state.write(),
            *self._meter.history.append(),
            *self._meter.history.count_requests(),
            *(statement for queue in self._meter.queues for statement in queue.send()),
        ]

    def _package(self, name: str, properties: IntegrationProperties) -> Package:
        if properties.image_uri:
            return Package(image_uri=properties.image_uri)
        archive = self._packages[name]
        uploaded = self._artifacts.upload(f"model-{name}", archive)
        return Package(
            handler=properties.handler,
            bucket=uploaded.bucket,
            key=uploaded.key,
            hash=archive.base64_hash,
            layers=[self._artifacts.layer_arn, *properties.layers],
        )
