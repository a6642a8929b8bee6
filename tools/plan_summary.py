"""What a plan changes, in the words of the domain: the JSON of `terraform show -json` goes in,
lines for people come out. Pure.

Dangerous changes stand at the top, then endpoints, then the rest by its kind.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from lambdas.core.settings import STACK_TAG_KEY
from tools.plan_endpoints import (
    CONFIG,
    COSTS,
    FALLBACKS,
    MODEL,
    RUNS_ON,
    SCALING,
    SPEC,
    VARIABLES,
    WEIGHT,
    Endpoint,
    Fact,
    Facts,
    Side,
)
from tools.plan_routes import INTEGRATION, called_directly
from tools.plan_text import LONG, UNKNOWN, Part, Summary, cut

SYNC = "aws_lambda_invocation.sync"
INVOCATION, DATA = "aws_lambda_invocation", "terraform_data"
CALLER = "aws_caller_identity"
PROTECTED = f"{DATA}.protected"
API = "aws_api_gateway_rest_api"
STORES = {
    "aws_dynamodb_table": "table",
    "aws_s3_bucket": "bucket",
    "aws_cognito_user_pool": "user pool",
}
LOSSES_OF_PROTECTION = {
    "deletion_protection_enabled": (True, False),
    "deletion_protection": ("ACTIVE", "INACTIVE"),
}
"""Attributes of stores, before and after."""
KINDS = {
    **STORES,
    "aws_api_gateway": "REST API",
    "aws_cloudwatch_dashboard": "dashboard",
    "aws_cloudwatch_event": "events",
    "aws_cloudwatch_log": "logs",
    "aws_cloudwatch_metric_alarm": "alarms",
    "aws_iam": "permissions",
    "aws_lambda": "functions",
    "aws_s3": "files and buckets",
    "aws_scheduler": "schedules of the meter",
    "aws_sfn": "state machine",
    "aws_sns": "topics",
    "aws_sqs": "queues",
}
"""The words for resources by the beginning of their type."""
TOLD_WITH_ENDPOINTS = {SPEC, CONFIG, MODEL, INVOCATION, DATA}
ORDER = (RUNS_ON, FALLBACKS, SCALING, "schedule", "first lease", "longest lease")
"""Facts that begin with these words come first."""
OF_A_NEW_VARIANT = (RUNS_ON, WEIGHT, "model", "image")
NAMES_SHOWN = 6


def summary(plan: Mapping[str, Any]) -> Summary:
    """Summarize a plan that `terraform show -json` printed."""
    changes = [one for one in plan.get("resource_changes") or [] if one["mode"] == "managed"]
    declared, planned = Side(changes, "before"), Side(changes, "after")
    unreadable = declared.unreadable | planned.unreadable
    untold = planned.unknown | unreadable.keys()
    before, after = (
        {name: one for name, one in side.endpoints.items() if name not in untold}
        for side in (declared, planned)
    )
    drained = _replaced(changes)
    removed = sorted(declared.names - planned.names)
    dangers = [*_refused(plan), *_dangers(changes, removed)]
    parts = [
        Part("Dangerous", dangers, dangerous=True),
        *_endpoints(before, after, drained=drained),
        Part("Endpoints of which Terraform knows more during the apply", sorted(planned.unknown)),
        Part(
            "Endpoints of which only the plan itself can tell",
            [f"{name}: {why}" for name, why in sorted(unreadable.items())],
        ),
        Part("Everything else", list(_others(changes))),
    ]
    if not any(_verb(one["change"]["actions"]) for one in changes):
        parts.insert(0, Part("No resource changes", ["what is deployed is what the config says"]))
    return Summary(_title(plan), [part for part in parts if part.lines])


def _title(plan: Mapping[str, Any]) -> str:
    given = _at(plan, "configuration", "provider_config", "aws", "expressions", "default_tags")
    tags = [_at(one, "tags", "constant_value", STACK_TAG_KEY) for one in given or []]
    stack = next(filter(None, tags), None)
    read = _at(plan, "prior_state", "values", "root_module", "resources") or []
    accounts = [_at(one, "values", "account_id") for one in read if one["type"] == CALLER]
    where = f" of account {accounts[0]}" if accounts else ""
    return f"What this plan changes at {stack}{where}" if stack else "What this plan changes"


def _at(document: Any, *path: str) -> Any:
    """What lies there, None if there is nothing. Terraform leaves out what is empty or unknown."""
    for key in path:
        document = document.get(key) if isinstance(document, Mapping) else None
    return document


# --- dangers ----------------------------------------------------------------------------------


def _refused(plan: Mapping[str, Any]) -> Iterator[str]:
    if not plan.get("errored"):
        return
    checks = [one for one in plan.get("checks") or [] if one["status"] == "fail"]
    problems = [
        problem["message"]
        for check in checks
        for instance in check.get("instances") or []
        for problem in instance.get("problems") or []
    ]
    yield from (f"refused by Terraform: {problem}" for problem in problems)
    if not problems:
        yield "Terraform could not finish this plan: its error stands above, and this is a part"


def _dangers(changes: Sequence[Mapping[str, Any]], removed: Sequence[str]) -> Iterator[str]:
    if _replaced(changes):
        yield (
            "the sync is replaced or destroyed: every endpoint is stopped first, whatever its lease"
        )
    for name in removed:
        yield f"{name} is stopped: its entry is removed"
    has_another_api = any(c["type"] == API and "delete" in c["change"]["actions"] for c in changes)
    for change in changes:
        actions, kind = change["change"]["actions"], STORES.get(change["type"])
        if kind and "delete" in actions:
            verb = "replaced by an empty one" if "create" in actions else "destroyed"
            yield f"the {kind} {_store(change)} is {verb}: what it holds is lost"
        if _loses_protection(change):
            yield f"the {kind} {_store(change)} loses its deletion protection"
        if change["address"] == PROTECTED and "delete" in actions:
            yield "deletion protection is taken off: the next destroy is not refused"
        if not has_another_api and _loses_its_new_integration(change):
            yield (
                f"the route {change['name'].removeprefix('model_')} stops answering: API Gateway "
                "cannot give it another role or type in one deploy. Take its `integration` out of "
                "the config, deploy, put it back, and deploy again"
            )
    if has_another_api:
        yield "the REST API is replaced or destroyed: its address changes for all callers"


def _replaced(changes: Sequence[Mapping[str, Any]]) -> bool:
    return any(c["address"] == SYNC and "delete" in c["change"]["actions"] for c in changes)


def _loses_its_new_integration(change: Mapping[str, Any]) -> bool:
    """Whether a direct route comes or goes in place of another: Terraform makes the new one over
    the old one, and then removes what is there."""
    sides = [change["change"].get(side) for side in ("before", "after")]
    return (
        change["type"] == INTEGRATION
        and {"create", "delete"} <= set(change["change"]["actions"])
        and any(isinstance(side, Mapping) and called_directly(side) for side in sides)
    )


def _loses_protection(change: Mapping[str, Any]) -> bool:
    return any(
        tuple(_at(change, "change", side, attribute) for side in ("before", "after")) == loss
        for attribute, loss in LOSSES_OF_PROTECTION.items()
    )


# --- endpoints --------------------------------------------------------------------------------


def _endpoints(
    before: Mapping[str, Endpoint], after: Mapping[str, Endpoint], *, drained: bool
) -> Iterator[Part]:
    same = []
    for name in sorted({**before, **after}):
        old, new = before.get(name), after.get(name)
        if old is None:
            assert new is not None
            yield Part(f"{name}: new", list(_described(new)))
        elif new is None:
            ran_on = old.facts.get(RUNS_ON, Fact("unknown")).shown
            yield Part(f"{name}: stopped, its entry is removed", [f"costs: {ran_on} -> none"])
        elif lines := list(_differences(old, new)):
            yield Part(f"{name}: {_what_happens(old, new, drained=drained)}", lines)
        else:
            same.append(name)
    if same:
        heading = "Stopped, and started again as they are" if drained else "Unchanged endpoints"
        yield Part(heading, [_names(same)])


def _what_happens(old: Endpoint, new: Endpoint, *, drained: bool) -> str:
    if drained:
        return "stopped, and started again as it is then declared"
    if old.config != new.config:
        return "moved. If it runs, SageMaker updates it to the new endpoint config"
    return "changed. Its endpoint config stays, so SageMaker updates nothing"


def _described(new: Endpoint) -> Iterator[str]:
    yield from _changed({}, new.facts)
    for title, facts in new.variants.items():
        if new.has_one_variant:
            yield _short("", facts, {RUNS_ON, WEIGHT})
        else:
            yield _short(f"{title}: ", facts)


def _differences(old: Endpoint, new: Endpoint) -> Iterator[str]:
    yield from _changed(old.facts, new.facts)
    alone = old.has_one_variant and new.has_one_variant
    for title in {**old.variants, **new.variants}:
        was, becomes = old.variants.get(title), new.variants.get(title)
        if was and becomes:
            told = {RUNS_ON, WEIGHT} if alone else set()  # of the endpoint as a whole
            place = "" if alone else f"{title}: "
            yield from (f"{place}{line}" for line in _changed(was, becomes, told))
        elif becomes:
            yield _short(f"new {title}: ", becomes)
        else:
            yield f"{title} is removed"


def _short(place: str, facts: Facts, told: AbstractSet[str] = frozenset()) -> str:
    """The main facts of a variant in one line, without those that are told already."""
    labels = [label for label in OF_A_NEW_VARIANT if label in facts and label not in told]
    return place + ", ".join(f"{label}: {facts[label].shown}" for label in labels)


def _changed(old: Facts, new: Facts, told: AbstractSet[str] = frozenset()) -> Iterator[str]:
    absent = Fact("")
    secrets: dict[str, list[str]] = {}
    unknown = [one for one in new if one.endswith(VARIABLES) and new[one].shown == UNKNOWN]
    yield from (f"{one} are known after the apply" for one in unknown)
    for label in sorted({**old, **new}, key=_rank):
        was, becomes = old.get(label, absent), new.get(label, absent)
        if was == becomes or label in told or (becomes.shown == UNKNOWN and not was.shown):
            continue
        if was.is_secret or becomes.is_secret:
            if not becomes.shown and unknown:
                continue
            verb = "changed" if was.shown and becomes.shown else "removed" if was.shown else "new"
            secrets.setdefault(verb, []).append(label)
        elif not old:
            yield f"{_mark(label)}{label}: {cut(becomes.shown)}"
        else:
            yield f"{_mark(label)}{label}: {_from_to(was.shown, becomes.shown)}"
    for verb, labels in secrets.items():
        yield f"variables {verb} (values are not shown): {_names(labels)}"


def _rank(label: str) -> int:
    return next((n for n, start in enumerate(ORDER) if label.startswith(start)), len(ORDER))


def _from_to(was: str, becomes: str) -> str:
    if max(len(was), len(becomes)) <= LONG:
        return f"{was or 'none'} -> {becomes or 'none'}"
    words, others = was.split(), becomes.split()
    gone = [f"-{word}" for word in words if word not in others]
    come = [f"+{word}" for word in others if word not in words]
    return cut(" ".join([*gone, *come]) or "the same words in another order")


def _mark(label: str) -> str:
    return "costs: " if label.startswith(COSTS) else ""


# --- everything else --------------------------------------------------------------------------


def _others(changes: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """One line for each kind of resource and what happens to it. Roles of models have the names of
    their models, and belong to endpoints."""
    found: dict[tuple[str, str], list[str]] = {}
    models = {change["name"] for change in changes if change["type"] == MODEL}
    for change in changes:
        verb = _verb(change["change"]["actions"])
        of_endpoint = change["type"].startswith("aws_iam") and change["name"] in models
        if verb and not of_endpoint and change["type"] not in TOLD_WITH_ENDPOINTS:
            found.setdefault((_kind(change["type"]), verb), []).append(change["name"])
    for (kind, verb), names in sorted(found.items()):
        yield f"{kind} {verb}: {_names(sorted(set(names)))}"


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return f"{', '.join(names[:NAMES_SHOWN])}{more}"


def _kind(resource_type: str) -> str:
    beginnings = [start for start in KINDS if resource_type.startswith(start)]
    return KINDS[max(beginnings, key=len)] if beginnings else resource_type


def _verb(actions: Sequence[str]) -> str | None:
    if "create" in actions and "delete" in actions:
        return "replaced"
    return {"create": "new", "update": "changed", "delete": "destroyed"}.get(actions[0])


def _store(change: Mapping[str, Any]) -> str:
    given = (_at(change, "change", "before", attribute) for attribute in ("name", "bucket"))
    return str(next(filter(None, given), change["name"]))
