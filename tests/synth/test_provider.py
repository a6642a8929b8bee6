"""`provider` of the config: which account Terraform deploys to, and who reads its state."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from constructs_lib.config.file import parse
from constructs_lib.config.problems import InvalidConfig
from tests.contract.emulator_process import Emulator
from tests.synth.conftest import Synthesize
from tests.synth.synthesis import FLAN, Stack, config_with
from tests.synth.terraform import Terraform

HERE, ELSEWHERE = "000000000000", "111111111111"
ROLE = f"arn:aws:iam::{HERE}:role/deployer"
ALL = {"profile": "ours", "assume_role_arn": ROLE, "allowed_account_ids": [HERE]}
IN_S3 = {"type": "s3", "bucket": "our-states", "key": "meter.tfstate"}


def provider_of(stack: Stack) -> dict[str, Any]:
    (block,) = stack.document["provider"]["aws"]
    return dict(block)


def test_without_the_field_only_region_and_tags_are_given(stack: Stack) -> None:
    assert set(provider_of(stack)) == {"region", "default_tags"}


def test_profile_role_and_allowed_accounts_reach_the_provider(stack_of: Synthesize) -> None:
    block = provider_of(stack_of(config_with(FLAN, provider=ALL)))
    assert block["profile"] == "ours"
    assert block["assume_role"] == [{"role_arn": ROLE}]
    assert block["allowed_account_ids"] == [HERE]


def test_a_state_in_s3_is_reached_in_the_same_way(stack_of: Synthesize) -> None:
    stack = stack_of(config_with(FLAN, provider=ALL, backend=IN_S3))
    backend = stack.document["terraform"]["backend"]["s3"]
    assert backend["profile"] == "ours"
    assert backend["assume_role"] == {"role_arn": ROLE}
    assert backend["allowed_account_ids"] == [HERE]
    plain = stack_of(config_with(FLAN, backend=IN_S3)).document["terraform"]["backend"]["s3"]
    assert not {"profile", "assume_role", "allowed_account_ids"} & set(plain)


@pytest.mark.parametrize(
    ("provider", "field", "sentence"),
    [
        ({"assume_role_arn": "deployer"}, "assume_role_arn", "must be the ARN of a role such as"),
        ({"assume_role_arn": f"{ROLE}\n"}, "assume_role_arn", "must be the ARN of a role"),
        ({"profile": ""}, "profile", "must be the name of a profile"),
        ({"profile": "two words"}, "profile", "must be the name of a profile"),
        ({"profile": "ours\n"}, "profile", "must be the name of a profile"),
        ({"profile": "x" * 129}, "profile", "has 129 characters, and at most 128 go in"),
        ({"allowed_account_ids": []}, "allowed_account_ids", "has 0 entries, and needs at least 1"),
        ({"allowed_account_ids": ["1234"]}, "allowed_account_ids[0]", "must be the 12 digits"),
        ({"allowed_account_ids": [1234]}, "allowed_account_ids[0]", "must be a string"),
        ({"role_arn": ROLE}, "role_arn", "unknown key; did you mean 'assume_role_arn'?"),
        (
            {"assume_role_arn": ROLE, "allowed_account_ids": [ELSEWHERE]},
            "assume_role_arn",
            f"is a role of the account {HERE}, which is not in allowed_account_ids",
        ),
    ],
)
def test_a_wrong_field_is_named(provider: dict[str, Any], field: str, sentence: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        parse(config_with(FLAN, provider=provider))
    problems = caught.value.problems
    assert {problem.path for problem in problems} == {f"provider.{field}"}
    assert any(problem.sentence.startswith(sentence) for problem in problems)


@pytest.fixture
def ours(emulator: Emulator, terraform: Terraform, tmp_path: Path) -> Terraform:
    """Terraform on a machine whose profile `ours` has the keys, and whose environment has none."""
    config = tmp_path / "aws-config"
    keys = [f"{name.lower()} = {value}" for name, value in emulator.key.environment.items()]
    config.write_text("\n".join(["[profile ours]", *keys]))
    profile = {"AWS_CONFIG_FILE": str(config), "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    here = terraform.with_aws(emulator)
    left = {name: here.environment[name] for name in here.environment if "_KEY" not in name}
    return replace(here, environment={**left, **profile})


def one_queue_of(stack: Stack) -> dict[str, Any]:
    settings = stack.document["terraform"]
    return {
        "terraform": {name: settings[name] for name in ("required_providers", "backend")},
        "provider": stack.document["provider"],
        "resource": {"aws_sqs_queue": {"work": {"name": "demo-work"}}},
    }


@pytest.mark.slow
def test_terraform_deploys_and_keeps_its_state_in_the_role_of_the_profile(
    emulator: Emulator, ours: Terraform, stack_of: Synthesize
) -> None:
    trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{HERE}:root"}}
    may_assume = {"Version": "2012-10-17", "Statement": [{**trust, "Action": "sts:AssumeRole"}]}
    iam = emulator.client("iam")
    iam.create_role(RoleName="deployer", AssumeRolePolicyDocument=json.dumps(may_assume))
    allowed = {"Effect": "Allow", "Action": ["sqs:*", "s3:*"], "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    iam.put_role_policy(RoleName="deployer", PolicyName="own", PolicyDocument=policy)
    s3 = emulator.client("s3")
    s3.create_bucket(Bucket=IN_S3["bucket"])
    ours.take(one_queue_of(stack_of(config_with(FLAN, provider=ALL, backend=IN_S3))))

    ours.run("init", "-input=false")
    ours.run("apply", "-auto-approve", "-input=false")

    state = json.loads(s3.get_object(Bucket=IN_S3["bucket"], Key=IN_S3["key"])["Body"].read())
    assert [resource["name"] for resource in state["resources"]] == ["work"]


@pytest.mark.slow
def test_terraform_itself_refuses_an_account_that_is_not_allowed(
    ours: Terraform, stack_of: Synthesize
) -> None:
    elsewhere = {"profile": "ours", "allowed_account_ids": [ELSEWHERE]}
    document = one_queue_of(stack_of(config_with(FLAN, provider=elsewhere)))
    del document["terraform"]["backend"]
    ours.take(document)
    ours.run("init", "-input=false")
    told = ours.refusal("plan", "-input=false", "-no-color")
    assert f"AWS account ID not allowed: {HERE}" in told
