"""Policies of roles are enforced on the embedded AWS: in the simulator, which asks IAM of the
emulator, and where AWS services act for a role."""

import json
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import boto3
import httpx
import pytest
from botocore import xform_name
from botocore.exceptions import ClientError

from constructs_lib.policy import Conditions, Statement, policy_document, trust_document
from local.simulator.account import Account
from local.simulator.authority import KEPT_SECONDS, Authority
from local.simulator.callers_name import IN_CALLERS_NAME, On
from local.simulator.clients import client
from tests.contract.emulator_process import REGION, Emulator, running_emulator
from tests.contract.simulated import Simulated, simulated
from tests.roles import a_function, session_of

ACCOUNT = Account("000000000000", REGION)
ENDPOINTS = f"arn:aws:sagemaker:{REGION}:{ACCOUNT.account_id}:endpoint/*"
CONFIGS = f"arn:aws:sagemaker:{REGION}:{ACCOUNT.account_id}:endpoint-config/*"
TARGETS = f"arn:aws:application-autoscaling:{REGION}:{ACCOUNT.account_id}:scalable-target/*"
ALARMS = Statement(
    ("cloudwatch:DeleteAlarms", "cloudwatch:DescribeAlarms", "cloudwatch:PutMetricAlarm"),
    (f"arn:aws:cloudwatch:{REGION}:{ACCOUNT.account_id}:alarm:TargetTracking-*",),
)
SEEN_BY_SCALING = (
    Statement(
        ("sagemaker:DescribeEndpoint", "sagemaker:UpdateEndpointWeightsAndCapacities"), (ENDPOINTS,)
    ),
    Statement(("sagemaker:DescribeEndpointConfig",), (CONFIGS,)),
)
OURS = {"Key": "stack", "Value": "ours"}
CARRIES_OUR_TAG: Conditions = {"StringEquals": {"aws:ResourceTag/stack": "ours"}}
BRINGS_OUR_TAG: Conditions = {"StringEquals": {"aws:RequestTag/stack": "ours"}}

SCALED = {
    "ServiceNamespace": "sagemaker",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    "MinCapacity": 1,
    "MaxCapacity": 2,
}
TRACKING = {
    "PolicyName": "own",
    "PolicyType": "TargetTrackingScaling",
    "TargetTrackingScalingPolicyConfiguration": {
        "TargetValue": 10,
        "PredefinedMetricSpecification": {
            "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"
        },
    },
}
STEP = {
    "PolicyName": "own",
    "PolicyType": "StepScaling",
    "StepScalingPolicyConfiguration": {
        "AdjustmentType": "ChangeInCapacity",
        "StepAdjustments": [{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}],
    },
}
IDLE = "def handler(event, context):\n    return {}\n"
SIMULATED = {"sagemaker", "sagemaker-runtime", "application-autoscaling"}


@dataclass(frozen=True)
class Embedded:
    """An emulator, and a simulator that asks its IAM."""

    emulator: Emulator
    simulated: Simulated

    def role(self, *statements: Statement, service: str = "lambda.amazonaws.com") -> str:
        name = f"role-{uuid.uuid4()}"
        iam = self.emulator.client("iam")
        arn: str = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust_document(service))[
            "Role"
        ]["Arn"]
        if statements:
            self.may(arn, *statements)
        return arn

    def may(self, role_arn: str, *statements: Statement) -> None:
        self.emulator.client("iam").put_role_policy(
            RoleName=role_arn.rpartition("/")[2],
            PolicyName="own",
            PolicyDocument=policy_document(statements),
        )

    def as_role(self, role_arn: str, service: Any) -> Any:
        session = session_of(role_arn, self.emulator.client("lambda"))
        return self.client(service, **session)

    def client(self, service: Any, **credentials: str) -> Any:
        at = self.simulated.server.url if service in SIMULATED else self.emulator.url
        return boto3.client(  # type: ignore[call-overload]
            service, endpoint_url=at, region_name=REGION, **credentials
        )

    def endpoint(self, *tags: Any) -> str:
        """Create an endpoint as the root user and wait until it is in service; returns its name."""
        name = f"Endpoint-{uuid.uuid4().hex[:8]}"
        self.simulated.sagemaker.create_endpoint(
            EndpointName=name, EndpointConfigName="config", Tags=list(tags)
        )
        self.simulated.clock.pass_seconds(300)
        return name


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    with running_emulator(tmp_path_factory.mktemp("emulator")) as emulator:
        authority = Authority(client("iam", emulator.url, REGION, emulator.key))
        with simulated(ACCOUNT, authority=authority, key=emulator.key) as sagemaker:
            sagemaker.has_config()
            yield Embedded(emulator, sagemaker)


