"""A stack that AWS would refuse for its size is refused at synth."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import main
from constructs_lib import quotas
from constructs_lib.quotas import QUOTAS, problems, resolved_length
from tests.synth.conftest import Synthesize
from tests.synth.entries import OWN
from tests.synth.synthesis import FLAN, config_with

LONG_PREFIX = "a-prefix-of-exactly-30-letters"
LONGEST_REGION = "ap-southeast-1"


def of(region: str) -> dict[str, Any]:
    """An entry with an image of the region."""
    return {**OWN, "image": OWN["image"].replace("us-east-1", region)}


def policy(size: int) -> dict[str, Any]:
    text = json.dumps({"Statement": ""}, separators=(",", ":"))
    whole = text.replace('""', f'"{"x" * (size - len(text))}"')
    return {"aws_iam_role_policy": {"own": {"role": "${aws_iam_role.r.name}", "policy": whole}}}


def dashboard(**parts: int) -> dict[str, Any]:
    widgets: list[Any] = [{"properties": {}} for _ in range(parts.get("widgets", 1))]
    for name in ("alarms", "metrics"):
        widgets[0]["properties"][name] = ["x"] * parts.get(name, 0)
    body = json.dumps({"widgets": widgets})
    return {"aws_cloudwatch_dashboard": {"endpoints": {"dashboard_body": body}}}


def variables(size: int) -> dict[str, Any]:
    environment = {"variables": {"A": "x" * (size - len('{"A":""}'))}}
    return {"aws_lambda_function": {"api": {"function_name": "f", "environment": environment}}}


MADE: Mapping[str, Callable[[int], dict[str, Any]]] = {
    "the inline policies of a role": policy,
    "the name of a role": lambda size: {"aws_iam_role": {"r": {"name": "x" * size}}},
    "the name of a bucket": lambda size: {"aws_s3_bucket": {"b": {"bucket": "x" * size}}},
    "the name of a function": lambda size: {
        "aws_lambda_function": {"f": {"function_name": "x" * size}}
    },
    "the environment of a function": variables,
    "the dashboard's widgets": lambda size: dashboard(widgets=size),
    "the metrics of a widget": lambda size: dashboard(metrics=size),
    "the alarms of a widget": lambda size: dashboard(alarms=size),
    "the resources of the API": lambda size: {
        "aws_api_gateway_resource": {str(number): {} for number in range(size - 1)}
    },
    "an item of the state table": lambda size: {
        "aws_dynamodb_table_item": {"i": {"item": "x" * size}}
    },
}


@pytest.mark.parametrize("quota", QUOTAS, ids=lambda quota: quota.name)
def test_a_stack_may_have_what_aws_takes_and_not_one_more(quota: Any) -> None:
    made = MADE[quota.name]
    assert problems({"resource": made(quota.most)}) == []
    (problem,) = problems({"resource": made(quota.most + 1)})
    assert f"{quota.most + 1:,} {quota.unit}, and AWS takes {quota.most:,}" in problem.sentence
    assert quota.help in problem.sentence
    assert quota.source.startswith("https://docs.aws.amazon.com/")


@pytest.mark.parametrize(
    "made",
    [
        {"aws_lambda_function": {"f": {"environment": {"variables": {"P": "ü" * 4_000}}}}},
        {"aws_dynamodb_table_item": {"i": {"item": "夜" * 150_000}}},
    ],
    ids=["environment", "item"],
)
def test_bytes_are_those_of_utf_8(made: dict[str, Any]) -> None:
    for function in made.get("aws_lambda_function", {}).values():
        function["function_name"] = "f"
    (problem,) = problems({"resource": made})
    assert "bytes, and AWS takes" in problem.sentence


def test_the_policies_of_one_role_count_together() -> None:
    half = policy(6_000)["aws_iam_role_policy"]["own"]
    (problem,) = problems({"resource": {"aws_iam_role_policy": {"one": half, "two": half}}})
    assert problem.path == "aws_iam_role.r"


def test_references_count_as_long_as_they_become() -> None:
    assert resolved_length("a ${data.aws_caller_identity.current.account_id} b") == 16
    assert resolved_length("${aws_sqs_queue.work.arn}") == 120
    assert resolved_length("$${MEM} %%{x}") == len("${MEM} %{x}")


def test_names_that_are_too_long_are_shortened_and_stay_different() -> None:
    from constructs_lib.deployment import Deployment  # noqa: PLC0415  # loads cdktf

    at = Deployment(LONG_PREFIX, LONGEST_REGION, "tag", "${account}", "aws", "amazonaws.com")
    names = {at.role_name(f"model-{name}") for name in ("a" * 30 + "1", "a" * 30 + "2")}
    assert len(names) == 2
    assert {len(name) for name in names} == {64}
    assert at.role_name("api") == f"{LONG_PREFIX}-{LONGEST_REGION}-api"
    assert resolved_length(at.bucket_name("results").replace("${account}", "1" * 12)) <= 63


def test_stacks_of_one_prefix_in_two_regions_share_no_role(stack_of: Synthesize) -> None:
    one, other = (
        {
            role["name"]
            for role in stack_of(config_with(of(region), region_name=region))
            .all("aws_iam_role")
            .values()
        }
        for region in ("us-east-1", "eu-west-1")
    )
    assert one
    assert not one & other


def test_a_stack_with_a_long_prefix_exceeds_nothing(stack_of: Synthesize) -> None:
    config = config_with(
        {**of(LONGEST_REGION), "async_api_enabled": True, "async_api_results": "s3"},
        project_prefix=LONG_PREFIX,
        region_name=LONGEST_REGION,
    )
    assert problems(stack_of(config).document) == []


def test_synth_of_too_large_a_stack_says_which_part_and_keeps_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (resources,) = [quota for quota in QUOTAS if quota.name == "the resources of the API"]
    monkeypatch.setattr(quotas, "QUOTAS", (replace(resources, most=3),))
    (tmp_path / "config.json").write_text(json.dumps(config_with(FLAN)))
    monkeypatch.setenv("CONFIG", str(tmp_path / "config.json"))
    monkeypatch.setenv("CDKTF_OUTDIR", str(tmp_path / "out"))
    assert main.main([]) == 2
    assert "aws_api_gateway_resource: the resources of the API" in capsys.readouterr().err
    assert not list(tmp_path.rglob("cdk.tf.json"))
