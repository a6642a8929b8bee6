"""What hosts a JumpStart model on an instance type, according to its publisher's document.

The documents are the parsed JSON of DescribeHubContent. Their fields change over time, so unknown
values are ignored. Pure: no network, no boto3. The rules follow the JumpStart part of
https://github.com/aws/sagemaker-python-sdk.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

_SUPPORTED = "SupportedInferenceInstanceTypes"
# The fields in which an inference config may differ from the document's top level.
_HOSTING_FIELDS = (
    "ContainerStartupHealthCheckTimeout",
    "HostingAdditionalDataSources",
    "HostingArtifactUri",
    "HostingEcrUri",
    "HostingEulaUri",
    "HostingInstanceTypeVariants",
    "HostingModelPackageArn",
    "HostingPrepackedArtifactUri",
    "HostingUseScriptUri",
    "InferenceAmiVersion",
    "InferenceEnableNetworkIsolation",
    "InferenceEnvironmentVariables",
    "InferenceVolumeSize",
    "ModelDataDownloadTimeout",
    _SUPPORTED,
)
_FAMILY = re.compile(r"ml[._]([a-z\d-]+)\.?\w*")
_GATED_BUCKETS = re.compile(r"s3://jumpstart-private-cache-prod-")
# Families with local disks, besides those with a "d" in the name. SageMaker uses these disks and
# refuses to add a volume: https://aws.amazon.com/ec2/instance-types/accelerated-computing/
_OWN_DISKS = ("g5", "g6", "g7", "gr6", "p5", "p6", "trn1", "trn2")
_NOT_HOSTED = ("local_cpu", "local_gpu")  # variants for a laptop
_ADDITIONAL_SOURCES = "/opt/ml/additional-model-data-sources/"


class Unhostable(Exception):
    """The document has nothing that can be hosted. The message says why."""


@dataclass(frozen=True, slots=True)
class Hosting:
    """What hosts a model on one instance type: an image, or a model package, which contains image,
    environment and artifact.

    `inference_config` is the name of the chosen config of the publisher. `additional_sources` are
    further artifacts by channel, without which the container cannot start.
    """

    image: str | None
    model_package: str | None
    environment: Mapping[str, str]
    artifact: str | None
    network_isolation: bool
    gated: bool
    eula: str | None
    volume_size_gb: int | None
    inference_ami_version: str | None
    model_data_download_timeout_seconds: int | None
    container_startup_timeout_seconds: int | None
    inference_config: str | None
    additional_sources: Mapping[str, str]


def resolve(document: Mapping[str, Any], instance_type: str) -> Hosting:
    """What hosts the model on `instance_type`. Raises Unhostable with the types that it runs on."""
    name, fields = _chosen(document, instance_type)
    package = _target(fields, instance_type, "ModelPackageArn", "HostingModelPackageArn")
    image = _target(fields, instance_type, "ImageUri", "HostingEcrUri")
    if not (package or image):
        raise Unhostable(_no_target(document, instance_type))
    artifact = None if package else _artifact(fields)
    eula = None if package else _text(fields.get("HostingEulaUri"))
    gated = bool(eula or fields.get("GatedBucket") or _GATED_BUCKETS.match(artifact or ""))
    environment = {} if package else _environment(fields, instance_type)
    family = family_of(instance_type)
    return Hosting(
        image=None if package else image,
        model_package=package,
        environment=environment,
        artifact=artifact,
        # SageMaker only runs models from the Marketplace in isolation
        network_isolation=bool(package or fields.get("InferenceEnableNetworkIsolation")),
        gated=gated and not package,
        eula=eula,
        volume_size_gb=None if _has_disks(family) else _whole(fields.get("InferenceVolumeSize")),
        inference_ami_version=_text(fields.get("InferenceAmiVersion")),
        model_data_download_timeout_seconds=_whole(fields.get("ModelDataDownloadTimeout")),
        container_startup_timeout_seconds=_whole(fields.get("ContainerStartupHealthCheckTimeout")),
        inference_config=name,
        additional_sources=_needed_sources(fields, environment),
    )


def supported_instance_types(document: Mapping[str, Any]) -> list[str]:
    """The types that the publisher lists, in its order, those of the inference configs last."""
    listed = (fields.get(_SUPPORTED) for fields in _all_fields(document))
    return list(dict.fromkeys(kind for kinds in listed for kind in _texts(kinds)))


def default_instance_type(document: Mapping[str, Any]) -> str | None:
    return _text(document.get("DefaultInferenceInstanceType"))


def subscription_link(document: Mapping[str, Any]) -> str | None:
    """The page where an account subscribes to a model of the Marketplace."""
    return _text(document.get("ModelSubscriptionLink"))


def family_of(instance_type: str) -> str | None:
    """`p6-b200` of `ml.p6-b200.48xlarge`."""
    match = _FAMILY.fullmatch(instance_type)
    return match.group(1) if match else None


def web_address(uri: str, region: str) -> str:
    """The web address of an object `s3://…` in a public bucket."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    suffix = ".cn" if region.startswith("cn-") else ""
    return f"https://{bucket}.s3.{region}.amazonaws.com{suffix}/{quote(key)}"


