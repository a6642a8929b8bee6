"""`update` of an entry: the options under which a running endpoint moves to its next config."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

from pydantic import WithJsonSchema

from constructs_lib.config.problems import Problem
from constructs_lib.config.variants import ONLY_VARIANT
from lambdas.core.rollout import OPTIONS, Variant, policy_problems

Update = Annotated[dict[str, Any], WithJsonSchema(OPTIONS.schema())]
"""Checked as a whole by the core: its limits depend on the entry's variants."""


def update_problems(where: str, entry: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong with the `update` of an entry, which may be wrong elsewhere too."""
    update = entry.get("update")
    if isinstance(update, dict):
        for problem in policy_problems(update, _variants(entry)):
            yield Problem(f"{where}.update.{problem.field}", problem.sentence)


def _variants(entry: Mapping[str, Any]) -> Sequence[Variant]:
    """The variants as far as they can be read; one of one instance where none is named."""
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
