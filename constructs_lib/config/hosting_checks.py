"""The checks across the fields that say what an endpoint runs.

Like `checks`, it accepts entries that have other problems too. Features that SageMaker does not
combine: https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints.html
https://docs.aws.amazon.com/sagemaker/latest/dg/shadow-tests-exclusions.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from constructs_lib.config.instance_types import has_local_storage, is_inferentia_1
from constructs_lib.config.problems import Problem
from constructs_lib.config.source import MAX_ENVIRONMENT_BYTES, SOURCES, ModelSource, Surroundings
from constructs_lib.config.variants import ONLY_VARIANT, Tuning

Entry = Mapping[str, Any]
_OWN_CAPACITY = ("inference_instance_type", "inference_instance_count")
_OF_ONE_MODEL = (
    *(name for name in ModelSource.model_fields if name not in Surroundings.model_fields),
    *_OWN_CAPACITY,
    "instance_type_fallbacks",
    "autoscaling",
    *Tuning.model_fields,
)
_FOR_INSTANCES = (
    "managed_instance_scaling",
    "volume_size_gb",
    "autoscaling",
    "instance_type_fallbacks",
)
_NO_INSTANCES = "is for instances, and `serverless` has none"
_NEVER_SERVERLESS = ("model_package_arn", "containers", "vpc", "network_isolation")
_ONLY_WITH = {
    "model_version": "model_id",
    "accept_eula": "model_id",
    "model_data_url": "image",
    "environment": "image",
}


@dataclass(frozen=True, slots=True)
class _Host:
    """A variant, or an entry without `variants`: its path, its fields, and the names of the fields
    for instance type and count."""

    where: str
    fields: Entry
    type_field: str
    count_field: str

    @property
    def instance_types(self) -> Iterator[tuple[str, str]]:
        """The instance types that it may run on, by field."""
        kinds = {self.type_field: self.fields.get(self.type_field)}
        fallbacks = self.fields.get("instance_type_fallbacks")
        for index, kind in enumerate(fallbacks if isinstance(fallbacks, list) else ()):
            kinds[f"instance_type_fallbacks[{index}]"] = kind
        return ((field, kind) for field, kind in kinds.items() if isinstance(kind, str))


def hosting_problems(where: str, entry: Entry, region: object) -> Iterator[Problem]:
    """Problems with what the entry at the path `where` is to run."""
    production = list(_production(where, entry))
    shadows = list(_listed(where, entry, "shadow_variants"))
    if isinstance(entry.get("variants"), list):
        yield from _beside_variants(where, entry)
    for host in (*production, *shadows):
        yield from _source(host)
        yield from _capacity(host)
        yield from _scaling(host)
        yield from _serverless(host, entry, among=len(production))
        yield from _in_region(host, region)
    yield from _names([*production, *shadows])
    yield from _weights(production)
    if shadows:
        yield from _shadowed(where, entry, production, shadows)
    yield from _across_variants(where, entry, production, region)


def _production(where: str, entry: Entry) -> Iterator[_Host]:
    if isinstance(entry.get("variants"), list):
        yield from _listed(where, entry, "variants")
    else:
        yield _Host(where, entry, *_OWN_CAPACITY)


def _listed(where: str, entry: Entry, field: str) -> Iterator[_Host]:
    listed = entry.get(field)
    for index, variant in enumerate(listed if isinstance(listed, list) else ()):
        if isinstance(variant, dict):
            here = f"{where}.{field}[{index}]"
            yield _Host(here, {**_inherited(entry), **variant}, "instance_type", "instance_count")


def _inherited(entry: Entry) -> Entry:
    return {name: entry[name] for name in Surroundings.model_fields if name in entry}


def _beside_variants(where: str, entry: Entry) -> Iterator[Problem]:
    for field in _OF_ONE_MODEL:
        if field in entry:
            sentence = "has no meaning beside `variants`: each of them says it for itself"
            if field == "instance_type_fallbacks":
                sentence = "has no meaning beside `variants`: only an entry's own model falls back"
            yield Problem(f"{where}.{field}", sentence)


def _source(host: _Host) -> Iterator[Problem]:
    first, *others = [name for name in SOURCES if name in host.fields] or [""]
    if not first:
        yield Problem(
            f"{host.where}.model_id",
            "is required, or one of `model_package_arn`, `image`, `containers`"
            + (", `variants`" if host.type_field in _OWN_CAPACITY else ""),
        )
    for other in others:
        yield Problem(f"{host.where}.{other}", f"stands beside `{first}`; a model has one origin")
    for field, source in _ONLY_WITH.items():
        if field in host.fields and source not in host.fields:
            yield Problem(f"{host.where}.{field}", f"goes with `{source}` alone")
    total = sum(map(_bytes, _environments(host.fields)))
    if total > MAX_ENVIRONMENT_BYTES:
        sentence = f"all variables of a model take {total} bytes together, and at most 32768 go in"
        yield Problem(f"{host.where}.environment", sentence)


def _environments(fields: Entry) -> Iterator[Mapping[str, Any]]:
    containers = fields.get("containers")
    for part in (fields, *(containers if isinstance(containers, list) else ())):
        environment = part.get("environment") if isinstance(part, dict) else None
        if isinstance(environment, dict):
            yield environment


def _bytes(environment: Mapping[str, Any]) -> int:
    return sum(len(f"{key}{value}".encode()) for key, value in environment.items())


def _capacity(host: _Host) -> Iterator[Problem]:
    named, serverless = host.type_field in host.fields, "serverless" in host.fields
    place = f"{host.where}.{host.type_field}"
    if not named and not serverless:
        yield Problem(place, "is required, or `serverless`")
    if named and serverless:
        yield Problem(place, "stands beside `serverless`, which has no instances; remove one")
    if "volume_size_gb" in host.fields:
        for _, kind in host.instance_types:
            if has_local_storage(kind):
                sentence = f"{kind} brings disks of its own and takes no volume; remove it"
                yield Problem(f"{host.where}.volume_size_gb", sentence)


def _scaling(host: _Host) -> Iterator[Problem]:
    managed, count = host.fields.get("managed_instance_scaling"), host.fields.get(host.count_field)
    if managed is not None and "autoscaling" in host.fields:
        sentence = "stands beside `managed_instance_scaling`; only one may set how many run"
        yield Problem(f"{host.where}.autoscaling", sentence)
    if not isinstance(managed, dict):
        return
    least, most = managed.get("min_instance_count"), managed.get("max_instance_count")
    if not isinstance(least, int) or not isinstance(most, int) or least > most:
        return  # reported at their own fields
    count = 1 if count is None else count
    if isinstance(count, int) and count >= 1 and not least <= count <= most:
        yield Problem(
            f"{host.where}.{host.count_field}",
            f"must be {least} to {most} (managed_instance_scaling), not {count}",
        )


def _serverless(host: _Host, entry: Entry, among: int) -> Iterator[Problem]:
    if "serverless" not in host.fields:
        return
    refused = dict.fromkeys((*_FOR_INSTANCES, host.count_field), _NO_INSTANCES)
    refused |= dict.fromkeys(_NEVER_SERVERLESS, "is not supported by serverless variants")
    refused["model_id"] = (
        "is resolved for an instance type, and `serverless` has none: name its `image` and "
        "`model_data_url` instead"
    )
    for field, sentence in refused.items():
        if host.fields.get(field):
            yield Problem(f"{host.where}.{field}", sentence)
    data = host.fields.get("model_data_url")
    if isinstance(data, str) and data.endswith("/"):
        sentence = "must be a .tar.gz archive: serverless variants take no folder"
        yield Problem(f"{host.where}.model_data_url", sentence)
    if among > 1:
        sentence = "is for an endpoint of one variant; SageMaker takes none beside it"
        yield Problem(f"{host.where}.serverless", sentence)
    if entry.get("inference_type") == "async":
        yield Problem(f"{host.where}.serverless", "is not supported by asynchronous endpoints")


def _in_region(host: _Host, region: object) -> Iterator[Problem]:
    """SageMaker only accepts images and model packages of its own region."""
    named = {"image": host.fields.get("image")}
    containers = host.fields.get("containers")
    for index, container in enumerate(containers if isinstance(containers, list) else ()):
        if isinstance(container, dict):
            named[f"containers[{index}].image"] = container.get("image")
    for field, image in named.items():
        parts = image.partition("/")[0].split(".") if isinstance(image, str) else []
        if parts[1:2] == ["dkr"] and parts[3:4] != [region]:
            yield _elsewhere(f"{host.where}.{field}", region, "".join(parts[3:4]))
    package = host.fields.get("model_package_arn")
    if isinstance(package, str):
        yield from _arn_in_region(f"{host.where}.model_package_arn", package, region)


def _arn_in_region(path: str, arn: str, region: object) -> Iterator[Problem]:
    parts = arn.split(":")
    if parts[0] == "arn" and parts[3:4] != [region]:
        yield _elsewhere(path, region, "".join(parts[3:4]))


def _elsewhere(path: str, region: object, found: str) -> Problem:
    return Problem(path, f"must be in {region} (region_name), where the endpoint is, not {found}")


def _names(hosts: Sequence[_Host]) -> Iterator[Problem]:
    seen: dict[str, str] = {}
    for host in hosts:
        own = host.type_field in _OWN_CAPACITY
        name = ONLY_VARIANT if own else host.fields.get("name")
        before = seen.setdefault(name, host.where) if isinstance(name, str) else host.where
        if before != host.where:
            sentence = f"'{name}' is the name of {before} already; rename one"
            yield Problem(f"{host.where}.name", sentence)


def _weights(hosts: Sequence[_Host]) -> Iterator[Problem]:
    if hosts and all(host.fields.get("weight") == 0 for host in hosts):
        sentence = "at least one variant needs a weight above 0, or no request has a way to go"
        yield Problem(f"{hosts[0].where}.weight", sentence)


def _shadowed(
    where: str, entry: Entry, production: Sequence[_Host], shadows: Sequence[_Host]
) -> Iterator[Problem]:
    path = f"{where}.shadow_variants"
    if len(shadows) > 1:
        sentence = f"has {len(shadows)} entries; SageMaker takes one shadow for one variant"
        yield Problem(path, sentence)
    if len(production) > 1:
        sentence = f"shadows one production variant only, and there are {len(production)}"
        yield Problem(path, sentence)
    if entry.get("inference_type") == "async":
        yield Problem(path, "is not supported by asynchronous endpoints")
    for host in (*production, *shadows):
        for field in ("serverless", "model_package_arn", "containers"):
            if field in host.fields:
                yield Problem(f"{host.where}.{field}", "is not supported beside a shadow variant")
        for field, kind in host.instance_types:
            if is_inferentia_1(kind):
                sentence = f"{kind} is not supported beside a shadow variant"
                yield Problem(f"{host.where}.{field}", sentence)


def _across_variants(
    where: str, entry: Entry, hosts: Sequence[_Host], region: object
) -> Iterator[Problem]:
    if "data_capture" in entry and any("serverless" in host.fields for host in hosts):
        yield Problem(f"{where}.data_capture", "is not supported by serverless variants")
    key = entry.get("kms_key_id")
    if isinstance(key, str):
        yield from _arn_in_region(f"{where}.kms_key_id", key, region)
    if "async" in entry and entry.get("inference_type") == "realtime":
        yield Problem(f"{where}.async", "is for `inference_type` 'async'")
