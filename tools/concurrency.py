"""Whether the account has room for what the config reserves of Lambda's concurrency.

Lambda refuses a reservation that does not fit when it is made: in the middle of an apply, after
other functions got theirs. The AWS provider cannot ask for what is left, so this is asked before.
"""

from __future__ import annotations

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from constructs_lib.config.concurrency import ALWAYS_UNRESERVED, reservations
from constructs_lib.config.document import DeployConfig


class NoRoom(Exception):
    """The reservations do not fit. The message says by how much and what to do."""


class NotKnown(Exception):
    """Lambda does not say: the credentials do not allow to ask, or nothing answers. The message
    says what was asked."""


def require_room(config: DeployConfig, aws: boto3.Session) -> None:
    """Raises NoRoom and NotKnown."""
    wanted = reservations(config)
    if not wanted:
        return
    functions = aws.client("lambda", region_name=config.region_name)

    def reserved(name: str) -> int:
        try:
            found = functions.get_function_concurrency(FunctionName=name)
        except functions.exceptions.ResourceNotFoundException:
            return 0
        return found.get("ReservedConcurrentExecutions", 0)

    try:
        limits = functions.get_account_settings()["AccountLimit"]
        ours = sum(reserved(f"{config.project_prefix}-{name}") for name in wanted)
    except (BotoCoreError, ClientError) as error:
        raise NotKnown(f"whether `reserved_concurrency` fits is not known: {error}") from error
    free = limits["UnreservedConcurrentExecutions"]
    missing = sum(wanted.values()) - ours - max(0, free - ALWAYS_UNRESERVED)
    if missing > 0:
        raise NoRoom(
            f"the config reserves {sum(wanted.values())} concurrent executions of Lambda in "
            f"{config.region_name}, {missing} more than fit: the account may run "
            f"{limits['ConcurrentExecutions']}, {free} of them are not reserved yet, and Lambda "
            f"keeps {ALWAYS_UNRESERVED} of these. Ask AWS for a higher quota (Service Quotas, "
            "L-B99A9384), or lower `reconciler_concurrency` and the `reserved_concurrency` of "
            "integrations, or remove `reserved_concurrency`"
        )
