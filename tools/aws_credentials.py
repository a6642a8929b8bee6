"""Whether AWS can be called, found out before Terraform is started.

Terraform says it late, and after many lines. botocore looks in the same places as Terraform's
provider: environment, profiles, SSO, web identity, processes, containers and EC2.
"""

from __future__ import annotations

from dataclasses import dataclass

import boto3
import botocore.session
from botocore import exceptions

from client.account import OF_THE_ENVIRONMENT, Account

HOW_TO_GIVE = (
    "set AWS_PROFILE to a profile of `aws configure` or `aws configure sso`, or set "
    "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, with AWS_SESSION_TOKEN where there is one"
)


class NoCredentials(Exception):
    """AWS cannot be called. The message says what is missing and how to give it."""


@dataclass(frozen=True)
class Access:
    """A session with the credentials, and whose account it is in."""

    aws: boto3.Session
    account: str


def require(region: str, way: Account = OF_THE_ENVIRONMENT) -> Access:
    """Find credentials as Terraform's provider will, and ask AWS once whose they are.

    Raises NoCredentials and NotThisAccount. Where nothing is set, the wait for EC2's metadata is
    two seconds at most.
    """
    try:
        session = botocore.session.Session(profile=way.profile)
        credentials = session.get_credentials()
        if credentials is None:
            raise NoCredentials(
                f"there are no AWS credentials: {HOW_TO_GIVE}. "
                "`make up` needs none: it runs everything on this machine"
            )
        if credentials.method == "assume-role" and "mfa_serial" in session.get_scoped_config():
            raise NoCredentials(
                "the profile asks for an MFA code, which nobody can type into Terraform: run "
                '`eval "$(aws configure export-credentials --format env)"` first, then unset '
                "AWS_PROFILE"
            )
        aws = way.session(region)
        return Access(aws, way.require(aws))
    except exceptions.ProfileNotFound as error:
        raise way.without_profile() from error
    except (exceptions.ConnectionError, exceptions.HTTPClientError) as error:
        raise NoCredentials(
            f"AWS does not answer: {error}. Look at the network, and at HTTPS_PROXY and "
            "AWS_ENDPOINT_URL where they are set"
        ) from error
    except (exceptions.BotoCoreError, exceptions.ClientError) as error:
        raise NoCredentials(
            f"the AWS credentials do not work: {error}. Sign in again (`aws sso login`), "
            f"or {HOW_TO_GIVE}"
        ) from error
