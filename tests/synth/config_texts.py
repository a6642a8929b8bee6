"""Every string that a config can have, by the schema: where it stands in a config that has it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from constructs_lib.config.document import DeployConfig
from tests.synth.entries import ASYNC, BARE, CAPTURE, DATA, IMAGE, LINEAR, OWN, PACKAGE, VPC
from tests.synth.synthesis import FLAN

Place = tuple[str | int, ...]
"""Keys and indexes. A name of a dict is a place too: its last part is KEY."""
KEY = "{key}"

_KEY = "alias/ours"
_KEY_ARN = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
_ROLE = "arn:aws:iam::123456789012:role/ours"
_TOPIC = "arn:aws:sns:us-east-1:123456789012:ours"
_LAYER = "arn:aws:lambda:us-east-1:123456789012:layer:ours:1"
_ENVIRONMENT = {"SETTING": "1"}
_WINDOW = {"name": "event", "start_time": "09:00", "stop_time": "17:00", "timezone": "UTC"}
_SURROUNDINGS = {"execution_role_arn": _ROLE, "vpc": VPC}
_MANAGED = {"status": "ENABLED", "min_instance_count": 1, "max_instance_count": 2}
_TUNING = {"routing_strategy": "RANDOM", "managed_instance_scaling": _MANAGED}
_SOURCE = {"image": IMAGE, "model_data_url": DATA, "environment": _ENVIRONMENT}
_PULL = {
    "repository_access_mode": "Vpc",
    "repository_credentials_provider_arn": "arn:aws:lambda:us-east-1:123456789012:function:pull",
}
_S3_DATA = {
    "s3_uri": "s3://ours/model/",
    "s3_data_type": "S3Prefix",
    "compression_type": "None",
}
_PRIVATE = {
    "image": "registry.example.com/llm:1",
    "image_config": _PULL,
    "model_data_source": _S3_DATA,
    "vpc": VPC,
}
_MANY = {"image": IMAGE, "model_data_url": "s3://ours/models/", "mode": "MultiModel"}
_CACHED = {**_MANY, "model_cache_setting": "Disabled"}
_STEPS = {"containers": [_SOURCE, _SOURCE]}
_NAMED_STEPS = {
    "containers": [
        {
            **{key: value for key, value in _PRIVATE.items() if key != "vpc"},
            "container_hostname": "a",
        },
        {**_CACHED, "container_hostname": "b"},
    ],
    "inference_execution_mode": "Direct",
    "vpc": VPC,
}
_VARIANT = {
    "inference_ami_version": "al2-ami-sagemaker-inference-gpu-2",
    "core_dump_config": {"destination_s3_uri": "s3://ours/dumps", "kms_key_id": _KEY},
}
_PACKAGE = {"model_package_arn": PACKAGE, "inference_specification_name": "default"}
_BY_ID = {"model_id": FLAN["model_id"], "model_version": "0.0.0"}
_PLACE = {"name": "Linear", "instance_type": "ml.m5.xlarge"}
_SIZE = {"Type": "CAPACITY_PERCENT", "Value": 50}


def _routing(kind: str, **size: Any) -> dict[str, Any]:
    routing = {"Type": kind, **size, "WaitIntervalInSeconds": 60}
    alarms = {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "errors"}]}}
    policy = {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing}}
    kept = [{"VariantPropertyType": "DataCaptureConfig"}]
    return {
        "DeploymentConfig": {**policy, **alarms},
        "RetainAllVariantProperties": True,
        "ExcludeRetainedVariantProperties": kept,
    }


def _integration(route: str, **properties: Any) -> dict[str, Any]:
    environment = {"environment": _ENVIRONMENT}
    return {
        "type": "lambda",
        "properties": {"api_resource_name": route, **environment, **properties},
    }


ENTRIES: Mapping[str, Mapping[str, Any]] = {
    "own": {
        **OWN,
        **_SURROUNDINGS,
        **_TUNING,
        "environment": _ENVIRONMENT,
        "kms_key_id": _KEY,
        "inference_instance_count": 2,
        "instance_type_fallbacks": ["ml.m5.2xlarge"],
        "data_capture": {**CAPTURE, "capture": ["Input"], "kms_key_id": _KEY},
        "schedule": [
            {**_WINDOW, "days": ["mon"], "except_dates": ["24/12/2030"]},
            {**_WINDOW, "name": "other", "date": "24/12/2030"},
        ],
        "integration": _integration(
            "own", lambda_src="functions/flan", handler="index.handler", layers=[_LAYER]
        ),
        "async_api_enabled": True,
        "async_api_results": "inline",
        "tags": {"team": "search"},
        "update": _routing("CANARY", CanarySize=_SIZE),
        "outside_updates": "keep",
    },
    "async": {
        **ASYNC,
        "inference_instance_count": 2,
        "async": {
            **{name: f"s3://ours/{name}" for name in ("input_path", "output_path", "failure_path")},
            "success_topic_arn": _TOPIC,
            "error_topic_arn": _TOPIC,
            "kms_key_id": _KEY,
            "include_inference_response_in": ["SUCCESS_NOTIFICATION_TOPIC"],
        },
        "update": _routing("LINEAR", LinearStepSize=_SIZE),
    },
    "steps": {
        **BARE,
        **_STEPS,
        "integration": _integration("steps", image_uri=IMAGE),
        "inference_instance_type": "ml.m5.xlarge",
        "inference_instance_count": 2,
        "update": {
            "DeploymentConfig": {
                "RollingUpdatePolicy": {
                    "MaximumBatchSize": _SIZE,
                    "RollbackMaximumBatchSize": _SIZE,
                    "WaitIntervalInSeconds": 60,
                }
            }
        },
    },
    "private": {
        **BARE,
        **_PRIVATE,
        **_VARIANT,
        "inference_instance_type": "ml.g5.xlarge",
        "autoscaling": {
            "scale_on": "invocations",
            "target": 5,
            "min_capacity": 1,
            "max_capacity": 2,
        },
        "data_capture": {
            **CAPTURE,
            "csv_content_types": ["text/csv"],
            "json_content_types": ["application/json"],
        },
    },
    "many": {**BARE, **_CACHED, "inference_instance_type": "ml.m5.xlarge"},
    "named steps": {**BARE, **_NAMED_STEPS, "inference_instance_type": "ml.m5.xlarge"},
    "specified": {**BARE, **_PACKAGE, "inference_instance_type": "ml.m5.xlarge"},
    "locked": {**FLAN},
    "pinned": {**FLAN, "model_version": "0.0.0"},
    "package": {**BARE, "model_package_arn": PACKAGE, "inference_instance_type": "ml.m5.xlarge"},
    "variants": {
        **BARE,
        "variants": [
            {**LINEAR, **_SOURCE, **_SURROUNDINGS, **_TUNING},
            {**_PLACE, **_STEPS, "name": "Steps"},
            {**_PLACE, "name": "Package", "model_package_arn": PACKAGE},
            {**_BY_ID, "name": "ById", "instance_type": FLAN["inference_instance_type"]},
            {
                **_PRIVATE,
                **_VARIANT,
                "name": "Private",
                "instance_type": "ml.g5.xlarge",
                "autoscaling": {
                    "scale_on": "invocations",
                    "target": 5,
                    "min_capacity": 1,
                    "max_capacity": 2,
                },
            },
            {**_PLACE, **_CACHED, "name": "Many"},
            {**_PLACE, **_NAMED_STEPS, "name": "Named"},
            {**_PLACE, **_PACKAGE, "name": "Specified"},
        ],
    },
    "shadowed privately": {
        **OWN,
        "shadow_variants": [
            {**_PRIVATE, **_VARIANT, "name": "Private", "instance_type": "ml.g5.xlarge"}
        ],
    },
    "shadowed": {**OWN, "shadow_variants": [{**LINEAR, **_SOURCE, **_SURROUNDINGS, **_TUNING}]},
    # What follows is always refused, for its kind.
    "shadowed by many": {**OWN, "shadow_variants": [{**_PLACE, **_CACHED}]},
    "shadowed by steps": {**OWN, "shadow_variants": [{**_PLACE, **_STEPS}]},
    "shadowed by a package": {
        **OWN,
        "shadow_variants": [{**_PLACE, **_PACKAGE}],
    },
    "shadowed by named steps": {**OWN, "shadow_variants": [{**_PLACE, **_NAMED_STEPS}]},
    "shadowed by id": {**OWN, "shadow_variants": [{**_PLACE, **_BY_ID}]},
}
STACK: Mapping[str, Any] = {
    "$schema": "schema.json",
    "project_prefix": "demo",
    "region_name": "us-east-1",
    "ddb_auth_table_name": "auth",
    "adoptable": ["ours-*"],
    "addable_configs": ["ours-*"],
    "unmanaged_endpoints": "report",
    "alarm_emails": ["platform@example.org"],
    "cors_origin": "https://app.example.com",
    "kms_key_arn": _KEY_ARN,
    "former_kms_key_arns": [_KEY_ARN],
    "lambda": {"architecture": "arm64", "layer_platform": "lambda"},
    "auth": {
        "type": "cognito",
        "groups": {"team": "read"},
        "user_pool_arn": "arn:aws:cognito-idp:us-east-1:123456789012:userpool/us-east-1_AbCdEf",
    },
    "tags": {"cost-centre": "4711"},
    "roles": {
        "permissions_boundary": "arn:aws:iam::123456789012:policy/limit",
        "path": "/team/",
        "name_prefix": "team-",
    },
    "provider": {
        "profile": "ours",
        "assume_role_arn": _ROLE,
        "allowed_account_ids": ["123456789012"],
    },
    "backend": {
        "type": "s3",
        "bucket": "our-states",
        "key": "meter.tfstate",
        "region": "us-east-1",
        "kms_key_id": _KEY_ARN,
    },
}


@dataclass(frozen=True)
class Field:
    """A string field: its path in the schema, the entry that shows it ('' for one of the stack),
    and its place there."""

    path: str
    entry: str
    place: Place


def fields() -> dict[str, Field]:
    """A place for each string of the schema, by its path."""
    found: dict[str, Field] = {}
    for entry, document in {"": STACK, **ENTRIES}.items():
        below = ".jumpstart_models[]" if entry else ""
        for place, _ in texts(document):
            path = below + path_of(place)
            found.setdefault(path, Field(path, entry, place))
    return found


def texts(document: Any, place: Place = ()) -> Iterator[tuple[Place, str]]:
    """The strings in a document, and the names of those dicts whose names are free."""
    if isinstance(document, dict):
        for key, value in document.items():
            if place and place[-1] in FREE:
                yield (*place, key, KEY), key
            yield from texts(value, (*place, key))
    elif isinstance(document, list):
        for index, value in enumerate(document):
            yield from texts(value, (*place, index))
    elif isinstance(document, str):
        yield place, document


FREE = ("environment", "tags", "groups")


def path_of(place: Place) -> str:
    """The path in the schema of a place below an entry or the stack."""
    path, before = "", ""
    for part in place:
        if part == KEY:
            path = f"{path.removesuffix('{}')}{KEY}"
        elif before in FREE:
            path += "{}"
        else:
            path += "[]" if isinstance(part, int) else f".{part}"
        before = str(part)
    return path


def schema_paths() -> set[str]:
    """The paths of all strings of the schema, and of all free names."""
    schema = DeployConfig.model_json_schema()
    return set(_paths(schema, schema, ""))


def _paths(schema: Mapping[str, Any], node: Mapping[str, Any], path: str) -> Iterator[str]:
    if "$ref" in node:
        node = schema["$defs"][node["$ref"].rpartition("/")[2]]
    for kind in (*node.get("anyOf", ()), *node.get("oneOf", ())):
        yield from _paths(schema, kind, path)
    named = (*node.get("enum", ()), node.get("const"))
    if node.get("type") == "string" or any(isinstance(value, str) for value in named):
        yield path
    for key, value in node.get("properties", {}).items():
        yield from _paths(schema, value, f"{path}.{key}")
    if "items" in node:
        yield from _paths(schema, node["items"], f"{path}[]")
    free = [node.get("additionalProperties"), *node.get("patternProperties", {}).values()]
    for value in free:
        if isinstance(value, dict):
            yield f"{path}{KEY}"
            yield from _paths(schema, value, f"{path}{{}}")


def with_text(document: Mapping[str, Any], place: Place, text: str) -> dict[str, Any]:
    """A copy with another text at the place."""
    made: Any = json.loads(json.dumps(document))  # shares no part with itself
    renamed = place[-1] == KEY
    *way, last = place[:-1] if renamed else place
    within = made
    for part in way:
        within = within[part]
    if renamed:
        within[text] = within.pop(last)
    else:
        within[last] = text
    return made  # type: ignore[no-any-return]
