"""Whether the account has room for the stack in Lambda's concurrency, and for what it reserves.

Lambda refuses a reservation that does not fit when it is made: in the middle of an apply, after
other functions got theirs. The AWS provider cannot ask for what is left, so this is asked before.
"""

from __future__ import annotations

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from constructs_lib.config.concurrency import ALWAYS_UNRESERVED, QUEUES, reservations
from constructs_lib.config.document import DeployConfig

FOR_OTHERS = 20
"""How many executions authorizer, api, tick and sweep need beside the reconciler, for a team that
calls the API a few times a second."""
LEAST = 2
"""The fewest concurrent executions that a mapping of a queue may have."""


class NoRoom(Exception):
    """The reservations do not fit. The message says by how much and what to do."""


class NotKnown(Exception):
    """Lambda does not say: the credentials do not allow to ask, or nothing answers. The message
    says what was asked."""


def note_on_room(config: DeployConfig, aws: boto3.Session) -> str | None:
    """A sentence for people, if the account may run so few functions at once that the reconciler
    leaves too little for the API. New accounts may run 10. Raises NotKnown."""
    functions = aws.client("lambda", region_name=config.region_name)
    try:
        limit = functions.get_account_settings()["AccountLimit"]["ConcurrentExecutions"]
    except (BotoCoreError, ClientError) as error:
        raise NotKnown(f"how many functions may run at once is not known: {error}") from error
    consumers = QUEUES * config.reconciler_concurrency
    if limit >= consumers + FOR_OTHERS:
        return None
    fewer = f", or set `reconciler_concurrency` to {LEAST}" if consumers > QUEUES * LEAST else ""
    return (
        f"the account may run {limit} functions at once in {config.region_name}, and the "
        f"reconciler may take {consumers} of them: while many endpoints start, calls of the API "
        "may be answered 5xx. Ask AWS for a higher quota (Service Quotas, L-B99A9384)"
        f"{fewer}"
    )


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
