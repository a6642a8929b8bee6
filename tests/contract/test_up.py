"""`make up` and `make down` on a small project: what they print, leave behind and reuse."""

import shlex
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest

from constructs_lib.policy import trust_document
from lambdas.core.tokens import hashed
from local.processes import stop
from local.up import UNCHANGED
from tests.contract.emulator_process import free_port
from tests.contract.listeners import listening
from tests.contract.proxies import a_proxy
from tests.contract.small_project import SmallProject, small_project, small_stack


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallProject]:
    """A running project; each test must leave it running."""
    project = small_project(tmp_path_factory.mktemp("project"))
    project.up()
    yield project
    project.run("down")


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[SmallProject]:
    """A project on which `make up` never ran."""
    project = small_project(tmp_path)
    yield project
    stop(project.places, project.processes())


def client(project: SmallProject, service: Any) -> Any:
    return boto3.client(
        service,
        endpoint_url=project.stack.aws_endpoint_url,
        region_name=project.stack.region,
        aws_access_key_id=project.stack.aws_access_key_id,
        aws_secret_access_key=project.stack.aws_secret_access_key,
    )


def test_the_api_answers_where_the_stack_file_says(project: SmallProject) -> None:
    answer = httpx.get(f"{project.stack.api_url}/health")

    assert answer.json() == {"status": "ok"}
    assert project.stack.api_url == f"http://127.0.0.1:{project.port}/prod"
    assert project.stack.region == "eu-west-1"


def test_the_stack_file_is_readable_only_by_its_owner(project: SmallProject) -> None:
    files = [project.places.stack_file, project.places.tokens, project.places.key]

    assert [stat.S_IMODE(file.stat().st_mode) for file in files] == [0o600] * 3


def test_both_tokens_are_in_the_auth_table_as_hashes_with_their_scopes(
    project: SmallProject,
) -> None:
    items = client(project, "dynamodb").scan(TableName=project.stack.auth_table)["Items"]

    assert {item["token"]["S"]: item["scopes"]["S"] for item in items} == {
        hashed(project.stack.token): "read renew add invoke",
        hashed(project.stack.admin_token): "read renew add manage invoke",
    }


def test_nothing_listens_beyond_loopback(project: SmallProject) -> None:
    addresses = {a for process in project.processes() for a in listening(process.pid)}

    assert len(addresses) == 3
    assert all(address.startswith("127.0.0.1:") for address in addresses)


def test_a_second_run_changes_nothing_and_keeps_everything(project: SmallProject) -> None:
    before = project.stack

    after, output = project.up()

    assert UNCHANGED in output
    assert after == before


def test_a_run_compares_all_of_it_if_its_advice_is_followed(project: SmallProject) -> None:
    _, output = project.up()
    _, _, remove = output.partition("To compare all of it: ")
    subprocess.run(shlex.split(remove.splitlines()[0]), check=True)

    _, output = project.up()

    assert "Resources: 0 added, 0 changed, 0 destroyed" in output


def test_what_vanished_is_made_again(project: SmallProject) -> None:
    project.configure(stack=small_stack(aws_sqs_queue={"work": {"name": "work"}}))
    project.up()
    queues = client(project, "sqs")
    queues.delete_queue(QueueUrl=queues.get_queue_url(QueueName="work")["QueueUrl"])

    _, output = project.up()
    project.configure()
    project.up()

    assert "1 added, 0 changed, 0 destroyed" in output


def test_a_failed_apply_is_tried_again(project: SmallProject) -> None:
    project.up()
    project.configure(stack=small_stack(aws_sqs_queue={"bad": {"name": "blanks are not allowed"}}))
    codes = [project.run("up")[0] for _ in range(2)]
    project.configure()
    _, output = project.up()

    assert codes == [1, 1]
    assert UNCHANGED not in output


def test_the_output_shows_the_next_commands(fresh: SmallProject) -> None:
    stack, output = fresh.up()

    assert "[5/6] terraform apply" in output
    assert "Resources: 10 added, 0 changed, 0 destroyed" in output
    assert stack.api_url in output
    assert f"curl -s -H 'Authorization: {stack.token}'" in output


def test_a_changed_config_is_applied(project: SmallProject) -> None:
    project.configure(stack=small_stack(aws_sns_topic={"more": {"name": "more"}}))
    _, added = project.up()
    project.configure()
    _, removed = project.up()

    assert "1 added, 0 changed, 0 destroyed" in added
    assert "0 added, 0 changed, 1 destroyed" in removed


def test_the_account_that_a_config_names_is_ignored_and_that_is_said(project: SmallProject) -> None:
    project.configure(provider={"profile": "production"})
    _, output = project.up()
    project.configure()

    assert "config.json is ignored: the embedded AWS is its own account" in output
    assert UNCHANGED in output


