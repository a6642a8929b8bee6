"""The numbers of a config against SageMaker's own model, as botocore has it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.model import Shape
from pydantic import BaseModel

from constructs_lib.config.async_inference import AsyncInference
from constructs_lib.config.document import JumpstartModel
from constructs_lib.config.variants import (
    DataCapture,
    ManagedInstanceScaling,
    Serverless,
    Tuning,
    Variant,
)

SCHEMA = Path(__file__).parents[2] / "configs" / "schema.json"
MODEL = botocore.session.get_session().get_service_model("sagemaker")
VARIANT = "ProductionVariants"
NUMBERS = [
    (JumpstartModel, "inference_instance_count", f"{VARIANT}.InitialInstanceCount"),
    (Variant, "instance_count", f"{VARIANT}.InitialInstanceCount"),
    (Variant, "weight", f"{VARIANT}.InitialVariantWeight"),
    (Tuning, "volume_size_gb", f"{VARIANT}.VolumeSizeInGB"),
    (
        Tuning,
        "model_data_download_timeout_seconds",
        f"{VARIANT}.ModelDataDownloadTimeoutInSeconds",
    ),
    (
        Tuning,
        "container_startup_timeout_seconds",
        f"{VARIANT}.ContainerStartupHealthCheckTimeoutInSeconds",
    ),
    (Serverless, "memory_mb", f"{VARIANT}.ServerlessConfig.MemorySizeInMB"),
    (Serverless, "max_concurrency", f"{VARIANT}.ServerlessConfig.MaxConcurrency"),
    (Serverless, "provisioned_concurrency", f"{VARIANT}.ServerlessConfig.ProvisionedConcurrency"),
    (
        ManagedInstanceScaling,
        "max_instance_count",
        f"{VARIANT}.ManagedInstanceScaling.MaxInstanceCount",
    ),
    (DataCapture, "sampling_percentage", "DataCaptureConfig.InitialSamplingPercentage"),
    (
        AsyncInference,
        "max_concurrent_invocations_per_instance",
        "AsyncInferenceConfig.ClientConfig.MaxConcurrentInvocationsPerInstance",
    ),
]


def range_of(schema: dict[str, Any]) -> tuple[float | None, float | None]:
    """The least and the greatest number that a JSON schema allows."""
    for choice in schema.get("anyOf", ()):
        if choice.get("type") != "null":
            return range_of(choice)
    values = schema.get("enum", [schema["const"]] if "const" in schema else [])
    if values:
        return min(values), max(values)
    return schema.get("minimum"), schema.get("maximum")


def theirs(path: str) -> Shape:
    shape: Any = MODEL.operation_model("CreateEndpointConfig").input_shape
    for name in path.split("."):
        shape = shape.members[name]
        shape = shape.member if shape.type_name == "list" else shape
    found: Shape = shape
    return found


@pytest.mark.parametrize(("kind", "field", "path"), NUMBERS)
def test_number_has_the_range_of_sagemaker(kind: type[BaseModel], field: str, path: str) -> None:
    least, most = range_of(kind.model_json_schema(by_alias=False)["properties"][field])
    metadata = theirs(path).metadata
    assert least == metadata["min"]
    assert most is not None
    if "max" in metadata:
        assert most == metadata["max"]


def numbers(schema: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(schema, dict):
        if schema.get("type") in ("integer", "number"):
            yield path, schema
        for key, value in schema.items():
            yield from numbers(value, f"{path}.{key}")
    elif isinstance(schema, list):
        for index, value in enumerate(schema):
            yield from numbers(value, f"{path}[{index}]")


def test_every_number_of_a_config_has_a_finite_range() -> None:
    found = list(numbers(json.loads(SCHEMA.read_text(encoding="utf-8"))))
    assert len(found) > 20
    assert [path for path, schema in found if None in range_of(schema)] == []
