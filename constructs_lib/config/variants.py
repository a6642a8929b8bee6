"""The fields of variants: which model serves how many requests, and on what.

Limits: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ProductionVariant.html
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from constructs_lib.config.base import Model, as_pydantic_error
from constructs_lib.config.source import ModelSource
from constructs_lib.config.text import InstanceType, KmsKey, ResourceName, S3Folder
from lambdas.core.errors import InvalidField
from lambdas.core.json_form import MAX_FLOAT, MAX_INTEGER
from lambdas.core.spec import Scaling

# The name of the only variant of an entry without `variants`. CloudWatch charts show it, and an
# update that keeps variant weights compares it, so it must stay the same.
ONLY_VARIANT = "AllTraffic"
MAX_VARIANTS = 10
_TimeoutSeconds = Annotated[int, Field(ge=60, le=3_600)]


class Autoscaling(Model):
    """Keeps the invocations a minute of each instance near a target."""

    min_capacity: Annotated[int, Field(ge=1, le=MAX_INTEGER)] = 1
    max_capacity: Annotated[int, Field(ge=1, le=MAX_INTEGER)]
    invocations_per_instance: Annotated[int, Field(ge=1, le=MAX_INTEGER)]
    scale_in_cooldown_seconds: Annotated[int, Field(ge=0, le=MAX_INTEGER)] = 300
    scale_out_cooldown_seconds: Annotated[int, Field(ge=0, le=MAX_INTEGER)] = 300

    @model_validator(mode="after")
    def _in_order(self) -> Autoscaling:
        if self.min_capacity > self.max_capacity:
            raise as_pydantic_error(
                InvalidField("min_capacity", f"must be at most {self.max_capacity} (max_capacity)")
            )
        return self

    def scaling(self, variant: str) -> Scaling:
        policy = {
            "TargetValue": float(self.invocations_per_instance),
            "PredefinedMetricSpecification": {
                "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"
            },
            "ScaleInCooldown": self.scale_in_cooldown_seconds,
            "ScaleOutCooldown": self.scale_out_cooldown_seconds,
        }
        return Scaling(variant, self.min_capacity, self.max_capacity, {"invocations": policy})


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


class Tuning(Model):
    """How a variant runs its model, apart from its instances."""

    serverless: Serverless | None = None
    managed_instance_scaling: ManagedInstanceScaling | None = None
    routing_strategy: Literal["LEAST_OUTSTANDING_REQUESTS", "RANDOM"] | None = None
    volume_size_gb: Annotated[int, Field(ge=1, le=512)] | None = None
    model_data_download_timeout_seconds: _TimeoutSeconds | None = None
    container_startup_timeout_seconds: _TimeoutSeconds | None = None


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


class DataCapture(Model):
    """Keeps a share of the requests and answers in S3, in the percentage given."""

    destination_s3_uri: S3Folder
    sampling_percentage: Annotated[int, Field(ge=0, le=100)] = 100
    capture: Annotated[list[Literal["Input", "Output"]], Field(min_length=1, max_length=2)] = [
        "Input",
        "Output",
    ]
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
