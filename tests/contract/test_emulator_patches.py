"""Each patch of MiniStack, tested by what a client of AWS sees."""

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple
from typing import Any
from xml.etree import ElementTree as ET

import httpx
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from constructs_lib.policy import (
    Conditions,
    nobody_without_tls,
    resource_document,
    service_may,
)
from tests import roles
from tests.contract.emulator_process import REGION, Emulator, running_emulator
from tests.contract.proxies import a_proxy

ACCOUNT = "000000000000"
FUNCTIONS = """
import logging, os, time, urllib.request

def asking(event, context):
    address = os.environ["AWS_ENDPOINT_URL"] + "/_ministack/health"
    with urllib.request.urlopen(address) as answer:
        return {"status": answer.status, "exceptions": os.environ["NO_PROXY"]}

def quiet(event, context):
    return {"statusCode": 200, "body": "{}"}

def echoing(event, context):
    return {"statusCode": 200, "body": event["body"], "isBase64Encoded": event["isBase64Encoded"]}

def talking(event, context):
    logging.getLogger("quiet").info("not heard")
    log = logging.getLogger("mine")
    log.setLevel(logging.INFO)
    log.info("heard")

def slow(event, context):
    time.sleep(1)
    return quiet(event, context)

def failing(event, context):
    raise ValueError("the secret of the function")
"""
SLOW_TO_START = """
import os, time
time.sleep(0.5)

def handler(event, context):
    return os.getpid()
"""


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with running_emulator(tmp_path_factory.mktemp("emulator")) as running:
        yield running


def test_events_of_sagemaker_reach_a_rule_and_those_of_other_services_are_refused(
    emulator: Emulator,
) -> None:
    queue = a_queue_for_events_of(emulator, "aws.sagemaker")

    answers = [put_event(emulator, source) for source in ("aws.sagemaker", "aws.ec2")]

    messages = emulator.client("sqs").receive_message(QueueUrl=queue, WaitTimeSeconds=5)["Messages"]
    assert [json.loads(m["Body"])["source"] for m in messages] == ["aws.sagemaker"]
    assert "ErrorCode" not in answers[0]
    assert answers[1]["ErrorCode"] == "NotAuthorizedForSourceException"


def test_what_a_function_logs_is_in_its_log_group(emulator: Emulator) -> None:
    name = a_function(emulator, "talking")
    emulator.client("lambda").invoke(FunctionName=name)

    logs = emulator.client("logs").filter_log_events(logGroupName=f"/aws/lambda/{name}")["events"]

    text = "\n".join(event["message"] for event in logs)
    assert "[INFO]" in text
    assert "heard" in text
    assert "not heard" not in text


def test_a_function_with_a_proxy_of_its_own_reaches_the_embedded_aws_without_it(
    emulator: Emulator,
) -> None:
    name, functions = a_function(emulator, "asking"), emulator.client("lambda")
    with a_proxy() as proxy:
        variables = {**proxy.environment, "NO_PROXY": "corp.example"}
        functions.update_function_configuration(
            FunctionName=name, Environment={"Variables": variables}
        )

        answer = json.load(functions.invoke(FunctionName=name)["Payload"])

    assert answer == {"status": 200, "exceptions": "corp.example,127.0.0.1,localhost"}
    assert proxy.asked == []


def test_each_request_is_a_line_in_the_access_log_of_its_stage(emulator: Emulator) -> None:
    url, host = a_rest_api_before(emulator, a_function(emulator, "quiet"))
    logs, group = emulator.client("logs"), f"access-{time.monotonic_ns()}"
    logs.create_log_group(logGroupName=group)
    form = '{"status":"$context.status","path":"$context.resourcePath","who":"$context.nobody.id"}'
    settings = {
        "destinationArn": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{group}",
        "format": form,
    }
    emulator.client("apigateway").update_stage(
        restApiId=host.partition(".")[0],
        stageName="prod",
        patchOperations=[
            {"op": "replace", "path": f"/accessLogSettings/{name}", "value": value}
            for name, value in settings.items()
        ],
    )
    for path in ("", "/there-is-none"):
        httpx.get(url + path, headers={"Host": host, "Authorization": "secret"})

    lines = [event["message"] for event in logs.filter_log_events(logGroupName=group)["events"]]

    assert [json.loads(line) for line in lines] == [
        {"status": "200", "path": "/", "who": "-"},
        {"status": "403", "path": "-", "who": "-"},
    ]


