"""The functions that call the models: one per entry with an integration of type `lambda`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from constructs import Construct

from constructs_lib.artifacts import Artifacts
from constructs_lib.bundle import Archive
from constructs_lib.calls import Calls, ModelFunction
from constructs_lib.config.called import MODEL_FUNCTION
from constructs_lib.config.concurrency import reservations
from constructs_lib.config.document import DeployConfig, JumpstartModel
from constructs_lib.config.integration import (
    SPARE_SECONDS,
    Integration,
    IntegrationProperties,
)
from constructs_lib.deployment import Deployment
from constructs_lib.meter_functions import MeterFunctions
from constructs_lib.python_function import InvokedFunction, Package, PythonFunction, Sizing
from constructs_lib.sagemaker_access import SageMakerAccess
from constructs_lib.warm_functions import KeepWarm, ReadyInstances
from lambdas.core.settings import IntegrationSettings


class Integrations(Construct):
    """`packages` holds the zip of each entry that has a `lambda_src`, by name. `calls` is the
    function before them, if there is any."""

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
        self._packages = packages
        self._sagemaker = SageMakerAccess(at)
        models = [
            self._model(entry, entry.integration)
            for entry in config.jumpstart_models
            if entry.integration and entry.integration.type == "lambda"
        ]
        self.routes = [model.route for model in models]
        self.functions = [model.invoked.function for model in models]
        self.calls = None
        if models:
            calls = Calls(self, at, config, artifacts=artifacts, meter=meter, models=models)
            self.calls = calls.invoked
            self._keep_warm(models, calls)

    def _model(self, entry: JumpstartModel, integration: Integration) -> ModelFunction:
        function = self._function(entry, integration.properties)
        ready = integration.properties.provisioned_concurrency
        alias = ReadyInstances(self, function, ready).alias if ready else None
        return ModelFunction(entry, integration, InvokedFunction(function, alias))

    def _keep_warm(self, models: Sequence[ModelFunction], calls: Calls) -> None:
        """Keep the functions warm whose entries ask for it, and the one before them as often as any
        of them."""
        minutes = {
            model.invoked: model.integration.properties.keep_warm.minutes
            for model in models
            if model.integration.properties.keep_warm
        }
        if minutes:
            KeepWarm(self, self._at, {**minutes, calls.invoked: min(minutes.values())})

    def _function(self, entry: JumpstartModel, properties: IntegrationProperties) -> PythonFunction:
        endpoint_name, name = self._config.endpoint_name(entry), MODEL_FUNCTION.format(entry.name)
        settings = IntegrationSettings(
            endpoint_name=endpoint_name,
            route=properties.api_resource_name,
            answer_within_seconds=properties.timeout_seconds - SPARE_SECONDS,
        )
        return PythonFunction(
            self,
            name,
            at=self._at,
            artifacts=self._artifacts,
            settings=settings,
            sizing=Sizing(
                properties.timeout_seconds,
                properties.memory_mb,
                reservations(self._config).get(name),
            ),
            statements=self._sagemaker.invoke([endpoint_name], components=True),
            log_retention_days=self._config.log_retention_days,
            package=self._package(entry.name, properties),
            versioned=bool(properties.provisioned_concurrency),
            variables=properties.environment,
        )

    def _package(self, name: str, properties: IntegrationProperties) -> Package:
        if properties.image_uri:
            return Package(image_uri=properties.image_uri)
        archive = self._packages[name]
        uploaded = self._artifacts.upload(MODEL_FUNCTION.format(name), archive)
        return Package(
            handler=properties.handler,
            bucket=uploaded.bucket,
            key=uploaded.key,
            hash=archive.base64_hash,
            layers=[self._artifacts.layer_arn, *properties.layers],
        )
