"""A KMS key of the customer for everything the stack stores: who may use it, and for what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from constructs_lib import kms
from constructs_lib.config.file import parse
from constructs_lib.config.problems import InvalidConfig
from tests.synth.conftest import Synthesize
from tests.synth.synthesis import FLAN, Stack, config_with

SUFFIX = "${data.aws_partition.current.dns_suffix}"
KEY = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
ASYNC = {
    "name": "Later",
    "image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/own:1",
    "inference_instance_type": "ml.m5.xlarge",
    "inference_type": "async",
}
LARGE = {**FLAN, "async_api_enabled": True, "async_api_results": "s3"}


@pytest.fixture(scope="module")
def keyed(stack_of: Synthesize) -> Stack:
    return stack_of(config_with(LARGE, ASYNC, kms_key_arn=KEY))


def used(stack: Stack, role: str) -> dict[str, set[str]]:
    """The actions on the key that the role is allowed, by the service that calls KMS for it."""
    found: dict[str, set[str]] = {}
    for statement in stack.statements(role):
        if any(action.startswith("kms:") for action in statement["Action"]):
            assert statement["Resource"] == [KEY]
            assert statement["Condition"].keys() == {"StringEquals"}
            service = statement["Condition"]["StringEquals"]["kms:ViaService"]
            found[service.removesuffix(f".us-east-1.{SUFFIX}")] = set(statement["Action"])
    return found


def encryption(bucket: Mapping[str, Any]) -> Mapping[str, Any]:
    (rule,) = bucket["rule"]
    found: Mapping[str, Any] = rule["apply_server_side_encryption_by_default"]
    return found


def test_everything_stored_is_encrypted_with_the_key(keyed: Stack) -> None:
    tables = keyed.all("aws_dynamodb_table").values()
    assert {t["server_side_encryption"]["kms_key_arn"] for t in tables} == {KEY}
    for kind in ("aws_sqs_queue", "aws_sns_topic"):
        assert {each["kms_master_key_id"] for each in keyed.all(kind).values()} == {KEY}
    assert {logs["kms_key_id"] for logs in keyed.all("aws_cloudwatch_log_group").values()} == {KEY}
    settings = keyed.all("aws_s3_bucket_server_side_encryption_configuration")
    assert settings.keys() == keyed.all("aws_s3_bucket").keys() == {"code", "data", "results"}
    for bucket in settings.values():
        assert encryption(bucket) == {"sse_algorithm": "aws:kms", "kms_master_key_id": KEY}
        assert bucket["rule"][0]["bucket_key_enabled"] is True


def test_the_logs_of_endpoints_get_the_key_from_the_reconciler(keyed: Stack, stack: Stack) -> None:
    function = keyed.all("aws_lambda_function")["reconciler"]
    assert function["environment"]["variables"]["LOG_KEY_ARN"] == KEY
    for each, given in ((keyed, True), (stack, False)):
        allowed = {action for s in each.statements("reconciler") for action in s["Action"]}
        assert ("logs:AssociateKmsKey" in allowed) is given


def test_a_queue_is_encrypted_either_with_the_key_or_by_sqs(keyed: Stack, stack: Stack) -> None:
    for queue in keyed.all("aws_sqs_queue").values():
        assert "sqs_managed_sse_enabled" not in queue
    for queue in stack.all("aws_sqs_queue").values():
        assert (queue["sqs_managed_sse_enabled"], "kms_master_key_id" in queue) == (True, False)


def test_without_a_key_no_role_has_kms_permissions(stack: Stack) -> None:
    assert "arn:aws:kms" not in str(stack.document)
    for role in stack.all("aws_iam_role_policy"):
        assert used(stack, role) == {}


@pytest.mark.parametrize(
    ("role", "services"),
    [
        ("adopter", set()),
        ("authorizer", {"dynamodb"}),
        ("tick", {"dynamodb", "sqs"}),
        ("api", {"dynamodb", "s3", "sqs"}),
        ("reconciler", {"dynamodb", "sqs"}),
        ("sweep", {"dynamodb", "sns", "sqs"}),
        ("invoker", {"s3"}),
        ("scheduler", set()),
        ("async", set()),
    ],
)
def test_a_role_uses_the_key_through_the_services_that_it_calls(
    keyed: Stack, role: str, services: set[str]
) -> None:
    assert used(keyed, role).keys() == services


def test_every_action_on_encrypted_data_has_its_key_permissions(keyed: Stack) -> None:
    """An action that is new in the code needs its entry, or each call of it would fail."""
    without = {"dynamodb:DescribeTable", "sqs:DeleteMessage", "sqs:GetQueueAttributes"}
    for role in keyed.all("aws_lambda_function"):
        for action in {a for each in keyed.statements(role) for a in each["Action"]} - without:
            service = action.partition(":")[0]
            assert service not in {"dynamodb", "s3", "sns", "sqs"} or service in used(keyed, role)
            assert action in kms.BEHIND or service not in {"dynamodb", "s3", "sns", "sqs"}


def test_a_role_that_only_reads_may_only_decrypt(keyed: Stack) -> None:
    assert used(keyed, "api")["s3"] == {"kms:Decrypt"}
    assert used(keyed, "invoker")["s3"] == {"kms:Decrypt", "kms:GenerateDataKey"}


def test_a_model_may_use_the_key_only_for_the_buckets_and_topics_of_the_stack(
    stack_of: Synthesize,
) -> None:
    own = {
        "input_path": "s3://mine/in",
        "output_path": "s3://mine/out",
        "failure_path": "s3://mine/failed",
        "success_topic_arn": "arn:aws:sns:us-east-1:123456789012:good",
        "error_topic_arn": "arn:aws:sns:us-east-1:123456789012:bad",
    }
    elsewhere = {**ASYNC, "name": "Elsewhere", "async": own}
    stack = stack_of(config_with(ASYNC, elsewhere, kms_key_arn=KEY))
    roles = {name: used(stack, name).keys() for name in stack.all("aws_iam_role_policy")}
    assert {*map(frozenset, (v for k, v in roles.items() if k.startswith("Later")))} == {
        frozenset({"s3", "sns"})
    }
    assert {*map(frozenset, (v for k, v in roles.items() if k.startswith("Elsewhere")))} == {
        frozenset()
    }


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("alias/mine", "kms_key_arn: must be the ARN of a KMS key"),
        (KEY.replace("us-east-1", "eu-west-1"), "kms_key_arn: must be in us-east-1"),
    ],
)
def test_a_key_that_cannot_be_used_is_refused_at_synth(key: str, expected: str) -> None:
    with pytest.raises(InvalidConfig) as refused:
        parse(config_with(FLAN, kms_key_arn=key))
    assert expected in str(refused.value)


def test_what_a_former_key_encrypted_can_still_be_read(stack_of: Synthesize) -> None:
    former = KEY.replace("1234abcd", "5678abcd")
    stack = stack_of(config_with(LARGE, ASYNC, kms_key_arn=KEY, former_kms_key_arns=[former]))
    services = {
        statement["Condition"]["StringEquals"]["kms:ViaService"].partition(".")[0]
        for role in stack.all("aws_iam_role_policy")
        for statement in stack.statements(role)
        if former in statement["Resource"] and statement["Action"] == ["kms:Decrypt"]
    }
    assert services == {"s3", "sqs"}


def test_former_keys_stay_readable_when_there_is_no_key_any_more(stack_of: Synthesize) -> None:
    stack = stack_of(config_with(LARGE, former_kms_key_arns=[KEY]))
    (reading,) = [
        statement for statement in stack.statements("reconciler") if KEY in statement["Resource"]
    ]
    assert reading["Action"] == ["kms:Decrypt"]


def test_a_former_key_of_another_region_is_refused() -> None:
    key = KEY.replace("us-east-1", "eu-west-1")
    with pytest.raises(InvalidConfig, match=r"former_kms_key_arns\[0\]: must be in us-east-1"):
        parse(config_with(FLAN, former_kms_key_arns=[key]))
