"""What CreateModel and CreateEndpointConfig know, and what of it the config can say: one table.

`python -m constructs_lib.config.sagemaker_fields` writes docs/sagemaker-fields.md from it. A test
compares it with botocore's model and with the schema of the AWS provider.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "sagemaker-fields.md"
NOT_IN_PROVIDER = "not in provider 5.100"


@dataclass(frozen=True, slots=True)
class Row:
    """`ours` is the path of the config's field in an entry. `why` stands where there is none. It
    then holds for all fields below, too. `values` are those that the config does not take."""

    ours: str = ""
    why: str = ""
    values: Mapping[str, str] = field(default_factory=dict)


def _missing(more: str = "") -> Row:
    return Row(why=f"{NOT_IN_PROVIDER}{more}")


_STACK_NAMES_IT = Row(why="the stack names it")
_STACK_TAG = Row(
    why="the stack tag and the config's `tags`; those of an entry are put on the endpoint"
)
_FOR_COMPONENTS = "; for endpoints of inference components"
_S3 = "ModelDataSource.S3DataSource"

CREATE_MODEL = {
    "ModelName": _STACK_NAMES_IT,
    "PrimaryContainer": Row(why="see ContainerDefinition"),
    "Containers[]": Row(why="`containers`; see ContainerDefinition"),
    "InferenceExecutionConfig.Mode": Row("inference_execution_mode"),
    "ExecutionRoleArn": Row("execution_role_arn"),
    "Tags[]": _STACK_TAG,
    "VpcConfig.SecurityGroupIds[]": Row("vpc.security_group_ids"),
    "VpcConfig.Subnets[]": Row("vpc.subnet_ids"),
    "EnableNetworkIsolation": Row("network_isolation"),
}
CONTAINER_DEFINITION = {
    "ContainerHostname": Row("containers[].container_hostname"),
    "Image": Row("image"),
    "ImageConfig.RepositoryAccessMode": Row("image_config.repository_access_mode"),
    "ImageConfig.RepositoryAuthConfig.RepositoryCredentialsProviderArn": Row(
        "image_config.repository_credentials_provider_arn"
    ),
    "Mode": Row("mode"),
    "ModelDataUrl": Row("model_data_url"),
    f"{_S3}.S3Uri": Row("model_data_source.s3_uri"),
    f"{_S3}.S3DataType": Row("model_data_source.s3_data_type"),
    f"{_S3}.CompressionType": Row("model_data_source.compression_type"),
    f"{_S3}.ModelAccessConfig.AcceptEula": Row("model_data_source.accept_eula"),
    f"{_S3}.HubAccessConfig": _missing(),
    f"{_S3}.ManifestS3Uri": _missing(),
    f"{_S3}.ETag": _missing(),
    f"{_S3}.ManifestEtag": _missing(),
    "AdditionalModelDataSources[]": _missing(),
    "Environment": Row("environment"),
    "ModelPackageName": Row("model_package_arn"),
    "InferenceSpecificationName": Row("inference_specification_name"),
    "MultiModelConfig.ModelCacheSetting": Row("model_cache_setting"),
    "ContainerMetricsConfig": _missing(),
}
CREATE_ENDPOINT_CONFIG = {
    "EndpointConfigName": _STACK_NAMES_IT,
    "ProductionVariants[]": Row(why="the entry itself, or `variants`; see ProductionVariant"),
    "ShadowProductionVariants[]": Row(why="`shadow_variants`; see ProductionVariant"),
    "DataCaptureConfig.EnableCapture": Row(why="on where `data_capture` is given"),
    "DataCaptureConfig.InitialSamplingPercentage": Row("data_capture.sampling_percentage"),
    "DataCaptureConfig.DestinationS3Uri": Row("data_capture.destination_s3_uri"),
    "DataCaptureConfig.KmsKeyId": Row("data_capture.kms_key_id"),
    "DataCaptureConfig.CaptureOptions[].CaptureMode": Row(
        "data_capture.capture", values={"InputAndOutput": "both of the others"}
    ),
    "DataCaptureConfig.CaptureContentTypeHeader.CsvContentTypes[]": Row(
        "data_capture.csv_content_types"
    ),
    "DataCaptureConfig.CaptureContentTypeHeader.JsonContentTypes[]": Row(
        "data_capture.json_content_types"
    ),
    "Tags[]": _STACK_TAG,
    "KmsKeyId": Row("kms_key_id"),
    "AsyncInferenceConfig.ClientConfig.MaxConcurrentInvocationsPerInstance": Row(
        "async.max_concurrent_invocations_per_instance"
    ),
    "AsyncInferenceConfig.OutputConfig.KmsKeyId": Row("async.kms_key_id"),
    "AsyncInferenceConfig.OutputConfig.S3OutputPath": Row("async.output_path"),
    "AsyncInferenceConfig.OutputConfig.NotificationConfig.SuccessTopic": Row(
        "async.success_topic_arn"
    ),
    "AsyncInferenceConfig.OutputConfig.NotificationConfig.ErrorTopic": Row("async.error_topic_arn"),
    "AsyncInferenceConfig.OutputConfig.NotificationConfig.IncludeInferenceResponseIn[]": Row(
        "async.include_inference_response_in"
    ),
    "AsyncInferenceConfig.OutputConfig.S3FailurePath": Row("async.failure_path"),
    "ExplainerConfig": _missing(),
    "ExecutionRoleArn": _missing(_FOR_COMPONENTS),
    "VpcConfig": _missing(_FOR_COMPONENTS),
    "EnableNetworkIsolation": _missing(_FOR_COMPONENTS),
    "MetricsConfig": _missing(),
}
PRODUCTION_VARIANT = {
    "VariantName": Row("variants[].name"),
    "ModelName": Row(why="the model that the stack makes of the entry or variant"),
    "InitialInstanceCount": Row("inference_instance_count"),
    "InstanceType": Row("inference_instance_type"),
    "InstancePools[]": _missing("; `instance_type_fallbacks` tries other types in turn"),
    "VariantInstanceProvisionTimeoutInSeconds": _missing(),
    "InitialVariantWeight": Row("variants[].weight"),
    "AcceleratorType": Row(why="SageMaker has ended Elastic Inference"),
    "CoreDumpConfig.DestinationS3Uri": Row("core_dump_config.destination_s3_uri"),
    "CoreDumpConfig.KmsKeyId": Row("core_dump_config.kms_key_id"),
    "ServerlessConfig.MemorySizeInMB": Row("serverless.memory_mb"),
    "ServerlessConfig.MaxConcurrency": Row("serverless.max_concurrency"),
    "ServerlessConfig.ProvisionedConcurrency": Row("serverless.provisioned_concurrency"),
    "VolumeSizeInGB": Row("volume_size_gb"),
    "ModelDataDownloadTimeoutInSeconds": Row("model_data_download_timeout_seconds"),
    "ContainerStartupHealthCheckTimeoutInSeconds": Row("container_startup_timeout_seconds"),
    "EnableSSMAccess": Row("enable_ssm_access"),
    "ManagedInstanceScaling.Status": Row("managed_instance_scaling.status"),
    "ManagedInstanceScaling.MinInstanceCount": Row("managed_instance_scaling.min_instance_count"),
    "ManagedInstanceScaling.MaxInstanceCount": Row("managed_instance_scaling.max_instance_count"),
    "ManagedInstanceScaling.ScaleInPolicy": _missing(),
    "RoutingConfig.RoutingStrategy": Row(
        "routing_strategy", values={"PREFIX_AWARE": NOT_IN_PROVIDER}
    ),
    "RoutingConfig.PrefixAwareRoutingConfig": _missing(),
    "InferenceAmiVersion": Row(
        "inference_ami_version",
        values={"al2023-ami-sagemaker-inference-gpu-4-1": NOT_IN_PROVIDER},
    ),
    "CapacityReservationConfig": _missing(),
}
TABLES: Mapping[str, Mapping[str, Row]] = {
    "CreateModel": CREATE_MODEL,
    "ContainerDefinition": CONTAINER_DEFINITION,
    "CreateEndpointConfig": CREATE_ENDPOINT_CONFIG,
    "ProductionVariant": PRODUCTION_VARIANT,
}
"""By the name of the operation or structure in SageMaker's API."""
_TEXT = """\
# Fields of SageMaker

<!-- Written by `python -m constructs_lib.config.sagemaker_fields`. -->

What SageMaker's [CreateModel](https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModel.html)
and [CreateEndpointConfig](https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateEndpointConfig.html)
know, and the field of an entry that says it. The fields of a variant have the same names, but for
`instance_type` and `instance_count`. Which go with which kind of endpoint: [kinds](kinds.md).

Terraform makes these resources with AWS provider 5.100, which all tests run on. What that does not
know cannot be said: `not in provider 5.100`.
"""


