"""The role of one construct, and its permissions."""

from __future__ import annotations

from collections.abc import Iterable

from cdktf import TerraformResourceLifecycle
from cdktf_cdktf_provider_aws.iam_role import IamRole
from cdktf_cdktf_provider_aws.iam_role_policy import IamRolePolicy
from constructs import Construct

from constructs_lib.deployment import addressed
from constructs_lib.policy import Statement, policy_document

KEEP = TerraformResourceLifecycle(create_before_destroy=True)


def own_role(  # keyword-only, except the first
    scope: Construct,
    *,
    name: str,
    logical_id: str,
    trust: str,
    statements: Iterable[Statement],
) -> tuple[IamRole, IamRolePolicy]:
    """A role with one inline policy. Resources that use the role should depend on both. A role with
    a new name is there before anything changes over to it."""
    role = addressed(
        IamRole(scope, "role", name=name, assume_role_policy=trust, lifecycle=KEEP), logical_id
    )
    policy = addressed(
        IamRolePolicy(
            scope,
            "policy",
            name="own",
            role=role.name,
            policy=policy_document(statements),
            lifecycle=KEEP,
        ),
        logical_id,
    )
    return role, policy
