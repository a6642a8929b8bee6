"""The way to a stack's account: real profiles of a file, and roles of the emulator, which asks who
may assume them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import pytest

from client import stacks
from client.account import Account, NotThisAccount
from tests.contract.emulator_process import REGION, Emulator, running_emulator
from tools import aws_credentials

HERE = "000000000000"
ELSEWHERE = "111111111111"


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with running_emulator(tmp_path_factory.mktemp("emulator")) as running:
        yield running


@pytest.fixture
def home(emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mapping[str, str]:
    """A machine whose profile `ours` has the keys, and whose environment has others."""
    config = tmp_path / "config"
    keys = emulator.key.environment
    lines = ["[profile ours]", *(f"{name.lower()} = {value}" for name, value in keys.items())]
    config.write_text("\n".join(lines))
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    given = {
        "AWS_CONFIG_FILE": str(config),
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_ENDPOINT_URL": emulator.url,
        "AWS_ACCESS_KEY_ID": "of-somebody-else",
        "AWS_SECRET_ACCESS_KEY": "of-somebody-else",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    return given


def role(emulator: Emulator, name: str) -> str:
    """The ARN of a role that identities of the account may assume."""
    iam = emulator.client("iam")
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{HERE}:root"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
    made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
    arn: str = made["Role"]["Arn"]
    return arn


def identity(aws: boto3.Session) -> str:
    arn: str = aws.client("sts").get_caller_identity()["Arn"]
    return arn


@pytest.mark.usefixtures("home")
def test_the_profile_of_the_config_has_priority_over_keys_of_the_environment(
    emulator: Emulator,
) -> None:
    aws = Account(profile="ours").session(REGION)
    found = aws.get_credentials()
    assert found is not None
    assert found.access_key == emulator.key.aws_access_key_id


@pytest.mark.usefixtures("home")
def test_a_role_is_assumed_with_the_credentials_of_the_profile(emulator: Emulator) -> None:
    way = Account(profile="ours", role_arn=role(emulator, "deployer"))
    aws = way.session(REGION)
    assert ":assumed-role/deployer/endpoint-meter" in identity(aws)
    assert way.require(aws) == HERE


@pytest.mark.usefixtures("home")
def test_a_role_that_cannot_be_assumed_is_told_with_what_to_mend(
    emulator: Emulator,
) -> None:
    way = Account(profile="ours", role_arn=f"arn:aws:iam::{HERE}:role/no-such-role")
    with pytest.raises(NotThisAccount, match=r"no-such-role cannot be assumed: .*trust policy"):
        way.session(REGION)


@pytest.mark.usefixtures("home")
def test_a_profile_that_this_machine_lacks_is_told_with_those_that_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = (
        "the profile 'theirs', which `provider.profile` of the config names, is not on this "
        "machine, which has: ours. Make it (`aws configure --profile theirs`, or `aws configure "
        "sso`), or correct the config"
    )
    way = Account(profile="theirs")
    for reach in (way.session, partial(aws_credentials.require, way=way)):
        with pytest.raises(NotThisAccount) as refused:
            reach(REGION)
        assert str(refused.value) == told
    synthesized(tmp_path, monkeypatch, profile="theirs")
    with pytest.raises(NotThisAccount, match="has: ours"):
        stacks.of(None, None).reach(dict(os.environ))


@pytest.mark.usefixtures("home")
def test_an_account_that_is_not_allowed_is_refused_by_its_number() -> None:
    way = Account(profile="ours", allowed=(ELSEWHERE,))
    with pytest.raises(NotThisAccount, match=rf"the account {HERE}, and .* allows {ELSEWHERE}"):
        way.require(way.session(REGION))
    assert Account(profile="ours", allowed=(ELSEWHERE, HERE)).require(way.session(REGION)) == HERE


def synthesized(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **provider: Any) -> None:
    """A stack that was synthesized last."""
    path = tmp_path / "cdk.tf.json"
    output = {"auth_table_name": {"value": "auth"}}
    blocks = {"aws": [{"region": REGION, **provider}]}
    path.write_text(json.dumps({"output": output, "provider": blocks}))
    monkeypatch.setattr(stacks, "_SYNTHESIZED", path)


@pytest.mark.usefixtures("home")
def test_tokens_are_managed_in_the_role_of_the_synthesized_stack(
    emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arn = role(emulator, "tokens")
    synthesized(tmp_path, monkeypatch, profile="ours", assume_role=[{"role_arn": arn}])
    environment = dict(os.environ) | {"AWS_PROFILE": "theirs", "AWS_SESSION_TOKEN": "old"}
    stacks.of(None, None).reach(environment)
    assert "AWS_PROFILE" not in environment
    reached = boto3.Session(
        environment["AWS_ACCESS_KEY_ID"],
        environment["AWS_SECRET_ACCESS_KEY"],
        environment["AWS_SESSION_TOKEN"],
        region_name=environment["AWS_REGION"],
    )
    assert ":assumed-role/tokens/" in identity(reached)


@pytest.mark.usefixtures("home")
def test_tokens_of_an_account_that_is_not_allowed_are_not_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synthesized(tmp_path, monkeypatch, profile="ours", allowed_account_ids=[ELSEWHERE])
    with pytest.raises(NotThisAccount):
        stacks.of(None, None).reach(dict(os.environ))


def test_a_stack_without_settings_uses_the_environment_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Mapping[str, str]
) -> None:
    synthesized(tmp_path, monkeypatch)
    environment = dict(home)
    stacks.of(None, None).reach(environment)
    assert environment == {**home, "AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION}
