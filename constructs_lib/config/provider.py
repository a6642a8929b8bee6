"""Whose AWS account a stack is deployed to."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from constructs_lib.config.base import Model, as_pydantic_error
from constructs_lib.config.text import AccountId, ProfileName, RoleArn
from lambdas.core.errors import InvalidField


class ProviderSettings(Model):
    """How Terraform and the tools beside it find the account: with the credentials of `profile`
    (else those of the environment), in the role `assume_role_arn`. They refuse any account but
    `allowed_account_ids`."""

    assume_role_arn: RoleArn | None = None
    profile: ProfileName | None = None
    allowed_account_ids: Annotated[list[AccountId], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _role_is_in_an_allowed_account(self) -> ProviderSettings:
        allowed, role = self.allowed_account_ids, self.assume_role_arn
        if role and allowed and role.split(":")[4] not in allowed:
            raise as_pydantic_error(
                InvalidField(
                    "assume_role_arn",
                    f"is a role of the account {role.split(':')[4]}, which is not in "
                    "allowed_account_ids: correct one of them",
                )
            )
        return self
