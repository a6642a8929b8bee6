"""IAM statements. They are written beside the resource that they allow; roles collect them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from constructs_lib.canonical import canonical

Conditions = Mapping[str, Mapping[str, str | list[str]]]


@dataclass(frozen=True, slots=True)
class Statement:
    """Allows `actions` on `resources`. Wildcard actions are an error. The resource `*` needs a
    `reason`: why the action cannot be limited to a narrower resource."""

    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: Conditions = field(default_factory=dict)
    reason: str = ""

    def __post_init__(self) -> None:
        if any("*" in action for action in self.actions):
            raise ValueError(f"name each action instead of a wildcard: {self.actions}")
        if "*" in self.resources and not self.reason:
            raise ValueError(f"the resource '*' of {self.actions} needs a reason")

    def document(self) -> dict[str, object]:
        shape: dict[str, object] = {
            "Effect": "Allow",
            "Action": sorted(self.actions),
            "Resource": sorted(self.resources),
        }
        if self.conditions:
            shape["Condition"] = {test: dict(keys) for test, keys in self.conditions.items()}
        return shape


def policy_document(statements: Iterable[Statement]) -> str:
    """The policy as JSON: one statement for each set of resources and conditions. It is sorted, so
    that equal policies are equal bytes."""
    merged: dict[str, Statement] = {}
    for statement in statements:
        key = canonical([sorted(statement.resources), statement.conditions])
        before = merged.get(key, statement)
        actions = tuple({*before.actions, *statement.actions})
        merged[key] = replace(before, actions=actions)
    return _document([statement.document() for statement in merged.values()])


def of_account(account_id: str) -> Conditions:
    """A service may only act for this account. Else another account could use it (confused deputy).

    https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html
    """
    return {"StringEquals": {"aws:SourceAccount": account_id}}


def trust_document(service: str, conditions: Conditions | None = None) -> str:
    """The trust policy of a role that `service` (such as lambda.amazonaws.com) may assume."""
    statement: dict[str, object] = {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"Service": service},
    }
    if conditions:
        statement["Condition"] = {test: dict(keys) for test, keys in conditions.items()}
    return _document([statement])


ResourceStatement = Mapping[str, object]


def resource_document(*statements: ResourceStatement) -> str:
    """The policy of a bucket, a queue or a topic."""
    return _document(statements)


def service_may(
    service: str, action: str, resource: str, conditions: Conditions
) -> ResourceStatement:
    """Lets `service` call `action`. The conditions limit for which account or resource."""
    return {
        "Effect": "Allow",
        "Action": action,
        "Principal": {"Service": service},
        "Resource": resource,
        "Condition": {test: dict(keys) for test, keys in conditions.items()},
    }


def nobody_without_tls(action: str, *resources: str) -> ResourceStatement:
    return {
        "Effect": "Deny",
        "Action": action,
        "Principal": "*",
        "Resource": list(resources),
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }


def bucket_document(bucket_arn: str) -> str:
    """A bucket policy that denies every request without TLS."""
    return resource_document(nobody_without_tls("s3:*", bucket_arn, f"{bucket_arn}/*"))


def literal(text: str) -> str:
    """`text` in an ARN or a pattern, where IAM would read wildcards and variables.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
    """
    return re.sub(r"[*?$]", r"${\g<0>}", text)


def _document(statements: Sequence[Mapping[str, object]]) -> str:
    return canonical({"Version": "2012-10-17", "Statement": statements})
