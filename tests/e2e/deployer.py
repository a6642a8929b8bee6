"""Someone who deploys to the embedded AWS as to a real account: with `make deploy`'s program, in a
session of a role that has the deployer's policy and nothing else."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from typing import Any

import boto3

from constructs_lib.policy import trust_document
from local import embedded
from local.embedded import Embedded
from local.places import Places
from tests.e2e.checkout import Checkout
from tests.roles import session_of

ROLE, ACCOUNT = "deployer", "000000000000"
LIMIT, OTHER_LIMIT = (f"arn:aws:iam::{ACCOUNT}:policy/{name}" for name in ("limit", "other"))
"""Boundaries that are there, and limit nothing."""
REGION, STATES = "us-east-1", "terraform-states"
QUICKLY = {f"TF_CLI_ARGS_{command}": "-parallelism=30" for command in ("apply", "destroy")}
OVERLAY = {"lambda": {"layer_platform": "host"}}
START = """\
import os
from local import embedded
from local.places import here
embedded.start(here(), "{region}", os.environ)
"""
ANYTHING = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
}
LAST_CHARACTERS = 4_000
Question = tuple[str, str]
"""An action and the ARN of what it is for."""


@dataclass
class Deployer:
    """Deploys the config of `checkout` that `write` was given last."""

    checkout: Checkout
    aws: Embedded
    session: Mapping[str, str]

    @classmethod
    def starting(cls, checkout: Checkout, region: str) -> Deployer:
        """Start an empty embedded AWS for this checkout, and make the role, without a right."""
        started = checkout.command([sys.executable, "-c", START.format(region=region)])
        assert started.returncode == 0, started.stderr
        aws = embedded.running(Places(checkout.folder), region, os.environ)
        assert aws is not None
        deployer = cls(checkout, aws, {})
        role = deployer.root("iam").create_role(
            RoleName=ROLE, AssumeRolePolicyDocument=trust_document("lambda.amazonaws.com")
        )
        session = session_of(role["Role"]["Arn"], deployer.root("lambda"))
        deployer.session = {name.upper(): value for name, value in session.items()}
        return deployer

    def root(self, service: Any) -> Any:
        """A client of the root user, for what is not the deployer's."""
        return self._client(service, asdict(self.aws.key))

    def client(self, service: Any) -> Any:
        """A client in the deployer's session."""
        session = {name.lower(): value for name, value in self.session.items()}
        return self._client(service, session)

    def write(self, config: Mapping[str, Any]) -> None:
        """Write the config, and give the role the policy for it."""
        self.checkout.write_config(config)
        self._file("overlay").write_text(json.dumps(OVERLAY))
        self.root("iam").put_role_policy(
            RoleName=ROLE, PolicyName="deploy", PolicyDocument=json.dumps(self.policy())
        )

    def may_also(self, policy: Mapping[str, Any]) -> None:
        """Give the role another policy beside the one for the config."""
        self.root("iam").put_role_policy(
            RoleName=ROLE, PolicyName="also", PolicyDocument=json.dumps(policy)
        )

    def policy(self) -> dict[str, Any]:
        """The policy that users get for this config."""
        printed = self._run("tools.deployer_policy", "--account", ACCOUNT)
        document: dict[str, Any] = json.loads(printed)
        return document

    def run(self, *arguments: str) -> str:
        """Run `make plan`, `make deploy` or `make destroy`; returns the output."""
        return self._run("tools.cdktf_cli", *arguments)

    def allowed(self) -> set[Question]:
        """What the embedded AWS asked of the role so far and its policy allows."""
        log = Places(self.checkout.folder).log("emulator").read_text(errors="replace")
        lines = (line for line in log.splitlines() if line.startswith('{"asked"'))
        every = (json.loads(line)["asked"] for line in lines)
        return {
            (each["action"], each["resource"])
            for each in every
            if f"role/{ROLE}" in each["principal"] and each["decision"] == "Allow"
        }

    def _client(self, service: Any, credentials: Any) -> Any:
        url = self.aws.simulator_url if service == "sagemaker" else self.aws.emulator_url
        return boto3.client(service, endpoint_url=url, region_name=self.aws.region, **credentials)

    def _run(self, module: str, *arguments: str) -> str:
        done = self.checkout.run(
            module,
            *arguments,
            CONFIG=str(self._file("under-test")),
            CONFIG_OVERLAY=str(self._file("overlay")),
            **QUICKLY,
            **{**self.aws.aws, **self.session},
        )
        assert done.returncode == 0, (done.stdout + done.stderr)[-LAST_CHARACTERS:]
        return done.stdout

    def _file(self, name: str) -> Any:
        return self.checkout.folder / "configs" / f"{name}.json"


@contextmanager
def deploying(checkout: Checkout, config: Mapping[str, Any]) -> Iterator[Deployer]:
    """An embedded AWS on which the deployer has deployed the config. It ends with the block."""
    try:
        deployer = Deployer.starting(checkout, REGION)
        deployer.root("s3").create_bucket(Bucket=STATES)
        for arn in (LIMIT, OTHER_LIMIT):
            deployer.root("iam").create_policy(
                PolicyName=arn.rpartition("/")[2], PolicyDocument=json.dumps(ANYTHING)
            )
        deployer.write(config)
        deployer.run("deploy", "--auto-approve")
        yield deployer
    finally:
        checkout.down()


def unused(document: Mapping[str, Any], asked: set[Question]) -> Iterator[Question]:
    """The actions and the resources of each statement for which nobody asked."""
    for statement in document["Statement"]:
        actions, resources = statement["Action"], statement["Resource"]
        matched = {
            (action, pattern)
            for action, resource in asked
            for pattern in resources
            if action in actions and fnmatchcase(resource, pattern)
        }
        for action in actions:
            if action not in {each for each, _ in matched}:
                yield action, resources[0]
        for pattern in resources:
            if pattern not in {each for _, each in matched}:
                yield actions[0], pattern
