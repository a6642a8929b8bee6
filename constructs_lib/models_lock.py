"""Reads `configs/models.lock.json`: what each JumpStart model runs.

`python -m jumpstart lock` writes the file. Synth only reads it, so synth needs no network and no
credentials. All keys are sorted, and values that the published document does not have are left out:


    format                      2
    regions.{region}.{model_id}
      latest                    the version for entries that pin none; left out if all pin one
      versions.{version}
        document_sha256         of the published document as canonical JSON
        default_instance_type, supported_instance_types (in the publisher's order)
        subscription_link       where to subscribe to a model of the AWS Marketplace
        instance_types.{type}   what the model runs on it:
          image, environment    or model_package, an ARN, which contains both
          artifact              s3://…; with a trailing slash, a prefix of uncompressed files
                                (S3Prefix, None), without it an archive (S3Object, Gzip)
          network_isolation, gated
          licence               web address of the licence to accept
          volume_size_gb        if the instance type takes a volume
          inference_ami_version
          model_data_download_timeout_seconds, container_startup_timeout_seconds
          inference_config      the name of the publisher's config that was chosen
          additional_sources    s3://… by channel: what the container needs besides the artifact
"""

from __future__ import annotations

import difflib
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from constructs_lib.config.document import DeployConfig
from constructs_lib.config.file import read_json
from constructs_lib.config.lock_document import RELOCK, check_lock
from constructs_lib.config.problems import InvalidConfig, Problem
from constructs_lib.config.variants import InferenceAmiVersion

OVERRIDES = (
    "image",
    "model_data_url",
    "model_data_source",
    "environment",
    "inference_ami_version",
)
"""The fields of the config that take the place of what is locked; `environment` is laid over it."""
LONGEST_MODEL_ID = 63
"""The limit of JumpStart's hub. A few models have longer ids, and no API describes them."""
AMI_VERSIONS: tuple[str, ...] = typing.get_args(InferenceAmiVersion)


