"""PutEvents accepts events of `aws.sagemaker`.

On AWS only SageMaker itself may send them, and MiniStack refuses them too. Here the simulator is
SageMaker, and it can only send them with this public call. Other `aws.*` sources are still refused.
"""

from importlib import import_module
from typing import Any

SOURCE = "aws.sagemaker"

eventbridge: Any = import_module("ministack.services.eventbridge")


def apply() -> None:
    """Accept PutEvents if SageMaker is the only AWS source in it."""
    put_events = eventbridge._put_events

    def put_events_of_sagemaker(data: dict[str, Any], allow_aws_source: bool = False) -> Any:
        sources = [str(entry.get("Source")) for entry in data.get("Entries", [])]
        foreign = any(s.startswith("aws.") and s != SOURCE for s in sources)
        return put_events(data, allow_aws_source=allow_aws_source or not foreign)

    eventbridge._put_events = put_events_of_sagemaker
