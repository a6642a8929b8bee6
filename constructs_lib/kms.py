"""KMS keys: those that a config names by ARN, id or alias, and the key of the stack's own data."""

from __future__ import annotations

from collections.abc import Iterable

from constructs_lib.deployment import Deployment
from constructs_lib.policy import Conditions, Statement


def key_arn(at: Deployment, key: str) -> str:
    """The ARN of a key or an alias. Without an account it is in this account."""
    if key.startswith("arn:"):
        return key
    return at.arn("kms", key if "/" in key else f"key/{key}")


def may_use(
    at: Deployment, key: str, actions: Iterable[str], conditions: Conditions | None = None
) -> Statement:
    """Allows `actions` with the key. IAM knows keys only by id, so an alias needs a condition."""
    arn, all_conditions = key_arn(at, key), dict(conditions or {})
    prefix, _, alias = arn.partition(":alias/")
    if alias:
        arn = f"{prefix}:key/*"
        all_conditions["ForAnyValue:StringEquals"] = {"kms:ResourceAliases": f"alias/{alias}"}
    return Statement(tuple(actions), (arn,), all_conditions)


# The actions on the key that a service needs from its caller's permissions:
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/encryption.usagenotes.html
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-key-management.html
# https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html
_OF_TABLES = (
    "kms:Decrypt",
    "kms:DescribeKey",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
)
_WRITE = ("kms:Decrypt", "kms:GenerateDataKey")
BEHIND = {
    "dynamodb:BatchGetItem": _OF_TABLES,
    "dynamodb:ConditionCheckItem": _OF_TABLES,
    "dynamodb:DeleteItem": _OF_TABLES,
    "dynamodb:GetItem": _OF_TABLES,
    "dynamodb:PutItem": _OF_TABLES,
    "dynamodb:Query": _OF_TABLES,
    "dynamodb:Scan": _OF_TABLES,
    "dynamodb:UpdateItem": _OF_TABLES,
    "s3:GetObject": ("kms:Decrypt",),
    "s3:PutObject": _WRITE,
    "sns:Publish": _WRITE,
    "sqs:ReceiveMessage": ("kms:Decrypt",),
    "sqs:SendMessage": _WRITE,
}


# Messages and objects stay encrypted as they were written. Tables are encrypted anew by DynamoDB.
READS_OLD = frozenset({"s3:GetObject", "sqs:ReceiveMessage"})


def with_key(at: Deployment, statements: Iterable[Statement]) -> list[Statement]:
    """The statements, plus the actions on the stack's key that they need, if there is a key, and
    Decrypt with former keys. Keys may only be used through the services of the statements."""
    given = list(statements)
    services: dict[str, set[str]] = {}
    for action in (action for statement in given for action in statement.actions):
        services.setdefault(action.partition(":")[0], set()).add(action)
    for service, called in sorted(services.items()):
        via = {"StringEquals": {"kms:ViaService": f"{service}.{at.region}.{at.dns_suffix}"}}
        actions = {needed for action in called for needed in BEHIND.get(action, ())}
        if at.key_arn and actions:
            given.append(Statement(tuple(actions), (at.key_arn,), via))
        if at.former_key_arns and called & READS_OLD:
            given.append(Statement(("kms:Decrypt",), at.former_key_arns, via))
    return given
