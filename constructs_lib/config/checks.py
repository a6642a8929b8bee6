"""The checks across the fields of a config."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from constructs_lib.config.auth import auth_problems
from constructs_lib.config.document import endpoint_name
from constructs_lib.config.function_environment import environment_problems
from constructs_lib.config.hosting_checks import hosting_problems
from constructs_lib.config.problems import Problem
from constructs_lib.config.roles import role_problems
from constructs_lib.config.tags import stack_tag_problems, tag_problems
from constructs_lib.config.update import update_problems
from lambdas.core.errors import InvalidField
from lambdas.core.names import sagemaker_name
from lambdas.core.routes import paths
from lambdas.core.spec import DEFAULT_MAX_LEASE_MINUTES

# The routes of this product, which no model may use.
RESERVED_ROUTES = frozenset(path.strip("/") for path in paths())


def _key_elsewhere(path: str, key: object, region: object) -> Iterator[Problem]:
    parts = key.split(":") if isinstance(key, str) else []
    if len(parts) == 6 and parts[3] != region:
        sentence = f"must be in {region} (region_name), as all that it encrypts, not {parts[3]}"
        yield Problem(path, sentence)


def problems_across(document: Mapping[str, Any]) -> Iterator[Problem]:
    """Problems that involve several fields. The document may have other problems too: the user
    gets all of them at once."""
    models = document.get("jumpstart_models")
    entries = [e if isinstance(e, dict) else {} for e in models or ()] if _is_list(models) else []
    yield from _duplicates(
        [e.get("name") for e in entries], "name", "names of models differ in more than case"
    )
    routes = [_at(e, "integration", "properties", "api_resource_name") for e in entries]
    yield from _duplicates(
        routes,
        "integration.properties.api_resource_name",
        "each route leads to one model",
    )
    prefix, ceiling = (
        document.get("project_prefix"),
        document.get("max_lease_minutes", DEFAULT_MAX_LEASE_MINUTES),
    )
    region, former = document.get("region_name"), document.get("former_kms_key_arns")
    yield from _key_elsewhere("kms_key_arn", document.get("kms_key_arn"), region)
    for index, key in enumerate(former or () if _is_list(former) else ()):
        yield from _key_elsewhere(f"former_kms_key_arns[{index}]", key, region)
    if document.get("unmanaged_endpoints") == "meter" and document.get("adoptable") is None:
        yield Problem(
            "unmanaged_endpoints",
            "'meter' needs `adoptable`: the names of endpoints that may be put on the meter, such "
            'as ["team-a-*"]; ["*"] is every endpoint of the account and region',
        )
    for index, (entry, route) in enumerate(zip(entries, routes, strict=True)):
        where = f"jumpstart_models[{index}]"
        if isinstance(route, str) and route.casefold() in RESERVED_ROUTES:
            path = f"{where}.integration.properties.api_resource_name"
            yield Problem(path, f"'{route}' is a route of this product; choose another name")
        if isinstance(entry.get("name"), str):
            yield from _endpoint_name(where, prefix, entry["name"])
        minutes = _at(entry, "schedule", "initial_provision_minutes")
        if _is_int(minutes) and _is_int(ceiling) and minutes > ceiling:
            path = f"{where}.schedule.initial_provision_minutes"
            yield Problem(path, f"must be at most {ceiling} (max_lease_minutes)")
        yield from _waking(f"{where}.wake_on_request", entry, ceiling)
        yield from _schedule_names(f"{where}.schedule", entry.get("schedule"))
        yield from _fallbacks(where, entry)
        if entry.get("async_api_results") == "s3" and entry.get("async_api_enabled") is not True:
            problem = "has a meaning only with `async_api_enabled`: true"
            yield Problem(f"{where}.async_api_results", problem)
        yield from tag_problems(f"{where}.tags", entry.get("tags"))
        yield from environment_problems(where, prefix, entry)
        yield from hosting_problems(where, entry, document.get("region_name"))
        yield from update_problems(where, entry)
    yield from stack_tag_problems(document.get("tags"), entries)
    yield from role_problems(document)
    lease = document.get("unmanaged_lease_minutes")
    if _is_int(lease) and _is_int(ceiling) and lease > ceiling:
        problem = f"must be at most {ceiling} (max_lease_minutes)"
        yield Problem("unmanaged_lease_minutes", problem)
    yield from _tables(document)
    yield from auth_problems(document)


def _endpoint_name(where: str, prefix: object, name: str) -> Iterator[Problem]:
    whole, made = endpoint_name(str(prefix), name), "the endpoint name"
    try:
        sagemaker_name(str(prefix), "project_prefix")
    except InvalidField:  # reported at its own field; the name may be wrong with any prefix
        whole, made = endpoint_name("x", name), "endpoint names such as"
    try:
        sagemaker_name(whole, "name")
    except InvalidField as error:
        yield Problem(f"{where}.name", f"makes {made} '{whole}', which {error.sentence}")


def _schedule_names(where: str, schedules: object) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, entry in enumerate(schedules if isinstance(schedules, list) else []):
        name = entry.get("name") if isinstance(entry, dict) else None
        if isinstance(name, str):
            if name in seen:
                yield Problem(f"{where}[{index}].name", f"'{name}' is used twice; rename one")
            seen.add(name)


def _waking(where: str, entry: Mapping[str, Any], ceiling: object) -> Iterator[Problem]:
    if entry.get("wake_on_request") is None:
        return
    if entry.get("inference_type") == "async":
        yield Problem(
            where,
            "an asynchronous endpoint is not called over the API, which alone starts one that is "
            "called: remove it, renew the endpoint or give it a `schedule`",
        )
    elif _at(entry, "integration", "type") != "lambda":
        yield Problem(
            where,
            "needs an `integration` of type 'lambda': API Gateway by itself starts and extends "
            "nothing",
        )
    elif _at(entry, "integration", "public") is True:
        yield Problem(
            where,
            "goes with no `public` integration: anybody could run up costs; remove one of them",
        )
    minutes = _at(entry, "wake_on_request", "minutes")
    if _is_int(minutes) and _is_int(ceiling) and minutes > ceiling:
        yield Problem(f"{where}.minutes", f"must be at most {ceiling} (max_lease_minutes)")
    if minutes == 1 and _at(entry, "wake_on_request", "extend") is True:
        yield Problem(
            f"{where}.minutes",
            "must be at least 2 with `extend`: calls move the end of a lease once a minute",
        )


def _fallbacks(where: str, entry: Mapping[str, Any]) -> Iterator[Problem]:
    first, fallbacks = entry.get("inference_instance_type"), entry.get("instance_type_fallbacks")
    seen = {first: "inference_instance_type"} if isinstance(first, str) else {}
    for index, kind in enumerate(fallbacks if isinstance(fallbacks, list) else []):
        field = f"instance_type_fallbacks[{index}]"
        if isinstance(kind, str) and seen.setdefault(kind, field) != field:
            yield Problem(
                f"{where}.{field}",
                f"'{kind}' is {seen[kind]} already; where that finds no capacity, name another",
            )


def _tables(document: Mapping[str, Any]) -> Iterator[Problem]:
    prefix, auth = document.get("project_prefix"), document.get("ddb_auth_table_name")
    if auth in (f"{prefix}-state", f"{prefix}-history"):
        yield Problem("ddb_auth_table_name", f"'{auth}' is a table of this product; rename it")


def _duplicates(values: Sequence[object], field: str, rule: str) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for index, value in enumerate(values):
        if isinstance(value, str):
            before = first.setdefault(value.casefold(), index)
            if before != index:
                where = f"jumpstart_models[{before}]"
                yield Problem(
                    f"jumpstart_models[{index}].{field}",
                    f"'{value}' is taken by {where} already; {rule}",
                )


def _at(value: object, *keys: str) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _is_list(value: object) -> bool:
    return isinstance(value, list)


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
