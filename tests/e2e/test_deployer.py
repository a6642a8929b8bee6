"""`make deploy` and `make destroy` by an assumed role that has the policy of `make policy` and
nothing else. `test_deployer_of_everything.py` does the same with all examples."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.e2e.checkout import Checkout
from tests.e2e.deployer import ACCOUNT, LIMIT, OTHER_LIMIT, REGION, STATES, Deployer, deploying

SETTINGS = {
    "backend": {"type": "s3", "bucket": STATES, "key": "demo/endpoint-manager.tfstate"},
    "create_auth_table": True,
    "deletion_protection": False,
    "roles": {"permissions_boundary": LIMIT, "path": "/team/", "name_prefix": "team-"},
    "tags": {"team": "search", "cost-centre": "4711"},
}


@pytest.fixture(scope="module")
def deployer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployer]:
    checkout = Checkout.copy_to(tmp_path_factory.mktemp("deployer") / "project")
    with deploying(checkout, {**checkout.config(), **SETTINGS}) as deployed:
        yield deployed


FOREIGN: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    "dynamodb:DeleteTable": ("dynamodb", lambda aws: aws.delete_table(TableName="others")),
    "iam:CreateRole": (
        "iam",
        lambda aws: aws.create_role(RoleName="demo-others", AssumeRolePolicyDocument="{}"),
    ),
    "iam:AttachRolePolicy": (
        "iam",
        lambda aws: aws.attach_role_policy(
            RoleName="team-demo-us-east-1-tick",
            PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess",
        ),
    ),
    "iam:PassRole": (
        "lambda",
        lambda aws: aws.update_function_configuration(
            FunctionName="demo-tick", Role=f"arn:aws:iam::{ACCOUNT}:role/others"
        ),
    ),
    "lambda:CreateEventSourceMapping": (
        "lambda",
        lambda aws: aws.create_event_source_mapping(
            FunctionName="others", EventSourceArn=f"arn:aws:sqs:{REGION}:{ACCOUNT}:demo-work"
        ),
    ),
    "s3:PutObject": (
        "s3",
        lambda aws: aws.put_object(Bucket=STATES, Key="others.tfstate", Body=b""),
    ),
    "sagemaker:DeleteModel": ("sagemaker", lambda aws: aws.delete_model(ModelName="others")),
}
"""What is not of the stack, by the action that has to be denied."""


def test_every_role_and_what_runs_with_it_is_where_the_config_says(deployer: Deployer) -> None:
    iam, functions = deployer.root("iam"), deployer.root("lambda").list_functions()["Functions"]
    roles = iam.list_roles(PathPrefix="/team/")["Roles"]
    assert {f["Role"] for f in functions} <= {role["Arn"] for role in roles}
    for role in roles:
        whole = iam.get_role(RoleName=role["RoleName"])["Role"]
        assert whole["PermissionsBoundary"]["PermissionsBoundaryArn"] == LIMIT
        assert whole["RoleName"].startswith("team-demo-us-east-1-")
        assert {"Key": "cost-centre", "Value": "4711"} in whole["Tags"]
    (machine,) = deployer.root("stepfunctions").list_state_machines()["stateMachines"]
    tags = deployer.root("stepfunctions").list_tags_for_resource(
        resourceArn=machine["stateMachineArn"]
    )["tags"]
    assert {"key": "team", "value": "search"} in tags


@pytest.mark.parametrize("boundary", [None, OTHER_LIMIT])
def test_the_deployer_makes_no_role_outside_the_boundary(
    deployer: Deployer, boundary: str | None
) -> None:
    limit = {"PermissionsBoundary": boundary} if boundary else {}
    role = {"RoleName": "team-demo-us-east-1-new", "Path": "/team/"}
    with pytest.raises(ClientError, match="not authorized to perform: iam:CreateRole"):
        deployer.client("iam").create_role(**role, **limit, AssumeRolePolicyDocument="{}")


@pytest.mark.parametrize("action", FOREIGN)
def test_the_deployer_may_not_do_it_to_what_is_not_of_the_stack(
    deployer: Deployer, action: str
) -> None:
    service, call = FOREIGN[action]
    with pytest.raises(ClientError, match=f"not authorized to perform: {action}"):
        call(deployer.client(service))


def test_roles_move_while_the_stack_runs_under_the_policies_of_before_and_after(
    deployer: Deployer,
) -> None:
    before = deployer.policy()
    config = {**deployer.checkout.config(), **SETTINGS, "roles": {"path": "/crew/"}}
    for entry in config["jumpstart_models"]:
        if entry.get("integration", {}).get("type") == "api":
            del entry["integration"]  # API Gateway cannot give it another role
    deployer.write(config)
    deployer.may_also(before)
    deployer.run("deploy", "--auto-approve")

    roles = deployer.root("iam").list_roles()["Roles"]
    places = {role["Path"] for role in roles if "demo-us-east-1-" in role["RoleName"]}
    assert places == {"/crew/"}, "the old ones are gone"
    assert "No resource changes" in deployer.run("diff")


def test_the_shipped_config_is_destroyed_under_the_policy_under_which_it_was_deployed(
    deployer: Deployer,
) -> None:
    deployer.run("destroy", "--auto-approve")

    assert deployer.root("lambda").list_functions()["Functions"] == []
