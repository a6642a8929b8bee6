from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from constructs_lib.policy import Statement, policy_document
from tests.synth.aws_calls import actions_of
from tests.synth.conftest import Synthesize
from tests.synth.synthesis import FLAN, Stack, config_with

OUR_TAG = "endpoint-meter:stack"
OURS = ["demo-us-east-1", "demo-us-east-1/adopted"]
"""The values of the tag on endpoints that the stack made and that it adopted."""
ENDPOINTS = ":endpoint/*"
# The reason of each stands beside its statement. Add one here only with such a reason.
WITHOUT_RESOURCE = {
    "application-autoscaling:DescribeScalableTargets",
    "cloudwatch:PutMetricData",
    "ecr:GetAuthorizationToken",
    "sagemaker:ListEndpoints",
}
LOGS = {"logs:CreateLogStream", "logs:PutLogEvents"}
WITH_A_KEY = {"logs:AssociateKmsKey"}
"""Allowed in a stack with `kms_key_arn` alone: tests/synth/test_stack_key.py"""
READ_QUEUE = {"sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"}
OF_TASKS = {
    "aws-sdk:sagemakerruntime:invokeEndpoint": "sagemaker:InvokeEndpoint",
    "lambda:invoke": "lambda:InvokeFunction",
}
READS = {"sagemaker:DescribeEndpoint", "sagemaker:ListTags"}


@pytest.fixture(scope="module")
def full(stack_of: Synthesize) -> Stack:
    """A stack that has each kind of function and role."""
    called = {
        "api_resource_name": "flan",
        "lambda_src": "functions/flan",
        "handler": "index.handler",
    }
    by_function = {
        **FLAN,
        "async_api_enabled": True,
        "async_api_results": "s3",
        "wake_on_request": {"minutes": 30},
        "integration": {"type": "lambda", "properties": {**called, "keep_warm": {"minutes": 5}}},
    }
    properties = {"api_resource_name": "direct"}
    direct = {**FLAN, "name": "Direct", "integration": {"type": "api", "properties": properties}}
    return stack_of(config_with(by_function, direct))


def everything(stack: Stack) -> Iterator[Mapping[str, Any]]:
    for role in stack.all("aws_iam_role_policy"):
        yield from stack.statements(role)


def allowed(stack: Stack, role: str) -> set[str]:
    return {action for statement in stack.statements(role) for action in statement["Action"]}


def conditions_on_endpoints(stack: Stack, role: str, action: str) -> Mapping[str, Any]:
    """The conditions under which `role` is allowed `action` on endpoints."""
    (found,) = [
        statement
        for statement in stack.statements(role)
        if action in statement["Action"] and statement["Resource"][0].endswith(ENDPOINTS)
    ]
    conditions: Mapping[str, Any] = found.get("Condition", {})
    return conditions


def test_no_policy_has_a_wildcard_action(stack: Stack) -> None:
    for statement in everything(stack):
        assert not [action for action in statement["Action"] if "*" in action]


def test_only_actions_without_resource_level_permissions_are_allowed_on_all_resources(
    stack: Stack,
) -> None:
    for statement in everything(stack):
        if "*" in statement["Resource"]:
            assert set(statement["Action"]) <= WITHOUT_RESOURCE


def test_a_function_may_do_what_its_code_calls_and_nothing_else(full: Stack) -> None:
    read = {
        mapping["function_name"] for mapping in full.all("aws_lambda_event_source_mapping").values()
    }
    for name, function in full.all("aws_lambda_function").items():
        module = function["handler"].rpartition(".")[0]
        called = actions_of("functions.flan.index" if module == "index" else module)
        consumed = READ_QUEUE if any(f".{name}." in each for each in read) else set()
        expected = (called - WITH_A_KEY) | consumed | LOGS
        assert (name, allowed(full, name)) == (name, expected)


def test_a_schedule_may_invoke_what_it_targets_and_nothing_else(full: Stack) -> None:
    targets: dict[str, set[str]] = defaultdict(set)
    for schedule in full.all("aws_scheduler_schedule").values():
        role = schedule["target"]["role_arn"].split(".")[1]
        targets[role].add(schedule["target"]["arn"])
    assert len(targets) == 2
    for role, arns in targets.items():
        assert allowed(full, role) == {"lambda:InvokeFunction"}
        assert {arn for each in full.statements(role) for arn in each["Resource"]} == arns


