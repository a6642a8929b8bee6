"""The shape of `configs/models.lock.json`. `models_lock` says what its fields mean."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from constructs_lib.config.base import Model, as_pydantic_error
from constructs_lib.config.problems import InvalidConfig, Problem
from constructs_lib.config.sentences import path_text
from constructs_lib.config.text import Image, InstanceType, ModelData, ModelPackageArn
from constructs_lib.config.unusable_text import unusable_texts
from lambdas.core.errors import InvalidField

FORMAT = 2
RELOCK = "run `make lock`"
_MEND = f"take the file from version control again, or remove it and {RELOCK}"
_Count = Annotated[int, Field(ge=1)]


class _OnType(Model):
    environment: dict[str, str] = {}
    network_isolation: bool
    gated: bool
    image: Image | None = None
    model_package: ModelPackageArn | None = None
    artifact: ModelData | None = None
    licence: str | None = None
    volume_size_gb: _Count | None = None
    inference_ami_version: str | None = None
    model_data_download_timeout_seconds: _Count | None = None
    container_startup_timeout_seconds: _Count | None = None
    inference_config: str | None = None
    additional_sources: dict[str, str] = {}

    @model_validator(mode="after")
    def _runs_something(self) -> _OnType:
        if not self.image and not self.model_package:
            raise as_pydantic_error(InvalidField("", "has neither image nor model_package"))
        return self


class _Version(Model):
    document_sha256: str
    default_instance_type: str | None = None
    supported_instance_types: list[str]
    subscription_link: str | None = None
    instance_types: dict[InstanceType, _OnType]


class _LockedModel(Model):
    latest: str | None = None
    versions: dict[str, _Version]


class _Lock(Model):
    format: Literal[2]
    regions: dict[str, dict[str, _LockedModel]]


def check_lock(document: Mapping[str, Any], source: str) -> None:
    """Raises InvalidConfig if a lock has another format, or is not as `make lock` writes it."""
    if document.get("format") != FORMAT:
        problem = Problem("format", f"must be {FORMAT}; {RELOCK} to write the file anew")
        raise InvalidConfig(source, [problem])
    problems = [*_problems(document), *unusable_texts(document)]
    if problems:
        raise InvalidConfig(source, problems)


def _problems(document: Mapping[str, Any]) -> Iterator[Problem]:
    try:
        _Lock.model_validate(document)
    except ValidationError as error:
        for found in error.errors(include_url=False):
            sentence = f"is not as `make lock` writes it ({found['msg']}): {_MEND}"
            yield Problem(path_text(found["loc"]), sentence)
