"""The command line on an auth table in moto: its output and its exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from moto import mock_aws

from client import stacks
from client.__main__ import main
from lambdas.aws import clients
from lambdas.aws.attribute_values import decode, encode
from lambdas.aws.tokens import DynamoTokens
from lambdas.core.tokens import HASH_PREFIX
from tests.aws_tables import create_tables
from tests.contract.emulator_process import ROOT

Command = Callable[..., SimpleNamespace]


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with mock_aws():
        client = boto3.client("dynamodb", region_name="us-east-1")
        create_tables(client, "state", "history", "auth")
        monkeypatch.setattr(clients, "dynamodb_once", lambda: client)
        yield client


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    monkeypatch.setattr(os, "environ", dict(os.environ))

    def run(*arguments: str, where: tuple[str, ...] = ("--table", "auth")) -> SimpleNamespace:
        region = ("--region", "us-east-1") if "--table" in where else ()
        try:
            code = main(["token", *arguments, *where, *region])
        except SystemExit as exited:
            code = int(str(exited.code))
        printed = capsys.readouterr()
        return SimpleNamespace(code=code, out=printed.out, err=printed.err)

    return run


def items(table: Any) -> list[dict[str, Any]]:
    return [decode(item) for item in table.scan(TableName="auth")["Items"]]


def create(command: Command, name: str = "ci", scopes: str = "read", days: str = "90") -> str:
    done = command("create", "--name", name, "--scopes", scopes, "--days", days)
    assert done.code == 0, done.err
    return str(done.out.strip())


def test_secret_is_shown_once_and_kept_as_its_hash(table: Any, command: Command) -> None:
    before = datetime.now(UTC)
    secret = create(command, scopes="renew:Demo-X read")
    (item,) = items(table)
    assert item["token"].startswith(HASH_PREFIX)
    assert (item["name"], item["scopes"]) == ("ci", "read renew:demo-x")
    ends = datetime.fromtimestamp(int(item["expires_at"]), UTC)
    assert timedelta(days=90) - timedelta(seconds=2) < ends - before < timedelta(days=90, hours=1)
    assert len(secret) >= 43
    assert secret not in str(item)
    assert secret not in command("list").out
    assert DynamoTokens(table, "auth").holder(secret, before).name == "ci"


def test_each_new_token_has_another_secret(table: Any, command: Command) -> None:
    assert create(command) != create(command)


def test_list_shows_everything_but_the_secrets(table: Any, command: Command) -> None:
    for item in ({"token": "open sesame"}, {"token": "old", "expires_at": 1, "last_used": 60}):
        table.put_item(TableName="auth", Item=encode(item))
    create(command, "ci", "invoke:demo-x", "never")
    listed = command("list").out
    assert "sesame" not in listed
    rows = [line.split("  ") for line in listed.splitlines()]
    head, ci, *pass_codes = [[cell.strip() for cell in row if cell.strip()] for row in rows]
    assert head == ["ID", "NAME", "SCOPES", "CREATED", "EXPIRES", "LAST USED"]
    assert (ci[1:3], ci[4:]) == (["ci", "invoke:demo-x"], ["never", "-"])
    rest = sorted(row[1:] for row in pass_codes)
    every = "read renew add manage invoke"
    assert rest == [
        ["token (pass code)", every, "-", "1970-01-01T00:00:01Z (ended)", "1970-01-01T00:01:00Z"],
        ["token (pass code)", every, "-", "never", "-"],
    ]


def test_token_is_revoked_by_name_or_by_id(table: Any, command: Command) -> None:
    create(command, "one")
    create(command, "two")
    create(command, "two")
    table.put_item(TableName="auth", Item=encode({"token": "open sesame", "name": "old"}))
    assert command("revoke", "one").code == 0
    ambiguous = command("revoke", "two")
    assert ambiguous.code == 1
    ids = ambiguous.err.strip().rpartition(": ")[2].split(", ")
    assert [command("revoke", each).code for each in ids] == [0, 0]
    assert command("revoke", "old").code == 0
    assert items(table) == []
    gone = command("revoke", "one")
    assert (gone.code, gone.err) == (
        1,
        "error: no token has the name or id 'one'; `list` shows them\n",
    )


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("create", "--name", "x", "--scopes", "write", "--days", "1"), "--scopes: 'write' is no"),
        (("create", "--name", "x", "--scopes", "", "--days", "1"), "--scopes: give 1 to 50"),
        (("create", "--name", "", "--scopes", "read", "--days", "1"), "--name: must be 1 to 64"),
        (("create", "--name", "a:b", "--scopes", "read", "--days", "1"), "--name: must be"),
        (("create", "--name", "a\nb", "--scopes", "read", "--days", "1"), "--name: must be"),
        (("create", "--name", " a", "--scopes", "read", "--days", "1"), "--name: must not begin"),
        (("create", "--name", "x", "--scopes", "read", "--days", "0"), "must be 1 to 3650"),
        (("create", "--name", "x", "--scopes", "read", "--days", "soon"), "must be 1 to 3650"),
        (("create", "--name", "x", "--scopes", "read"), "required: --days"),
        (("revoke",), "required: NAME|ID"),
        (("polish",), "invalid choice"),
        ((), "required: COMMAND"),
    ],
)
def test_wrong_arguments_exit_with_2_and_a_message(
    table: Any, command: Command, arguments: tuple[str, ...], expected: str
) -> None:
    done = command(*arguments, where=("--table", "auth") if arguments[1:] else ())
    assert done.code == 2
    assert expected in done.err
    assert (done.out, items(table)) == ("", [])


def test_refusals_of_aws_exit_with_1_and_a_message(table: Any, command: Command) -> None:
    done = command("list", where=("--table", "missing"))
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("error: AWS did not do it: ResourceNotFoundException")


def test_without_credentials_it_says_how_to_give_them(tmp_path: Path) -> None:
    nothing = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    listing = "-m client token list --table auth --region us-east-1"
    done = subprocess.run(
        [sys.executable, *listing.split()],
        cwd=ROOT,
        env={**nothing, "AWS_EC2_METADATA_DISABLED": "true"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "Unable to locate credentials: set AWS_PROFILE, or AWS_ACCESS_KEY_ID" in done.stderr


def test_auth_table_is_found_from_the_stack(
    table: Any, command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    local, synthesized = tmp_path / "stack.json", tmp_path / "cdk.tf.json"
    monkeypatch.setattr(stacks, "_LOCAL", local)
    monkeypatch.setattr(stacks, "_SYNTHESIZED", synthesized)
    for where, advice in (
        (("--local",), "make up"),
        ((), "give --local for that of `make up`, or --table and --region"),
    ):
        done = command("list", where=where)
        assert done.code == 1
        assert advice in done.err
    synthesized.write_text(
        json.dumps(
            {
                "output": {"auth_table_name": {"value": "auth"}},
                "provider": {"aws": [{"region": "eu-west-1"}]},
            }
        )
    )
    assert command("list", where=()).code == 0
    assert os.environ["AWS_REGION"] == "eu-west-1"
    assert "AWS_ENDPOINT_URL" not in os.environ
    url = "http://127.0.0.1:4566"
    stack_document = {
        "auth_table": "auth",
        "region": "us-east-1",
        "aws_endpoint_url": url,
        "sagemaker_endpoint_url": "http://127.0.0.1:4577",
        "aws_access_key_id": "AKIAEMBEDDED",
        "aws_secret_access_key": "its secret",
    }
    local.write_text(json.dumps(stack_document))
    os.environ |= {"AWS_PROFILE": "real", "AWS_SECRET_ACCESS_KEY": "real"}
    assert command("list", where=("--local",)).code == 0
    assert os.environ["AWS_ENDPOINT_URL"] == url
    assert os.environ["AWS_ACCESS_KEY_ID"] == "AKIAEMBEDDED"
    assert os.environ["AWS_SECRET_ACCESS_KEY"] == "its secret"
    assert "AWS_PROFILE" not in os.environ
