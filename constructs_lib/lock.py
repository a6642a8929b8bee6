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

from constructs_lib.config import DeployConfig, JumpstartModel
from constructs_lib.config_file import read_json
from constructs_lib.config_problems import InvalidConfig, Problem

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class LockedModel:
    """A model on one instance type."""

    model_id: str
    image: str
    environment: Mapping[str, str]
    artifact: str
    network_isolation: bool
    volume_size_gb: int | None
    model_data_download_timeout_seconds: int | None
    container_startup_timeout_seconds: int | None


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
        problems = [
            problem
            for index, entry in enumerate(config.jumpstart_models)
            for problem in self._problems(f"jumpstart_models[{index}]", entry)
        ]
        if problems:
            raise InvalidConfig("The config", problems)
        return [
            {kind: self._locked(entry.model_id, kind) for kind in entry.instance_types}
            for entry in config.jumpstart_models
        ]

    def notes(self, config: DeployConfig) -> Iterator[str]:
        """Instance types on which the model may run, but which its publisher does not list."""
        for index, entry in enumerate(config.jumpstart_models):
            supported = self._models[entry.model_id]["supported_instance_types"]
            for kind in entry.instance_types:
                if kind not in supported:
                    yield (
                        f"jumpstart_models[{index}] ({entry.name}): {kind} is not among the "
                        f"instance types that the model's publisher lists "
                        f"({', '.join(supported)}); it may be too small."
                    )

    def _problems(self, where: str, entry: JumpstartModel) -> Iterator[Problem]:
        model_id = entry.model_id
        model = self._models.get(model_id)
        if model is None:
            known = ", ".join(sorted(self._models)) or "none"
            yield Problem(
                f"{where}.model_id",
                f"'{model_id}' is not in {self.source} for {self.region}; locked there: {known}",
            )
            return
        if model["gated"] or model["eula"]:
            yield Problem(f"{where}.model_id", "needs its licence accepted, which is not built yet")
        known = ", ".join(sorted(model["instance_types"]))
        fields = [
            f"{where}.inference_instance_type",
            *(f"{where}.instance_type_fallbacks[{n}]" for n in range(len(entry.instance_types))),
        ]
        for field, kind in zip(fields, entry.instance_types, strict=False):
            if kind not in model["instance_types"]:
                yield Problem(
                    field,
                    f"'{kind}' is not locked for {model_id} in {self.source}; locked: {known}",
                )

    def _locked(self, model_id: str, instance_type: str) -> LockedModel:
        model = self._models[model_id]
        variant = model["instance_types"][instance_type]
        return LockedModel(
            model_id=model_id,
            image=variant["image"],
            environment=variant["environment"],
            artifact=model["artifact"],
            network_isolation=model["network_isolation"],
            volume_size_gb=variant.get("volume_size_gb"),
            model_data_download_timeout_seconds=model["model_data_download_timeout_seconds"],
            container_startup_timeout_seconds=model["container_startup_timeout_seconds"],
        )
