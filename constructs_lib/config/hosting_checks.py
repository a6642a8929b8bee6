"""The checks across the fields that say what an endpoint runs.

Like `checks`, it accepts entries that have other problems too. `kinds` has what a kind of endpoint
does not take, `source_checks` how a model is made up. What stands beside no shadow:
https://docs.aws.amazon.com/sagemaker/latest/dg/shadow-tests-exclusions.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from constructs_lib.config.instance_types import has_local_storage, is_inferentia_1
from constructs_lib.config.kinds import ENTRY_NAMES, kind_of, refusals
from constructs_lib.config.problems import Problem
from constructs_lib.config.source import MULTI_MODEL, ModelSource, Surroundings
from constructs_lib.config.source_checks import source_problems
from constructs_lib.config.variants import ONLY_VARIANT, Tuning
from constructs_lib.partitions import partition_of
from lambdas.core.user_pool import DNS_SUFFIXES

Entry = Mapping[str, Any]
_OWN_CAPACITY = (ENTRY_NAMES["instance_type"], ENTRY_NAMES["instance_count"])
_OF_ONE_MODEL = (
    *(name for name in ModelSource.model_fields if name not in Surroundings.model_fields),
    *_OWN_CAPACITY,
    "instance_type_fallbacks",
    "autoscaling",
    *Tuning.model_fields,
)


@dataclass(frozen=True, slots=True)
class Host:
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
        yield from source_problems(
            host.where, host.fields, may_have_variants=host.type_field in _OWN_CAPACITY
        )
        yield from _capacity(host)
        yield from _scaling(host)
        yield from _in_region(host, region)
    yield from _of_kinds(where, entry, production, shadows)
    yield from _names([*production, *shadows])
    yield from _weights(production)
    if shadows:
        yield from _shadowed(where, production, shadows)
    key = entry.get("kms_key_id")
    if isinstance(key, str):
        yield from _arn_in_region(f"{where}.kms_key_id", key, region)


def _production(where: str, entry: Entry) -> Iterator[Host]:
    if isinstance(entry.get("variants"), list):
        yield from _listed(where, entry, "variants")
    else:
        yield Host(where, entry, *_OWN_CAPACITY)


def _listed(where: str, entry: Entry, field: str) -> Iterator[Host]:
    listed = entry.get(field)
    for index, variant in enumerate(listed if isinstance(listed, list) else ()):
        if isinstance(variant, dict):
            here = f"{where}.{field}[{index}]"
            yield Host(here, {**_inherited(entry), **variant}, "instance_type", "instance_count")


def _inherited(entry: Entry) -> Entry:
    return {name: entry[name] for name in Surroundings.model_fields if name in entry}


def _beside_variants(where: str, entry: Entry) -> Iterator[Problem]:
    for field in _OF_ONE_MODEL:
        if field in entry:
            sentence = "has no meaning beside `variants`: each of them says it for itself"
            if field == "instance_type_fallbacks":
                sentence = "has no meaning beside `variants`: only an entry's own model falls back"
            yield Problem(f"{where}.{field}", sentence)


def _capacity(host: Host) -> Iterator[Problem]:
    named, serverless = host.type_field in host.fields, "serverless" in host.fields
    if not named and not serverless:
        yield Problem(f"{host.where}.{host.type_field}", "is required, or `serverless`")
    if "volume_size_gb" in host.fields:
        for _, kind in host.instance_types:
            if has_local_storage(kind):
                sentence = f"{kind} brings disks of its own and takes no volume; remove it"
                yield Problem(f"{host.where}.volume_size_gb", sentence)


def _scaling(host: Host) -> Iterator[Problem]:
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


def _of_kinds(
    where: str, entry: Entry, production: Sequence[Host], shadows: Sequence[Host]
) -> Iterator[Problem]:
    """Settings that this kind of endpoint does not take."""
    for kind in dict.fromkeys(kind_of(entry, host.fields) for host in production):
        for path, sentence in refusals(kind, entry, of_entry=True):
            yield Problem(f"{where}.{path}", sentence)
    for host in (*production, *shadows):
        own_names = {"instance_type": host.type_field, "instance_count": host.count_field}
        fields = {name: host.fields.get(own) for name, own in own_names.items()}
        for path, sentence in refusals(
            kind_of(entry, host.fields), {**host.fields, **fields}, of_entry=False
        ):
            yield Problem(f"{host.where}.{own_names.get(path, path)}", sentence)


def _in_region(host: Host, region: object) -> Iterator[Problem]:
    """SageMaker only accepts images and model packages of its own region."""
    named = {"image": host.fields.get("image")}
    containers = host.fields.get("containers")
    for index, container in enumerate(containers if isinstance(containers, list) else ()):
        if isinstance(container, dict):
            named[f"containers[{index}].image"] = container.get("image")
    for field, image in named.items():
        yield from _image_in_region(f"{host.where}.{field}", image, region)
    package = host.fields.get("model_package_arn")
    if isinstance(package, str):
        yield from _arn_in_region(f"{host.where}.model_package_arn", package, region)


def _image_in_region(path: str, image: object, region: object) -> Iterator[Problem]:
    parts = image.partition("/")[0].split(".", 4) if isinstance(image, str) else []
    if parts[1:2] != ["dkr"]:
        return
    suffix = DNS_SUFFIXES.get(partition_of(str(region)), "amazonaws.com")
    if parts[3:4] != [region]:
        yield _elsewhere(path, region, "".join(parts[3:4]))
    elif parts[4:] and parts[4] != suffix:
        yield Problem(path, f"registries of {region} are below {suffix}, not {parts[4]}")


def _arn_in_region(path: str, arn: str, region: object) -> Iterator[Problem]:
    parts = arn.split(":")
    if parts[0] == "arn" and parts[3:4] != [region]:
        yield _elsewhere(path, region, "".join(parts[3:4]))


def _elsewhere(path: str, region: object, found: str) -> Problem:
    return Problem(path, f"must be in {region} (region_name), where the endpoint is, not {found}")


def _names(hosts: Sequence[Host]) -> Iterator[Problem]:
    seen: dict[str, str] = {}
    for host in hosts:
        own = host.type_field in _OWN_CAPACITY
        name = ONLY_VARIANT if own else host.fields.get("name")
        before = seen.setdefault(name, host.where) if isinstance(name, str) else host.where
        if before != host.where:
            sentence = f"'{name}' is the name of {before} already; rename one"
            yield Problem(f"{host.where}.name", sentence)


def _weights(hosts: Sequence[Host]) -> Iterator[Problem]:
    if hosts and all(host.fields.get("weight") == 0 for host in hosts):
        sentence = "at least one variant needs a weight above 0, or no request has a way to go"
        yield Problem(f"{hosts[0].where}.weight", sentence)


def _shadowed(where: str, production: Sequence[Host], shadows: Sequence[Host]) -> Iterator[Problem]:
    path = f"{where}.shadow_variants"
    if len(shadows) > 1:
        sentence = f"has {len(shadows)} entries; SageMaker takes one shadow for one variant"
        yield Problem(path, sentence)
    if len(production) > 1:
        sentence = f"shadows one production variant only, and there are {len(production)}"
        yield Problem(path, sentence)
    for host in (*production, *shadows):
        for field in ("serverless", "model_package_arn", "containers"):
            if field in host.fields:
                yield Problem(f"{host.where}.{field}", "is not supported beside a shadow variant")
        if host.fields.get("mode") == MULTI_MODEL:
            yield Problem(f"{host.where}.mode", "is not supported beside a shadow variant")
        for field, kind in host.instance_types:
            if is_inferentia_1(kind):
                sentence = f"{kind} is not supported beside a shadow variant"
                yield Problem(f"{host.where}.{field}", sentence)
