"""The checks across the fields that say what a model is made of.

Like `checks`, it accepts fields that have other problems too. Sources:
https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ContainerDefinition.html
https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-containers-inference-private.html
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from constructs_lib.config.problems import Problem
from constructs_lib.config.source import (
    MAX_ENVIRONMENT_BYTES,
    MULTI_MODEL,
    PRIVATE_REGISTRY,
    SOURCES,
)
from constructs_lib.config.text import ECR_IMAGE

Fields = Mapping[str, Any]
_OF_IMAGE = ("model_data_url", "model_data_source", "environment")
_ONLY_WITH = {
    "model_version": ("model_id",),
    "accept_eula": ("model_id",),
    "inference_specification_name": ("model_package_arn",),
    "inference_execution_mode": ("containers",),
    "image_config": ("image",),
    "mode": ("image",),
    "model_cache_setting": ("image",),
    **dict.fromkeys(_OF_IMAGE, ("image", "model_id")),
}


def source_problems(where: str, fields: Fields, *, may_have_variants: bool) -> Iterator[Problem]:
    """Problems with the model that the fields at the path `where` name."""
    first, *others = [name for name in SOURCES if name in fields] or [""]
    if not first:
        yield Problem(
            f"{where}.model_id",
            "is required, or one of `model_package_arn`, `image`, `containers`"
            + (", `variants`" if may_have_variants else ""),
        )
    for other in others:
        if (first, other) != ("model_id", "image"):
            yield Problem(f"{where}.{other}", f"stands beside `{first}`; a model has one origin")
    for field, sources in _ONLY_WITH.items():
        if field in fields and not any(source in fields for source in sources):
            named = " or ".join(f"`{source}`" for source in sources)
            yield Problem(f"{where}.{field}", f"goes with {named} alone")
    total = sum(map(_bytes, _environments(fields)))
    if total > MAX_ENVIRONMENT_BYTES:
        sentence = f"all variables of a model take {total} bytes together, and at most 32768 go in"
        yield Problem(f"{where}.environment", sentence)
    for path, container in _containers(where, fields):
        yield from _container(path, container)
        if _in_private_registry(container) and "vpc" not in fields:
            sentence = "is required: the registry of `image_config` is reached through it"
            yield Problem(f"{where}.vpc", sentence)
    yield from _hostnames(where, fields)


def _containers(where: str, fields: Fields) -> Iterator[tuple[str, Fields]]:
    """The fields of each container, with their path."""
    yield where, fields
    listed = fields.get("containers")
    for index, container in enumerate(listed if isinstance(listed, list) else ()):
        if isinstance(container, dict):
            yield f"{where}.containers[{index}]", container


def _container(where: str, fields: Fields) -> Iterator[Problem]:
    image, data = fields.get("image"), fields.get("model_data_url")
    if isinstance(image, str) and not _in_private_registry(fields):
        sentence = ECR_IMAGE.problem(image)
        if sentence:
            more = '; for a registry of your own: "image_config": {"repository_access_mode": "Vpc"}'
            yield Problem(f"{where}.image", sentence + more)
    if data is not None and "model_data_source" in fields:
        sentence = "stands beside `model_data_url`; a container has its data from one place"
        yield Problem(f"{where}.model_data_source", sentence)
    if fields.get("mode") == MULTI_MODEL:
        if not isinstance(data, str) or not data.endswith("/"):
            sentence = f"must be the folder of the models, ending with '/': `mode` is {MULTI_MODEL}"
            yield Problem(f"{where}.model_data_url", sentence)
    elif "model_cache_setting" in fields:
        yield Problem(f"{where}.model_cache_setting", f"goes with `mode` '{MULTI_MODEL}' alone")


def _in_private_registry(fields: Fields) -> bool:
    config = fields.get("image_config")
    return isinstance(config, dict) and config.get("repository_access_mode") == PRIVATE_REGISTRY


def _hostnames(where: str, fields: Fields) -> Iterator[Problem]:
    """A container without a name gets `container-1`, and so on."""
    listed = fields.get("containers")
    names = [
        container.get("container_hostname", f"container-{number}")
        for number, container in enumerate(listed if isinstance(listed, list) else (), start=1)
        if isinstance(container, dict)
    ]
    for name, count in Counter(name for name in names if isinstance(name, str)).items():
        if count > 1:
            yield Problem(f"{where}.containers", f"'{name}' is the name of {count} of them")


def _environments(fields: Fields) -> Iterator[Mapping[str, Any]]:
    for _, container in _containers("", fields):
        environment = container.get("environment")
        if isinstance(environment, dict):
            yield environment


def _bytes(environment: Mapping[str, Any]) -> int:
    return sum(len(f"{key}{value}".encode()) for key, value in environment.items())
