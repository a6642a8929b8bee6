"""The policy of whoever deploys fits the config. tests/e2e/test_deployer.py deploys under it."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from constructs_lib.config.document import DeployConfig
from tools.deployer_policy import policy

ACCOUNT = "123456789012"
MOST_INLINE = 10_240
"""https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html"""
LONG = "p" * 30
KEY = f"arn:aws:kms:ap-southeast-2:{ACCOUNT}:key/0d0d0d0d-0d0d-0d0d-0d0d-0d0d0d0d0d0d"
POOL = f"arn:aws:cognito-idp:us-east-1:{ACCOUNT}:userpool/us-east-1_Abc"


def statements(**options: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(printed(**options))["Statement"]
    return found


def printed(**options: Any) -> str:
    smallest = {
        "project_prefix": "demo",
        "region_name": "us-east-1",
        "ddb_auth_table_name": "auth",
        "jumpstart_models": [],
    }
    return policy(DeployConfig.model_validate({**smallest, **options}), ACCOUNT)


def allowed(**options: Any) -> set[tuple[str, str]]:
    return {
        (action, resource)
        for statement in statements(**options)
        for action in statement["Action"]
        for resource in statement["Resource"]
    }


def test_with_the_longest_names_and_all_options_it_fits_into_a_role() -> None:
    longest = printed(
        project_prefix=LONG,
        region_name="ap-southeast-2",
        auth={"type": "cognito", "groups": {"readers": "read"}},
        api_gateway_account_role=True,
        kms_key_arn=KEY,
        backend={"type": "s3", "bucket": "b" * 63, "key": "k" * 40},
    )
    assert len(re.sub(r"\s", "", longest)) <= MOST_INLINE


def test_it_allows_only_what_the_config_chose() -> None:
    services = {action.partition(":")[0] for action, _ in allowed()}
    assert "cognito-idp" not in services
    assert not [each for each in allowed() if each[0] == "iam:AttachRolePolicy"]
    assert not [each for each in allowed() if each[1].endswith("/account")]
    assert not [
        each for each in allowed() if each[0] in {"kms:CreateGrant", "logs:AssociateKmsKey"}
    ]


def test_a_table_and_a_user_pool_of_others_stay_theirs() -> None:
    auth = {"type": "cognito", "groups": {"readers": "read"}, "user_pool_arn": POOL}
    of_others = allowed(create_auth_table=False, auth=auth)
    assert not [each for each in of_others if each[1].endswith("table/auth")]
    assert {action for action, resource in of_others if resource == POOL} == {
        "cognito-idp:CreateUserPoolClient",
        "cognito-idp:DeleteUserPoolClient",
        "cognito-idp:DescribeUserPoolClient",
        "cognito-idp:UpdateUserPoolClient",
    }
    assert "cognito-idp:CreateUserPool" not in {action for action, _ in of_others}


def test_a_role_of_the_user_may_be_passed_to_sagemaker_only() -> None:
    role = f"arn:aws:iam::{ACCOUNT}:role/hosting"
    entry = {
        "name": "Own",
        "image": f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/own:1",
        "execution_role_arn": role,
        "inference_instance_type": "ml.m5.xlarge",
        "inference_type": "realtime",
    }
    (passing,) = [each for each in statements(jumpstart_models=[entry]) if role in each["Resource"]]
    assert passing["Action"] == ["iam:PassRole"]
    assert passing["Condition"] == {
        "StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}
    }


@pytest.mark.parametrize(
    ("region", "partition"),
    [("us-east-1", "aws"), ("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")],
)
def test_arns_are_those_of_the_regions_partition(region: str, partition: str) -> None:
    arns = {arn for _, arn in allowed(region_name=region) if arn != "*"}
    assert {arn.split(":")[1] for arn in arns} == {partition}


def test_all_resources_are_allowed_only_to_actions_that_have_none() -> None:
    everywhere = {action for action, resource in allowed() if resource == "*"}
    assert everywhere == {
        "lambda:CreateEventSourceMapping",
        "lambda:GetAccountSettings",
        "logs:DescribeLogGroups",
        "sns:GetSubscriptionAttributes",
        "sns:Unsubscribe",
        "states:ValidateStateMachineDefinition",
    }
    assert not [action for action, _ in allowed() if "*" in action]