def test_the_state_machine_may_do_what_its_tasks_do_and_nothing_else(full: Stack) -> None:
    definition = json.loads(full.one("aws_sfn_state_machine", "async")["definition"])
    tasks = [state for state in definition["States"].values() if state["Type"] == "Task"]
    assert allowed(full, "async") == {
        OF_TASKS[task["Resource"].partition(":states:::")[2]] for task in tasks
    }


def test_no_role_acts_on_an_endpoint_that_lacks_our_tag(full: Stack) -> None:
    acting = [
        (action, statement.get("Condition", {}))
        for statement in everything(full)
        for action in statement["Action"]
        if any(":endpoint/" in resource for resource in statement["Resource"])
        and action not in READS
    ]
    assert {action for action, _ in acting} == {
        "sagemaker:AddTags",
        "sagemaker:CreateEndpoint",
        "sagemaker:DeleteEndpoint",
        "sagemaker:DeleteTags",
        "sagemaker:InvokeEndpoint",
        "sagemaker:UpdateEndpoint",
        "sagemaker:UpdateEndpointWeightsAndCapacities",
    }
    for action, conditions in acting:
        equal = conditions["StringEquals"]
        given = equal.get(f"aws:ResourceTag/{OUR_TAG}") or equal.get(f"aws:RequestTag/{OUR_TAG}")
        tagged = given and {*([given] if isinstance(given, str) else given)} <= {*OURS}
        assert tagged or equal == {"sagemaker:TaggingAction": "CreateEndpoint"}, action


def test_only_calls_and_the_schedule_that_keeps_it_warm_may_invoke_a_models_function(
    full: Stack,
) -> None:
    arn = "${aws_lambda_function.model-FlanT5.arn}"
    invoking = {
        role
        for role in full.all("aws_iam_role_policy")
        for statement in full.statements(role)
        if arn in statement["Resource"] and "lambda:InvokeFunction" in statement["Action"]
    }
    assert invoking == {"calls", "keep_warm"}
    for permission in full.all("aws_lambda_permission").values():
        assert "model-FlanT5" not in permission["function_name"]


def test_every_role_is_covered_by_these_tests(full: Stack) -> None:
    models = {
        name for name in full.all("aws_iam_role_policy") if name.startswith(("Flan", "Direct"))
    }
    known = {"async", "endpoint_caller", "keep_warm", "scheduler", *full.all("aws_lambda_function")}
    assert full.all("aws_iam_role_policy").keys() - models == known


@pytest.mark.parametrize(
    "action",
    [
        "sagemaker:DeleteEndpoint",
        "sagemaker:UpdateEndpoint",
        "sagemaker:UpdateEndpointWeightsAndCapacities",
    ],
)
def test_only_endpoints_of_this_stack_are_changed_or_deleted(stack: Stack, action: str) -> None:
    assert conditions_on_endpoints(stack, "reconciler", action) == {
        "StringEquals": {f"aws:ResourceTag/{OUR_TAG}": OURS},
        "Null": {"aws:ResourceTag/endpoint-meter:ignore": "true"},
    }


def test_an_endpoint_is_created_only_with_this_stacks_tag(stack: Stack) -> None:
    assert conditions_on_endpoints(stack, "reconciler", "sagemaker:CreateEndpoint") == {
        "StringEquals": {f"aws:RequestTag/{OUR_TAG}": "demo-us-east-1"}
    }


def test_the_reconciler_tags_only_while_it_creates(stack: Stack) -> None:
    assert conditions_on_endpoints(stack, "reconciler", "sagemaker:AddTags") == {
        "StringEquals": {"sagemaker:TaggingAction": "CreateEndpoint"}
    }


def test_only_the_adopter_tags_live_endpoints_and_only_untagged_ones(stack: Stack) -> None:
    assert conditions_on_endpoints(stack, "adopter", "sagemaker:AddTags") == {
        "StringEquals": {f"aws:RequestTag/{OUR_TAG}": "demo-us-east-1/adopted"},
        "Null": {
            f"aws:ResourceTag/{OUR_TAG}": "true",
            "aws:ResourceTag/endpoint-meter:ignore": "true",
        },
        "ForAllValues:StringEquals": {"aws:TagKeys": [OUR_TAG]},
    }