def refusal(call: Callable[..., object], **arguments: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    error = refused.value.response["Error"]
    return error["Code"], error["Message"]


def test_a_session_of_an_assumed_role_is_known_to_both_and_has_the_rights_of_the_role(
    embedded: Embedded,
) -> None:
    queues = f"arn:aws:sqs:{REGION}:{ACCOUNT.account_id}:*"
    rights = Statement(("sagemaker:DescribeEndpoint", "sqs:CreateQueue"), (ENDPOINTS, queues))
    trust = {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT.account_id}:root"},
    }
    iam, name = embedded.emulator.client("iam"), f"role-{uuid.uuid4()}"
    arn = iam.create_role(
        RoleName=name,
        Path="/team/",
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
    )["Role"]["Arn"]
    embedded.may(arn, rights)
    made = embedded.emulator.client("sts").assume_role(RoleArn=arn, RoleSessionName="ann")
    session = {
        "aws_access_key_id": made["Credentials"]["AccessKeyId"],
        "aws_secret_access_key": made["Credentials"]["SecretAccessKey"],
        "aws_session_token": made["Credentials"]["SessionToken"],
    }
    who = embedded.client("sts", **session).get_caller_identity()
    assert who["Arn"] == made["AssumedRoleUser"]["Arn"]
    embedded.client("sqs", **session).create_queue(QueueName="of-the-session")
    endpoint, sagemaker = embedded.endpoint(), embedded.client("sagemaker", **session)
    assert sagemaker.describe_endpoint(EndpointName=endpoint)["EndpointStatus"] == "InService"
    code, message = refusal(sagemaker.delete_endpoint, EndpointName=endpoint)
    assert code == "AccessDeniedException"
    assert f"assumed-role/{name}/ann is not authorized" in message
    wrong = {**session, "aws_secret_access_key": "made-up"}
    code, _ = refusal(embedded.client("sagemaker", **wrong).list_endpoints)
    assert code != "AccessDeniedException"


def test_a_role_deletes_only_endpoints_with_the_tag(embedded: Embedded) -> None:
    role = embedded.role(Statement(("sagemaker:DeleteEndpoint",), (ENDPOINTS,), CARRIES_OUR_TAG))
    ours, foreign, untagged = (
        embedded.endpoint(*tags) for tags in ([OURS], [{**OURS, "Value": "theirs"}], [])
    )
    sagemaker = embedded.as_role(role, "sagemaker")

    sagemaker.delete_endpoint(EndpointName=ours)
    refused = [
        refusal(sagemaker.delete_endpoint, EndpointName=name)
        for name in (foreign, untagged, "nothing-of-that-name")
    ]

    assert {code for code, _ in refused} == {"AccessDeniedException"}
    assert " is not authorized to perform: sagemaker:DeleteEndpoint on resource: " in refused[0][1]
    assert embedded.simulated.status(ours) == "Deleting"
    assert embedded.simulated.status(foreign) == embedded.simulated.status(untagged) == "InService"


def test_an_endpoint_is_made_only_with_the_tag_and_the_right_to_tag(embedded: Embedded) -> None:
    create = (
        Statement(("sagemaker:CreateEndpoint",), (ENDPOINTS,), BRINGS_OUR_TAG),
        Statement(("sagemaker:CreateEndpoint",), (CONFIGS,)),
    )
    tagging: Conditions = {"StringEquals": {"sagemaker:TaggingAction": "CreateEndpoint"}}
    tag = Statement(("sagemaker:AddTags",), (ENDPOINTS,), tagging)
    named = {"EndpointName": f"made-{uuid.uuid4().hex[:8]}", "EndpointConfigName": "config"}
    both, creator, keyless = (
        embedded.as_role(embedded.role(*statements), "sagemaker")
        for statements in ((*create, tag), create, (create[0], tag))
    )

    assert "CreateEndpoint" in refusal(both.create_endpoint, **named)[1]
    assert "AddTags" in refusal(creator.create_endpoint, **named, Tags=[OURS])[1]
    assert ":endpoint-config/config" in refusal(keyless.create_endpoint, **named, Tags=[OURS])[1]
    made = both.create_endpoint(**named, Tags=[OURS])["EndpointArn"]
    more = {"Key": "more", "Value": "later"}
    assert "AddTags" in refusal(both.add_tags, ResourceArn=made, Tags=[more])[1]


