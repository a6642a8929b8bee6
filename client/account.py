"""Whose AWS account a stack is in, as `provider` of its config says."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError, NoCredentialsError, ProfileNotFound

QUICK = Config(connect_timeout=5, read_timeout=10, retries={"total_max_attempts": 2})
SESSION_NAME = "endpoint-meter"


class NotThisAccount(Exception):
    """The role cannot be assumed, or the account is another one. The message says what to do."""


@dataclass(frozen=True, slots=True)
class Account:
    """The way to an account: a profile of this machine (else the environment), then a role. If
    `allowed` names accounts, any other is refused."""

    profile: str | None = None
    role_arn: str | None = None
    allowed: tuple[str, ...] = ()

    @classmethod
    def of_provider(cls, block: Mapping[str, Any]) -> Account:
        """As a provider block of a synthesized stack says it."""
        (role,) = block.get("assume_role") or [{}]
        return cls(
            block.get("profile"), role.get("role_arn"), tuple(block.get("allowed_account_ids", ()))
        )

    @classmethod
    def of_config(cls, provider: Mapping[str, Any] | None) -> Account:
        """As the field `provider` of a config says it."""
        given = provider or {}
        allowed = given.get("allowed_account_ids") or ()
        return cls(given.get("profile"), given.get("assume_role_arn"), tuple(allowed))

    @property
    def is_given(self) -> bool:
        return self != OF_THE_ENVIRONMENT

    def session(self, region: str) -> boto3.Session:
        """A session in the account. The credentials of a role last an hour.

        Raises NotThisAccount, and errors of botocore.
        """
        try:
            base = boto3.Session(profile_name=self.profile, region_name=region)
        except ProfileNotFound as error:
            raise self.without_profile() from error
        if self.role_arn is None:
            return base
        try:
            made = base.client("sts", config=QUICK).assume_role(
                RoleArn=self.role_arn, RoleSessionName=SESSION_NAME
            )["Credentials"]
        except ClientError as error:
            raise NotThisAccount(
                f"the role {self.role_arn} cannot be assumed: {error}. Let its trust policy name "
                "who you are (`aws sts get-caller-identity`), or correct "
                "`provider.assume_role_arn` in the config"
            ) from error
        return boto3.Session(
            aws_access_key_id=made["AccessKeyId"],
            aws_secret_access_key=made["SecretAccessKey"],
            aws_session_token=made["SessionToken"],
            region_name=region,
        )

    def without_profile(self) -> NotThisAccount:
        """The error for a profile that this machine does not have."""
        known = ", ".join(botocore.session.Session().available_profiles) or "none"
        if self.profile is None:
            given = "AWS_PROFILE" if os.environ.get("AWS_PROFILE") else "AWS_DEFAULT_PROFILE"
            name, given, correct = os.environ[given], f"{given} names", "name one of these"
        else:
            name, given = self.profile, "`provider.profile` of the config names"
            correct = "correct the config"
        return NotThisAccount(
            f"the profile '{name}', which {given}, is not on this machine, which has: {known}. "
            f"Make it (`aws configure --profile {name}`, or `aws configure sso`), or {correct}"
        )

    def credentials(self, region: str) -> dict[str, str]:
        """As environment variables, after the account was checked.

        Raises NotThisAccount, and errors of botocore.
        """
        aws = self.session(region)
        found = aws.get_credentials()
        if found is None:
            raise NoCredentialsError
        if self.allowed:
            self.require(aws)
        keys = found.get_frozen_credentials()
        named = {
            "AWS_ACCESS_KEY_ID": keys.access_key,
            "AWS_SECRET_ACCESS_KEY": keys.secret_key,
            "AWS_SESSION_TOKEN": keys.token,
        }
        return {name: value for name, value in named.items() if value}

    def require(self, aws: boto3.Session) -> str:
        """The id of the account that the session is in.

        Raises NotThisAccount, and errors of botocore.
        """
        found = aws.client("sts", config=QUICK).get_caller_identity()["Account"]
        if self.allowed and found not in self.allowed:
            raise NotThisAccount(
                f"the credentials are of the account {found}, and `provider.allowed_account_ids` "
                f"allows {', '.join(self.allowed)} only: choose others (AWS_PROFILE, or "
                "`provider.profile`), or correct the config"
            )
        return found


OF_THE_ENVIRONMENT = Account()
"""Whatever the environment leads to."""
