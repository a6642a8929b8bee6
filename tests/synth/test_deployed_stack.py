"""One state for each stack: what real Terraform wrote decides which config it is asked with."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

from constructs_lib.config.document import STATES
from tests.contract.emulator_process import Emulator, free_port, running_emulator
from tests.synth.synthesis import DEFAULT
from tests.synth.terraform import Terraform
from tools.deployed_stack import BEFORE, RECORD, Source, Stack, WrongState

pytestmark = pytest.mark.slow

MINE = "configs/mine.json"
HERE = "000000000000"
"""The account of the emulator."""
OTHERS = [{"project_prefix": "other"}, {"region_name": "eu-west-1"}]
IDS = ["another prefix", "another region"]


@dataclass(frozen=True)
class States:
    """What the real Terraform wrote: with one resource of the stack demo-us-east-1, and after that
    was destroyed. `terraform` is ready to deploy it again, `-state` says where."""

    emulator: Emulator
    terraform: Terraform
    deployed: bytes
    destroyed: bytes


@pytest.fixture(scope="module")
def states(tmp_path_factory: pytest.TempPathFactory) -> Iterator[States]:
    folder = tmp_path_factory.mktemp("terraform")
    tags = {"endpoint-meter:stack": "demo-us-east-1"}
    with running_emulator(tmp_path_factory.mktemp("emulator")) as emulator:
        terraform = Terraform.at(folder).with_aws(emulator)
        terraform.take(
            {
                "terraform": {"required_providers": {"aws": {"source": "hashicorp/aws"}}},
                "provider": {"aws": [{"region": "us-east-1", "default_tags": [{"tags": tags}]}]},
                "resource": {"aws_sqs_queue": {"hints": {"name": "demo-hints"}}},
            }
        )
        terraform.run("init", "-input=false", "-no-color")
        terraform.run("apply", "-auto-approve", "-input=false")
        deployed = (folder / "terraform.tfstate").read_bytes()
        terraform.run("destroy", "-auto-approve", "-input=false")
        destroyed = (folder / "terraform.tfstate").read_bytes()
        yield States(emulator, terraform, deployed, destroyed)


@dataclass(frozen=True)
class Project:
    """A project with configs, in which the stack of `demo` may have been deployed."""

    root: Path
    states: States

    def stack(self, file: str = MINE, **fields: Any) -> Stack:
        path = self.root / file
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({**json.loads(DEFAULT.read_text()), **fields}))
        source = Source.chosen(self.root, {"CONFIG": file})
        return Stack(self.root, source, source.load(self.root))

    @property
    def before(self) -> Path:
        """Where the state of every config was."""
        return self.root / STATES / BEFORE

    def deployed(self, at: Path) -> None:
        at.parent.mkdir(parents=True, exist_ok=True)
        at.write_bytes(self.states.deployed)


@pytest.fixture
def project(tmp_path: Path, states: States, monkeypatch: pytest.MonkeyPatch) -> Project:
    for name, value in states.terraform.environment.items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)
    return Project(tmp_path, states)


def test_a_state_at_the_old_path_is_moved_as_it_is_with_its_backup(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    stack = project.stack()
    project.deployed(project.before)
    backup = project.before.with_name(f"{BEFORE}.backup")
    backup.write_text("the one before")
    stack.require_local()
    told = capsys.readouterr().err
    assert f"from {STATES}/{BEFORE} to {STATES}/demo/us-east-1/endpoint-manager.tfstate" in told
    assert "demo-us-east-1" in told
    assert not project.before.exists()
    assert stack.state.read_bytes() == project.states.deployed
    assert stack.state.with_name(f"{stack.state.name}.backup").read_text() == "the one before"
    stack.require_local()
    assert capsys.readouterr().err == "", "nothing is left to move"


@pytest.mark.parametrize("other", OTHERS, ids=IDS)
def test_a_state_at_the_old_path_stays_there_if_it_is_of_another_stack(
    project: Project, other: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    project.deployed(project.before)
    stack = project.stack(**other)
    stack.require_local()
    assert project.before.read_bytes() == project.states.deployed
    assert not stack.state.exists()
    assert "holds the stack demo-us-east-1. It is left there" in capsys.readouterr().err


def test_a_move_that_died_half_way_is_completed(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = project.stack()
    project.deployed(project.before)
    project.before.with_name(f"{BEFORE}.backup").touch()
    replace = Path.replace

    def dies_at_the_state(self: Path, target: Path) -> Path:
        if self == project.before:
            raise KeyboardInterrupt
        return replace(self, target)

    with monkeypatch.context() as dying:
        dying.setattr(Path, "replace", dies_at_the_state)
        with pytest.raises(KeyboardInterrupt):
            stack.require_local()
    assert project.before.read_bytes() == project.states.deployed
    stack.require_local()
    assert stack.state.read_bytes() == project.states.deployed
    assert not project.before.exists()


def test_a_state_is_not_moved_under_a_terraform_that_is_at_work_on_it(project: Project) -> None:
    stack = project.stack()
    project.deployed(project.before)
    replacing = {"TF_CLI_ARGS_apply": "-replace=aws_sqs_queue.hints"}
    terraform = subprocess.Popen(
        ["terraform", "apply", "-refresh=false", "-no-color", f"-state={project.before}"],
        cwd=project.states.terraform.folder,
        env={**project.states.terraform.environment, **replacing},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with terraform:
        assert terraform.stdout is not None
        while "Only 'yes' will be accepted" not in (line := terraform.stdout.readline()):
            assert line, "Terraform ended"
        with pytest.raises(WrongState, match="another Terraform is at work"):
            stack.require_local()
        assert project.before.exists()
        assert not stack.state.exists()
        terraform.communicate("no")
    stack.require_local()
    assert stack.state.exists()


def test_two_states_of_one_stack_are_refused_instead_of_losing_one(project: Project) -> None:
    stack = project.stack()
    project.deployed(project.before)
    project.deployed(stack.state)
    with pytest.raises(WrongState, match="out of date out of the folder"):
        stack.require_local()
    project.before.rename(project.root / "put-aside.tfstate")
    stack.require_local()


@pytest.mark.parametrize("other", OTHERS, ids=IDS)
def test_a_file_that_deployed_a_stack_is_refused_with(
    project: Project, other: dict[str, str]
) -> None:
    deployed = project.stack()
    deployed.record()
    project.deployed(deployed.state)
    changed = project.stack(**other)
    with pytest.raises(WrongState) as refused:
        changed.require_local()
    told = str(refused.value)
    assert f"{MINE} deployed the stack demo-us-east-1" in told
    assert changed.config.stack_tag in told
    record = f"{STATES}/demo/us-east-1/{RECORD}"

    assert "write the new stack into a file of its own" in told
    project.stack("configs/another.json", **other).require_local()

    assert f"remove {record}" in told
    (project.root / record).rename(project.root / "removed.json")
    project.stack(**other).require_local()
    (project.root / "removed.json").rename(project.root / record)

    assert "put `project_prefix` and `region_name` back and run `make destroy` first" in told
    project.stack().require_local()
    deployed.state.write_bytes(project.states.destroyed)
    project.stack(**other).require_local()


def test_a_deploy_that_was_not_approved_binds_the_file_to_nothing(project: Project) -> None:
    project.stack().record()
    project.stack(project_prefix="other").require_local()


def test_another_file_for_the_same_stack_is_told(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    stack = project.stack()
    stack.record()
    project.deployed(stack.state)
    project.stack("configs/another.json").require_local()
    assert f"was deployed from {MINE} before" in capsys.readouterr().err


def test_a_file_system_that_ignores_case_does_not_mix_two_prefixes(project: Project) -> None:
    shouting = project.stack(project_prefix="DEMO")
    project.deployed(shouting.state)
    with pytest.raises(WrongState, match=r"holds the stack demo-us-east-1.*describes DEMO-us-east"):
        shouting.require_local()


@pytest.mark.parametrize("other", OTHERS, ids=IDS)
def test_a_state_in_s3_that_holds_another_stack_is_refused(
    project: Project, other: dict[str, str]
) -> None:
    bucket = f"states-{'-'.join(other.values())}"
    backend = {"type": "s3", "bucket": bucket, "key": "meter.tfstate", "region": "us-east-1"}
    s3 = project.states.emulator.client("s3")
    s3.create_bucket(Bucket=bucket)
    project.stack(backend=backend, **other).require_remote(boto3.Session(), HERE)
    s3.put_object(Bucket=bucket, Key="meter.tfstate", Body=project.states.deployed)
    project.stack(backend=backend).require_remote(boto3.Session(), HERE)
    with pytest.raises(WrongState, match=rf"s3://{bucket}/meter.tfstate holds .*demo-us-east-1"):
        project.stack(backend=backend, **other).require_remote(boto3.Session(), HERE)
    elsewhere = {**backend, "key": "other.tfstate"}
    project.stack(backend=elsewhere, **other).require_remote(boto3.Session(), HERE)


def test_a_state_of_another_account_is_refused(project: Project) -> None:
    stack = project.stack()
    project.deployed(stack.state)
    stack.require_remote(boto3.Session(), HERE)
    with pytest.raises(WrongState) as refused:
        stack.require_remote(boto3.Session(), "111111111111")
    told = str(refused.value)
    assert f"endpoint-manager.tfstate holds the stack demo-us-east-1 of the account {HERE}" in told
    assert "the credentials are of the account 111111111111" in told
    project.stack(project_prefix="other").require_remote(boto3.Session(), "111111111111")
    stack.state.write_bytes(project.states.destroyed)
    stack.require_remote(boto3.Session(), "111111111111")


def test_a_state_in_s3_of_another_account_is_refused(project: Project) -> None:
    backend = {"type": "s3", "bucket": "states-of-accounts", "key": "meter.tfstate"}
    s3 = project.states.emulator.client("s3")
    s3.create_bucket(Bucket=backend["bucket"])
    s3.put_object(Bucket=backend["bucket"], Key=backend["key"], Body=project.states.deployed)
    project.stack(backend=backend).require_remote(boto3.Session(), HERE)
    with pytest.raises(WrongState, match=rf"meter.tfstate holds .* of the account {HERE}"):
        project.stack(backend=backend).require_remote(boto3.Session(), "111111111111")


def test_a_state_in_s3_that_cannot_be_read_is_told(project: Project) -> None:
    backend = {"type": "s3", "bucket": "there-is-none", "key": "meter.tfstate"}
    with pytest.raises(WrongState, match=r"cannot be read: .*NoSuchBucket"):
        project.stack(backend=backend).require_remote(boto3.Session(), HERE)


def test_a_state_in_s3_that_is_not_reached_is_told(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    backend = {"type": "s3", "bucket": "states", "key": "meter.tfstate"}
    with pytest.raises(WrongState, match=r"cannot be read: Could not connect"):
        project.stack(backend=backend).require_remote(boto3.Session(), HERE)


@pytest.mark.parametrize("content", [b"<<<<<<< HEAD", b"\x1f\x8b\x08\xff"], ids=["text", "binary"])
def test_what_is_no_state_is_told_with_its_backup(project: Project, content: bytes) -> None:
    stack = project.stack()
    stack.state.parent.mkdir(parents=True)
    stack.state.write_bytes(content)
    with pytest.raises(WrongState, match="is not a state of Terraform"):
        stack.require_local()


@pytest.mark.parametrize(
    "damaged", [b"", b"\xff", b"null", b'{"config": "configs/mine.json"}'], ids=repr
)
def test_a_damaged_record_is_told_and_may_be_removed(project: Project, damaged: bytes) -> None:
    stack = project.stack()
    project.deployed(stack.state)
    record = stack.state.with_name(RECORD)
    record.write_bytes(damaged)
    with pytest.raises(WrongState, match=rf"{RECORD} is damaged.*: remove it"):
        stack.require_local()
    record.unlink()
    stack.require_local()


def test_the_second_of_two_runs_waits_for_the_end_of_the_first(tmp_path: Path) -> None:
    turn = (
        "import pathlib, sys; from tools.deployed_stack import wait_for_turn; "
        "wait_for_turn(pathlib.Path(sys.argv[1])); print('mine', flush=True); sys.stdin.read()"
    )

    def run() -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", turn, str(tmp_path)],
            cwd=DEFAULT.parent.parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    with run() as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "mine\n"
        with run() as second:
            assert second.stderr is not None
            assert "Waiting for another plan" in second.stderr.readline()
            first.kill()
            assert second.communicate("")[0] == "mine\n"
