"""The field `roles`: what an organization asks of the IAM roles in its accounts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator

from constructs_lib.config.base import Model
from constructs_lib.config.problems import Problem
from constructs_lib.config.text import PolicyArn, RoleNamePrefix, RolePath
from constructs_lib.partitions import partition_of
from constructs_lib.role_names import LENGTH, MOST_OF_START, role_start

_PARTS_OF_AN_ARN = 6
_WHERE = "a boundary is in the account of its roles"


def _not_the_default(path: str | None) -> str | None:
    """The default changes no name, also where it is written."""
    return None if path == "/" else path


class RoleSettings(Model):
    """For every role of the stack: the policy that limits what it may do at most, the path at which
    it is, and what its name begins with."""

    permissions_boundary: PolicyArn | None = None
    path: Annotated[RolePath | None, AfterValidator(_not_the_default)] = None
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
    boundary = str(roles.get("permissions_boundary")).split(":")
    if len(boundary) == _PARTS_OF_AN_ARN:
        given = provider if isinstance(provider, dict) else {}
        for sentence in _elsewhere(boundary[1], boundary[4], str(region), given):
            yield Problem("roles.permissions_boundary", f"{sentence}: {_WHERE}")


def _elsewhere(
    partition: str, account: str, region: str, provider: Mapping[str, Any]
) -> Iterator[str]:
    """Why a boundary is not where the roles are."""
    if partition != partition_of(region):
        yield f"is of {partition}, and {region} (region_name) is in {partition_of(region)}"
    allowed, role = provider.get("allowed_account_ids"), provider.get("assume_role_arn")
    of_role = str(role).split(":")[4:5]
    if account == "aws":
        return
    if isinstance(allowed, list) and account not in allowed:
        yield f"is a policy of the account {account}, which is not in provider.allowed_account_ids"
    elif of_role and account not in of_role:
        yield (
            f"is a policy of the account {account}, and provider.assume_role_arn is a role of "
            f"{of_role[0]}"
        )
