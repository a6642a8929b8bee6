"""The field `roles`: what an organization asks of the IAM roles in its accounts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from constructs_lib.config.base import Model
from constructs_lib.config.problems import Problem
from constructs_lib.config.text import PolicyArn, RoleNamePrefix, RolePath
from constructs_lib.role_names import LENGTH, MOST_OF_START, role_start


class RoleSettings(Model):
    """For every role of the stack: the policy that limits what it may do at most, the path at which
    it is, and what its name begins with."""

    permissions_boundary: PolicyArn | None = None
    path: RolePath | None = None
    name_prefix: RoleNamePrefix | None = None

    @property
    def place(self) -> str | None:
        """If it changes, each role becomes another one. None: as without the field."""
        if self.path is None and self.name_prefix is None:
            return None
        return f"{self.path or '/'}{self.name_prefix or ''}"


def role_problems(document: Mapping[str, Any]) -> Iterator[Problem]:
    """Problems of the field with others. The document may have other problems too."""
    roles, provider = document.get("roles"), document.get("provider")
    if not isinstance(roles, dict):
        return
    prefix, region = document.get("project_prefix"), document.get("region_name")
    if isinstance(name_prefix := roles.get("name_prefix"), str):
        start = role_start(str(prefix), str(region), name_prefix)
        if len(start) > MOST_OF_START:
            yield Problem(
                "roles.name_prefix",
                f"makes names of roles that begin with the {len(start)} characters '{start}'. IAM "
                f"takes {LENGTH}, and the end needs some: shorten it, or project_prefix, "
                f"by {len(start) - MOST_OF_START}",
            )
    accounts = provider.get("allowed_account_ids") if isinstance(provider, dict) else None
    owner = str(roles.get("permissions_boundary")).split(":")[4:5]
    if owner and isinstance(accounts, list) and owner[0] not in ("aws", *accounts):
        yield Problem(
            "roles.permissions_boundary",
            f"is a policy of the account {owner[0]}, which is not in provider.allowed_account_ids: "
            "a boundary is in the account of its roles",
        )
