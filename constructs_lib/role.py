"""The role of one construct, and what it may do."""

from __future__ import annotations

from collections.abc import Iterable

from cdktf import TerraformResourceLifecycle
from cdktf_cdktf_provider_aws.iam_role import IamRole
from cdktf_cdktf_provider_aws.iam_role_policy import IamRolePolicy
from constructs import Construct

from constructs_lib.deployment import addressed
from constructs_lib.policy import Statement, policy_document


def own_role(  # all but the first keyword-only
    scope: Construct,
    *,
    name: str,
    logical_id: str,
    trust: str,
    statements: Iterable[Statement],
    lifecycle: TerraformResourceLifecycle | None = None,
) -> tuple[IamRole, IamRolePolicy]:
    """A role with one policy of its own; what acts by it should depend on the policy too."""
    role = addressed(
        IamRole(scope, "role", name=name, assume_role_policy=trust, lifecycle=lifecycle),
        logical_id,
    )
    policy = addressed(
        IamRolePolicy(
            scope,
            "policy",
            name="own",
            role=role.name,
            policy=policy_document(statements),
            lifecycle=lifecycle,
        ),
        logical_id,
    )
    return role, policy
