"""A request needs more than its own action where a service does more for its caller, and it is
checked on what it names: the embedded IAM asks for both, and its log tells what was asked."""

import io
import json
import uuid
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from constructs_lib.policy import Statement, policy_document
from tests.contract.emulator_process import REGION, Emulator, running_emulator
from tests.roles import session_of

ACCOUNT = "000000000000"
FUNCTION = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:ours-*"
NOTHING = policy_document([Statement(("sqs:ListQueues",), (FUNCTION,))])
PASSED = {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}


@dataclass(frozen=True)
class Callers:
    """Makes callers with few rights."""

    emulator: Emulator
    log: Path

    def may(self, *statements: Statement) -> Callable[[Any], Any]:
        """Makes clients in the session of a new role that is allowed this."""
        role = self.emulator.role()
        self.emulator.client("iam").put_role_policy(
            RoleName=role.rpartition("/")[2],
            PolicyName="own",
            PolicyDocument=policy_document(statements),
        )
        session: Any = session_of(role, self.emulator.client("lambda"))

        def client(service: Any) -> Any:
            url = self.emulator.url
            return boto3.client(service, endpoint_url=url, region_name=REGION, **session)

        return client


@pytest.fixture(scope="module")
def callers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callers]:
    scratch = tmp_path_factory.mktemp("emulator")
    with running_emulator(scratch) as emulator:
        yield Callers(emulator, scratch / "emulator.log")


def denied(call: Callable[..., object], **arguments: Any) -> str:
    """The action that the message names."""
    with pytest.raises(ClientError, match="not authorized to perform: ") as refused:
        call(**arguments)
    message = refused.value.response["Error"]["Message"]
    return str(message).partition("not authorized to perform: ")[2].split()[0]


def code() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("code.py", "def handler(event, context):\n    return {}\n")
    return packed.getvalue()


def test_a_function_needs_the_right_to_pass_its_role_to_tag_it_and_to_read_its_code_and_layers(
    callers: Callers,
) -> None:
    root, role = callers.emulator.client, callers.emulator.role()
    root("s3").create_bucket(Bucket="code")
    root("s3").put_object(Bucket="code", Key="code.zip", Body=code())
    layer = root("lambda").publish_layer_version(LayerName="ours", Content={"ZipFile": code()})
    function = {
        "FunctionName": "ours-new",
        "Runtime": "python3.13",
        "Role": role,
        "Handler": "code.handler",
        "Code": {"S3Bucket": "code", "S3Key": "code.zip"},
        "Layers": [layer["LayerVersionArn"]],
        "Tags": {"team": "ours"},
    }
    rights = [
        Statement(("lambda:CreateFunction",), (FUNCTION,)),
        Statement(("iam:PassRole",), (role,), PASSED),
        Statement(("lambda:GetLayerVersion",), (layer["LayerVersionArn"],)),
        Statement(("s3:GetObject",), ("arn:aws:s3:::code/*",)),
        Statement(("lambda:TagResource",), (FUNCTION,)),
    ]
    for number, missing in enumerate(rights[1:], start=1):
        as_other = callers.may(*rights[:number])
        assert denied(as_other("lambda").create_function, **function) == missing.actions[0]
    made = callers.may(*rights)("lambda").create_function(**function)
    assert made["FunctionName"] == "ours-new"


@pytest.mark.parametrize(
    ("owner", "needed"),
    [
        (
            ACCOUNT,
            [
                "BatchGetImage",
                "GetDownloadUrlForLayer",
                "GetRepositoryPolicy",
                "SetRepositoryPolicy",
            ],
        ),
        ("999999999999", ["BatchGetImage", "GetDownloadUrlForLayer"]),
    ],
    ids=["of the account", "of others"],
)
def test_a_function_from_an_image_needs_the_rights_of_its_repository(
    callers: Callers, owner: str, needed: list[str]
) -> None:
    repository = f"arn:aws:ecr:{REGION}:{owner}:repository/team/packed"
    role = callers.emulator.role()
    function = {
        "FunctionName": f"ours-{owner}",
        "Role": role,
        "PackageType": "Image",
        "Code": {"ImageUri": f"{owner}.dkr.ecr.{REGION}.amazonaws.com/team/packed:1"},
    }
    rights = [
        Statement(("lambda:CreateFunction",), (FUNCTION,)),
        Statement(("iam:PassRole",), (role,), PASSED),
        *(Statement((f"ecr:{action}",), (repository,)) for action in needed),
    ]
    for number, action in enumerate(needed, start=2):
        as_other = callers.may(*rights[:number])
        assert denied(as_other("lambda").create_function, **function) == f"ecr:{action}"
    made = callers.may(*rights)("lambda").create_function(**function)
    assert made["PackageType"] == "Image"


