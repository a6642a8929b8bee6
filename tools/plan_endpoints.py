"""What the endpoints of a plan are, before it and after it, as facts in the words of the domain.

Pure: it reads the JSON of `terraform show -json`. A spec names its endpoint config, that its
models. All three are resources of the plan.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from lambdas.core.spec import AsyncMode, Origin, Spec
from tools.plan_routes import KINDS as KINDS_OF_ROUTES
from tools.plan_routes import routes
from tools.plan_text import UNKNOWN

Values = Mapping[str, Any]
SPEC, CONFIG, MODEL = (
    "aws_dynamodb_table_item",
    "aws_sagemaker_endpoint_configuration",
    "aws_sagemaker_model",
)
RUNS_ON, FALLBACKS, SCALING = "runs on", "if there is no capacity", "autoscaling"
COSTS = (RUNS_ON, FALLBACKS, SCALING)
"""Facts that change what an hour costs begin with these words."""
WEIGHT = "weight"
ONLY_VARIANT = "AllTraffic"
VARIANTS = {"variant": "production_variants", "shadow variant": "shadow_production_variants"}
_TOLD = {
    *("arn", "id", "name", "name_prefix", "tags", "tags_all", "execution_role_arn"),
    *("variant_name", "model_name", "container_hostname", *VARIANTS.values()),
    *("instance_type", "initial_instance_count", "initial_variant_weight", "serverless_config"),
    *("primary_container", "container", "inference_execution_config"),
    *("image", "environment", "model_data_url", "model_package_name", "model_data_source"),
}
"""Attributes that are names of our own, or that facts in other words tell of."""
_USUAL = {"mode": "SingleModel"}  # what the provider writes if nothing is given
VARIABLES = "variables"
_RESULTS = {
    AsyncMode.OFF: "",
    AsyncMode.DIRECT: "async_api_results inline",
    AsyncMode.THROUGH_LAMBDA: "async_api_results s3",
}
_DEFAULTS = Spec("any", "any", Origin.CONFIG).document()
"""What items lack that an earlier release wrote."""


@dataclass(frozen=True)
class Fact:
    """`shown` is for people. `real` decides whether it changed: variables of a model may be
    secret, so they are compared and not shown."""

    shown: str
    real: object = None

    def __post_init__(self) -> None:
        if not isinstance(self.shown, str):
            raise TypeError(f"a text is expected, not {self.shown!r}")

    @property
    def is_secret(self) -> bool:
        return self.real is not None


Facts = Mapping[str, Fact]


@dataclass(frozen=True)
class Endpoint:
    """A declared endpoint. `config` is the name of its endpoint config. `variants` has the facts of
    each variant by its kind and name, such as `shadow variant B`."""

    name: str
    config: str
    facts: Facts
    variants: Mapping[str, Facts]

    @property
    def has_one_variant(self) -> bool:
        return list(self.variants) == [f"variant {ONLY_VARIANT}"]


class Side:
    """The resources of a plan, all as they are `before` it or all as they are `after` it."""

    def __init__(self, changes: Sequence[Values], side: str) -> None:
        self._named: dict[str, dict[str, Values]] = {SPEC: {}, CONFIG: {}, MODEL: {}}
        of_routes = []
        for change in changes:
            values = change["change"].get(side)
            if side == "after":
                values = _with_unknown(values, change["change"].get("after_unknown"))
            if "deposed" in change or not isinstance(values, Mapping):
                continue
            if change["type"] in KINDS_OF_ROUTES:
                of_routes.append((change["type"], change["name"], values))
            if change["type"] not in self._named:
                continue
            name = change["name"] if change["type"] == SPEC else str(values.get("name"))
            self._named[change["type"]][name] = values
        self._routes = routes(of_routes)
        self.names = frozenset(self._named[SPEC])
        self.unknown = frozenset(
            name for name, values in self._named[SPEC].items() if values.get("item") == UNKNOWN
        )
        """Endpoints whose spec Terraform only knows during the apply."""
        self.endpoints: dict[str, Endpoint] = {}
        """By name, which is also the name of the resource."""
        self.unreadable: dict[str, str] = {}
        """Why others cannot be told of, by name: what another release wrote may have any form."""
        for name in self.names - self.unknown:
            try:
                self.endpoints[name] = self._endpoint(self._named[SPEC][name])
            except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
                self.unreadable[name] = f"{type(error).__name__}: {error}"

    def _endpoint(self, values: Values) -> Endpoint:
        written = _json(values["item"])
        item = _DEFAULTS | {key: next(iter(typed.values())) for key, typed in written.items()}
        config = self._named[CONFIG].get(item["endpoint_config_name"], {})
        if UNKNOWN in (config.get(variants) for variants in VARIANTS.values()):
            raise ValueError("its variants are known after the apply")
        return Endpoint(
            item["name"],
            item["endpoint_config_name"],
            _said([*self._spec(item, config), *_settings(config)]),
            {
                f"{kind} {variant['variant_name']}": _said(self._variant(variant))
                for kind, variants in VARIANTS.items()
                for variant in _blocks(config, variants)
            },
        )

    def _spec(self, item: Values, config: Values) -> Iterator[tuple[str, Fact]]:
        fallbacks = [self._named[CONFIG].get(name, {}) for name in _json(item["fallback_configs"])]
        yield RUNS_ON, Fact(fleet(config))
        yield FALLBACKS, Fact(", then ".join(fleet(one) for one in fallbacks))
        for scaling in _json(item["scaling"]):
            variant = "" if scaling["variant"] == ONLY_VARIANT else f" of {scaling['variant']}"
            least, most = scaling["min_capacity"], scaling["max_capacity"]
            yield f"{SCALING}{variant}", Fact(f"{least} to {most} instances")
            yield from _leaves(f"{SCALING}{variant}", scaling["policies"])
        for schedule in _json(item["schedules"]):
            yield f"schedule {schedule['name']}", Fact(_windows(schedule))
        first = int(item["initial_provision_minutes"])
        yield "first lease", Fact(f"{first} minutes, once" if first else "")
        yield "longest lease", Fact(f"{item['max_lease_minutes']} minutes")
        yield from ((label, Fact(told)) for label, told in self._called(item["name"]))
        yield "calls without waiting", Fact(_RESULTS[AsyncMode(item["async_api"])])
        yield "updates from outside", Fact(item["outside_updates"])
        yield from _leaves("update", _json(item["update"]))
        yield from _leaves("tag", _json(item["tags"]))

    def _called(self, endpoint: str) -> Iterable[tuple[str, str]]:
        """How its model is called."""
        return self._routes.get(endpoint, {}).items()

    def _variant(self, variant: Values) -> Iterator[tuple[str, Fact]]:
        yield RUNS_ON, Fact(_capacity(variant))
        yield WEIGHT, Fact(f"{variant.get('initial_variant_weight') or 0:g}")
        model = self._named[MODEL].get(variant.get("model_name") or "", {})
        containers = [*_blocks(model, "primary_container"), *_blocks(model, "container")]
        for number, container in enumerate(containers, start=1):
            place = "" if len(containers) == 1 else f"container {number} "
            yield f"{place}model", Fact(_source(container))
            yield f"{place}image", Fact(container.get("image") or "")
            variables = container.get("environment") or {}
            if variables == UNKNOWN:
                yield f"{place}{VARIABLES}", Fact(UNKNOWN)
            else:
                for variable, value in variables.items():
                    yield f"{place}{variable}", Fact("set", real=value)
            yield from _settings(container, place)
        yield from _settings(model)
        yield from _settings(variant)


def _said(facts: Iterable[tuple[str, Fact]]) -> Facts:
    return {label: fact for label, fact in facts if fact.shown}


def fleet(config: Values) -> str:
    """All instances of an endpoint config, shadows too, such as `2 x ml.g5.12xlarge`."""
    count: Counter[str] = Counter()
    serverless = []
    for variant in (one for kind in VARIANTS.values() for one in _blocks(config, kind)):
        if variant.get("instance_type"):
            count[variant["instance_type"]] += variant.get("initial_instance_count") or 0
        else:
            serverless.append(_capacity(variant))
    return " + ".join([*(f"{number} x {kind}" for kind, number in count.items()), *serverless])


def _capacity(variant: Values) -> str:
    if variant.get("instance_type"):
        return f"{variant.get('initial_instance_count') or 0} x {variant['instance_type']}"
    (serverless,) = _blocks(variant, "serverless_config") or [{}]
    told = f"serverless of {serverless.get('memory_size_in_mb')} MB"
    told += f", at most {serverless.get('max_concurrency')} calls at once"
    ready = serverless.get("provisioned_concurrency")
    return f"{told}, {ready} kept ready" if ready else told


def _source(container: Values) -> str:
    """Where the model comes from: a model package, or the place of its artifact."""
    sources = _blocks(container, "model_data_source")
    places = [place["s3_uri"] for one in sources for place in _blocks(one, "s3_data_source")]
    given = [container.get("model_package_name"), container.get("model_data_url"), *places]
    return ", ".join(filter(None, given))


def _blocks(values: Values, name: str) -> Sequence[Values]:
    """The blocks of that name; none where Terraform only knows them after the apply."""
    found = values.get(name)
    return found if isinstance(found, list) else []


def _windows(schedule: Values) -> str:
    days = schedule.get("date") or " ".join(str(day) for day in schedule.get("days", []))
    start, stop = schedule.get("start_time"), schedule.get("stop_time")
    if start and stop:
        times = f"{start}-{stop}"
    else:
        times = f"{start} for {schedule['minutes']} min" if start else f"stop at {stop}"
    told = f"{days} {times} {schedule['timezone']}"
    except_dates = schedule.get("except_dates")
    return f"{told}, except {' '.join(except_dates)}" if except_dates else told


def _settings(values: Values, place: str = "") -> Iterator[tuple[str, Fact]]:
    """All other attributes of a resource, in Terraform's words."""
    for label, fact in _leaves("", {key: values[key] for key in values if key not in _TOLD}):
        yield f"{place}{label.replace('_', ' ')}", fact


def _leaves(label: str, value: Any) -> Iterator[tuple[str, Fact]]:
    """Each value of a JSON document by its path, without those that say nothing."""
    if isinstance(value, Mapping):
        for key in sorted(value):
            yield from _leaves(f"{label} {key}".strip(), value[key])
    elif isinstance(value, list):
        several = len(value) > 1
        for number, one in enumerate(value, start=1):
            yield from _leaves(f"{label} {number}" if several else label, one)
    elif value not in (None, "", 0, False) and value != _USUAL.get(label.rsplit(maxsplit=1)[-1]):
        yield label, Fact("yes" if value is True else str(value))


def _with_unknown(values: Any, unknown: Any) -> Any:
    """The values, and a word in place of each that Terraform only knows after the apply."""
    if unknown is True:
        return UNKNOWN
    if isinstance(unknown, Mapping) and isinstance(values, Mapping):
        names = {**values, **unknown}
        return {name: _with_unknown(values.get(name), unknown.get(name)) for name in names}
    if isinstance(unknown, list) and isinstance(values, list):
        return [_with_unknown(*pair) for pair in zip_longest(values, unknown)]
    return values


def _json(text: str) -> Any:
    return json.loads(text)
