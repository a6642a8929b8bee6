"""What an endpoint runs, derived from the config and the lock: the content of an endpoint config
and its models, as plain values that can be hashed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic_core import to_jsonable_python

from constructs_lib.canonical import digest
from constructs_lib.config.async_inference import AsyncInference
from constructs_lib.config.document import DeployConfig, JumpstartModel
from constructs_lib.config.source import (
    ContainerFields,
    ImageConfig,
    ModelDataSource,
    ModelSource,
    Vpc,
)
from constructs_lib.config.variants import (
    CoreDumpConfig,
    DataCapture,
    ManagedInstanceScaling,
    Serverless,
    ShadowVariant,
)
from constructs_lib.models_lock import Locked, LockedModel

_HASH_DIGITS = 8  # as long as "Endpoint": if the endpoint's name fits, the config's name fits too
# Raise it when the resources change in a way that the hashed values do not show.
_RECIPE = 3
# These are hashed where they are unset, too. All others are left out then, so that a field that is
# added changes no hash: otherwise a deploy would move every running endpoint.
_HASHED_IF_UNSET = frozenset(
    {
        "accept_eula",
        "artifact",
        "async_inference",
        "container_startup_timeout_seconds",
        "data_capture",
        "environment",
        "execution_role_arn",
        "image",
        "inference_ami_version",
        "instance_count",
        "instance_type",
        "kms_key_id",
        "managed_instance_scaling",
        "model_data_download_timeout_seconds",
        "model_package_arn",
        "routing_strategy",
        "serverless",
        "volume_size_gb",
        "vpc",
    }
)


@dataclass(frozen=True, slots=True)
class Container:
    """An image with its artifact (a trailing slash means a folder), or a model package. The config
    may spell out the `data_source` instead of the artifact."""

    image: str | None = None
    model_package_arn: str | None = None
    artifact: str | None = None
    environment: Mapping[str, str] | None = None
    accept_eula: bool | None = None
    data_source: ModelDataSource | None = None
    image_config: ImageConfig | None = None
    mode: str | None = None
    model_cache_setting: str | None = None
    hostname: str | None = None
    inference_specification_name: str | None = None


@dataclass(frozen=True, slots=True)
class HostedSource:
    """A model. More than one container is a pipeline."""

    containers: tuple[Container, ...]
    network_isolation: bool
    vpc: Vpc | None
    execution_role_arn: str | None
    execution_mode: str | None = None


@dataclass(frozen=True, slots=True)
class HostedVariant:
    """A model and the capacity that it runs on."""

    name: str
    model: HostedSource
    weight: float
    instance_type: str | None = None
    instance_count: int | None = None
    serverless: Serverless | None = None
    managed_instance_scaling: ManagedInstanceScaling | None = None
    routing_strategy: str | None = None
    volume_size_gb: int | None = None
    inference_ami_version: str | None = None
    model_data_download_timeout_seconds: int | None = None
    container_startup_timeout_seconds: int | None = None
    core_dump_config: CoreDumpConfig | None = None
    enable_ssm_access: bool | None = None


@dataclass(frozen=True, slots=True)
class Hosting:
    """The content of one endpoint config. `roles` is where its models' own roles are, if the config
    says so: a model cannot move to another role, so it becomes another model."""

    variants: tuple[HostedVariant, ...]
    shadows: tuple[HostedVariant, ...] = ()
    data_capture: DataCapture | None = None
    kms_key_id: str | None = None
    async_inference: AsyncInference | None = None
    roles: str | None = None

    def digest(self) -> str:
        """Eight hex digits that change whenever the content changes."""
        whole = _without_unset(to_jsonable_python(self, exclude_none=True))
        return digest([_RECIPE, whole])[:_HASH_DIGITS]

    def model_digest(self, variant: HostedVariant) -> str:
        """The digest for the model of a variant. Two endpoint configs never share a model."""
        if len(self.variants) + len(self.shadows) == 1:
            return self.digest()
        return digest([self.digest(), variant.name])[:_HASH_DIGITS]


def _without_unset(value: Any) -> Any:
    match value:
        case dict():
            return {
                key: _without_unset(inner)
                for key, inner in value.items()
                if inner is not None or key in _HASHED_IF_UNSET
            }
        case list():
            return [_without_unset(inner) for inner in value]
        case _:
            return value


def hostings(config: DeployConfig, locked: Locked) -> Sequence[Sequence[Hosting]]:
    """For each entry: what it runs, then its fallbacks in order."""
    return [
        _of_entry(entry, f"jumpstart_models[{index}]", locked, config.roles.place)
        for index, entry in enumerate(config.jumpstart_models)
    ]


def _of_entry(
    entry: JumpstartModel, where: str, locked: Locked, roles: str | None
) -> Sequence[Hosting]:
    production, shadows = entry.production_variants(), entry.shadows()
    every = (*production.values(), *shadows.values())
    whole = Hosting(
        variants=tuple(
            _variant(variant, variant.instance_type, locked, f"{where}{below}")
            for below, variant in production.items()
        ),
        shadows=tuple(
            _variant(variant, variant.instance_type, locked, f"{where}{below}")
            for below, variant in shadows.items()
        ),
        data_capture=entry.data_capture,
        kms_key_id=entry.kms_key_id,
        async_inference=entry.async_settings(),
        roles=None if all(variant.execution_role_arn for variant in every) else roles,
    )
    fallbacks = [
        replace(whole, variants=(_variant(production[""], kind, locked, where),))
        for kind in entry.instance_type_fallbacks
    ]
    return [whole, *fallbacks]


def _variant(
    fields: ShadowVariant, instance_type: str | None, locked: Locked, where: str
) -> HostedVariant:
    variant = HostedVariant(
        name=fields.name,
        model=_source(fields, serverless=fields.serverless is not None),
        weight=fields.weight,
        instance_type=instance_type,
        instance_count=(fields.instance_count or 1) if instance_type else None,
        serverless=fields.serverless,
        managed_instance_scaling=fields.managed_instance_scaling,
        routing_strategy=fields.routing_strategy,
        volume_size_gb=fields.volume_size_gb,
        model_data_download_timeout_seconds=fields.model_data_download_timeout_seconds,
        inference_ami_version=fields.inference_ami_version,
        container_startup_timeout_seconds=fields.container_startup_timeout_seconds,
        core_dump_config=fields.core_dump_config,
        enable_ssm_access=fields.enable_ssm_access or None,
    )
    if fields.model_id is None or instance_type is None:
        return variant
    return _with_jumpstart(variant, locked[where, instance_type], fields)


def _source(fields: ModelSource, *, serverless: bool) -> HostedSource:
    """The model of a variant, without the values that come from the lock."""
    if fields.containers:
        containers = tuple(
            _container(c, image=c.image, hostname=c.container_hostname) for c in fields.containers
        )
    elif fields.model_package_arn:
        package = Container(
            model_package_arn=fields.model_package_arn,
            inference_specification_name=fields.inference_specification_name,
        )
        containers = (package,)
    else:
        containers = (_container(fields, image=fields.image),)
    return HostedSource(
        containers=containers,
        # A model package of the Marketplace can only run in isolation. Serverless variants can not,
        # and take none of these.
        network_isolation=bool(fields.model_package_arn and not serverless)
        if fields.network_isolation is None
        else fields.network_isolation,
        vpc=fields.vpc,
        execution_role_arn=fields.execution_role_arn,
        execution_mode=fields.inference_execution_mode,
    )


def _container(
    fields: ContainerFields, *, image: str | None, hostname: str | None = None
) -> Container:
    return Container(
        image=image,
        artifact=fields.model_data_url,
        environment=fields.environment,
        data_source=fields.model_data_source,
        image_config=fields.image_config,
        mode=fields.mode,
        model_cache_setting=fields.model_cache_setting,
        hostname=hostname,
    )


def _with_jumpstart(
    variant: HostedVariant, model: LockedModel, fields: ModelSource
) -> HostedVariant:
    """The variant, with the publisher's values for the fields that the config does not set."""
    (own,) = variant.model.containers
    own_data = own.artifact or own.data_source
    container = replace(
        own,
        image=own.image or model.image,
        model_package_arn=model.model_package,
        artifact=own.artifact if own_data else model.artifact,
        environment=None
        if model.model_package
        else {**model.environment, **(own.environment or {})},
        accept_eula=None if own_data else model.accept_eula,
    )
    isolation = fields.network_isolation
    source = replace(
        variant.model,
        containers=(container,),
        network_isolation=model.network_isolation if isolation is None else isolation,
    )
    return replace(
        variant,
        model=source,
        volume_size_gb=variant.volume_size_gb or model.volume_size_gb,
        inference_ami_version=variant.inference_ami_version or model.inference_ami_version,
        model_data_download_timeout_seconds=variant.model_data_download_timeout_seconds
        or model.model_data_download_timeout_seconds,
        container_startup_timeout_seconds=variant.container_startup_timeout_seconds
        or model.container_startup_timeout_seconds,
    )