def _chosen(document: Mapping[str, Any], kind: str) -> tuple[str | None, Mapping[str, Any]]:
    """The inference config for this instance type, merged over the document, and its name.

    It is the first in the publisher's ranking that lists the type, if possible one that needs no
    additional sources. Otherwise it is the first that has an image or a model package for the type.
    Without inference configs it is the document.
    """
    choices = list(_choices(document))
    fitting = (
        [choice for choice in choices if kind in _texts(choice[1].get(_SUPPORTED))]
        or [choice for choice in choices if _has_target(choice[1], kind)]
        or choices
    )
    plain = (c for c in fitting if not _needed_sources(c[1], _environment(c[1], kind)))
    return next(plain, fitting[0])


def _choices(document: Mapping[str, Any]) -> Iterator[tuple[str | None, Mapping[str, Any]]]:
    """Each inference config by rank, then the document itself."""
    configs = _mapping(document.get("InferenceConfigs"))
    components = _mapping(document.get("InferenceConfigComponents"))
    overall = _mapping(_mapping(document.get("InferenceConfigRankings")).get("overall"))
    for name in dict.fromkeys([*_texts(overall.get("Rankings")), *configs]):
        if name in configs:
            parts = _texts(_mapping(configs[name]).get("ComponentNames"))
            yield name, _overlaid(document, [_mapping(components.get(part)) for part in parts])
    yield None, document