def test_a_role_that_may_be_passed_to_another_service_is_not_passed(callers: Callers) -> None:
    role = callers.emulator.role()
    to_others = {"StringEquals": {"iam:PassedToService": "states.amazonaws.com"}}
    schedule = f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/default/ours"
    caller = callers.may(
        Statement(("scheduler:CreateSchedule",), (schedule,)),
        Statement(("iam:PassRole",), (role,), to_others),
    )
    queue = f"arn:aws:sqs:{REGION}:{ACCOUNT}:ours"
    refused = denied(
        caller("scheduler").create_schedule,
        Name="ours",
        ScheduleExpression="rate(5 minutes)",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={"Arn": queue, "RoleArn": role},
    )
    assert refused == "iam:PassRole"


TAGS = [{"Key": "team", "Value": "ours"}]
WITH_TAGS: Sequence[tuple[str, str, str, dict[str, Any]]] = (
    ("sqs:CreateQueue", "sqs:TagQueue", f"arn:aws:sqs:{REGION}:{ACCOUNT}:ours", {
        "QueueName": "ours", "tags": {"team": "ours"},
    }),
    ("sns:CreateTopic", "sns:TagResource", f"arn:aws:sns:{REGION}:{ACCOUNT}:ours", {
        "Name": "ours", "Tags": TAGS,
    }),
    ("iam:CreateRole", "iam:TagRole", f"arn:aws:iam::{ACCOUNT}:role/ours", {
        "RoleName": "ours", "AssumeRolePolicyDocument": "{}", "Tags": TAGS,
    }),
    ("logs:CreateLogGroup", "logs:TagResource", f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:ours", {
        "logGroupName": "ours", "tags": {"team": "ours"},
    }),
)  # fmt: skip


@pytest.mark.parametrize(("create", "tag", "arn", "arguments"), WITH_TAGS)
def test_who_creates_something_with_tags_needs_the_right_to_tag(
    callers: Callers, create: str, tag: str, arn: str, arguments: dict[str, Any]
) -> None:
    service, _, operation = create.partition(":")
    caller = callers.may(Statement((create,), (arn,)))
    method = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in operation)
    assert denied(getattr(caller(service), method[1:]), **arguments) == tag


def test_a_role_is_checked_with_its_path_and_its_boundary(callers: Callers) -> None:
    root = callers.emulator.client("iam")
    limits = [
        root.create_policy(PolicyName=f"{name}-{uuid.uuid4()}", PolicyDocument=NOTHING)["Policy"]
        for name in ("limit", "other")
    ]
    limit, other = (policy["Arn"] for policy in limits)
    within = {"StringEquals": {"iam:PermissionsBoundary": limit}}
    roles = f"arn:aws:iam::{ACCOUNT}:role/team/ours-*"
    actions = ("iam:CreateRole", "iam:PutRolePolicy", "iam:PutRolePermissionsBoundary")
    iam = callers.may(Statement(actions, (roles,), within))("iam")
    role = {"RoleName": f"ours-{uuid.uuid4()}", "AssumeRolePolicyDocument": "{}", "Path": "/team/"}
    for wrong in ({}, {"PermissionsBoundary": other}, {"PermissionsBoundary": limit, "Path": "/"}):
        assert denied(iam.create_role, **{**role, **wrong}) == "iam:CreateRole"
    name = iam.create_role(**role, PermissionsBoundary=limit)["Role"]["RoleName"]
    policy = {"RoleName": name, "PolicyName": "own", "PolicyDocument": NOTHING}
    iam.put_role_policy(**policy)
    put = iam.put_role_permissions_boundary
    put(RoleName=name, PermissionsBoundary=limit)
    assert denied(put, RoleName=name, PermissionsBoundary=other) == actions[2]
    root.put_role_permissions_boundary(RoleName=name, PermissionsBoundary=other)
    assert denied(iam.put_role_policy, **policy) == "iam:PutRolePolicy"


