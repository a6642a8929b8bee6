"""The resources that an endpoint runs: an endpoint config, its models and their execution roles.

All of them are immutable, so the hash of the content is part of each name and each Terraform
address. A change creates new resources beside the old ones and then destroys the old ones; it never
replaces one in place. With `create_before_destroy`, the old endpoint config exists until the
running endpoint has moved to the new one.
"""

from __future__ import annotations

from typing import Any

from cdktf_cdktf_provider_aws.sagemaker_endpoint_configuration import (
    SagemakerEndpointConfiguration,
    SagemakerEndpointConfigurationAsyncInferenceConfig,
    SagemakerEndpointConfigurationAsyncInferenceConfigClientConfig,
    SagemakerEndpointConfigurationAsyncInferenceConfigOutputConfig,
    SagemakerEndpointConfigurationAsyncInferenceConfigOutputConfigNotificationConfig,
    SagemakerEndpointConfigurationDataCaptureConfig,
    SagemakerEndpointConfigurationDataCaptureConfigCaptureContentTypeHeader,
    SagemakerEndpointConfigurationDataCaptureConfigCaptureOptions,
    SagemakerEndpointConfigurationProductionVariants,
    SagemakerEndpointConfigurationProductionVariantsCoreDumpConfig,
    SagemakerEndpointConfigurationProductionVariantsManagedInstanceScaling,
    SagemakerEndpointConfigurationProductionVariantsRoutingConfig,
    SagemakerEndpointConfigurationProductionVariantsServerlessConfig,
    SagemakerEndpointConfigurationShadowProductionVariants,
    SagemakerEndpointConfigurationShadowProductionVariantsCoreDumpConfig,
    SagemakerEndpointConfigurationShadowProductionVariantsManagedInstanceScaling,
    SagemakerEndpointConfigurationShadowProductionVariantsRoutingConfig,
)
from constructs import Construct

from constructs_lib.async_store import AsyncPaths, AsyncStore, async_paths
from constructs_lib.config.async_inference import AsyncInference
from constructs_lib.config.variants import DataCapture
from constructs_lib.deployment import Deployment, addressed
from constructs_lib.hosting import HostedVariant, Hosting
from constructs_lib.kms import key_arn
from constructs_lib.model_access import execution_statements
from constructs_lib.role import KEEP
from constructs_lib.variant_model import VariantModel


class HostedModel(Construct):
    """`{prefix}-{name}-{hash}`: the endpoint config of one entry, with its models and roles."""

    def __init__(  # keyword-only, except scope and deployment
        self,
        scope: Construct,
        at: Deployment,
        *,
        name: str,
        hosting: Hosting,
        any_name: bool,
        async_store: AsyncStore | None = None,
    ) -> None:
        """`any_name`: endpoints that do not have our prefix may run this config too."""
        super().__init__(scope, f"{name}-{hosting.digest()}")
        self._at, self._name, self._hosting = at, name, hosting
        self._any_name = any_name
        settings = hosting.async_inference
        self._paths = async_paths(name, settings, async_store) if settings else None
        self.config_name = at.name(f"{name}-{hosting.digest()}")
        self.resource = self._endpoint_config()

    def _endpoint_config(self) -> SagemakerEndpointConfiguration:
        at, hosting = self._at, self._hosting
        return addressed(
            SagemakerEndpointConfiguration(
                self,
                "config",
                name=self.config_name,
                production_variants=[
                    SagemakerEndpointConfigurationProductionVariants(
                        **self._common(variant),
                        **_serverless(variant),
                        **_scaled(
                            variant,
                            SagemakerEndpointConfigurationProductionVariantsManagedInstanceScaling,
                            SagemakerEndpointConfigurationProductionVariantsRoutingConfig,
                        ),
                        core_dump_config=self._core_dump(
                            variant, SagemakerEndpointConfigurationProductionVariantsCoreDumpConfig
                        ),
                    )
                    for variant in hosting.variants
                ],
                shadow_production_variants=[
                    SagemakerEndpointConfigurationShadowProductionVariants(
                        **self._common(variant),
                        **_scaled(
                            variant,
                            SagemakerEndpointConfigurationShadowProductionVariantsManagedInstanceScaling,
                            SagemakerEndpointConfigurationShadowProductionVariantsRoutingConfig,
                        ),
                        core_dump_config=self._core_dump(
                            variant,
                            SagemakerEndpointConfigurationShadowProductionVariantsCoreDumpConfig,
                        ),
                    )
                    for variant in hosting.shadows
                ]
                or None,
                data_capture_config=_capture(at, hosting.data_capture),
                async_inference_config=_async(at, self._paths, hosting.async_inference),
                kms_key_arn=key_arn(at, hosting.kms_key_id) if hosting.kms_key_id else None,
                lifecycle=KEEP,
            ),
            self._address(hosting.digest()),
        )

    def _common(self, variant: HostedVariant) -> dict[str, Any]:
        """The properties that the classes of production and shadow variants share."""
        return {
            "variant_name": variant.name,
            "model_name": self._model(variant).resource.name,
            "instance_type": variant.instance_type,
            "initial_instance_count": variant.instance_count,
            "initial_variant_weight": variant.weight,
            "volume_size_in_gb": variant.volume_size_gb,
            "inference_ami_version": variant.inference_ami_version,
            "enable_ssm_access": variant.enable_ssm_access,
            "model_data_download_timeout_in_seconds": variant.model_data_download_timeout_seconds,
            "container_startup_health_check_timeout_in_seconds": (
                variant.container_startup_timeout_seconds
            ),
        }

    def _core_dump(self, variant: HostedVariant, config: type[Any]) -> Any:
        dump = variant.core_dump_config
        if dump is None:
            return None
        key = key_arn(self._at, dump.kms_key_id) if dump.kms_key_id else None
        return config(destination_s3_uri=dump.destination_s3_uri, kms_key_id=key)

    def _model(self, variant: HostedVariant) -> VariantModel:
        digest = self._hosting.model_digest(variant)
        return VariantModel(
            self,
            self._at,
            name=self._at.name(f"{self._name}-{digest}"),
            role_of=f"{self._name}-{digest}",
            address=self._address(digest),
            source=variant.model,
            statements=execution_statements(
                self._at,
                variant,
                self._hosting,
                self._paths,
                any_name=self._any_name,
            ),
        )

    def _address(self, digest: str) -> str:
        first = "" if self._name[0].isalpha() else "_"
        return f"{first}{self._name}_{digest}"


