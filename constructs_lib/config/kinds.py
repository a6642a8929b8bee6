"""Which settings go with which kind of endpoint: one table. The checks are made from it, and
[docs/kinds.md](../../docs/kinds.md), which `python -m constructs_lib.config.kinds` writes.

A setting that SageMaker refuses, or that has no effect, is refused at synth: otherwise an endpoint
fails when it starts, or does not do what its config says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from constructs_lib.config.marketplace import is_of_marketplace
from constructs_lib.config.source import MULTI_MODEL, PRIVATE_REGISTRY
from constructs_lib.config.variants import INVOCATIONS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "kinds.md"
_GUIDE = "https://docs.aws.amazon.com/sagemaker/latest/dg/"
_API = "https://docs.aws.amazon.com/sagemaker/latest/APIReference/"
_SERVERLESS = f"{_GUIDE}serverless-endpoints.html#serverless-endpoints-how-it-works-exclusions"
_ASYNC = f"{_GUIDE}async-inference.html"
_ASYNC_CALL = f"{_API}API_runtime_InvokeEndpointAsync.html"
_ASYNC_SCALING = f"{_GUIDE}async-inference-autoscale.html"
_METRICS = f"{_GUIDE}monitoring-cloudwatch.html"
_SHADOWS = f"{_GUIDE}shadow-tests-exclusions.html"
_GUARDRAILS = f"{_GUIDE}deployment-guardrails-exclusions.html"
_VARIANT = f"{_API}API_ProductionVariant.html"
_CONTAINER = f"{_API}API_ContainerDefinition.html"
_CONFIG = f"{_API}API_CreateEndpointConfig.html"
_NOT_SERVERLESS = "is not supported by serverless variants: remove it, or run on instances"
_NO_INSTANCES = "is for instances, and `serverless` has none; remove one of the two"
_NOT_ASYNC = (
    "is not supported by asynchronous endpoints: remove it, or use `inference_type` 'realtime'"
)
_NO_TARGET = (
    "is not for asynchronous endpoints: InvokeEndpointAsync cannot say which model or container "
    "it means; use `inference_type` 'realtime', or an endpoint for each"
)
_FROM_ZERO = (
    "must be at least 1: only asynchronous endpoints, which queue their requests, scale to none"
)


class Kind(StrEnum):
    """What an endpoint runs on, and how it is called. The value is the heading of its column."""

    INSTANCES = "realtime, on instances"
    ASYNC = "async"
    SERVERLESS = "serverless"


def _is_given(value: object) -> bool:
    return value is not None and value is not False and value != []


@dataclass(frozen=True, slots=True)
class Setting:
    """A row. `path` leads to the setting in a variant, or in an entry if it is `of_entry`. It
    counts if `when` is true of its value. `refused` says why, and what to do instead, for each kind
    that does not take it. What is `in_core` is checked there, because the API needs it too."""

    name: str
    source: str
    path: tuple[str, ...]
    refused: Mapping[Kind, str] = field(default_factory=dict)
    when: Callable[[Any], bool] = _is_given
    of_entry: bool = False
    in_core: bool = False

    def is_in(self, fields: Mapping[str, Any]) -> bool:
        value: Any = fields
        for key in self.path:
            value = value.get(key) if isinstance(value, dict) else None
        return self.when(value)


def _not_serverless(name: str, source: str, *path: str, why: str = _NOT_SERVERLESS) -> Setting:
    return Setting(f"`{name}`", source, path or (name,), {Kind.SERVERLESS: why})


def _scales_on(metric: str, refused: Mapping[Kind, str]) -> Setting:
    def chosen(autoscaling: object) -> bool:
        if not isinstance(autoscaling, dict):
            return False
        return bool(autoscaling.get("scale_on", INVOCATIONS) == metric)

    whole = {Kind.SERVERLESS: _NO_INSTANCES, **refused}
    source = _ASYNC_SCALING if metric == "backlog" else _METRICS
    return Setting(f"`autoscaling` on `{metric}`", source, ("autoscaling",), whole, chosen)


def _is(wanted: object) -> Callable[[Any], bool]:
    return lambda value: value == wanted and not isinstance(value, bool)


def _several(value: Any) -> bool:
    return isinstance(value, list) and len(value) > 1


SETTINGS = (
    # --- the model
    Setting(
        "`model_id`",
        "a model is locked for instance types",
        ("model_id",),
        {
            Kind.SERVERLESS: "is resolved for an instance type, and `serverless` has none: name "
            "its `image` and `model_data_url` instead"
        },
    ),
    Setting(
        "`model_package_arn` of one's own",
        _SERVERLESS,
        ("model_package_arn",),
        when=lambda v: isinstance(v, str) and not is_of_marketplace(v),
    ),
    Setting(
        "`model_package_arn` of the AWS Marketplace",
        "https://github.com/aws/sagemaker-python-sdk/issues/3969",
        ("model_package_arn",),
        {
            Kind.ASYNC: "is sold on the AWS Marketplace, and asynchronous endpoints take no such "
            "package; use `inference_type` 'realtime'",
            Kind.SERVERLESS: "is sold on the AWS Marketplace, and serverless variants take no such "
            "package; name an instance type instead of `serverless`",
        },
        lambda v: isinstance(v, str) and is_of_marketplace(v),
    ),
    Setting("`image` in ECR", _CONTAINER, ("image",)),
    _not_serverless("containers", _SERVERLESS),
    Setting(
        "`image_config` of a private registry",
        _SERVERLESS,
        ("image_config", "repository_access_mode"),
        {Kind.SERVERLESS: "is not supported by serverless variants: put the image into ECR"},
        _is(PRIVATE_REGISTRY),
    ),
    Setting(
        "`inference_execution_mode` `Direct`",
        _ASYNC_CALL,
        ("inference_execution_mode",),
        {Kind.ASYNC: _NO_TARGET, Kind.SERVERLESS: _NOT_SERVERLESS},
        _is("Direct"),
    ),
    Setting(
        f"`mode` `{MULTI_MODEL}`",
        f"{_ASYNC_CALL} and {_SERVERLESS}",
        ("mode",),
        {Kind.ASYNC: _NO_TARGET, Kind.SERVERLESS: _NOT_SERVERLESS},
        _is(MULTI_MODEL),
    ),
    Setting("`model_data_url` of an archive", _CONTAINER, ("model_data_url",)),
    Setting(
        "`model_data_url` of a folder",
        _CONTAINER,
        ("model_data_url",),
        {Kind.SERVERLESS: "must be a .tar.gz archive: serverless variants take no folder"},
        lambda value: isinstance(value, str) and value.endswith("/"),
    ),
    _not_serverless("model_data_source", _CONTAINER),
    Setting("`environment`", _CONTAINER, ("environment",)),
    Setting("`execution_role_arn`", f"{_API}API_CreateModel.html", ("execution_role_arn",)),
    _not_serverless("vpc", _SERVERLESS),
    _not_serverless("network_isolation", _SERVERLESS),
    # --- what it runs on
    _not_serverless(
        "instance_type",
        _VARIANT,
        why="stands beside `serverless`, which has no instances; remove one",
    ),
    *(
        _not_serverless(name, _VARIANT, why=_NO_INSTANCES)
        for name in (
            "instance_count",
            "instance_type_fallbacks",
            "managed_instance_scaling",
            "routing_strategy",
            "volume_size_gb",
            "model_data_download_timeout_seconds",
            "inference_ami_version",
            "enable_ssm_access",
        )
    ),
    Setting(
        "`container_startup_timeout_seconds`", _VARIANT, ("container_startup_timeout_seconds",)
    ),
    Setting("`core_dump_config`", _VARIANT, ("core_dump_config",)),
    Setting("`serverless`", _SERVERLESS, ("serverless",), {Kind.ASYNC: _NOT_ASYNC}),
    _scales_on(
        "invocations",
        {
            Kind.ASYNC: "would never scale: asynchronous endpoints publish no invocations; use "
            '"scale_on": "backlog", and as `target` the requests that may wait for each instance'
        },
    ),
    _scales_on(
        "backlog",
        {
            Kind.INSTANCES: "would never scale: only asynchronous endpoints have a backlog; use "
            "'invocations' or 'concurrency'"
        },
    ),
    _scales_on(
        "concurrency",
        {
            Kind.ASYNC: "is for requests that wait for their answer; use 'backlog' for an "
            "asynchronous endpoint"
        },
    ),
    Setting(
        "`autoscaling.min_capacity` of 0",
        _ASYNC_SCALING,
        ("autoscaling", "min_capacity"),
        {Kind.INSTANCES: _FROM_ZERO, Kind.SERVERLESS: _NO_INSTANCES},
        _is(0),
    ),
    # --- the endpoint
    Setting(
        "more than one of `variants`",
        f"{_ASYNC} and {_SERVERLESS}",
        ("variants",),
        {
            Kind.ASYNC: "are too many: an asynchronous endpoint takes one variant; give each an "
            "entry of its own",
            Kind.SERVERLESS: "are too many: `serverless` is for an endpoint of one variant; give "
            "each an entry of its own",
        },
        _several,
        of_entry=True,
    ),
    Setting(
        "`shadow_variants`",
        _SHADOWS,
        ("shadow_variants",),
        {Kind.ASYNC: _NOT_ASYNC, Kind.SERVERLESS: _NOT_SERVERLESS},
        of_entry=True,
    ),
    Setting(
        "`data_capture`",
        _SERVERLESS,
        ("data_capture",),
        {Kind.SERVERLESS: _NOT_SERVERLESS},
        of_entry=True,
    ),
    Setting(
        "`kms_key_id`",
        _CONFIG,
        ("kms_key_id",),
        {Kind.SERVERLESS: "encrypts volumes of instances, and `serverless` has none: remove it"},
        of_entry=True,
    ),
    Setting(
        "`async`",
        _ASYNC,
        ("async",),
        dict.fromkeys(
            (Kind.INSTANCES, Kind.SERVERLESS), "is for `inference_type` 'async': remove it"
        ),
        of_entry=True,
    ),
    Setting(
        "`async_api_enabled`",
        _ASYNC_CALL,
        ("async_api_enabled",),
        {
            Kind.ASYNC: "an endpoint of `inference_type` 'async' is called with "
            "InvokeEndpointAsync: remove it"
        },
        of_entry=True,
    ),
    Setting(
        "`integration`",
        _ASYNC_CALL,
        ("integration",),
        {
            Kind.ASYNC: "waits for answers, and an asynchronous endpoint puts them into S3: call "
            "it with InvokeEndpointAsync, or use `inference_type` 'realtime'"
        },
        of_entry=True,
    ),
    Setting(
        "`update` with a `RollingUpdatePolicy`",
        _GUARDRAILS,
        ("update", "DeploymentConfig", "RollingUpdatePolicy"),
        {Kind.SERVERLESS: "cannot update serverless variants; use BlueGreenUpdatePolicy"},
        of_entry=True,
        in_core=True,
    ),
)

FOR_EVERY_KIND = (
    "accept_eula",
    "async_api_results",
    "inference_specification_name",
    "inference_type",
    "model_cache_setting",
    "model_version",
    "name",
    "outside_updates",
    "schedule",
    "tags",
    "wake_on_request",
    "weight",
)
"""Fields that say nothing that SageMaker knows, or that go with another one, which has a row."""
ENTRY_NAMES = {
    "instance_type": "inference_instance_type",
    "instance_count": "inference_instance_count",
}
"""What an entry calls a setting of its own model."""


def kind_of(entry: Mapping[str, Any], variant: Mapping[str, Any]) -> Kind:
    """The kind of endpoint that this variant of the entry makes it. An asynchronous one that is
    `serverless` too counts as asynchronous, which refuses that."""
    if entry.get("inference_type") == "async":
        return Kind.ASYNC
    return Kind.SERVERLESS if _is_given(variant.get("serverless")) else Kind.INSTANCES


def refusals(kind: Kind, fields: Mapping[str, Any], *, of_entry: bool) -> Iterator[tuple[str, str]]:
    """The path below the fields, and the sentence, of each setting that the kind does not take."""
    for setting in SETTINGS:
        here = setting.of_entry is of_entry and not setting.in_core
        if here and kind in setting.refused and setting.is_in(fields):
            yield ".".join(setting.path), setting.refused[kind]


def page() -> str:
    """The documentation of the table."""
    heads = " | ".join(Kind)
    lines = [_TEXT, f"| setting | {heads} | source |", f"|---|{'---|' * len(Kind)}---|"]
    notes: list[str] = []
    for setting in SETTINGS:
        cells = " | ".join(_cell(setting.refused.get(kind), notes) for kind in Kind)
        lines.append(f"| {setting.name} | {cells} | {_links(setting.source)} |")
    numbered = [f"{number}. … {note}" for number, note in enumerate(notes, start=1)]
    return "\n".join([*lines, "", "What synth says of a `no`:", "", *numbered, ""])


_TEXT = """\
# Kinds of endpoints

<!-- Written by `python -m constructs_lib.config.kinds` from the table that synth checks. -->

Which settings of a config go with which kind of endpoint. Synth refuses what SageMaker refuses, and
what would have no effect. What a setting means is in [configuration](configuration.md). What
SageMaker knows and the config does not is in [fields of SageMaker](sagemaker-fields.md).

An endpoint is `async` by its `inference_type`, `serverless` by the field of this name. Otherwise it
runs on instances and answers at once. Shadow variants have [limits of their
own](configuration.md#variants). Fields that are not listed go with each kind, or with another field
that is.
"""


def _cell(sentence: str | None, notes: list[str]) -> str:
    if sentence is None:
        return "yes"
    if sentence not in notes:
        notes.append(sentence)
    return f"no ({notes.index(sentence) + 1})"


def _links(source: str) -> str:
    parts = [part for part in source.split(" and ") if part.startswith("https://")]
    return ", ".join(f"[{_page_name(part)}]({part})" for part in parts) or source


def _page_name(url: str) -> str:
    name = url.rpartition("/")[2].partition("#")[0].removesuffix(".html")
    return f"issue {name}" if name.isdigit() else name


if __name__ == "__main__":
    PAGE.write_text(page())