def test_the_adopter_may_remove_only_the_tag_of_an_adoption(stack: Stack) -> None:
    assert conditions_on_endpoints(stack, "adopter", "sagemaker:DeleteTags") == {
        "StringEquals": {f"aws:ResourceTag/{OUR_TAG}": "demo-us-east-1/adopted"},
        "ForAllValues:StringEquals": {"aws:TagKeys": [OUR_TAG]},
    }


def test_only_the_reconciler_may_invoke_the_adopter(stack: Stack) -> None:
    arn = "${aws_lambda_function.adopter.arn}"
    asking = {
        role
        for role in stack.all("aws_iam_role_policy")
        for statement in stack.statements(role)
        if arn in statement["Resource"] and "lambda:InvokeFunction" in statement["Action"]
    }
    assert asking == {"reconciler"}


@pytest.mark.parametrize(
    ("adoptable", "names"),
    [(None, ["*"]), (["Team-A-*"], ["Team-A-*", "team-a-*"]), ([], [])],
    ids=["any", "a pattern", "none"],
)
def test_adopter_may_tag_only_endpoints_that_the_config_allows_to_adopt(
    stack_of: Synthesize, adoptable: list[str] | None, names: list[str]
) -> None:
    stack = stack_of(config_with(FLAN, adoptable=adoptable))
    tagged = [
        resource.partition(":endpoint/")[2]
        for statement in stack.statements("adopter")
        if "sagemaker:AddTags" in statement["Action"]
        for resource in statement["Resource"]
    ]
    assert tagged == names


def test_a_model_reads_its_own_artifact_and_image_only(stack: Stack) -> None:
    roles = [role for role in stack.all("aws_iam_role_policy") if role.startswith("Falcon40B")]
    by_action = {
        action: statement["Resource"]
        for statement in stack.statements(roles[0])
        for action in statement["Action"]
    }
    partition = "arn:${data.aws_partition.current.partition}"
    bucket = f"{partition}:s3:::jumpstart-cache-prod-us-east-1"
    model = "huggingface-llm/huggingface-llm-falcon-40b-instruct-bf16"
    assert by_action["s3:GetObject"] == [f"{bucket}/{model}/artifacts/inference-prepack/v1.0.1/*"]
    assert by_action["ecr:BatchGetImage"] == [
        f"{partition}:ecr:us-east-1:763104351884:repository/huggingface-pytorch-tgi-inference"
    ]


def test_only_our_rest_api_may_invoke_functions_through_api_gateway(stack: Stack) -> None:
    for permission in stack.all("aws_lambda_permission").values():
        assert permission["source_arn"].startswith("${aws_api_gateway_rest_api.api.execution_arn}/")


def test_only_our_rule_may_put_events_on_the_queue(stack: Stack) -> None:
    rule = stack.one("aws_cloudwatch_event_rule", "endpoint_events")["name"]
    allowed = {
        name: [s for s in json.loads(queue["policy"])["Statement"] if s["Effect"] == "Allow"]
        for name, queue in stack.all("aws_sqs_queue").items()
    }
    (statement,) = allowed.pop("work")
    assert statement["Principal"] == {"Service": "events.amazonaws.com"}
    assert statement["Condition"]["ArnEquals"]["aws:SourceArn"].endswith(f":rule/{rule}")
    assert not any(allowed.values())


def test_a_wildcard_needs_a_reason() -> None:
    with pytest.raises(ValueError, match="reason"):
        Statement(("s3:ListAllMyBuckets",), ("*",))
    with pytest.raises(ValueError, match="wildcard"):
        Statement(("s3:Get*",), ("arn:aws:s3:::bucket",))


def test_statements_on_the_same_things_become_one() -> None:
    document = policy_document(
        [Statement(("b:B", "a:A"), ("arn:x",)), Statement(("c:C",), ("arn:x",))]
    )
    assert document.count('"Action":["a:A","b:B","c:C"]') == 1


def test_history_is_append_only_except_for_the_rate_counters(stack: Stack) -> None:
    arn = "${aws_dynamodb_table.history.arn}"
    changes = {"dynamodb:UpdateItem", "dynamodb:DeleteItem"}
    may_change = [
        statement
        for statement in everything(stack)
        if arn in statement["Resource"] and changes & set(statement["Action"])
    ]
    assert may_change
    for statement in may_change:
        assert statement["Action"] == ["dynamodb:UpdateItem"]
        assert statement["Condition"] == {
            "ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["RATE#*"]}
        }