@dataclass(frozen=True, slots=True)
class LockedModel:
    """A model on one instance type: a container image, or a model package (`model_package`, an
    ARN), which contains image and environment.

    `artifact` is s3://…: with a trailing slash a prefix of uncompressed files, else an archive.
    `accept_eula` is True if the model has a licence (which the config accepted), else None.
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
class RequestedModel:
    """A model that a config asks for. `instance_types` are keyed by the field that names them."""

    where: str
    name: str
    model_id: str
    version: str | None
    accept_eula: bool
    instance_types: Mapping[str, str]
    own: Mapping[str, Any] = field(default_factory=dict)
    """What the config says itself of OVERRIDES."""
    asynchronous: bool = False


def requested_models(config: DeployConfig) -> Iterator[RequestedModel]:
    """Each JumpStart model of the config, with the instance types that it may run on."""
    for index, entry in enumerate(config.jumpstart_models):
        for below, variant in {**entry.production_variants(), **entry.shadows()}.items():
            where = f"jumpstart_models[{index}]{below}"
            own = {"instance_type": variant.instance_type or ""}
            types = own if below else entry.instance_types()
            if variant.model_id:
                yield RequestedModel(
                    where=where,
                    name=entry.name,
                    model_id=variant.model_id,
                    version=variant.model_version,
                    accept_eula=variant.accept_eula,
                    instance_types={f"{where}.{name}": kind for name, kind in types.items()},
                    own={n: getattr(variant, n) for n in OVERRIDES if getattr(variant, n)},
                    asynchronous=entry.inference_type == "async",
                )


Locked = Mapping[tuple[str, str], LockedModel]
"""Keyed by the path that names the model in the config, and by instance type."""


@dataclass(frozen=True, slots=True)
class ModelsLock:
    """The locked models of one region."""

    region: str
    source: str
    _models: Mapping[str, Any]

    @classmethod
    def read(cls, path: Path, region: str) -> ModelsLock:
        """Raises InvalidConfig if the file is missing or is no such lock."""
        return cls.of(read_json(path), path.name, region)

    @classmethod
    def of(cls, document: Mapping[str, Any], source: str, region: str) -> ModelsLock:
        check_lock(document, source)
        return cls(region, source, document["regions"].get(region, {}))

    def resolve(self, config: DeployConfig) -> Locked:
        """The locked models that the config asks for. Raises InvalidConfig with every
        disagreement between config and lock."""
        problems = [
            problem for model in requested_models(config) for problem in self.problems(model)
        ]
        if problems:
            raise InvalidConfig("The config", problems)
        return {
            (model.where, kind): self._locked(model, kind)
            for model in requested_models(config)
            for kind in model.instance_types.values()
        }

    def problems(self, model: RequestedModel) -> Iterator[Problem]:
        """Reasons why this model cannot be hosted as the config says."""
        too_long = id_too_long(model)
        locked = self._models.get(model.model_id)
        if too_long:
            yield too_long
        elif locked is None:
            yield Problem(f"{model.where}.model_id", self._not_locked(model.model_id))
        elif (model.version or locked.get("latest")) not in locked["versions"]:
            wanted = f"'{model.version}'" if model.version else "the latest version"
            versions = ", ".join(locked["versions"])
            yield Problem(
                f"{model.where}.model_version",
                f"{wanted} of {model.model_id} is not in {self.source} for "
                f"{self.region}; locked there: {versions}; {RELOCK} to add it",
            )
        else:
            yield from self._problems_of_types(model)

    def notes(self, config: DeployConfig) -> Iterator[str]:
        """Notes about valid values that may surprise. The config must have no problems."""
        for model in requested_models(config):
            version = self._version(model)
            supported = version["supported_instance_types"]
            for kind in model.instance_types.values():
                yield from _notes_on_own(model, version["instance_types"][kind])
                if kind not in supported:
                    yield (
                        f"{model.where} ({model.name}): {kind} is not among the "
                        f"instance types that the model's publisher lists "
                        f"({', '.join(supported)}); it may be too small."
                    )
            if version.get("subscription_link"):
                yield (
                    f"{model.where} ({model.name}): {model.model_id} is sold on the AWS "
                    f"Marketplace; the account must be subscribed to it: "
                    f"{version['subscription_link']}"
                )

    def _problems_of_types(self, model: RequestedModel) -> Iterator[Problem]:
        locked = self._version(model)["instance_types"]
        licences = {}
        for path, kind in model.instance_types.items():
            variant = locked.get(kind)
            if variant is None:
                yield Problem(
                    path,
                    f"'{kind}' is not locked for {model.model_id} in {self.source}; locked: "
                    f"{', '.join(sorted(locked))}; {RELOCK} to try it",
                )
                continue
            yield from _ami_problems(model, path, variant.get("inference_ami_version"))
            if "model_package" in variant:
                yield from _package_problems(model)
            if variant["gated"]:
                licences[variant.get("licence")] = True
            if variant.get("additional_sources"):
                yield Problem(
                    path,
                    f"on '{kind}' {model.model_id} needs more artifacts than its own "
                    f"({', '.join(variant['additional_sources'])}), which AWS provider 5 for "
                    "Terraform cannot express; choose another instance type or model",
                )
        if licences and not model.accept_eula:
            texts = ", ".join(filter(None, licences)) or "on the model's page in SageMaker Studio"
            yield Problem(
                f"{model.where}.accept_eula",
                f"{model.model_id} may be used under its licence only; read it ({texts}), and "
                'set "accept_eula": true if you accept it',
            )

    def _not_locked(self, model_id: str) -> str:
        near = difflib.get_close_matches(model_id, self._models, 1)
        hint = f" (did you mean '{near[0]}'?)" if near else ""
        known = ", ".join(sorted(self._models)) or "none"
        return (
            f"'{model_id}' is not in {self.source} for {self.region}{hint}; locked there: {known}; "
            f"{RELOCK} to add it"
        )

    def _version(self, model: RequestedModel) -> Mapping[str, Any]:
        locked = self._models[model.model_id]
        found: Mapping[str, Any] = locked["versions"][model.version or locked["latest"]]
        return found

    def _locked(self, model: RequestedModel, instance_type: str) -> LockedModel:
        variant = self._version(model)["instance_types"][instance_type]
        return LockedModel(
            model_id=model.model_id,
            environment=variant.get("environment", {}),
            network_isolation=variant["network_isolation"],
            image=variant.get("image"),
            model_package=variant.get("model_package"),
            artifact=variant.get("artifact"),
            accept_eula=variant["gated"] or None,
            volume_size_gb=variant.get("volume_size_gb"),
            inference_ami_version=variant.get("inference_ami_version"),
            model_data_download_timeout_seconds=variant.get("model_data_download_timeout_seconds"),
            container_startup_timeout_seconds=variant.get("container_startup_timeout_seconds"),
        )


def _notes_on_own(model: RequestedModel, locked: Mapping[str, Any]) -> Iterator[str]:
    """What runs is then not what the publisher tested."""
    where = f"{model.where} ({model.name})"
    environment = locked.get("environment", {})
    for name, value in model.own.get("environment", {}).items():
        if environment.get(name, value) != value:
            yield (
                f"{where}: `environment` sets {name} to '{value}' instead of the publisher's "
                f"'{environment[name]}'."
            )
    for name in OVERRIDES:
        if name != "environment" and name in model.own:
            yield f"{where}: `{name}` is used instead of what {model.model_id} was locked with."


def _package_problems(model: RequestedModel) -> Iterator[Problem]:
    """A model of the Marketplace is a whole package."""
    sold = f"{model.model_id} is sold on the AWS Marketplace as a package"
    for name in OVERRIDES[:-1]:
        if name in model.own:
            yield Problem(f"{model.where}.{name}", f"cannot be changed: {sold}; remove it")
    if model.asynchronous:
        yield Problem(
            f"{model.where}.model_id",
            f"{sold}, and asynchronous endpoints take no such package; use `inference_type` "
            "'realtime'",
        )


def _ami_problems(model: RequestedModel, path: str, locked: str | None) -> Iterator[Problem]:
    if locked and locked not in AMI_VERSIONS and "inference_ami_version" not in model.own:
        yield Problem(
            path,
            f"{model.model_id} was published for the AMI {locked}, which AWS provider 5.100 for "
            f"Terraform does not know; set `inference_ami_version` to one of "
            f"{', '.join(AMI_VERSIONS)}, or choose another instance type or model",
        )


def id_too_long(model: RequestedModel) -> Problem | None:
    """The problem with an id that is too long for JumpStart's API, if it is."""
    if len(model.model_id) <= LONGEST_MODEL_ID:
        return None
    return Problem(
        f"{model.where}.model_id",
        f"'{model.model_id}' has {len(model.model_id)} characters: the API of JumpStart's hub "
        f"takes {LONGEST_MODEL_ID} at most, so longer ids cannot be looked up; choose another "
        "model",
    )