def test_an_api_and_its_stage_show_the_tags_that_they_have_now(emulator: Emulator) -> None:
    apis = emulator.client("apigateway")
    tags = {"team": "ours", "cost": "4711"}
    api = apis.create_rest_api(name="any", tags=tags)["id"]
    root = apis.get_resources(restApiId=api)["items"][0]["id"]
    method = {"restApiId": api, "resourceId": root, "httpMethod": "GET"}
    apis.put_method(**method, authorizationType="NONE")
    apis.put_integration(**method, type="MOCK")
    deployment = apis.create_deployment(restApiId=api)["id"]
    apis.create_stage(restApiId=api, stageName="prod", deploymentId=deployment, tags=tags)
    for path in (f"/restapis/{api}", f"/restapis/{api}/stages/prod"):
        arn = f"arn:aws:apigateway:{REGION}::{path}"
        apis.untag_resource(resourceArn=arn, tagKeys=["cost"])
        apis.tag_resource(resourceArn=arn, tags={"team": "theirs"})

    assert apis.get_rest_api(restApiId=api)["tags"] == {"team": "theirs"}
    assert apis.get_stage(restApiId=api, stageName="prod")["tags"] == {"team": "theirs"}


def test_a_mock_integration_has_no_http_method(emulator: Emulator) -> None:
    apis = emulator.client("apigateway")
    api = apis.create_rest_api(name="any")["id"]
    root = apis.get_resources(restApiId=api)["items"][0]["id"]
    method = {"restApiId": api, "resourceId": root, "httpMethod": "OPTIONS"}
    apis.put_method(**method, authorizationType="NONE")

    apis.put_integration(**method, type="MOCK")

    assert "httpMethod" not in apis.get_integration(**method)


def test_a_patched_number_or_boolean_is_one(emulator: Emulator) -> None:
    url, host = a_rest_api_before(emulator, a_function(emulator, "quiet"))
    apis, api = emulator.client("apigateway"), host.partition(".")[0]
    (root,) = apis.get_resources(restApiId=api)["items"]
    method = {"restApiId": api, "resourceId": root["id"], "httpMethod": "ANY"}
    plan = apis.create_usage_plan(name="any", throttle={"burstLimit": 1, "rateLimit": 1.0})
    authorizer = apis.create_authorizer(restApiId=api, name="any", type="TOKEN")

    def patched(update: Callable[..., Any], *values: tuple[str, str], **place: str) -> Any:
        return update(
            **place, patchOperations=[{"op": "replace", "path": p, "value": v} for p, v in values]
        )

    patched(apis.update_integration, ("/timeoutInMillis", "50000"), **method)
    asked = ("/requestParameters/method.request.header.timeoutInMillis", "true")
    patched(apis.update_method, ("/apiKeyRequired", "true"), asked, **method)
    patched(apis.update_method, ("/apiKeyRequired", "false"), **method)
    place = {"restApiId": api, "authorizerId": authorizer["id"]}
    patched(apis.update_authorizer, ("/authorizerResultTtlInSeconds", "60"), **place)
    compressed, closed = ("/minimumCompressionSize", "9"), ("/disableExecuteApiEndpoint", "false")
    patched(apis.update_rest_api, compressed, closed, restApiId=api)
    traced, text = ("/tracingEnabled", "true"), ("/variables/timeoutInMillis", "9")
    throttled = ("/*/*/throttling/burstLimit", "7")
    patched(apis.update_stage, traced, text, throttled, restApiId=api, stageName="prod")
    limits = ("/throttle/burstLimit", "7"), ("/throttle/rateLimit", "2.5")
    patched(apis.update_usage_plan, *limits, usagePlanId=plan["id"])

    def answered(call: Callable[..., Any], **arguments: object) -> Any:
        call(**arguments)
        return received[-1]

    received: list[Any] = []  # boto3 would read "9" as a number
    apis.meta.events.register(
        "before-parse",
        lambda response_dict, **_: received.append(json.loads(response_dict["body"])),
    )
    whole = answered(apis.get_resources, restApiId=api, embed=["methods"])
    changed = whole["item"][0]["resourceMethods"]["ANY"]
    assert changed["methodIntegration"]["timeoutInMillis"] == 50_000
    assert changed["apiKeyRequired"] is False
    assert changed["requestParameters"] == {"method.request.header.timeoutInMillis": True}
    assert answered(apis.get_authorizer, **place)["authorizerResultTtlInSeconds"] == 60
    rest = answered(apis.get_rest_api, restApiId=api)
    assert (rest["minimumCompressionSize"], rest["disableExecuteApiEndpoint"]) == (9, False)
    stage = answered(apis.get_stage, restApiId=api, stageName="prod")
    assert (stage["tracingEnabled"], stage["variables"]) == (True, {"timeoutInMillis": "9"})
    assert stage["methodSettings"]["*/*"]["throttlingBurstLimit"] == 7
    found = answered(apis.get_usage_plan, usagePlanId=plan["id"])
    assert found["throttle"] == {"burstLimit": 7, "rateLimit": 2.5}
    assert httpx.get(url, headers={"Host": host}).status_code == 200