def test_a_removed_permission_takes_effect_within_seconds(embedded: Embedded) -> None:
    describe = Statement(("sagemaker:DescribeEndpoint",), (ENDPOINTS,))
    role = embedded.role(describe)
    sagemaker, name = embedded.as_role(role, "sagemaker"), embedded.endpoint()
    sagemaker.describe_endpoint(EndpointName=name)

    embedded.may(role, Statement(("sagemaker:ListTags",), (ENDPOINTS,)))
    time.sleep(KEPT_SECONDS)

    assert refusal(sagemaker.describe_endpoint, EndpointName=name)[0] == "AccessDeniedException"


def test_a_scaled_endpoint_is_not_deleted_without_the_right_to_deregister(
    embedded: Embedded,
) -> None:
    delete = Statement(("sagemaker:DeleteEndpoint",), (ENDPOINTS,))
    deregister = Statement(("application-autoscaling:DeregisterScalableTarget",), (TARGETS,))
    name = embedded.endpoint()
    scaling = embedded.client("application-autoscaling", **asdict(embedded.emulator.key))
    scaling.register_scalable_target(**SCALED, ResourceId=f"endpoint/{name}/variant/AllTraffic")
    without, allowed = (
        embedded.as_role(embedded.role(*statements), "sagemaker")
        for statements in ((delete, ALARMS), (delete, ALARMS, deregister))
    )

    message = refusal(without.delete_endpoint, EndpointName=name)[1]
    assert "does not have application-autoscaling:DeregisterScalableTarget permission" in message
    allowed.delete_endpoint(EndpointName=name)


def test_the_first_scalable_target_needs_the_right_to_create_the_service_linked_role(
    embedded: Embedded,
) -> None:
    register = (
        Statement(("application-autoscaling:RegisterScalableTarget",), (TARGETS,)),
        *SEEN_BY_SCALING,
    )
    linked = f"arn:aws:iam::{ACCOUNT.account_id}:role/aws-service-role/*"
    make = Statement(("iam:CreateServiceLinkedRole",), (linked,))
    authority = Authority(client("iam", embedded.emulator.url, REGION, embedded.emulator.key))
    key = embedded.emulator.key
    with simulated(ACCOUNT, authority=authority, key=key) as without_any:
        without_any.has_endpoint("first")
        fresh = Embedded(embedded.emulator, without_any)
        target = {**SCALED, "ResourceId": "endpoint/first/variant/AllTraffic"}
        without, allowed, later = (
            fresh.as_role(fresh.role(*statements), "application-autoscaling")
            for statements in (register, (*register, make), register)
        )

        message = refusal(without.register_scalable_target, **target)[1]
        assert "iam:CreateServiceLinkedRole" in message
        allowed.register_scalable_target(**target)
        later.register_scalable_target(**target)


@pytest.mark.parametrize(
    ("operation", "missing"),
    [
        (operation, deed.action)
        for operation in ("RegisterScalableTarget", "PutScalingPolicy", "DeregisterScalableTarget")
        for deed in IN_CALLERS_NAME[f"application-autoscaling:{operation}"]
        if deed.on is not On.LINKED_ROLE
    ],
)
def test_scaling_is_refused_to_who_may_not_do_what_it_does(
    embedded: Embedded, operation: str, missing: str
) -> None:
    name = embedded.endpoint()
    scaling = embedded.client("application-autoscaling", **asdict(embedded.emulator.key))
    target = {**SCALED, "ResourceId": f"endpoint/{name}/variant/AllTraffic"}
    scaling.register_scalable_target(**target)
    everything = [
        Statement((f"application-autoscaling:{operation}",), (TARGETS,)),
        *SEEN_BY_SCALING,
        ALARMS,
    ]
    less = [
        replace(each, actions=tuple(action for action in each.actions if action != missing))
        for each in everything
    ]
    may_not, may = (
        embedded.as_role(embedded.role(*statements), "application-autoscaling")
        for statements in ([each for each in less if each.actions], everything)
    )
    call = xform_name(operation)
    asked = dict(target)
    if operation != "RegisterScalableTarget":
        del asked["MinCapacity"], asked["MaxCapacity"]
    if operation == "PutScalingPolicy":
        asked |= TRACKING

    assert missing in refusal(getattr(may_not, call), **asked)[1]
    getattr(may, call)(**asked)


