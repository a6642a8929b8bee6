"""`make deploy` and `make destroy` by an assumed role that has the policy of `make policy` and
nothing else. `test_deployer_of_everything.py` does the same with all examples."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.e2e.checkout import Checkout
from tests.e2e.deployer import ACCOUNT, REGION, STATES, Deployer, deploying

SETTINGS = {
    "backend": {"type": "s3", "bucket": STATES, "key": "demo/endpoint-manager.tfstate"},
    "create_auth_table": True,
    "deletion_protection": False,
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
            RoleName="demo-us-east-1-tick", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess"
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


@pytest.mark.parametrize("action", FOREIGN)
def test_the_deployer_may_not_do_it_to_what_is_not_of_the_stack(
    deployer: Deployer, action: str
) -> None:
    service, call = FOREIGN[action]
    with pytest.raises(ClientError, match=f"not authorized to perform: {action}"):
        call(deployer.client(service))


def test_the_shipped_config_is_destroyed_under_the_policy_under_which_it_was_deployed(
    deployer: Deployer,
) -> None:
    deployer.run("destroy", "--auto-approve")

    assert deployer.root("lambda").list_functions()["Functions"] == []
