"""Which lock files of the AWS provider are written beside a stack."""

from __future__ import annotations

from pathlib import Path

import pytest

from constructs_lib import provider_lock
from constructs_lib.provider_lock import PROVIDER_VERSIONS, place, shortcoming
from tools import terraform_cli

AWS = "registry.terraform.io/hashicorp/aws"
FOUR = ("h1:one+/4=", "h1:two", "h1:three", "h1:four")
ZIPS = tuple(f"zh:{number:064x}" for number in range(14))  # of the packed files, no use here


def lock_of(*hashes: str, version: str = '  version = "5.100.0"\n', provider: str = AWS) -> str:
    lines = "".join(f'    "{each}",\n' for each in hashes)
    return f'provider "{provider}" {{\n{version}  hashes = [\n{lines}  ]\n}}\n'


def stack_in(folder: Path) -> Path:
    stack = folder / "stacks" / "endpoint-manager"
    stack.mkdir(parents=True)
    (stack / "cdk.tf.json").touch()
    return stack


def test_four_hashes_of_a_version_that_the_stack_requires_do() -> None:
    assert shortcoming(lock_of(*FOUR, *ZIPS)) is None
    assert shortcoming(lock_of(*FOUR, version='  version = "5.100.7"\n')) is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (lock_of(FOUR[0], *ZIPS), "it has 1 of the 4 hashes (h1) of linux_amd64, linux_arm64, "),
        (lock_of(*FOUR[:3], FOUR[0]), "it has 3 of the 4 hashes (h1)"),
        (lock_of(*FOUR, version='  version = "6.25.0"\n'), "it locks 6.25.0, and the stack req"),
        (lock_of(*FOUR, version='  version = "5.101.0"\n'), "it locks 5.101.0, and the stack"),
        (lock_of(*FOUR, version=""), "it locks no version, and the stack requires ~> 5.100.0"),
        (lock_of(*FOUR, provider="registry.terraform.io/hashicorp/null"), "it does not lock hash"),
        (lock_of(FOUR[0]) + lock_of(*FOUR, provider="example.com/x/y"), "it has 1 of the 4"),
        ("", "it does not lock hashicorp/aws"),
    ],
)
def test_every_other_lock_file_says_what_it_lacks(text: str, why: str) -> None:
    found = shortcoming(text)
    assert found is not None
    assert found.startswith(why)


def test_a_lock_file_that_does_is_written_beside_the_stack(tmp_path: Path) -> None:
    stack, source = stack_in(tmp_path), tmp_path / "provider.lock.hcl"
    source.write_text(lock_of(*FOUR))
    assert place(source, tmp_path) is None
    assert (stack / provider_lock.NAME).read_text() == lock_of(*FOUR)


def test_a_lock_file_of_one_platform_is_not_written(tmp_path: Path) -> None:
    stack, source = stack_in(tmp_path), tmp_path / "provider.lock.hcl"
    source.write_text(lock_of(FOUR[0]))
    note = place(source, tmp_path)
    assert note is not None
    assert note.startswith("provider.lock.hcl is not used: it has 1 of the 4 hashes")
    assert not (stack / provider_lock.NAME).exists()


def test_without_a_lock_file_what_terraform_locked_itself_stays(tmp_path: Path) -> None:
    stack = stack_in(tmp_path)
    (stack / provider_lock.NAME).write_text("of terraform init")
    assert place(tmp_path / "provider.lock.hcl", tmp_path) is None
    assert (stack / provider_lock.NAME).read_text() == "of terraform init"


COMMITTED = terraform_cli.ROOT / "configs" / "provider.lock.hcl"


@pytest.mark.skipif(not COMMITTED.exists(), reason="this checkout locks no hashes")
def test_the_lock_file_of_this_project_does() -> None:
    assert shortcoming(COMMITTED.read_text()) is None


@pytest.mark.parametrize(
    ("version", "fits"),
    [("5.99.1", False), ("5.100.0", True), ("5.100.9", True), ("5.101.0", False)],
)
def test_a_mirror_is_searched_for_the_versions_that_the_stack_requires(
    version: str, fits: bool, tmp_path: Path
) -> None:
    assert PROVIDER_VERSIONS == "~> 5.100.0"
    (tmp_path / terraform_cli.PROVIDER / version / "linux_arm64").mkdir(parents=True)
    assert terraform_cli.serves(tmp_path, "linux_arm64") is fits
    assert not terraform_cli.serves(tmp_path, "linux_amd64")
