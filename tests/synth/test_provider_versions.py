"""The AWS provider: what the stack asks of it exists in the tested version and in 6.x, and what is
locked is what Terraform takes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

import main
from constructs_lib import provider_lock
from constructs_lib.provider_lock import PLATFORMS, PROVIDER_SOURCE, PROVIDER_VERSIONS
from tests.synth.conftest import Synthesize
from tests.synth.provider_schemas import (
    of_terraform,
    settings,
    unknown_to_bindings,
    unknown_to_terraform,
)
from tests.synth.synthesis import COMBINED, Stack
from tests.synth.terraform import Terraform
from tools import terraform_cli

pytestmark = pytest.mark.slow

ACCOUNT = "123456789012"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/deployer"
KEY = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
MADE_UP = tuple(f"h1:{letter * 43}=" for letter in "ABCD")


# --- what the stack asks for ------------------------------------------------------------------


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Any]:
    """Of the tested version."""
    return of_terraform(Terraform.at(tmp_path_factory.mktemp("schema")))


@pytest.fixture
def stacks(stack: Stack, stack_of: Synthesize) -> list[Stack]:
    """The shipped config, all examples together, and these with what none of them sets."""
    together = json.loads(COMBINED.read_text())
    role = {"assume_role_arn": ROLE, "allowed_account_ids": [ACCOUNT]}
    more = {
        "kms_key_arn": KEY,
        "former_kms_key_arns": [KEY.replace("1234abcd", "1234abce")],
        "api_gateway_account_role": True,
        "provider": role,
        "reserved_concurrency": True,
        "lambda": {"snap_start": True},
        "auth": {"type": "cognito", "groups": {"users": "read renew"}},
        "alarm_emails": ["ops@example.com"],
        "cors_origin": "*",
    }
    return [stack, stack_of(together), stack_of({**together, **more})]


def test_the_tested_version_and_6_x_both_know_every_attribute_that_is_set(
    stacks: list[Stack], schema: Mapping[str, Any]
) -> None:
    asked = [one for stack in stacks for one in settings(stack.document)]
    assert len({(section, kind) for section, kind, _ in asked}) > 40
    assert {path for one in asked for path in unknown_to_terraform(schema, *one)} == set()
    assert {path for one in asked for path in unknown_to_bindings(*one)} == set()


@pytest.mark.parametrize(
    ("kind", "changes", "path"),
    [
        ("aws_lambda_function", {"made_up": 1}, "aws_lambda_function.made_up"),
        (
            "aws_lambda_function",
            {"environment": {"variables": {}, "made_up": 1}},
            "aws_lambda_function.environment.made_up",
        ),
        (
            "aws_dynamodb_table",
            {"attribute": [{"name": "x"}, {"made_up": 1}]},
            "aws_dynamodb_table.attribute.made_up",
        ),
        ("aws_made_up", {}, "aws_made_up"),
    ],
)
def test_an_attribute_that_no_version_knows_is_found_at_any_depth(
    schema: Mapping[str, Any], stack: Stack, kind: str, changes: Mapping[str, Any], path: str
) -> None:
    body = {**next(iter(stack.all(kind).values()), {}), **changes}
    assert list(unknown_to_terraform(schema, "resource", kind, body)) == [path]
    assert list(unknown_to_bindings("resource", kind, body)) == [path]


def test_an_attribute_of_6_x_alone_is_unknown_to_the_tested_version(
    schema: Mapping[str, Any], stack: Stack
) -> None:
    """Such as `region`, which every resource got in 6.0."""
    queue = {**next(iter(stack.all("aws_sqs_queue").values())), "region": "us-east-1"}
    found = list(unknown_to_terraform(schema, "resource", "aws_sqs_queue", queue))
    assert found == ["aws_sqs_queue.region"]
    assert list(unknown_to_bindings("resource", "aws_sqs_queue", queue)) == []


# --- what is locked ---------------------------------------------------------------------------


def lock_file(*hashes: str, version: str = "5.100.0") -> str:
    """A lock file as Terraform writes it."""
    lines = "\n".join(f'    "{each}",' for each in hashes)
    return (
        '# This file is maintained automatically by "terraform init".\n\n'
        f'provider "{terraform_cli.PROVIDER}" {{\n'
        f'  version     = "{version}"\n'
        f'  constraints = "{PROVIDER_VERSIONS}"\n'
        f"  hashes = [\n{lines}\n  ]\n}}\n"
    )


@pytest.fixture
def synthesized_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Synthesizes the shipped config with a lock file; returns the folder of the stack."""

    def synthesized(lock: str) -> Path:
        (tmp_path / "provider.lock.hcl").write_text(lock)
        monkeypatch.setattr(main, "PROVIDER_LOCK", tmp_path / "provider.lock.hcl")
        monkeypatch.setenv("CDKTF_OUTDIR", str(tmp_path / "out"))
        assert main.main([]) == 0
        return tmp_path / "out" / "stacks" / "endpoint-manager"

    return synthesized