def test_a_step_policy_makes_no_alarm_in_its_callers_name(embedded: Embedded) -> None:
    name = embedded.endpoint()
    scaling = embedded.client("application-autoscaling", **asdict(embedded.emulator.key))
    variant = {**SCALED, "ResourceId": f"endpoint/{name}/variant/AllTraffic"}
    scaling.register_scalable_target(**variant)
    del variant["MinCapacity"], variant["MaxCapacity"]
    put = Statement(("application-autoscaling:PutScalingPolicy",), (TARGETS,))
    caller = embedded.as_role(embedded.role(put), "application-autoscaling")

    assert "cloudwatch:" in refusal(caller.put_scaling_policy, **variant, **TRACKING)[1]
    caller.put_scaling_policy(**variant, **STEP)


def test_calling_a_model_without_permission_is_a_403(embedded: Embedded) -> None:
    role = embedded.role(Statement(("sagemaker:InvokeEndpoint",), (ENDPOINTS,), CARRIES_OUR_TAG))
    runtime = embedded.as_role(role, "sagemaker-runtime")
    ours, foreign = embedded.endpoint(OURS), embedded.endpoint()

    assert runtime.invoke_endpoint(EndpointName=ours, Body=b"hello")["Body"].read() == b"hello"
    with pytest.raises(ClientError) as refused:
        runtime.invoke_endpoint(EndpointName=foreign, Body=b"hello")

    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert refused.value.response["Error"]["Code"] == "AccessDeniedException"


@pytest.mark.parametrize(
    "credentials",
    [
        {"aws_access_key_id": "AKIAUNKNOWN", "aws_secret_access_key": "x"},
        {
            "aws_access_key_id": "ASIAUNKNOWN",
            "aws_secret_access_key": "x",
            "aws_session_token": "made-up",
        },
    ],
)
def test_a_caller_with_unknown_credentials_is_refused(
    embedded: Embedded, credentials: dict[str, str]
) -> None:
    sagemaker = embedded.client("sagemaker", **credentials)

    assert refusal(sagemaker.list_endpoints)[0] == "UnrecognizedClientException"


def test_a_refused_call_is_recorded_and_has_no_effect(embedded: Embedded) -> None:
    sagemaker = embedded.as_role(embedded.role(), "sagemaker")
    refusal(sagemaker.create_endpoint, EndpointName="never", EndpointConfigName="config")

    with httpx.Client(base_url=embedded.simulated.server.url) as own:
        calls = own.get("/_calls").json()["calls"]
    assert (calls[-1]["operation"], calls[-1]["error"]) == (
        "CreateEndpoint",
        "AccessDeniedException",
    )
    with pytest.raises(ClientError, match="Could not find"):
        embedded.simulated.status("never")


def test_a_batch_of_messages_needs_the_right_to_send_one(embedded: Embedded) -> None:
    queue = embedded.emulator.client("sqs").create_queue(QueueName="batched")["QueueUrl"]
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT.account_id}:batched"
    sqs = embedded.as_role(embedded.role(Statement(("sqs:SendMessage",), (arn,))), "sqs")

    answer = sqs.send_message_batch(QueueUrl=queue, Entries=[{"Id": "1", "MessageBody": "one"}])

    assert [sent["Id"] for sent in answer["Successful"]] == ["1"]
    assert refusal(sqs.receive_message, QueueUrl=queue)[0].startswith("AccessDenied")


def test_streaming_an_answer_needs_the_right_to_call_the_function(embedded: Embedded) -> None:
    functions = embedded.emulator.client("lambda")
    name = a_function(functions, embedded.role(), IDLE)
    stream = embedded.as_role(embedded.role(), "lambda").invoke_with_response_stream

    assert refusal(stream, FunctionName=name)[0] == "AccessDeniedException"


