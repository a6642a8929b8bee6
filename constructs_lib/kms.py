"""Keys that a config names by ARN, id or alias."""

from __future__ import annotations

from collections.abc import Iterable

from constructs_lib.deployment import Deployment
from constructs_lib.policy import Conditions, Statement


def key_arn(at: Deployment, key: str) -> str:
    """The ARN of a key, or of an alias, of this account unless it says another."""
    if key.startswith("arn:"):
        return key
    return at.arn("kms", key if "/" in key else f"key/{key}")


def may_use(
    at: Deployment, key: str, actions: Iterable[str], conditions: Conditions | None = None
) -> Statement:
    """Allows `actions` with the key. IAM knows keys by id alone, and an alias by a condition."""
    arn, also = key_arn(at, key), dict(conditions or {})
    prefix, _, alias = arn.partition(":alias/")
    if alias:
        arn = f"{prefix}:key/*"
        also["ForAnyValue:StringEquals"] = {"kms:ResourceAliases": f"alias/{alias}"}
    return Statement(tuple(actions), (arn,), also)
