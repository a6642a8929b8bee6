"""The policy of whoever deploys fits the config. tests/e2e/test_deployer.py deploys under it."""

from __future__ import annotations

import json
import re
from functools import partial
from typing import Any

import pytest

from constructs_lib.config.document import DeployConfig
from tests.synth import entries
from tools.deployer_policy import MOST_INLINE, main, note_on_size, policy

ACCOUNT = "123456789012"
LONG = "p" * 30
KEY = f"arn:aws:kms:ap-southeast-2:{ACCOUNT}:key/0d0d0d0d-0d0d-0d0d-0d0d-0d0d0d0d0d0d"
FORMER = KEY.replace("0d0d", "1e1e")
IMAGES = f"{ACCOUNT}.dkr.ecr.ap-southeast-2.amazonaws.com"
LAYER = "arn:aws:lambda:ap-southeast-2:999999999999:layer"
called = partial(entries.called, ACCOUNT)
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


def size(**options: Any) -> int:
    return len(re.sub(r"\s", "", printed(**options)))


def everything(length: int) -> dict[str, Any]:
    """All options, with names of others that are so long."""
    name = "n" * length
    layers = [f"{LAYER}:{name}:{number}" for number in range(2)]
    return {
        "region_name": "ap-southeast-2",
        "jumpstart_models": [
            called("Zip", lambda_src="functions/falcon", layers=layers)
            | {"execution_role_arn": f"arn:aws:iam::{ACCOUNT}:role/{name}"},
            called("Image", image_uri=f"{IMAGES}/{name}:1"),
        ],
        "auth": {"type": "cognito", "groups": {"readers": "read"}},
        "api_gateway_account_role": True,
        "kms_key_arn": KEY,
        "former_kms_key_arns": [FORMER],
        "backend": {"type": "s3", "bucket": name, "key": name, "kms_key_id": f"alias/{name}"},
    }


def test_with_all_options_it_fits_into_a_role() -> None:
    assert size(**everything(16)) <= MOST_INLINE


def test_with_the_longest_prefix_and_without_parts_of_others_it_fits_into_a_role() -> None:
    options = {**everything(16), "jumpstart_models": [], "backend": {"type": "local"}}
    assert size(project_prefix=LONG, **options) <= MOST_INLINE


def test_a_policy_that_does_not_fit_into_a_role_says_what_to_do() -> None:
    longest = printed(project_prefix=LONG, **everything(60))
    note = note_on_size(longest)
    assert note is not None
    assert note.startswith(f"it has {len(longest):,} characters")
    assert "6,144" in note
    parts = json.loads(longest)["Statement"]
    assert max(len(json.dumps(part)) for part in parts) < 6_144, "so it can be divided"
    assert note_on_size(printed()) is None


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


def test_an_image_of_a_function_may_be_read_and_lambda_be_let_in_where_it_is_ours() -> None:
    theirs = IMAGES.replace(ACCOUNT, "999999999999")
    entries = [
        called("Own", image_uri=f"{IMAGES}/team/own@sha256:{'0' * 64}"),
        called("Theirs", image_uri=f"{theirs}/theirs:1.0"),
    ]
    ecr = {pair for pair in allowed(jumpstart_models=entries) if pair[0].startswith("ecr:")}
    own, others = (
        f"arn:aws:ecr:ap-southeast-2:{account}:repository/{name}"
        for account, name in ((ACCOUNT, "team/own"), ("999999999999", "theirs"))
    )
    read = {"ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"}
    let_in = {"ecr:GetRepositoryPolicy", "ecr:SetRepositoryPolicy"}
    assert ecr == {(action, arn) for action in read for arn in (own, others)} | {
        (action, own) for action in let_in
    }


def test_a_layer_of_somebody_else_may_be_read_and_no_more() -> None:
    layer = f"{LAYER}:theirs:7"
    entry = called("Zip", lambda_src="functions/falcon", layers=[layer])
    of_it = {action for action, arn in allowed(jumpstart_models=[entry]) if arn == layer}
    assert of_it == {"lambda:GetLayerVersion"}


