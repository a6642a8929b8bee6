"""checkov on the plan of all examples together: each accepted finding has a written reason."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.contract.emulator_process import Emulator
from tests.synth.conftest import Synthesize
from tests.synth.synthesis import COMBINED
from tests.synth.terraform import Terraform, without_backend
from tools import bootstrap

KNOWN_BETTER = {
    # The service authorization reference has these condition keys; the data lacks them.
    "Unknown condition ec2:Subnet for action ec2:CreateNetworkInterface",
    "Unknown condition kms:ResourceAliases",
    # A pattern that ends in `*` fits the streams of its log groups too.
    "logs:CreateLogStream is not on arn:aws:logs:us-east-1:",
    "logs:PutLogEvents is not on arn:aws:logs:us-east-1:",
    # An action on two resources has a statement for each, because their conditions differ.
    "RESOURCE_MISMATCH: [{'action': 'ec2:CreateNetworkInterface'",
    "RESOURCE_MISMATCH: [{'action': 'sagemaker:CreateEndpoint'",
    "RESOURCE_MISMATCH: [{'action': 'sagemaker:UpdateEndpoint'",
    # The state machine is a standard one: it has no express executions.
    "RESOURCE_MISMATCH: [{'action': 'states:DescribeExecution'",
}
"""What is right though parliament or policy_sentry says otherwise (2026-11-30)."""
LITERALS = {
    "${data.aws_caller_identity.current.account_id}": "123456789012",
    "${data.aws_partition.current.partition}": "aws",
    "${data.aws_partition.current.dns_suffix}": "amazonaws.com",
}
ARN = re.compile(r"\$\{(?P<kind>aws_\w+)\.[\w-]+\.arn\}")
ARNS = {
    "aws_dynamodb_table": "dynamodb:us-east-1:123456789012:table/a",
    "aws_lambda_alias": "lambda:us-east-1:123456789012:function:a:live",
    "aws_lambda_function": "lambda:us-east-1:123456789012:function:a",
    "aws_sns_topic": "sns:us-east-1:123456789012:a",
    "aws_sqs_queue": "sqs:us-east-1:123456789012:a",
    "aws_cloudwatch_log_group": "logs:us-east-1:123456789012:log-group:a",
}
"""An ARN for each kind of resource that policies refer to."""
LINT = Path(__file__).with_name("policy_lint.py")
RULES = bootstrap.ROOT / "audit" / "checkov.yaml"
REASON = re.compile(r"  - (CKV\w*_AWS_\d+)  # [\w/].{4,}")


@pytest.fixture
def plan(terraform: Terraform, emulator: Emulator, stack_of: Synthesize) -> Path:
    """The Terraform plan of all examples in one config, as JSON."""
    stack = stack_of(json.loads(COMBINED.read_text()))
    here = terraform.with_aws(emulator)
    here.take(without_backend(stack))
    (here.folder / "assets").symlink_to(stack.folder / "assets")
    here.run("init", "-input=false", "-no-color")
    here.run("plan", "-input=false", "-no-color", "-out=plan.bin")
    written = here.folder / "plan.json"
    written.write_text(here.run("show", "-json", "plan.bin"))
    return written


@pytest.mark.slow
def test_checkov_finds_only_what_has_a_written_reason(checkov: Path, plan: Path) -> None:
    done = subprocess.run(
        [checkov, "--file", plan, "--config-file", RULES, "--output", "json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, done.stderr
    report = json.loads(done.stdout)
    assert report["summary"]["parsing_errors"] == 0
    assert report["summary"]["passed"] > 500
    failed = report["results"]["failed_checks"]
    reasoned = set(REASON.findall(RULES.read_text()))
    assert [one_line(each) for each in failed if each["check_id"] not in reasoned] == []
    assert done.returncode == 0
    assert reasoned - {each["check_id"] for each in failed} == set(), "no longer found: remove them"


@pytest.fixture
def lint(checkov: Path) -> Callable[[Mapping[str, str]], list[str]]:
    def findings(policies: Mapping[str, str]) -> list[str]:
        done = subprocess.run(
            [checkov.with_name("python"), LINT],
            input=json.dumps(policies),
            capture_output=True,
            text=True,
            check=True,
        )
        found: list[str] = json.loads(done.stdout)
        return found

    return findings


@pytest.mark.slow
def test_policies_name_actions_conditions_and_resources_that_iam_knows(
    lint: Callable[[Mapping[str, str]], list[str]], stack_of: Synthesize
) -> None:
    stack = stack_of(json.loads(COMBINED.read_text()))
    policies = {
        role: resolved(body["policy"]) for role, body in stack.all("aws_iam_role_policy").items()
    }
    assert "${" not in json.dumps(policies)
    found = lint(policies)
    assert [each for each in found if not any(known in each for known in KNOWN_BETTER)] == []
    gone = {known for known in KNOWN_BETTER if not any(known in each for each in found)}
    assert gone == set(), "no longer found: remove them"


@pytest.mark.slow
def test_a_policy_that_iam_would_not_understand_is_found(
    lint: Callable[[Mapping[str, str]], list[str]],
) -> None:
    reading = {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::a/*"]}
    statements = [
        {**reading, "Action": ["s3:NoSuchAction"]},
        {**reading, "Resource": ["arn:aws:sqs:us-east-1:123456789012:queue"]},
        {**reading, "Condition": {"StringEquals": {"sagemaker:TaggingAction": "x"}}},
    ]
    told = "\n".join(
        sentence
        for number, statement in enumerate(statements)
        for sentence in lint(
            {str(number): json.dumps({"Version": "2012-10-17", "Statement": [statement]})}
        )
    )
    for kind in ("is no action", "is not on", "UNKNOWN_ACTION", "UNKNOWN_CONDITION"):
        assert kind in told, told


def resolved(policy: str) -> str:
    """A policy with ARNs and an account in place of Terraform's references."""
    for reference, value in LITERALS.items():
        policy = policy.replace(reference, value)
    policy = re.sub(r"\$\{aws_s3_bucket\.[\w-]+\.bucket\}", "a", policy)
    return ARN.sub(lambda found: f"arn:aws:{ARNS[found['kind']]}", policy)


def one_line(check: dict[str, Any]) -> str:
    return f"{check['check_id']} {check['resource']}: {check['check_name']}"


def test_each_accepted_finding_has_a_reason() -> None:
    listed = [line for line in RULES.read_text().splitlines() if line.startswith("  - CKV")]
    assert [line for line in listed if not REASON.fullmatch(line)] == []