def test_a_function_that_raises_answers_502_without_its_error(emulator: Emulator) -> None:
    url, host = a_rest_api_before(emulator, a_function(emulator, "failing"))

    answer = httpx.get(url, headers={"Host": host})

    assert answer.status_code == 502
    assert answer.json() == {"message": "Internal server error"}


def test_a_function_that_raises_answers_by_the_gateway_response_of_the_api(
    emulator: Emulator,
) -> None:
    template = '{"error":$context.error.messageString,"code":"InternalError"}'
    url, host = a_rest_api_before(
        emulator, a_function(emulator, "failing"), responseTemplates={"application/json": template}
    )

    answer = httpx.get(url, headers={"Host": host})

    assert answer.status_code == 502
    assert answer.json() == {"error": "Internal server error", "code": "InternalError"}


def test_the_gateway_response_of_the_api_may_set_another_status(emulator: Emulator) -> None:
    url, host = a_rest_api_before(emulator, a_function(emulator, "failing"), statusCode="503")

    answer = httpx.get(url, headers={"Host": host})

    assert answer.status_code == 503


def test_api_gateway_waits_for_a_function_as_long_as_the_integration_says(
    emulator: Emulator,
) -> None:
    function = a_function(emulator, "slow")
    emulator.client("lambda").invoke(FunctionName=function)
    answers = []
    for milliseconds in (300, 29_000):
        url, host = a_rest_api_before(emulator, function, milliseconds=milliseconds)
        answers.append(httpx.get(url, headers={"Host": host}))

    assert [answer.status_code for answer in answers] == [504, 200]
    assert answers[0].json() == {"message": "Endpoint request timed out"}


@pytest.mark.timing
def test_a_warm_function_that_logs_nothing_answers_without_a_wait(emulator: Emulator) -> None:
    name = a_function(emulator, "quiet")
    functions = emulator.client("lambda")
    functions.invoke(FunctionName=name)

    seconds = min(timed(functions.invoke, FunctionName=name) for _ in range(10))

    assert seconds < 0.045  # unpatched: at least 0.050


def test_a_burst_of_callers_shares_a_few_workers(emulator: Emulator) -> None:
    name = a_function(emulator, "handler", SLOW_TO_START)
    functions = emulator.client("lambda")

    with ThreadPoolExecutor(10) as pool:
        answers = pool.map(lambda _: functions.invoke(FunctionName=name), range(10))

    workers = {answer["Payload"].read() for answer in answers}
    assert 1 < len(workers) < 10


def test_an_event_of_more_than_six_megabytes_reaches_no_function(emulator: Emulator) -> None:
    name, functions = a_function(emulator, "quiet"), emulator.client("lambda")
    template = {"application/json": '{"code":"Ours"}'}
    url, host = a_rest_api_before(emulator, name, "REQUEST_TOO_LARGE", responseTemplates=template)

    def call(size: int) -> tuple[int, str]:
        answer = httpx.post(url, content=b"x" * size, headers={"Host": host}, timeout=60)
        return answer.status_code, answer.text

    assert call(4_700_000) == (200, "{}")
    assert call(4_720_000) == (413, '{"code":"Ours"}')

    room = 6_291_556 - len('""')
    functions.invoke(FunctionName=name, Payload=json.dumps("x" * room))
    with pytest.raises(ClientError, match="Request must be smaller than 6291556 bytes") as refused:
        functions.invoke(FunctionName=name, Payload=json.dumps("x" * (room + 1)))
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 413


def test_bytes_without_a_type_pass_unchanged(emulator: Emulator) -> None:
    url, host = a_rest_api_before(emulator, a_function(emulator, "echoing"))
    request = httpx.Request("POST", url, content=b"\xff\x00", headers={"Host": host})
    with httpx.Client() as client:  # it would add Accept to a request of its own
        answer = client.send(request)

    assert "accept" not in request.headers
    assert answer.content == b"\xff\x00"


def test_an_alarm_is_described_with_all_that_was_set(emulator: Emulator) -> None:
    emulator.client("cloudwatch").put_metric_alarm(
        AlarmName="no heartbeat & <odd>",
        AlarmDescription="nobody ticks",
        Namespace="EndpointMeter",
        MetricName="Heartbeat",
        Dimensions=[{"Name": "service", "Value": "reconciler"}],
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=5,
        Threshold=1.0,
        ComparisonOperator="LessThanThreshold",
        TreatMissingData="breaching",
        AlarmActions=["arn:aws:sns:us-east-1:000000000000:alarms"],
    )

    alarm = described_alarm(emulator)

    assert alarm["AlarmName"] == "no heartbeat & <odd>"
    assert alarm["AlarmDescription"] == "nobody ticks"
    assert (alarm["Statistic"], alarm["Period"]) == ("Sum", "60")
    assert alarm["ActionsEnabled"] == "true"
    assert alarm["TreatMissingData"] == "breaching"
    assert alarm["AlarmActions/member"] == "arn:aws:sns:us-east-1:000000000000:alarms"
    assert alarm["Dimensions/member/Name"] == "service"
    assert "T" in alarm["StateUpdatedTimestamp"]