def _serverless(variant: HostedVariant) -> dict[str, Any]:
    serverless = variant.serverless
    if serverless is None:
        return {}
    return {
        "serverless_config": SagemakerEndpointConfigurationProductionVariantsServerlessConfig(
            memory_size_in_mb=serverless.memory_mb,
            max_concurrency=serverless.max_concurrency,
            provisioned_concurrency=serverless.provisioned_concurrency,
        )
    }


def _scaled(variant: HostedVariant, scaling: type[Any], routing: type[Any]) -> dict[str, Any]:
    managed = variant.managed_instance_scaling
    return {
        "managed_instance_scaling": scaling(
            status=managed.status,
            min_instance_count=managed.min_instance_count,
            max_instance_count=managed.max_instance_count,
        )
        if managed
        else None,
        "routing_config": [routing(routing_strategy=variant.routing_strategy)]
        if variant.routing_strategy
        else None,
    }


def _capture(
    at: Deployment, capture: DataCapture | None
) -> SagemakerEndpointConfigurationDataCaptureConfig | None:
    if capture is None:
        return None
    return SagemakerEndpointConfigurationDataCaptureConfig(
        enable_capture=True,
        destination_s3_uri=capture.destination_s3_uri,
        initial_sampling_percentage=capture.sampling_percentage,
        capture_options=[
            SagemakerEndpointConfigurationDataCaptureConfigCaptureOptions(capture_mode=mode)
            for mode in capture.capture
        ],
        capture_content_type_header=SagemakerEndpointConfigurationDataCaptureConfigCaptureContentTypeHeader(
            csv_content_types=capture.csv_content_types,
            json_content_types=capture.json_content_types,
        )
        if capture.csv_content_types or capture.json_content_types
        else None,
        kms_key_id=key_arn(at, capture.kms_key_id) if capture.kms_key_id else None,
    )


def _async(
    at: Deployment, paths: AsyncPaths | None, settings: AsyncInference | None
) -> SagemakerEndpointConfigurationAsyncInferenceConfig | None:
    if paths is None or settings is None:
        return None
    most = settings.max_concurrent_invocations_per_instance
    notify = SagemakerEndpointConfigurationAsyncInferenceConfigOutputConfigNotificationConfig
    return SagemakerEndpointConfigurationAsyncInferenceConfig(
        client_config=SagemakerEndpointConfigurationAsyncInferenceConfigClientConfig(
            max_concurrent_invocations_per_instance=most
        )
        if most
        else None,
        output_config=SagemakerEndpointConfigurationAsyncInferenceConfigOutputConfig(
            s3_output_path=paths.output_path,
            s3_failure_path=paths.failure_path,
            kms_key_id=key_arn(at, settings.kms_key_id) if settings.kms_key_id else None,
            notification_config=notify(
                success_topic=paths.success_topic_arn,
                error_topic=paths.error_topic_arn,
                include_inference_response_in=settings.include_inference_response_in,
            ),
        ),
    )
