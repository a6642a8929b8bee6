"""The fields of variants: which model serves how many requests, and on what.

Limits: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ProductionVariant.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from constructs_lib.config.base import Model, as_pydantic_error
from constructs_lib.config.source import ModelSource
from constructs_lib.config.text import ContentType, InstanceType, KmsKey, ResourceName, S3Folder
from lambdas.core.errors import InvalidField
from lambdas.core.json_form import MAX_FLOAT, MAX_INTEGER
from lambdas.core.spec import Scaling

# The name of the only variant of an entry without `variants`. CloudWatch charts show it, and an
# update that keeps variant weights compares it, so it must stay the same.
ONLY_VARIANT = "AllTraffic"
MAX_VARIANTS = 10
INVOCATIONS: Literal["invocations"] = "invocations"
# Those that the AWS provider for Terraform takes. SageMaker has newer ones.
InferenceAmiVersion = Literal[
    "al2-ami-sagemaker-inference-gpu-2",
    "al2-ami-sagemaker-inference-gpu-2-1",
    "al2-ami-sagemaker-inference-gpu-3-1",
    "al2-ami-sagemaker-inference-neuron-2",
]
_TimeoutSeconds = Annotated[int, Field(ge=60, le=3_600)]


class Autoscaling(Model):
    """Keeps what is measured (`scale_on`) of each instance near a target. `scale_on`: invocations a
    minute, requests of the queue (backlog), or requests that are worked on at once (concurrency).
    """

    min_capacity: Annotated[int, Field(ge=0, le=MAX_INTEGER)] = 1
    max_capacity: Annotated[int, Field(ge=1, le=MAX_INTEGER)]
    scale_on: Literal["invocations", "backlog", "concurrency"] = INVOCATIONS
    target: Annotated[float, Field(ge=1, le=MAX_INTEGER)] | None = None
    invocations_per_instance: Annotated[int, Field(ge=1, le=MAX_INTEGER)] | None = None
    scale_in_cooldown_seconds: Annotated[int, Field(ge=0, le=MAX_INTEGER)] = 300
    scale_out_cooldown_seconds: Annotated[int, Field(ge=0, le=MAX_INTEGER)] = 300

    @model_validator(mode="after")
    def _fits_together(self) -> Autoscaling:
        if self.min_capacity > self.max_capacity:
            raise as_pydantic_error(
                InvalidField("min_capacity", f"must be at most {self.max_capacity} (max_capacity)")
            )
        named = self.invocations_per_instance is not None
        if named and self.scale_on != INVOCATIONS:
            sentence = f"is for `scale_on` '{INVOCATIONS}'; name `target` instead"
            raise as_pydantic_error(InvalidField("invocations_per_instance", sentence))
        if named and self.target is not None:
            sentence = "stands beside `invocations_per_instance`, which says the same; keep one"
            raise as_pydantic_error(InvalidField("target", sentence))
        if not named and self.target is None:
            if self.scale_on == INVOCATIONS:
                raise as_pydantic_error(InvalidField("invocations_per_instance", "is required"))
            sentence = "is required: what `scale_on` measures is kept near it"
            raise as_pydantic_error(InvalidField("target", sentence))
        return self

    def scaling(self, endpoint: str, variant: str) -> Scaling:
        policy = {
            "TargetValue": float(self.target or self.invocations_per_instance or 0),
            **_METRICS[self.scale_on](endpoint),
            "ScaleInCooldown": self.scale_in_cooldown_seconds,
            "ScaleOutCooldown": self.scale_out_cooldown_seconds,
        }
        return Scaling(variant, self.min_capacity, self.max_capacity, {self.scale_on: policy})


def _predefined(metric: str) -> dict[str, Any]:
    return {"PredefinedMetricSpecification": {"PredefinedMetricType": metric}}


def _backlog(endpoint: str) -> dict[str, Any]:
    # https://docs.aws.amazon.com/sagemaker/latest/dg/async-inference-autoscale.html
    return {
        "CustomizedMetricSpecification": {
            "MetricName": "ApproximateBacklogSizePerInstance",
            "Namespace": "AWS/SageMaker",
            "Dimensions": [{"Name": "EndpointName", "Value": endpoint}],
            "Statistic": "Average",
        }
    }


_METRICS: Mapping[str, Callable[[str], dict[str, Any]]] = {
    "invocations": lambda _: _predefined("SageMakerVariantInvocationsPerInstance"),
    "concurrency": lambda _: _predefined(
        "SageMakerVariantConcurrentRequestsPerModelHighResolution"
    ),
    "backlog": _backlog,
}
"""The metric of a target-tracking policy:
https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling-add-code-define.html"""


class Serverless(Model):
    """Runs a variant without instances of its own. Memory in MB, concurrency in requests."""

    memory_mb: Literal[1024, 2048, 3072, 4096, 5120, 6144]
    max_concurrency: Annotated[int, Field(ge=1, le=200)]
    provisioned_concurrency: Annotated[int, Field(ge=1, le=200)] | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Serverless:
        if (self.provisioned_concurrency or 0) > self.max_concurrency:
            sentence = f"must be at most {self.max_concurrency} (max_concurrency)"
            raise as_pydantic_error(InvalidField("provisioned_concurrency", sentence))
        return self


class ManagedInstanceScaling(Model):
    """Lets SageMaker choose the number of instances. Fewer than one is for endpoints of
    inference components, which have no model of their own."""

    status: Literal["ENABLED", "DISABLED"] = "ENABLED"
    min_instance_count: Annotated[int, Field(ge=1, le=MAX_INTEGER)]
    max_instance_count: Annotated[int, Field(ge=1, le=MAX_INTEGER)]

    @model_validator(mode="after")
    def _in_order(self) -> ManagedInstanceScaling:
        if self.min_instance_count > self.max_instance_count:
            sentence = f"must be at most {self.max_instance_count} (max_instance_count)"
            raise as_pydantic_error(InvalidField("min_instance_count", sentence))
        return self


class CoreDumpConfig(Model):
    """Keeps a core dump in S3 when the process of the container crashes."""

    destination_s3_uri: S3Folder
    kms_key_id: KmsKey | None = None


class Tuning(Model):
    """How a variant runs its model, apart from its instances."""

    serverless: Serverless | None = None
    managed_instance_scaling: ManagedInstanceScaling | None = None
    routing_strategy: Literal["LEAST_OUTSTANDING_REQUESTS", "RANDOM"] | None = None
    volume_size_gb: Annotated[int, Field(ge=1, le=512)] | None = None
    model_data_download_timeout_seconds: _TimeoutSeconds | None = None
    container_startup_timeout_seconds: _TimeoutSeconds | None = None
    inference_ami_version: InferenceAmiVersion | None = None
    core_dump_config: CoreDumpConfig | None = None
    enable_ssm_access: bool = False


class ShadowVariant(ModelSource, Tuning):
    """Gets a copy of the requests, as many as its `weight` is of the production variant's, and
    answers nobody."""

    name: ResourceName
    instance_type: InstanceType | None = None
    instance_count: Annotated[int, Field(ge=1, le=MAX_INTEGER)] | None = None
    weight: Annotated[float, Field(ge=0, le=MAX_FLOAT)] = 1.0


class Variant(ShadowVariant):
    """Answers its share of the requests: its `weight` of the sum of all."""

    autoscaling: Autoscaling | None = None


_ContentTypes = Annotated[list[ContentType], Field(min_length=1, max_length=10)]


class DataCapture(Model):
    """Keeps a share of the requests and answers in S3, in the percentage given. Bodies whose
    content type is in neither list are kept as Base64."""

    destination_s3_uri: S3Folder
    sampling_percentage: Annotated[int, Field(ge=0, le=100)] = 100
    capture: Annotated[list[Literal["Input", "Output"]], Field(min_length=1, max_length=2)] = [
        "Input",
        "Output",
    ]
    csv_content_types: _ContentTypes | None = None
    json_content_types: _ContentTypes | None = None
    kms_key_id: KmsKey | None = None

    @model_validator(mode="after")
    def _no_mode_twice(self) -> DataCapture:
        if len(set(self.capture)) < len(self.capture):
            sentence = f"'{self.capture[0]}' is named twice; remove one"
            raise as_pydantic_error(InvalidField("capture[1]", sentence))
        return self


def only_variant(source: ModelSource, tuning: Tuning, **more: Any) -> Variant:
    """The variant that stands for an entry's own model. Its values have been checked already."""
    parts = {**_fields(ModelSource, source), **_fields(Tuning, tuning), **more}
    return Variant.model_construct(name=ONLY_VARIANT, weight=1.0, **parts)


def _fields(kind: type[Model], value: Model) -> dict[str, Any]:
    return {name: getattr(value, name) for name in kind.model_fields}