@pytest.fixture(scope="module")
def initialized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which Terraform has installed the provider, and locked it for this platform."""
    here = Terraform.at(tmp_path_factory.mktemp("init"))
    required = {"aws": {"source": PROVIDER_SOURCE, "version": PROVIDER_VERSIONS}}
    here.take({"terraform": {"required_providers": required}})
    here.run("init", "-input=false")
    return here.folder


@pytest.fixture
def hash_of_this_platform(initialized: Path) -> str:
    found = re.search(r"h1:[^\"]+", (initialized / provider_lock.NAME).read_text())
    assert found
    return found[0]


def test_a_complete_lock_file_is_written_beside_the_stack_and_terraform_takes_it(
    synthesized_with: Callable[[str], Path],
    hash_of_this_platform: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    lock = lock_file(hash_of_this_platform, *MADE_UP[1:])
    stack = synthesized_with(lock)
    assert (stack / provider_lock.NAME).read_text() == lock
    assert "provider.lock.hcl" not in capsys.readouterr().err
    Terraform.at(stack).assert_valid()


def test_terraform_refuses_a_provider_whose_hash_is_not_locked(
    synthesized_with: Callable[[str], Path],
) -> None:
    stack = synthesized_with(lock_file(*MADE_UP))
    refusal = Terraform.at(stack).refusal("init", "-backend=false", "-input=false", "-no-color")
    assert "match any of the checksums" in refusal


def test_a_lock_file_of_one_platform_is_not_written_and_a_note_says_why(
    synthesized_with: Callable[[str], Path],
    hash_of_this_platform: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    stack = synthesized_with(lock_file(hash_of_this_platform))
    assert not (stack / provider_lock.NAME).exists()
    note = "Note: provider.lock.hcl is not used: it has 1 of the 4 hashes (h1)"
    assert note in capsys.readouterr().err


# --- `make lock-provider` ---------------------------------------------------------------------


@pytest.fixture
def mirror(tmp_path: Path, initialized: Path) -> Path:
    """A mirror that has the provider's real package, for this platform alone."""
    (package,) = (initialized / ".terraform" / "providers").glob("*/hashicorp/aws/*/*")
    there = tmp_path / "mirror" / terraform_cli.PROVIDER / package.parent.name
    there.mkdir(parents=True)
    (there / package.name).symlink_to(package.resolve())
    return tmp_path / "mirror"


def lock_provider(target: Path, mirror: Path) -> subprocess.CompletedProcess[str]:
    """Run the command where nothing but the mirror is reachable."""
    nowhere = "http://127.0.0.1:1"
    code = (
        "import sys; from pathlib import Path; from tools import lock_provider\n"
        "sys.exit(lock_provider.main([], target=Path(sys.argv[1])))"
    )
    return subprocess.run(
        [sys.executable, "-c", code, str(target)],
        cwd=main.PROJECT,
        env={**os.environ, "TF_PLUGIN_MIRROR": str(mirror), "HTTPS_PROXY": nowhere},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_mirror_of_one_platform_is_told_in_one_line_and_nothing_is_changed(
    tmp_path: Path, mirror: Path
) -> None:
    target = tmp_path / "provider.lock.hcl"
    target.write_text("as before")
    done = lock_provider(target, mirror)
    assert done.returncode == 1
    assert target.read_text() == "as before"
    here = terraform_cli.this_platform()
    missing = ", ".join(each for each in PLATFORMS if each != here)
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: the registry did not give the provider (")
    assert f"and the mirror {mirror} has it for {here}, but not for {missing}" in line
    assert line.endswith("Nothing was changed: run it where the registry can be reached")


def test_a_mirror_of_all_four_platforms_gives_a_lock_file_that_a_synth_uses(
    tmp_path: Path, mirror: Path
) -> None:
    (package,) = (mirror / terraform_cli.PROVIDER).glob("*/*")
    for each in set(PLATFORMS) - {package.name}:
        (package.with_name(each)).mkdir()
        (package.with_name(each) / "terraform-provider-aws").write_text(each)
    target = tmp_path / "provider.lock.hcl"
    done = lock_provider(target, mirror)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{target.name}: hashicorp/aws from the mirror {mirror}, for ")
    assert provider_lock.shortcoming(target.read_text()) is None