@pytest.mark.parametrize(
    ("limit", "path"),
    [
        ("arn:aws:iam::123456789012:policy/team/limits/any", "/team/limits/"),
        ("arn:aws:iam::aws:policy/ReadOnlyAccess", "/"),
    ],
)
def test_a_policy_stands_in_for_the_boundary_that_others_make(
    project: SmallProject, limit: str, path: str
) -> None:
    trust = trust_document("lambda.amazonaws.com")
    role = {"name": "limited", "assume_role_policy": trust, "permissions_boundary": limit}
    project.configure(stack=small_stack(aws_iam_role={"limited": role}))
    _, output = project.up()
    iam = client(project, "iam")
    found = iam.get_role(RoleName="limited")["Role"]["PermissionsBoundary"]
    policy = iam.get_policy(PolicyArn=found["PermissionsBoundaryArn"])["Policy"]
    _, again = project.up()
    project.configure()
    project.up()

    assert (policy["PolicyName"], policy["Path"]) == (limit.rpartition("/")[2], path)
    assert f"a policy that allows everything stands for {limit}." in output
    assert UNCHANGED in again


def test_the_users_own_aws_settings_are_ignored(project: SmallProject) -> None:
    project.places.applied.unlink()
    code, output = project.run(
        "up",
        {
            "AWS_PROFILE": "production",
            "AWS_ENDPOINT_URL": "https://example.com",
            "AWS_REGION": "us-west-2",
            "TF_WORKSPACE": "production",
            "TF_CLI_ARGS_apply": "-destroy",
        },
    )

    assert (code, "0 added, 0 changed, 0 destroyed" in output) == (0, True), output


def test_nothing_on_this_machine_is_reached_through_the_users_proxy(fresh: SmallProject) -> None:
    with a_proxy() as proxy:
        code, output = fresh.run("up", proxy.environment)

    assert code == 0, output
    assert proxy.asked_for_this_machine == []


def test_a_real_deployments_state_is_not_touched(project: SmallProject) -> None:
    assert not list(project.places.root.rglob("real.tfstate"))
    assert (project.places.terraform / "terraform.tfstate").exists()


def test_another_port_moves_the_gateway(project: SmallProject) -> None:
    other = free_port()

    code, _ = project.run("up", {"LOCAL_PORT": str(other)})

    moved = httpx.get(f"http://127.0.0.1:{other}/prod/health")
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{project.port}/prod/health")
    assert (code, moved.status_code) == (0, 200)
    project.up()


def test_a_wrong_config_fails_with_the_message_of_the_check(project: SmallProject) -> None:
    project.configure(mistake="jumpstart_models[0].name: is missing")

    code, output = project.run("up")

    project.configure()
    assert code == 1
    assert "jumpstart_models[0].name: is missing" in output


def test_a_failed_apply_says_why_and_where_the_logs_are(project: SmallProject) -> None:
    project.configure(stack=small_stack(aws_sqs_queue={"bad": {"name": "blanks are not allowed"}}))

    code, output = project.run("up")

    project.configure()
    assert code == 1
    assert "error: " in output
    assert "aws_sqs_queue.bad" in output
    assert str(project.places.logs) in output


def test_changed_simulator_settings_restart_the_simulator(project: SmallProject) -> None:
    before = project.stack

    code, output = project.run("up", {"LOCAL_CREATE_SECONDS": "1"})

    assert (code, "started afresh" in output) == (0, True)
    assert project.stack.pids["simulator"] != before.pids["simulator"]
    assert project.stack.token == before.token
    project.up()


def test_a_port_in_use_is_named_before_anything_starts(
    fresh: SmallProject, project: SmallProject
) -> None:
    code, output = fresh.run("up", {"LOCAL_PORT": str(project.port)})

    assert code == 1
    assert f"Port {project.port} cannot be used" in output
    assert f"LOCAL_PORT={project.port + 1}" in output
    assert not fresh.processes()


@pytest.mark.parametrize("port", ["http", "0", "65536", "-1"])
def test_an_invalid_port_is_refused(fresh: SmallProject, port: str) -> None:
    code, output = fresh.run("up", {"LOCAL_PORT": port})

    assert (code, f"LOCAL_PORT={port} is no port" in output) == (1, True)


def test_terraform_that_is_missing_is_named(fresh: SmallProject) -> None:
    code, output = fresh.run("up", {"PATH": "/nonexistent"})

    assert (code, "terraform" in output) == (1, True)


def test_down_without_a_running_stack_is_no_error(fresh: SmallProject) -> None:
    assert fresh.run("down")[0] == 0
