"""The field `update` of an entry: how a running endpoint moves to its next endpoint config."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

from pydantic import WithJsonSchema

from constructs_lib.config.problems import Problem
from constructs_lib.config.variants import ONLY_VARIANT
from lambdas.core.rollout import OPTIONS, Variant, policy_problems

Update = Annotated[dict[str, Any], WithJsonSchema(OPTIONS.schema())]
"""The core checks it as a whole, because its limits depend on the entry's variants."""


def update_problems(where: str, entry: Mapping[str, Any]) -> Iterator[Problem]:
    """Problems with the `update` of an entry, which may have other problems too."""
    update = entry.get("update")
    if isinstance(update, dict):
        for problem in policy_problems(update, _variants(entry)):
            yield Problem(f"{where}.update.{problem.field}", problem.sentence)


def _variants(entry: Mapping[str, Any]) -> Sequence[Variant]:
    """The variants that can be read. An entry without `variants` counts as one variant."""
    named = entry.get("variants")
    if isinstance(named, list):
        dicts = [each for each in named if isinstance(each, dict)]
        return [_variant(each, each.get("name", ""), "instance_count") for each in dicts]
    return [_variant(entry, ONLY_VARIANT, "inference_instance_count")]


def _variant(entry: Mapping[str, Any], name: object, count_field: str) -> Variant:
    count = None if "serverless" in entry else _count(entry.get(count_field))
    return Variant(str(name), count)


def _count(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 1