def _all_fields(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [document, *(fields for _, fields in _choices(document))]


def _overlaid(
    document: Mapping[str, Any], components: Sequence[Mapping[str, Any]]
) -> Mapping[str, Any]:
    fields = dict(document)
    for component in components:
        overrides = {name: component.get(name) for name in _HOSTING_FIELDS}
        fields.update({name: value for name, value in overrides.items() if value is not None})
    return fields


def _has_target(fields: Mapping[str, Any], kind: str) -> bool:
    return bool(
        _target(fields, kind, "ModelPackageArn", "HostingModelPackageArn")
        or _target(fields, kind, "ImageUri", "HostingEcrUri")
    )


def _target(fields: Mapping[str, Any], kind: str, property_: str, fallback: str) -> str | None:
    """An image or a model package: for the exact type, for its family, or for the whole model."""
    for properties in _properties(fields, kind):
        value = _text(_member(properties, property_))
        if value:
            return _looked_up(fields, value)
    return _text(fields.get(fallback))


def _looked_up(fields: Mapping[str, Any], value: str) -> str:
    """`$name` stands for an entry of `Aliases`. Raises Unhostable if there is no such entry."""
    if not value.startswith("$"):
        return value
    aliases = _mapping(_mapping(fields.get("HostingInstanceTypeVariants")).get("Aliases"))
    found = _text(aliases.get(value[1:]))
    if found is None:
        known = ", ".join(sorted(aliases)) or "none"
        raise Unhostable(f"its document names '{value}', which it does not define (it has {known})")
    return found


def _environment(fields: Mapping[str, Any], kind: str) -> dict[str, str]:
    """The defaults, overridden by the family's values and then by runnable of the exact type."""
    environment = {}
    for variable in map(_mapping, _list(fields.get("InferenceEnvironmentVariables"))):
        name, default = _text(variable.get("Name")), variable.get("Default")
        if name and default is not None and str(default).strip():
            environment[name] = str(default)
    for properties in reversed(_properties(fields, kind)):
        for name, value in _mapping(_member(properties, "EnvironmentVariables")).items():
            environment[name] = str(value)
    return environment


def _properties(fields: Mapping[str, Any], kind: str) -> list[Mapping[str, Any]]:
    """The properties of an instance type: first its own, then runnable of its family."""
    variants = _mapping(_mapping(fields.get("HostingInstanceTypeVariants")).get("Variants"))
    keys = [kind, family_of(kind)]
    return [_mapping(_member(_mapping(variants.get(key)), "Properties")) for key in keys if key]


def _artifact(fields: Mapping[str, Any]) -> str | None:
    """Raises Unhostable if the artifact would have to be repacked with a script first."""
    prepacked = _text(fields.get("HostingPrepackedArtifactUri"))
    if prepacked:
        return prepacked
    if fields.get("HostingUseScriptUri") is True:
        raise Unhostable(
            "its artifact has to be repacked with an inference script before it can be hosted, "
            "and no prepacked one is published (HostingUseScriptUri); choose another version or "
            "model"
        )
    return _text(fields.get("HostingArtifactUri"))


def _needed_sources(fields: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, str]:
    """The additional sources that the environment refers to, such as a draft model."""
    needed: dict[str, str] = {}
    read = environment.values()
    for sources in _mapping(fields.get("HostingAdditionalDataSources")).values():
        for source in map(_mapping, _list(sources)):
            channel = _text(source.get("ChannelName"))
            uri = _text(_mapping(source.get("S3DataSource")).get("S3Uri"))
            folder = f"{_ADDITIONAL_SOURCES}{channel}/"
            if channel and uri and any(f"{value}/".startswith(folder) for value in read):
                needed[channel] = uri
    return needed


def _no_target(document: Mapping[str, Any], kind: str) -> str:
    keys = {
        key
        for fields in _all_fields(document)
        for key in _mapping(_mapping(fields.get("HostingInstanceTypeVariants")).get("Variants"))
    }
    exact = sorted(key for key in keys if _FAMILY.fullmatch(key))
    kinds = dict.fromkeys([*supported_instance_types(document), *exact])
    families = sorted(
        key for key in keys - {*exact, *_NOT_HOSTED} if _runs_on(document, f"ml.{key}.any")
    )
    runnable = [
        *(other for other in kinds if _runs_on(document, other)),
        *(f"any ml.{family}" for family in families),
    ]
    return f"no image is published for '{kind}'; it can run on: {', '.join(runnable) or 'none'}"


def _runs_on(document: Mapping[str, Any], kind: str) -> bool:
    try:
        return any(_has_target(fields, kind) for fields in _all_fields(document))
    except Unhostable:
        return False


def _has_disks(family: str | None) -> bool:
    return family is not None and ("d" in family or family.startswith(_OWN_DISKS))


def _member(mapping: Mapping[str, Any], name: str) -> Any:
    """Published documents spell the fields of variants in two ways: ImageUri and image_uri."""
    snake = re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
    return mapping.get(name, mapping.get(snake))


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _texts(value: object) -> list[str]:
    return [item for item in _list(value) if isinstance(item, str)]


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
