"""`update` of an entry: the options under which a running endpoint moves to its next config."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

from pydantic import WithJsonSchema

from constructs_lib.config_problems import Problem
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
        return [_variant(each) for each in named if isinstance(each, dict)]
    return [Variant("AllTraffic", _count(entry.get("inference_instance_count")))]


def _variant(entry: Mapping[str, Any]) -> Variant:
    count = None if "serverless" in entry else _count(entry.get("instance_count"))
    return Variant(str(entry.get("name", "")), count)


def _count(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 1
