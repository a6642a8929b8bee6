"""Reads and checks a config file and its overlay, and writes notes about surprising values."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from constructs_lib.canonical import canonical
from constructs_lib.config.called import too_many_routes
from constructs_lib.config.checks import problems_across
from constructs_lib.config.document import DeployConfig, JumpstartModel
from constructs_lib.config.instance_types import has_local_storage
from constructs_lib.config.integration import SAGEMAKER_SECONDS
from constructs_lib.config.problems import InvalidConfig, Problem
from constructs_lib.config.sentences import problems_of
from constructs_lib.config.unusable_text import TOO_DEEP, is_too_deep, unusable_texts
from constructs_lib.text_file import NotText, utf_8
from lambdas.core.called_models import API_GATEWAY_SECONDS
from lambdas.core.schedule import fixed_offset

MAX_SPEC_BYTES = 350_000
"""A DynamoDB item holds 400 KB. The rest is for the other attributes of a spec's item.
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html"""


def load(path: Path, overlay: Path | None = None) -> DeployConfig:
    """Read `path`, lay `overlay` over it, and check the result. Raises InvalidConfig."""
    document = read_json(path)
    source = str(path)
    if overlay:
        document = _overlaid(document, read_json(overlay))
        source = f"{path} with {overlay}"
    return parse(document, source)


def parse(document: Mapping[str, Any], source: str = "The config") -> DeployConfig:
    """Check a document. Raises InvalidConfig with all its problems, sorted by field."""
    config = None
    problems = [*unusable_texts(document)]
    # Half characters, which are problems by now, become '?', so that all the rest can be checked.
    text = json.dumps(document, ensure_ascii=False).encode("utf-8", "replace")
    problems += problems_across(json.loads(text))
    try:
        config = DeployConfig.model_validate_json(text)
        problems += [*_too_large(config), *too_many_routes(config)]
    except ValidationError as error:
        problems += problems_of(error)
    if problems or config is None:
        raise InvalidConfig(source, sorted(set(problems)))
    return config


def _too_large(config: DeployConfig) -> Iterator[Problem]:
    """Problems of entries whose spec would not fit in a DynamoDB item."""
    for index, model in enumerate(config.jumpstart_models):
        schedules = [schedule.document() for schedule in model.schedules()]
        scaling = [each.document() for each in model.scaling(config.endpoint_name(model))]
        # names and numbers are short
        stored = (schedules, scaling, config.tags_of(model), model.update)
        size = sum(len(canonical(part)) for part in stored)
        if size > MAX_SPEC_BYTES:
            yield Problem(
                f"jumpstart_models[{index}].schedule",
                f"'{model.name}' would be stored in {size:,} bytes, and at most "
                f"{MAX_SPEC_BYTES:,} fit; give fewer schedules or fewer except_dates",
            )


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object. Raises InvalidConfig if it is not one, or has a key twice."""
    try:
        document = _document(utf_8(path.read_bytes()))
    except OSError as error:
        problem = Problem("", f"it cannot be read: {error.strerror}")
        raise InvalidConfig(str(path), [problem]) from error
    except (NotText, ValueError) as error:
        raise InvalidConfig(str(path), [Problem("", str(error))]) from error
    if not isinstance(document, dict):
        problem = Problem("", 'it must be an object: {"project_prefix": ...}')
        raise InvalidConfig(str(path), [problem])
    return document


def _document(text: str) -> Any:
    """Raises ValueError with a sentence."""
    try:
        document = json.loads(text, object_pairs_hook=_no_key_twice)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise ValueError(f"it is not JSON: {error.msg} at {where}") from error
    except RecursionError as error:
        raise ValueError(TOO_DEEP) from error
    if is_too_deep(document):
        raise ValueError(TOO_DEEP)
    return document


def notes(config: DeployConfig, now: datetime) -> Iterator[str]:
    """Notes about valid values that may surprise. `now` is an aware datetime; the synthesized JSON
    does not depend on it."""
    for index, model in enumerate(config.jumpstart_models):
        for note in _notes_on(model, now):
            yield f"jumpstart_models[{index}] ({model.name}): {note}"


def _notes_on(model: JumpstartModel, now: datetime) -> Iterator[str]:
    if model.schedule is None:
        yield "has no `schedule`: it stays stopped until someone renews it."
    schedules = model.schedules()
    if schedules and all(schedule.stops_only for schedule in schedules):
        yield "its `schedule` has stops only: it stays stopped until someone renews it."
    for schedule in schedules:
        if sentence := schedule.without_effect(now):
            yield sentence
        if offset := fixed_offset(schedule.timezone, now):
            yield (
                f"schedule '{schedule.name}': the time zone '{schedule.timezone}' is always "
                f"{offset}, also in summer. Name a place, such as 'America/New_York', if you mean "
                "the clocks there."
            )
    yield from _note_on_key(model)
    yield from _note_on_seconds(model)


def _note_on_key(model: JumpstartModel) -> Iterator[str]:
    variants = (*model.production_variants().values(), *model.shadows().values())
    kinds = {*model.instance_types().values(), *(v.instance_type or "" for v in variants)}
    with_disks = sorted(kind for kind in kinds if has_local_storage(kind))
    if model.kms_key_id and with_disks:
        yield (
            f"`kms_key_id` does not encrypt the disks of {', '.join(with_disks)}, which encrypt "
            "themselves."
        )


def _note_on_seconds(model: JumpstartModel) -> Iterator[str]:
    seconds = model.integration.properties.timeout_seconds if model.integration else 0
    if seconds > API_GATEWAY_SECONDS:
        yield (
            f"a `timeout_seconds` of {seconds} is more than API Gateway waits by itself, "
            f"{API_GATEWAY_SECONDS} s. AWS refuses the deploy until the quota 'Maximum "
            f"integration timeout in milliseconds' of this account and region is at least "
            f"{seconds * 1000:,}: ask for that in Service Quotas. AWS may lower the account's "
            "rate of requests in return."
        )
    if seconds > SAGEMAKER_SECONDS:
        yield (
            f"SageMaker gives a model {SAGEMAKER_SECONDS} s for each call: a `timeout_seconds` of "
            "more helps only a function that makes several calls. A model that takes longer needs "
            "`inference_type` 'async'."
        )


def _overlaid(base: Mapping[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    """Merge objects key by key; replace any other value."""
    merged = dict(base)
    for key, value in overlay.items():
        below = merged.get(key)
        both = isinstance(below, dict) and isinstance(value, dict)
        merged[key] = _overlaid(below, value) if both else value  # type: ignore[arg-type]
    return merged


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for key, value in pairs:
        if key in document:
            raise ValueError(f"the key '{key}' stands twice in one object; keep one of them")
        document[key] = value
    return document