def test_naming_a_permitted_action_beside_the_real_one_does_not_help(embedded: Embedded) -> None:
    table = f"table-{uuid.uuid4().hex[:8]}"
    embedded.emulator.client("dynamodb").create_table(
        TableName=table,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    arn = f"arn:aws:dynamodb:{REGION}:{ACCOUNT.account_id}:table/{table}"
    functions = ("lambda:ListTags",)
    role = embedded.role(
        Statement(("dynamodb:UpdateItem",), (arn,)), Statement(functions, ("*",), reason="any tags")
    )
    dynamodb, aws_lambda = embedded.as_role(role, "dynamodb"), embedded.as_role(role, "lambda")
    name = a_function(embedded.emulator.client("lambda"), embedded.role(), IDLE)

    dynamodb.update_item(TableName=table, Key={"pk": {"S": "own"}})
    dynamodb.meta.events.register("before-call.dynamodb.Scan", _naming_an_update)
    aws_lambda.meta.events.register("before-call.lambda.Invoke", _naming_a_list_of_tags)

    assert refusal(dynamodb.scan, TableName=table)[0] == "AccessDeniedException"
    assert refusal(aws_lambda.invoke, FunctionName=name)[0] == "AccessDeniedException"


def _naming_an_update(params: dict[str, Any], **_: object) -> None:
    params["url"] += "?Action=UpdateItem"


def _naming_a_list_of_tags(params: dict[str, Any], **_: object) -> None:
    params["headers"]["X-Amz-Target"] = "Anything.ListTags"


def test_a_queue_is_read_for_a_function_only_if_its_role_may(embedded: Embedded) -> None:
    sqs = embedded.emulator.client("sqs")
    queue = sqs.create_queue(QueueName="consumed")["QueueUrl"]
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT.account_id}:consumed"
    consume = ("sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage")
    role = embedded.role(Statement(consume[:2], (arn,)))
    functions = embedded.emulator.client("lambda")
    name = a_function(functions, role, IDLE)
    functions.create_event_source_mapping(FunctionName=name, EventSourceArn=arn)
    sqs.send_message(QueueUrl=queue, MessageBody="{}")

    time.sleep(2)
    assert waiting(sqs, queue) == 1
    embedded.may(role, Statement(consume, (arn,)))
    until(lambda: waiting(sqs, queue) == 0)


def test_a_rule_starts_an_execution_only_by_a_role_that_may(embedded: Embedded) -> None:
    machines, events = embedded.emulator.client("stepfunctions"), embedded.emulator.client("events")
    worker = embedded.role(service="states.amazonaws.com")
    definition = {"StartAt": "End", "States": {"End": {"Type": "Succeed"}}}
    machine = machines.create_state_machine(
        name="started", definition=json.dumps(definition), roleArn=worker
    )["stateMachineArn"]
    starter = embedded.role(service="events.amazonaws.com")
    events.put_rule(Name="starts", EventPattern=json.dumps({"source": ["mine"]}))
    events.put_targets(Rule="starts", Targets=[{"Id": "1", "Arn": machine, "RoleArn": starter}])
    happened = [{"Source": "mine", "DetailType": "Any", "Detail": "{}"}]

    events.put_events(Entries=happened)
    time.sleep(1)
    assert machines.list_executions(stateMachineArn=machine)["executions"] == []
    embedded.may(starter, Statement(("states:StartExecution",), (machine,)))
    events.put_events(Entries=happened)
    until(lambda: machines.list_executions(stateMachineArn=machine)["executions"])


def test_a_task_calls_only_functions_that_its_role_may_call(embedded: Embedded) -> None:
    machines = embedded.emulator.client("stepfunctions")
    name = a_function(embedded.emulator.client("lambda"), embedded.role(), IDLE)
    arn = f"arn:aws:lambda:{REGION}:{ACCOUNT.account_id}:function:{name}"
    role = embedded.role(service="states.amazonaws.com")
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName": arn},
        "End": True,
    }
    machine = machines.create_state_machine(
        name="calls",
        definition=json.dumps({"StartAt": "Call", "States": {"Call": task}}),
        roleArn=role,
    )["stateMachineArn"]

    def outcome() -> Any:
        started = {
            "executionArn": machines.start_execution(stateMachineArn=machine)["executionArn"]
        }
        until(lambda: machines.describe_execution(**started)["status"] != "RUNNING")
        return machines.describe_execution(**started)

    refused = outcome()
    embedded.may(role, Statement(("lambda:InvokeFunction",), (arn,)))

    assert (refused["status"], refused["error"]) == ("FAILED", "Lambda.AWSLambdaException")
    assert "is not authorized to perform: lambda:InvokeFunction" in refused["cause"]
    assert outcome()["status"] == "SUCCEEDED"


def waiting(sqs: Any, queue: str) -> int:
    """The number of messages in the queue, including those in flight."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"]
    return sum(map(int, found.values()))


def until(look: Callable[[], object], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.05)
