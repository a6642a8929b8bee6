"""The two queues of hints, each with a dead-letter queue.

Starts have a queue of their own, so that many starts do not delay a stop.
"""

from __future__ import annotations

from typing import Any

from cdktf_cdktf_provider_aws.sqs_queue import SqsQueue
from cdktf_cdktf_provider_aws.sqs_queue_redrive_policy import SqsQueueRedrivePolicy
from constructs import Construct

from constructs_lib.canonical import canonical
from constructs_lib.deployment import Deployment, addressed
from constructs_lib.policy import Statement, nobody_without_tls, resource_document, service_may

EVENTS_RULE = "endpoint-events"
_HOUR_SECONDS = 3600
_DAY_SECONDS = 24 * _HOUR_SECONDS
_MAX_RECEIVES = 5
# AWS recommends six times the function's timeout, so that a batch is not delivered twice while the
# function is throttled.
_VISIBILITY_FACTOR = 6


class HintQueue(Construct):
    """`{prefix}-{name}` and `{prefix}-{name}-dead`."""

    def __init__(
        self,
        scope: Construct,
        name: str,
        at: Deployment,
        *,
        consumer_timeout_seconds: int,
        fed_by: str | None = None,
    ) -> None:
        """`fed_by` is the name of an EventBridge rule that sends its events to the queue."""
        super().__init__(scope, name)
        self.id = name
        self.dead_name = at.name(f"{name}-dead")
        encryption: dict[str, Any] = (
            {"kms_master_key_id": at.key_arn} if at.key_arn else {"sqs_managed_sse_enabled": True}
        )
        self.resource = addressed(
            SqsQueue(
                self,
                "queue",
                name=at.name(name),
                visibility_timeout_seconds=_VISIBILITY_FACTOR * consumer_timeout_seconds,
                # a hint says "look at X now"; the tick and the sweep send new ones
                message_retention_seconds=_DAY_SECONDS,
                **encryption,
                policy=_policy(at, at.name(name), fed_by),
            ),
            name,
        )
        dead = addressed(
            SqsQueue(
                self,
                "dead",
                name=self.dead_name,
                message_retention_seconds=14 * _DAY_SECONDS,
                **encryption,
                policy=_policy(at, self.dead_name, None),
            ),
            f"{name}_dead",
        )
        # A separate resource, so that both queues are created in parallel. The provider waits 25 s
        # for each; a redrive policy inside the queue would make it wait for one after the other.
        addressed(
            SqsQueueRedrivePolicy(
                self,
                "redrive",
                queue_url=self.resource.id,
                redrive_policy=canonical(
                    {"deadLetterTargetArn": dead.arn, "maxReceiveCount": _MAX_RECEIVES}
                ),
            ),
            name,
        )
        self.url = self.resource.url
        self.arn = self.resource.arn

    def send(self) -> list[Statement]:
        return [Statement(("sqs:SendMessage",), (self.arn,))]

    def consume(self) -> list[Statement]:
        """The permissions that an event source mapping needs from the function's role."""
        actions = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")
        return [Statement(actions, (self.arn,))]


def _policy(at: Deployment, name: str, fed_by: str | None) -> str:
    """It is part of the queue resource: the provider would wait 25 s for a separate policy."""
    arn = at.arn("sqs", name)
    statements = [nobody_without_tls("sqs:*", arn)]
    if fed_by:
        rule = {"ArnEquals": {"aws:SourceArn": at.arn("events", f"rule/{at.name(fed_by)}")}}
        statements.append(service_may("events.amazonaws.com", "sqs:SendMessage", arn, rule))
    return resource_document(*statements)