def why_not(key: str) -> str:
    """Why the config has no field for what SageMaker calls this; empty if it calls nothing so, or
    another field says it."""
    rows = [
        (set(_folded(path).split(".")), row)
        for table in TABLES.values()
        for path, row in table.items()
    ]
    if any(_folded(key) in parts for parts, row in rows if row.ours):
        return ""
    missing = (row.why for parts, row in rows if _folded(key) in parts and not row.ours)
    return next((why for why in missing if why.startswith(NOT_IN_PROVIDER)), "")


def why_not_value(value: str) -> str:
    """Why no field takes this value of SageMaker's; empty if it has none such, or one takes it."""
    rows = [row for table in TABLES.values() for row in table.values()]
    return next((row.values[value] for row in rows if value in row.values), "")


def _folded(name: str) -> str:
    return name.replace("_", "").replace("[]", "").casefold()


def page() -> str:
    """The documentation of the tables."""
    return "\n".join([_TEXT, *(line for name in TABLES for line in _section(name))])


def _section(name: str) -> Iterator[str]:
    yield from (f"## {name}", "", "| SageMaker | the config |", "|---|---|")
    for path, row in TABLES[name].items():
        without = "".join(f". Not `{value}`: {why}" for value, why in row.values.items())
        yield f"| `{path}` | {f'`{row.ours}`' if row.ours else row.why}{without} |"
    yield ""


if __name__ == "__main__":
    PAGE.write_text(page())
