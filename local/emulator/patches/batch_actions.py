"""IAM has no batch actions for SQS: the right to send one message allows a batch.


https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsqs.html
"""

from importlib import import_module
from typing import Any

iam_actions: Any = import_module("ministack.core.iam_actions")


def apply() -> None:
    """Check the action for one message instead."""
    extract = iam_actions.extract_iam_action

    def extract_one(service: str, *args: Any, **options: Any) -> Any:
        action = extract(service, *args, **options)
        return action.removesuffix("Batch") if service == "sqs" and action else action

    iam_actions.extract_iam_action = extract_one
