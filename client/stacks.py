"""Finds the auth table of a stack."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from client.account import OF_THE_ENVIRONMENT, Account
from lambdas.aws import clients
from lambdas.aws.errors import named
from lambdas.aws.token_list import DynamoTokenList

ROOT = Path(__file__).resolve().parent.parent
_LOCAL = ROOT / ".local" / "stack.json"
_SYNTHESIZED = ROOT / "cdktf.out" / "stacks" / "endpoint-manager" / "cdk.tf.json"


class NoStack(Exception):
    """No stack was found. The message says what to do."""


@dataclass(frozen=True, slots=True)
class Stack:
    """`embedded` is how to reach the embedded AWS; it is empty for AWS itself, where `account` says
    which way leads to the stack's account."""

    table: str
    region: str
    embedded: Mapping[str, str] = field(default_factory=dict, repr=False)
    account: Account = OF_THE_ENVIRONMENT

    def reach(self, environment: MutableMapping[str, str]) -> None:
        """Point AWS clients at the stack. No real credentials are sent to the embedded AWS.

        Raises NotThisAccount and AwsRefused.
        """
        environment["AWS_REGION"] = environment["AWS_DEFAULT_REGION"] = self.region
        if self.account.is_given:
            with named():
                credentials = self.account.credentials(self.region)
            for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
                environment.pop(name, None)
            environment.update(credentials)
        if self.embedded:
            for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_DYNAMODB"):
                environment.pop(name, None)
            environment.update(self.embedded)

    def token_list(self) -> DynamoTokenList:
        """Raises AwsRefused if the AWS settings of this machine are not usable."""
        with named():
            return DynamoTokenList(clients.dynamodb_once(), self.table)


def of_local() -> Stack:
    """The stack of `make up`. Raises NoStack."""
    with _read(_LOCAL, "no stack is up here: run `make up`", "`make up`") as stack:
        simulated = ("SAGEMAKER", "SAGEMAKER_RUNTIME", "APPLICATION_AUTO_SCALING")
        embedded = {
            "AWS_ENDPOINT_URL": stack["aws_endpoint_url"],
            **{f"AWS_ENDPOINT_URL_{one}": stack["sagemaker_endpoint_url"] for one in simulated},
            "AWS_ACCESS_KEY_ID": stack["aws_access_key_id"],
            "AWS_SECRET_ACCESS_KEY": stack["aws_secret_access_key"],
        }
        return Stack(str(stack["auth_table"]), str(stack["region"]), embedded)


def of(table: str | None, region: str | None) -> Stack:
    """The stack on AWS. Missing values come from the last synth. Raises NoStack."""
    if table and region:
        return Stack(table, region)
    missing = (
        "no stack was synthesized here: give --local for that of `make up`, or --table and --region"
    )
    with _read(_SYNTHESIZED, missing, "`make synth`") as synthesized:
        (provider,) = synthesized["provider"]["aws"]
        return Stack(
            table or synthesized["output"]["auth_table_name"]["value"],
            region or provider["region"],
            account=Account.of_provider(provider),
        )


@contextmanager
def _read(path: Path, missing: str, made_by: str) -> Iterator[Any]:
    """What a command wrote, for as long as it is taken apart. Raises NoStack."""
    try:
        yield json.loads(path.read_bytes())
    except FileNotFoundError:
        raise NoStack(missing) from None
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise NoStack(f"{path} is damaged: {made_by} writes it anew") from error
