"""The permissions boundary of a config, in the embedded AWS.

Others make it, in the account of the stack: the embedded AWS has neither. A policy of the same path
and name that allows everything stands in for it, made by Terraform before the roles.
"""

import json
from typing import Any

NAME = "permissions_boundary_stand_in"
EVERYTHING = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
    }
)


def stood_in(stack: dict[str, Any]) -> str | None:
    """Change a synthesized stack whose roles have a boundary; returns the ARN of that."""
    resources = stack["resource"]
    limited = [
        role
        for role in resources.get("aws_iam_role", {}).values()
        if "permissions_boundary" in role
    ]
    if not limited:
        return None
    arn: str = limited[0]["permissions_boundary"]  # the stack has one for all roles
    path, _, name = arn.partition(":policy")[2].rpartition("/")
    policy = {"name": name, "path": f"{path}/", "policy": EVERYTHING}
    resources.setdefault("aws_iam_policy", {})[NAME] = policy
    for role in limited:
        role["permissions_boundary"] = f"${{aws_iam_policy.{NAME}.arn}}"
    return arn