def test_reading_a_reserved_concurrency_is_not_setting_it(callers: Callers) -> None:
    name = f"ours-{uuid.uuid4()}"
    callers.emulator.client("lambda").create_function(
        FunctionName=name,
        Runtime="python3.13",
        Role=callers.emulator.role(),
        Handler="code.handler",
        Code={"ZipFile": code()},
    )
    reader = callers.may(Statement(("lambda:GetFunctionConcurrency",), (FUNCTION,)))("lambda")
    reader.get_function_concurrency(FunctionName=name)
    refused = denied(
        reader.put_function_concurrency, FunctionName=name, ReservedConcurrentExecutions=1
    )
    assert refused == "lambda:PutFunctionConcurrency"


def test_a_mapping_is_made_only_for_functions_of_the_condition(callers: Callers) -> None:
    ours = {"ArnLike": {"lambda:FunctionArn": FUNCTION}}
    caller = callers.may(
        Statement(("lambda:CreateEventSourceMapping",), ("*",), ours, reason="it has no name yet")
    )
    refused = denied(
        caller("lambda").create_event_source_mapping,
        FunctionName="others",
        EventSourceArn=f"arn:aws:sqs:{REGION}:{ACCOUNT}:ours",
    )
    assert refused == "lambda:CreateEventSourceMapping"


def test_requests_are_checked_on_the_rule_the_alarm_and_the_user_pool_that_they_name(
    callers: Callers,
) -> None:
    root = callers.emulator.client
    for name in ("ours", "others"):
        root("events").put_rule(Name=name, ScheduleExpression="rate(5 minutes)")
    pool = root("cognito-idp").create_user_pool(PoolName="ours")["UserPool"]["Id"]
    caller = callers.may(
        Statement(("events:PutTargets",), (f"arn:aws:events:{REGION}:{ACCOUNT}:rule/ours",)),
        Statement(
            ("cloudwatch:DeleteAlarms",), (f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:ours",)
        ),
        Statement(
            ("cognito-idp:DescribeUserPool",),
            (f"arn:aws:cognito-idp:{REGION}:{ACCOUNT}:userpool/{pool}",),
        ),
    )
    targets = [{"Id": "one", "Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:ours"}]
    caller("events").put_targets(Rule="ours", Targets=targets)
    caller("cloudwatch").delete_alarms(AlarmNames=["ours"])
    caller("cognito-idp").describe_user_pool(UserPoolId=pool)
    for call, arguments in (
        (caller("events").put_targets, {"Rule": "others", "Targets": targets}),
        (caller("cloudwatch").delete_alarms, {"AlarmNames": ["ours", "others"]}),
        (caller("cognito-idp").describe_user_pool, {"UserPoolId": f"{REGION}_others"}),
    ):
        denied(call, **arguments)


def test_the_log_tells_once_what_a_role_was_asked_for_and_the_decision(callers: Callers) -> None:
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:told"
    sqs = callers.may(Statement(("sqs:CreateQueue",), (arn,)))("sqs")
    url = sqs.create_queue(QueueName="told")["QueueUrl"]
    for _ in range(2):
        denied(sqs.delete_queue, QueueUrl=url)
    lines = [line for line in callers.log.read_text().splitlines() if line.startswith('{"asked"')]
    told = [json.loads(line)["asked"] for line in lines if arn in line]
    assert [(each["action"], each["decision"]) for each in told] == [
        ("sqs:CreateQueue", "Allow"),
        ("sqs:DeleteQueue", "ImplicitDeny"),
    ]