def test_an_object_uploaded_in_parts_gets_its_tags(emulator: Emulator) -> None:
    s3 = emulator.client("s3")
    s3.create_bucket(Bucket="parts")
    target = {"Bucket": "parts", "Key": "layer.zip"}
    upload = s3.create_multipart_upload(**target, Tagging="stack=demo%20one")["UploadId"]
    part = s3.upload_part(**target, UploadId=upload, PartNumber=1, Body=b"code")["ETag"]

    parts = {"Parts": [{"PartNumber": 1, "ETag": part}]}
    s3.complete_multipart_upload(**target, UploadId=upload, MultipartUpload=parts)

    assert s3.get_object_tagging(**target)["TagSet"] == [{"Key": "stack", "Value": "demo one"}]


def described_alarm(emulator: Emulator) -> dict[str, str]:
    """Describe the first alarm over the Query protocol, which Terraform uses."""
    form = b"Action=DescribeAlarms&Version=2010-08-01&AlarmNamePrefix=no"
    headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    request = AWSRequest("POST", emulator.url, headers, form)
    key = Credentials(*astuple(emulator.key))
    SigV4Auth(key, "monitoring", REGION).add_auth(request)
    answer = httpx.post(emulator.url, content=form, headers=dict(request.headers))
    root = ET.fromstring(answer.content)  # noqa: S314  # our own emulator's
    alarm = root.find(".//{*}MetricAlarms/{*}member")
    assert alarm is not None
    return dict(_leaves(alarm))


def _leaves(element: ET.Element, path: str = "") -> Iterator[tuple[str, str]]:
    for child in element:
        name = f"{path}{child.tag.partition('}')[2]}"
        yield name, child.text or ""
        yield from _leaves(child, f"{name}/")


def put_event(emulator: Emulator, source: str) -> dict[str, Any]:
    entry = {"Source": source, "DetailType": "Any", "Detail": "{}"}
    answer: dict[str, Any] = emulator.client("events").put_events(Entries=[entry])
    return answer["Entries"][0]  # type: ignore[no-any-return]


def a_queue_for_events_of(emulator: Emulator, source: str) -> str:
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:events"
    rule: Conditions = {
        "ArnEquals": {"aws:SourceArn": f"arn:aws:events:{REGION}:{ACCOUNT}:rule/events"}
    }
    policy = resource_document(
        nobody_without_tls("sqs:*", arn),
        service_may("events.amazonaws.com", "sqs:SendMessage", arn, rule),
    )
    queue: str = emulator.client("sqs").create_queue(
        QueueName="events", Attributes={"Policy": policy}
    )["QueueUrl"]
    events = emulator.client("events")
    events.put_rule(Name="events", EventPattern=json.dumps({"source": [source]}))
    events.put_targets(Rule="events", Targets=[{"Id": "queue", "Arn": arn}])
    return queue


def a_function(emulator: Emulator, handler: str, code: str = FUNCTIONS) -> str:
    return roles.a_function(emulator.client("lambda"), emulator.role(), code, handler)


def a_rest_api_before(
    emulator: Emulator,
    function: str,
    kind: str = "DEFAULT_5XX",
    milliseconds: int = 29_000,
    **response: object,
) -> tuple[str, str]:
    """Address and Host header of a deployed API that proxies to the function. It has a gateway
    response of that kind."""
    apis = emulator.client("apigateway")
    api = apis.create_rest_api(name="any", binaryMediaTypes=["*/*"])["id"]
    root = apis.get_resources(restApiId=api)["items"][0]["id"]
    method = {"restApiId": api, "resourceId": root, "httpMethod": "ANY"}
    apis.put_method(**method, authorizationType="NONE")
    arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{function}"
    apis.put_integration(
        **method,
        type="AWS_PROXY",
        integrationHttpMethod="POST",
        uri=f"arn:aws:apigateway:{REGION}:lambda:path/2015-03-31/functions/{arn}/invocations",
        timeoutInMillis=milliseconds,
    )
    if response:
        apis.put_gateway_response(restApiId=api, responseType=kind, **response)
    apis.create_deployment(restApiId=api, stageName="prod")
    return f"{emulator.url}/prod", f"{api}.execute-api.localhost"


def timed(call: Callable[..., object], **arguments: object) -> float:
    began = time.perf_counter()
    call(**arguments)
    return time.perf_counter() - began
