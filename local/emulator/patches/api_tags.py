"""A REST API or a stage shows the tags that it has now.

MiniStack shows those with which it was created, so Terraform would change them in each plan.
"""

from collections.abc import Sequence
from importlib import import_module
from typing import Any

apigateway: Any = import_module("ministack.services.apigateway_v1")


def apply() -> None:
    """Change the tags of the record, too."""
    tag, untag = apigateway._tag_v1_resource, apigateway._untag_v1_resource

    def tag_record(arn: str, data: Any) -> Any:
        _tags(arn).update(data.get("tags") or {})
        return tag(arn, data)

    def untag_record(arn: str, keys: Sequence[str]) -> Any:
        for key in keys:
            _tags(arn).pop(key, None)
        return untag(arn, keys)

    apigateway._tag_v1_resource = tag_record
    apigateway._untag_v1_resource = untag_record


def _tags(arn: str) -> dict[str, str]:
    """The tags of the record; of others a dictionary that is thrown away."""
    _, _, path = arn.partition("::/restapis/")
    api, _, below = path.partition("/stages/")
    record = (apigateway._stages_v1.get(api) or {}).get(below) if below else None
    record = apigateway._rest_apis.get(api) if not below else record
    if record is None:
        return {}
    record["tags"] = record.get("tags") or {}
    tags: dict[str, str] = record["tags"]
    return tags
