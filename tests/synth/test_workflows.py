"""The workflows for GitHub Actions that users copy: right by SchemaStore's schema of workflows,
with the least rights, and calling what is there."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.markdown import read
from tools import bootstrap, cdktf_cli, lock_dependencies, terraform_cli

pytestmark = pytest.mark.slow

FOLDER = bootstrap.ROOT / "docs" / "ci"
PLAN, DEPLOY = FOLDER / "plan.yml", FOLDER / "deploy.yml"
WORKFLOWS = (PLAN, DEPLOY)
READ = """
import json, sys, jsonschema, yaml
from importlib.resources import files
vendored = files("check_jsonschema") / "builtin_schemas" / "vendor" / "github-workflows.json"
schema = json.loads(vendored.read_text())
document = yaml.safe_load(sys.stdin)
document["on"] = document.pop(True)  # how YAML 1.1 reads this key
errors = jsonschema.Draft7Validator(schema).iter_errors(document)
print(json.dumps([document, [f"{error.json_path}: {error.message}" for error in errors]]))
"""

Workflow = Mapping[str, Any]


def parsed(checkov: Path, text: str) -> tuple[Workflow, list[str]]:
    """The workflow, and what the schema says against it."""
    done = subprocess.run(
        [checkov.with_name("python"), "-c", READ],
        input=text,
        capture_output=True,
        text=True,
        check=True,
    )
    document, errors = json.loads(done.stdout)
    return document, errors


@pytest.fixture(scope="module")
def workflows(checkov: Path) -> Mapping[Path, Workflow]:
    return {path: parsed(checkov, path.read_text())[0] for path in WORKFLOWS}


@pytest.fixture
def plan(workflows: Mapping[Path, Workflow]) -> Workflow:
    return workflows[PLAN]


@pytest.fixture
def deploy(workflows: Mapping[Path, Workflow]) -> Workflow:
    return workflows[DEPLOY]


def steps(workflow: Workflow) -> Iterator[Mapping[str, Any]]:
    for job in workflow["jobs"].values():
        yield from job["steps"]


def scripts(workflows: Mapping[Path, Workflow]) -> list[str]:
    return [s["run"] for each in workflows.values() for s in steps(each) if "run" in s]


def step(job: Mapping[str, Any], action: str) -> Mapping[str, Any]:
    """What the job gives to an action."""
    (found,) = (s for s in job["steps"] if s.get("uses", "").startswith(f"{action}@"))
    return dict(found["with"])


# --- their form -------------------------------------------------------------------------------


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_the_schema_of_workflows_has_nothing_against_them(path: Path, checkov: Path) -> None:
    assert parsed(checkov, path.read_text())[1] == []


@pytest.mark.parametrize(
    ("right", "wrong"),
    [("runs-on:", "run-on:"), ("contents: read", "contents: all"), ("branches:", "branch:")],
)
def test_the_schema_notices_a_wrong_word(right: str, wrong: str, checkov: Path) -> None:
    text = DEPLOY.read_text()
    assert right in text
    assert parsed(checkov, text.replace(right, wrong))[1] != []


def test_checkov_finds_nothing_in_them(checkov: Path, tmp_path: Path) -> None:
    folder = tmp_path / ".github" / "workflows"
    folder.mkdir(parents=True)
    for path in WORKFLOWS:
        (folder / path.name).write_text(path.read_text())
    options = ("--framework", "github_actions", "--skip-download", "--output", "json")
    done = subprocess.run(
        [checkov, "--directory", tmp_path, *options], capture_output=True, text=True, check=False
    )
    results = json.loads(done.stdout)["results"]
    assert [f"{each['check_id']} {each['resource']}" for each in results["failed_checks"]] == []
    assert {Path(each["file_path"]).name for each in results["passed_checks"]} == {
        path.name for path in WORKFLOWS
    }


# --- what they call ---------------------------------------------------------------------------


def test_every_make_target_that_they_call_exists(workflows: Mapping[Path, Workflow]) -> None:
    targets = set(
        re.findall(r"^([a-z-]+):", (bootstrap.ROOT / "Makefile").read_text(), re.MULTILINE)
    )
    called = [name for run in scripts(workflows) for name in re.findall(r"\bmake ([a-z-]+)", run)]
    assert set(called) == {"ready-cdktf", "plan", "deploy"}
    assert set(called) <= targets


def test_their_options_are_those_of_the_command(plan: Workflow, deploy: Workflow) -> None:
    options = [re.findall(r"ARGS=(\S+)", s.get("run", "")) for s in (*steps(plan), *steps(deploy))]
    assert [each for found in options for each in found] == [cdktf_cli.MARKDOWN, "--auto-approve"]
    assert "--auto-approve" in cdktf_cli.APPROVED


def test_python_terraform_and_the_config_are_such_as_the_project_takes(
    workflows: Mapping[Path, Workflow],
) -> None:
    for name, job in ((PLAN, "plan"), (DEPLOY, "deploy")):
        found = workflows[name]["jobs"][job]
        assert step(found, "actions/setup-python")["python-version"] in lock_dependencies.PYTHONS
        terraform = step(found, "hashicorp/setup-terraform")
        assert terraform_cli.numbers(terraform["terraform_version"]) >= (1, 10)  # locks state in S3
        assert terraform["terraform_wrapper"] is False
        assert (bootstrap.ROOT / found["env"]["CONFIG"]).is_file()


def test_actions_are_pinned_to_a_commit_and_both_files_pin_the_same() -> None:
    pins: dict[str, set[str]] = {}
    for path in WORKFLOWS:
        for line in re.findall(r"uses: (.*)", path.read_text()):
            pin = re.fullmatch(r"([\w-]+/[\w-]+)@([0-9a-f]{40} # v\d+\.\d+\.\d+)", line)
            assert pin, line
            pins.setdefault(pin[1], set()).add(pin[2])
    assert {name: len(found) for name, found in pins.items()} == {
        "actions/checkout": 1,
        "actions/setup-python": 1,
        "aws-actions/configure-aws-credentials": 1,
        "hashicorp/setup-terraform": 1,
    }


def test_they_lead_to_the_heading_that_says_what_they_need() -> None:
    for path in WORKFLOWS:
        assert "docs/operations.md#deploys-by-github-actions" in path.read_text()
    assert "deploys-by-github-actions" in read("docs/operations.md").anchors


# --- what they may do -------------------------------------------------------------------------


def test_each_job_has_the_least_permissions_and_none_is_inherited(
    plan: Workflow, deploy: Workflow
) -> None:
    assert plan["permissions"] == deploy["permissions"] == {}
    signs_in = {"contents": "read", "id-token": "write"}
    assert {name: job["permissions"] for name, job in plan["jobs"].items()} == {
        "plan": signs_in,
        "comment": {"pull-requests": "write"},
    }
    assert {name: job["permissions"] for name, job in deploy["jobs"].items()} == {
        "deploy": signs_in
    }


def test_what_may_write_on_github_runs_no_code_of_a_pull_request(plan: Workflow) -> None:
    assert set(plan["on"]) == {"pull_request"}
    assert [s for s in plan["jobs"]["comment"]["steps"] if "uses" in s] == []
    assert "make" not in plan["jobs"]["comment"]["steps"][0]["run"]
    same = "github.event.pull_request.head.repo.full_name == github.repository"
    assert plan["jobs"]["plan"]["if"] == same


def test_there_are_no_secrets_and_no_expressions_inside_scripts(
    workflows: Mapping[Path, Workflow],
) -> None:
    """An expression in a script is code that whoever names a branch may write."""
    for path in WORKFLOWS:
        assert not re.search(r"secrets\.|access-key", path.read_text())
    assert [run for run in scripts(workflows) if "${{" in run] == []
    checkouts = [s for w in workflows.values() for s in steps(w) if "checkout" in s.get("uses", "")]
    assert [s["with"]["persist-credentials"] for s in checkouts] == [False, False]


def test_a_newer_commit_ends_a_plan_but_nothing_cuts_off_a_deploy(
    plan: Workflow, deploy: Workflow
) -> None:
    assert "pull_request.number" in plan["concurrency"]["group"]
    assert plan["concurrency"]["cancel-in-progress"] is True
    assert deploy["concurrency"] == {"group": "deploy", "cancel-in-progress": False}
    job = deploy["jobs"]["deploy"]
    seconds = step(job, "aws-actions/configure-aws-credentials")["role-duration-seconds"]
    assert job["timeout-minutes"] * 60 < seconds


@pytest.mark.parametrize(("name", "job"), [("plan", "plan"), ("deploy", "deploy")])
def test_the_trust_policy_admits_exactly_what_the_job_is(
    name: str, job: str, workflows: Mapping[Path, Workflow]
) -> None:
    workflow = workflows[FOLDER / f"{name}.yml"]
    environment = workflow["jobs"][job].get("environment")
    subject = f"environment:{environment}" if environment else next(iter(workflow["on"]))
    policy = json.loads((FOLDER / f"trust-of-{name}-role.json").read_text())
    (statement,) = policy["Statement"]
    assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
    issuer = "token.actions.githubusercontent.com"
    assert statement["Principal"]["Federated"].endswith(f":oidc-provider/{issuer}")
    assert statement["Condition"] == {
        "StringEquals": {
            f"{issuer}:aud": "sts.amazonaws.com",
            f"{issuer}:sub": f"repo:our-organization/our-repository:{subject}",
        }
    }


# --- the comment ------------------------------------------------------------------------------

GH = """#!/bin/bash
for word in "$@"; do printf '%s\\0' "$word"; done >> "$CALLS"
printf '\\n\\0' >> "$CALLS"
case "$*" in *--jq*) printf "$FOUND" ;; esac
"""


def calls_of_gh(plan: Workflow, folder: Path, *, found: str) -> list[list[str]]:
    """Run the script that comments; `found` are the ids of the comments that are there."""
    (comment,) = plan["jobs"]["comment"]["steps"]
    (folder / "gh").write_text(GH)
    (folder / "gh").chmod(0o755)
    environment = {
        "PATH": f"{folder}:{os.environ['PATH']}",
        "CALLS": str(folder / "calls"),
        "FOUND": found,
        "GITHUB_REPOSITORY": "ours/meter",
        "NUMBER": "7",
        "SUMMARY": "## What this plan changes\n\n`$(touch hit)` @file",
    }
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", comment["run"]]
    subprocess.run(command, cwd=folder, env=environment, check=True)
    assert not (folder / "hit").exists()
    calls = (folder / "calls").read_text().split("\n\0")[:-1]
    return [call.split("\0")[:-1] for call in calls]


@pytest.mark.parametrize(
    ("found", "method", "path"),
    [
        ("", "POST", "repos/ours/meter/issues/7/comments"),
        ("42\n43\n", "PATCH", "repos/ours/meter/issues/comments/42"),
    ],
    ids=["the first plan", "a later plan"],
)
def test_a_pull_request_has_one_comment_with_the_summary_of_its_last_plan(
    plan: Workflow, tmp_path: Path, found: str, method: str, path: str
) -> None:
    looked, written = calls_of_gh(plan, tmp_path, found=found)
    assert looked[:3] == ["api", "--paginate", "repos/ours/meter/issues/7/comments"]
    body = "body=<!-- summary of the plan -->\n## What this plan changes\n\n`$(touch hit)` @file"
    assert written == ["api", "--silent", "--method", method, path, "--raw-field", body]


def test_the_summary_of_a_plan_is_handed_on_whole(plan: Workflow, tmp_path: Path) -> None:
    (handing,) = (s for s in plan["jobs"]["plan"]["steps"] if s.get("id") == "summary")
    (tmp_path / "summary.md").write_text("one\n\ntext<<two\n")
    environment = {
        "PATH": os.environ["PATH"],
        "RUNNER_TEMP": str(tmp_path),
        "GITHUB_OUTPUT": str(tmp_path / "output"),
    }
    subprocess.run(["bash", "-e", "-c", handing["run"]], env=environment, check=True)
    first, *lines, last = (tmp_path / "output").read_text().splitlines()
    assert first == f"text<<{last}"
    assert lines == ["one", "", "text<<two"]
