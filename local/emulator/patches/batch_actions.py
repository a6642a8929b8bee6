"""IAM knows no batch actions of SQS: who may send a message may send ten.

https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsqs.html
"""

from importlib import import_module
from typing import Any

iam_actions: Any = import_module("ministack.core.iam_actions")


def apply() -> None:
    """Ask for the action on one message."""
    extract = iam_actions.extract_iam_action

    def extract_one(service: str, *args: Any, **options: Any) -> Any:
        action = extract(service, *args, **options)
        return action.removesuffix("Batch") if service == "sqs" and action else action

    iam_actions.extract_iam_action = extract_one