@pytest.mark.parametrize("key", [None, KEY])
def test_what_lies_under_a_former_key_stays_readable(key: str | None) -> None:
    given = allowed(kms_key_arn=key, former_kms_key_arns=[FORMER])
    assert {action for action, arn in given if arn == FORMER} == {
        "kms:Decrypt",
        "kms:DescribeKey",
    }
    assert "logs:DisassociateKmsKey" in {action for action, _ in given}


@pytest.mark.parametrize(
    ("named", "arn"),
    [
        (KEY, KEY),
        ("alias/states", f"arn:aws:kms:us-east-1:{ACCOUNT}:key/*"),
        (f"arn:aws:kms:eu-west-1:{ACCOUNT}:alias/states", f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/*"),
        ("1234abcd-12ab-34cd-56ef-1234567890ab", KEY),
    ],
    ids=["arn", "alias", "arn of an alias", "id"],
)
def test_the_key_of_the_state_is_allowed_as_iam_knows_it(named: str, arn: str) -> None:
    backend = {"type": "s3", "bucket": "states", "key": "meter.tfstate", "kms_key_id": named}
    if named.startswith("1234"):
        arn = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/{named}"
    (using,) = [
        one for one in statements(backend=backend) if "kms:GenerateDataKey" in one["Action"]
    ]
    assert using["Resource"] == [arn]
    of_alias = {"ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/states"}}
    assert using.get("Condition") == (of_alias if "alias" in named else None)


@pytest.mark.parametrize(
    "account",
    ["", "*", "12345678901", "1234567890123", "\uff11" * 12, "12345678901\n"],
)
def test_an_account_is_twelve_digits(account: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--account", account])
    assert "give its 12 digits, such as 123456789012" in " ".join(capsys.readouterr().err.split())


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


BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/limit"


def test_without_a_boundary_any_role_of_the_stack_may_be_made() -> None:
    (roles,) = [each for each in statements() if "iam:CreateRole" in each["Action"]]
    assert roles["Resource"] == [f"arn:aws:iam::{ACCOUNT}:role/demo-us-east-1-*"]
    assert "Condition" not in roles
    assert not [action for action, _ in allowed() if action.endswith("PermissionsBoundary")]


def test_with_a_boundary_rights_are_given_only_to_roles_within_it() -> None:
    limited = statements(roles={"permissions_boundary": BOUNDARY}, api_gateway_account_role=True)
    within = [
        each
        for each in limited
        if each.get("Condition", {}).get("StringEquals", {}).get("iam:PermissionsBoundary")
    ]
    assert {action for each in within for action in each["Action"]} == {
        "iam:AttachRolePolicy",
        "iam:CreateRole",
        "iam:PutRolePermissionsBoundary",
        "iam:PutRolePolicy",
    }
    values = [each["Condition"]["StringEquals"]["iam:PermissionsBoundary"] for each in within]
    assert set(values) == {BOUNDARY}
    without = {action for each in limited if each not in within for action in each["Action"]}
    assert not without & {action for each in within for action in each["Action"]}
    assert "iam:DeleteRolePermissionsBoundary" not in without, "only others may take it away"


def test_roles_are_named_with_their_path_and_prefix() -> None:
    named = {"path": "/team/", "name_prefix": "team-"}
    made = allowed(roles=named, api_gateway_account_role=True)
    arns = {arn for action, arn in made if action.startswith("iam:")}
    assert arns == {f"arn:aws:iam::{ACCOUNT}:role/team/team-demo-us-east-1-*"}


def test_what_may_be_tagged_may_be_untagged() -> None:
    off = {
        "AddTags": "DeleteTags",
        "TagQueue": "UntagQueue",
        "TagResource": "UntagResource",
        "TagRole": "UntagRole",
    }
    auth = {"type": "cognito", "groups": {"readers": "read"}}
    made = allowed(auth=auth, tags={"team": "search"})
    tagged = [
        (f"{action.partition(':')[0]}:{off[action.partition(':')[2]]}", resource)
        for action, resource in made
        if action.partition(":")[2] in off
    ]
    assert len({action for action, _ in tagged}) == 11
    assert set(tagged) <= made
    without = {action for action, _ in allowed(auth=auth)}
    assert not without & {action for action, _ in tagged}, "the tag of the stack never changes"


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
