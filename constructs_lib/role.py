"""The role of one construct, and its permissions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from cdktf import TerraformResourceLifecycle
from cdktf_cdktf_provider_aws.iam_role import IamRole
from cdktf_cdktf_provider_aws.iam_role_policy import IamRolePolicy
from constructs import Construct

from constructs_lib.deployment import Deployment, addressed
from constructs_lib.policy import Statement, policy_document

KEEP = TerraformResourceLifecycle(create_before_destroy=True)


def role_properties(at: Deployment, thing: str, trust: str) -> dict[str, Any]:
    """What the role of a `thing` is, apart from what it may do."""
    return {
        "name": at.role_name(thing),
        "path": at.role_path,
        "permissions_boundary": at.role_boundary,
        "assume_role_policy": trust,
    }


def own_role(  # keyword-only, except scope and deployment
    scope: Construct,
    at: Deployment,
    *,
    thing: str,
    logical_id: str,
    trust: str,
    statements: Iterable[Statement],
) -> tuple[IamRole, IamRolePolicy]:
    """The role of a `thing`, with one inline policy. Resources that use the role should depend on
    both. A role with a new name is there before anything changes over to it."""
    role = addressed(
        IamRole(scope, "role", lifecycle=KEEP, **role_properties(at, thing, trust)), logical_id
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
