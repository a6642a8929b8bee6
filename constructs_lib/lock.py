"""Reads `configs/models.lock.json`: what each JumpStart model runs, resolved beforehand.

Synth reads this file alone, so it needs no network and no credentials. The format, sorted by
key throughout, with nulls where the published document says nothing:

    format                      1
    regions.{region}.{model_id}
      version                   of the published model, null where it was not told
      document_sha256           of the published document as canonical JSON
      artifact                  s3://…; a trailing slash means a prefix of uncompressed files
      network_isolation, gated  booleans
      eula                      s3://… of the licence to accept, or null
      model_data_download_timeout_seconds, container_startup_timeout_seconds
      default_instance_type, supported_instance_types
      instance_types.{type}     image, environment, and volume_size_gb where one may be asked for
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from constructs_lib.config import DeployConfig
from constructs_lib.config_file import read_json
from constructs_lib.config_problems import InvalidConfig, Problem

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class LockedModel:
    """A model on one instance type: a container image, or a model package (`model_package`, an
    ARN), which brings image and environment along.

    `artifact` is s3://…; a trailing slash means a prefix of uncompressed files, none an archive.
    `accept_eula` is True where a licence has to be accepted and was, else None.
    """

    model_id: str
    environment: Mapping[str, str]
    network_isolation: bool
    image: str | None = None
    model_package: str | None = None
    artifact: str | None = None
    accept_eula: bool | None = None
    volume_size_gb: int | None = None
    inference_ami_version: str | None = None
    model_data_download_timeout_seconds: int | None = None
    container_startup_timeout_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A model that a config asks for; `instance_types` by the field that names each."""

    where: str
    name: str
    model_id: str
    version: str | None
    accept_eula: bool
    instance_types: Mapping[str, str]


def asked(config: DeployConfig) -> Iterator[Asked]:
    """Each JumpStart model of the config with the instance types that it may run on."""
    for index, entry in enumerate(config.jumpstart_models):
        where = f"jumpstart_models[{index}]"
        fallbacks = entry.instance_type_fallbacks
        yield Asked(
            where=where,
            name=entry.name,
            model_id=entry.model_id,
            version=entry.model_version,
            accept_eula=entry.accept_eula,
            instance_types={
                f"{where}.inference_instance_type": entry.inference_instance_type,
                **{
                    f"{where}.instance_type_fallbacks[{n}]": kind
                    for n, kind in enumerate(fallbacks)
                },
            },
        )


@dataclass(frozen=True, slots=True)
class Lock:
    """The locked models of one region."""

    region: str
    source: str
    _models: Mapping[str, Any]

    @classmethod
    def read(cls, path: Path, region: str) -> Lock:
        document = read_json(path)
        if document["format"] != _FORMAT:
            raise InvalidConfig(path.name, [Problem("format", f"must be {_FORMAT}")])
        return cls(region, path.name, document["regions"].get(region, {}))

    def resolve(self, config: DeployConfig) -> Sequence[Mapping[str, LockedModel]]:
        """The locked model of each entry by instance type, in order. Raises InvalidConfig
        naming all that are missing."""
        problems = [problem for model in asked(config) for problem in self._problems(model)]
        if problems:
            raise InvalidConfig("The config", problems)
        return [
            {kind: self._locked(model, kind) for kind in model.instance_types.values()}
            for model in asked(config)
        ]

    def notes(self, config: DeployConfig) -> Iterator[str]:
        """Instance types on which the model may run, but which its publisher does not list."""
        for model in asked(config):
            supported = self._models[model.model_id]["supported_instance_types"]
            for kind in model.instance_types.values():
                if kind not in supported:
                    yield (
                        f"{model.where} ({model.name}): {kind} is not among the "
                        f"instance types that the model's publisher lists "
                        f"({', '.join(supported)}); it may be too small."
                    )

    def _problems(self, asked_for: Asked) -> Iterator[Problem]:
        model_id, where = asked_for.model_id, asked_for.where
        model = self._models.get(model_id)
        if model is None:
            known = ", ".join(sorted(self._models)) or "none"
            yield Problem(
                f"{where}.model_id",
                f"'{model_id}' is not in {self.source} for {self.region}; locked there: {known}",
            )
            return
        if asked_for.version not in (None, model["version"]):
            yield Problem(
                f"{where}.model_version",
                f"'{asked_for.version}' of {model_id} is not locked in {self.source}",
            )
        if (model["gated"] or model["eula"]) and not asked_for.accept_eula:
            yield Problem(
                f"{where}.accept_eula",
                f"{model_id} has a licence to accept ({model['eula']}): read it, then set true",
            )
        known = ", ".join(sorted(model["instance_types"]))
        for field, kind in asked_for.instance_types.items():
            if kind not in model["instance_types"]:
                yield Problem(
                    field,
                    f"'{kind}' is not locked for {model_id} in {self.source}; locked: {known}",
                )

    def _locked(self, asked_for: Asked, instance_type: str) -> LockedModel:
        model = self._models[asked_for.model_id]
        variant = model["instance_types"][instance_type]
        return LockedModel(
            model_id=asked_for.model_id,
            image=variant["image"],
            environment=variant["environment"],
            artifact=model["artifact"],
            network_isolation=model["network_isolation"],
            accept_eula=True if model["gated"] or model["eula"] else None,
            volume_size_gb=variant.get("volume_size_gb"),
            model_data_download_timeout_seconds=model["model_data_download_timeout_seconds"],
            container_startup_timeout_seconds=model["container_startup_timeout_seconds"],
        )
