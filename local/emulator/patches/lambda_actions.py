"""Each request to Lambda has the IAM action of its operation, by botocore's list of operations.

MiniStack knows part of Lambda's paths, and takes others for the wrong action: reading a function's
reserved concurrency is checked as setting it, and deleting a layer as nothing at all.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

iam_actions: Any = import_module("ministack.core.iam_actions")

OTHER_NAMES = {
    "GetLayerVersionByArn": "GetLayerVersion",
    "Invoke": "InvokeFunction",
    "InvokeWithResponseStream": "InvokeFunction",
}
"""The operations whose action has another name.
https://docs.aws.amazon.com/service-authorization/latest/reference/list_awslambda.html"""


def apply() -> None:
    """Take the action from the operation."""
    extract = iam_actions.extract_iam_action
    iam_actions._BOTOCORE_SERVICE_MAP["lambda"] = ["lambda"]

    def extract_of_operation(
        service: str, method: str, path: str, headers: Any, body: bytes, parameters: Any
    ) -> Any:
        if service != "lambda":
            return extract(service, method, path, headers, body, parameters)
        return action_of(method, path, parameters)

    iam_actions.extract_iam_action = extract_of_operation


def action_of(method: str, path: str, parameters: Mapping[str, Any]) -> str | None:
    """The action; None if Lambda has no such operation."""
    operation = iam_actions._match_rest_action("lambda", method, path, parameters)
    return f"lambda:{OTHER_NAMES.get(operation, operation)}" if operation else None
