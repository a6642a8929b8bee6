"""Adapters of services that get one or two calls each. The stub checks what they are sent."""

from __future__ import annotations

import io
import json
import urllib.parse
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError
from botocore.response import StreamingBody
from botocore.stub import ANY, Stubber

from lambdas.aws.executions import StepFunctionsExecutions
from lambdas.aws.functions import MAX_PAYLOAD_BYTES, ModelFunctions
from lambdas.aws.notices import SnsNotices
from lambdas.aws.queues import SqsHints
from lambdas.aws.results import S3Results
from lambdas.aws.runtime import SageMakerRuntime
from lambdas.aws.sagemaker import AdopterFunction, SageMakerEndpoints
from lambdas.aws.state_store import DynamoStateStore
from lambdas.aws.tokens import DynamoTokens
from lambdas.core.errors import AwsRefused, Throttled, Unanswered, Unavailable
from lambdas.core.executions import ExecutionExists, Started
from lambdas.core.hints import Cause, Hint
from lambdas.core.invocation import (
    ANSWER_HEADERS,
    REQUEST_HEADERS,
    CallTooLarge,
    FunctionFailed,
    InvalidInvocation,
    Invocation,
    ModelAnswer,
    ModelFailed,
    ModelNotReady,
    ModelTimedOut,
    NotServed,
    TooManyInvocations,
)
from lambdas.core.rollout import Variant
from lambdas.core.state import Observed, Status
from tests.contract.simulated import SESSION

MACHINE = "arn:aws:states:eu-west-1:123456789012:stateMachine:calls"
ENDPOINT = "arn:aws:sagemaker:eu-west-1:123456789012:endpoint/falcon"
EXECUTION = "arn:aws:states:eu-west-1:123456789012:execution:calls:ann-1"
BEGUN = datetime(2026, 3, 2, 9, tzinfo=UTC)
EVENT = {"path": "/größe", "body": "1"}
SERVED = {"statusCode": 200, "body": "1"}


def a_client(service: str) -> Any:
    make: Any = SESSION.client  # its types want a literal name
    return make(service)


def streamed(content: bytes) -> StreamingBody:
    return StreamingBody(io.BytesIO(content), len(content))


# --- Step Functions ---------------------------------------------------------------------------


def test_execution_is_started_with_its_name_and_input() -> None:
    client = a_client("stepfunctions")
    with Stubber(client) as stub:
        stub.add_response(
            "start_execution",
            {"executionArn": EXECUTION, "startDate": BEGUN},
            {"stateMachineArn": MACHINE, "name": "ann-1", "input": '{"a": 1}'},
        )
        started = StepFunctionsExecutions(client, MACHINE).start("ann-1", '{"a": 1}')
    assert started == Started(EXECUTION, BEGUN)


def test_name_that_was_used_with_another_input_has_an_error_of_its_own() -> None:
    client = a_client("stepfunctions")
    with Stubber(client) as stub:
        stub.add_client_error("start_execution", "ExecutionAlreadyExists")
        stub.add_client_error("start_execution", "StateMachineDoesNotExist")
        executions = StepFunctionsExecutions(client, MACHINE)
        with pytest.raises(ExecutionExists):
            executions.start("ann-1", "{}")
        with pytest.raises(AwsRefused, match="StateMachineDoesNotExist"):
            executions.start("ann-1", "{}")


def test_execution_is_described_with_dates_in_epoch_seconds() -> None:
    client = a_client("stepfunctions")
    described = {
        "executionArn": EXECUTION,
        "stateMachineArn": MACHINE,
        "name": "ann-1",
        "status": "SUCCEEDED",
        "startDate": BEGUN,
        "stopDate": BEGUN + timedelta(seconds=2),
        "output": "{}",
        "ResponseMetadata": {"HTTPStatusCode": 200},
    }
    with Stubber(client) as stub:
        stub.add_response("describe_execution", described, {"executionArn": EXECUTION})
        seen = StepFunctionsExecutions(client, MACHINE).describe(EXECUTION)
    assert seen == {
        "executionArn": EXECUTION,
        "stateMachineArn": MACHINE,
        "name": "ann-1",
        "status": "SUCCEEDED",
        "startDate": BEGUN.timestamp(),
        "stopDate": BEGUN.timestamp() + 2,
        "output": "{}",
    }


def test_execution_that_does_not_exist_is_none_and_other_refusals_are_raised() -> None:
    client = a_client("stepfunctions")
    with Stubber(client) as stub:
        stub.add_client_error("describe_execution", "ExecutionDoesNotExist")
        stub.add_client_error("describe_execution", "InvalidArn")
        stub.add_client_error("describe_execution", "KmsAccessDeniedException")
        executions = StepFunctionsExecutions(client, MACHINE)
        assert executions.describe(EXECUTION) is None
        assert executions.describe("no arn") is None
        with pytest.raises(AwsRefused, match="KmsAccessDeniedException"):
            executions.describe(EXECUTION)


# --- functions --------------------------------------------------------------------------------


def test_function_of_a_model_gets_the_event_as_compact_utf8_and_its_reply_is_returned() -> None:
    client = a_client("lambda")
    payload = '{"path":"/größe","body":"1"}'.encode()
    with Stubber(client) as stub:
        stub.add_response(
            "invoke",
            {"StatusCode": 200, "Payload": streamed(json.dumps(SERVED).encode())},
            {"FunctionName": "falcon:live", "Payload": payload},
        )
        assert ModelFunctions({28: client}).call("falcon:live", EVENT, 28) == SERVED


@pytest.mark.parametrize(
    "reply",
    [
        SERVED,
        {"statusCode": 200},
        {"statusCode": 200, "body": None, "headers": None, "multiValueHeaders": None},
        {"statusCode": 200, "body": "1", "headers": {"a": "b"}, "multiValueHeaders": {"a": ["b"]}},
    ],
)
def test_each_reply_that_api_gateway_takes_is_returned(reply: Any) -> None:
    client = a_client("lambda")
    with Stubber(client) as stub:
        stub.add_response("invoke", {"Payload": streamed(json.dumps(reply).encode())})
        assert ModelFunctions({28: client}).call("falcon", EVENT, 28) == reply


@pytest.mark.parametrize(
    "reply",
    [
        None,
        "text",
        [SERVED],
        {"body": "1"},
        {"statusCode": 200, "headers": "none"},
        {"statusCode": 200, "multiValueHeaders": ["none"]},
        {"statusCode": 200, "body": {"a": 1}},
    ],
)
def test_reply_that_api_gateway_does_not_take_is_a_failure_of_the_function(reply: Any) -> None:
    client = a_client("lambda")
    with Stubber(client) as stub:
        stub.add_response("invoke", {"Payload": streamed(json.dumps(reply).encode())})
        with pytest.raises(FunctionFailed):
            ModelFunctions({28: client}).call("falcon", EVENT, 28)


@pytest.mark.parametrize("reply", [b"", b"no JSON", b"[" * 200_000])
def test_reply_that_cannot_be_read_is_a_failure_of_the_function(reply: bytes) -> None:
    client = a_client("lambda")
    with Stubber(client) as stub:
        stub.add_response("invoke", {"Payload": streamed(reply)})
        with pytest.raises(FunctionFailed):
            ModelFunctions({28: client}).call("falcon", EVENT, 28)


def test_error_that_a_function_raised_is_a_failure_even_if_its_payload_looks_like_a_reply() -> None:
    client = a_client("lambda")
    with Stubber(client) as stub:
        raised = {"FunctionError": "Unhandled", "Payload": streamed(json.dumps(SERVED).encode())}
        stub.add_response("invoke", raised)
        with pytest.raises(FunctionFailed):
            ModelFunctions({28: client}).call("falcon", EVENT, 28)


def times_out(client: Any) -> None:
    """Let every call of the client end without an answer."""

    def time_out(**_: Any) -> None:
        raise ReadTimeoutError(endpoint_url="https://aws")

    client.meta.events.register("before-call.*.*", time_out)


def test_event_that_is_too_large_for_lambda_is_not_sent() -> None:
    client = a_client("lambda")
    room = MAX_PAYLOAD_BYTES - len('{"body":""}')
    with Stubber(client) as stub:
        answer = {"Payload": streamed(json.dumps(SERVED).encode())}
        stub.add_response("invoke", answer)
        assert ModelFunctions({28: client}).call("falcon", {"body": "x" * room}, 28) == SERVED
        with pytest.raises(CallTooLarge):
            ModelFunctions({28: client}).call("falcon", {"body": "x" * (room + 1)}, 28)


def test_function_that_does_not_answer_in_time_is_a_time_out_of_the_model() -> None:
    client = a_client("lambda")
    times_out(client)
    with pytest.raises(ModelTimedOut):
        ModelFunctions({28: client}).call("falcon", EVENT, 28)


@pytest.mark.parametrize(
    ("change", "release"), [(AdopterFunction.adopt, False), (AdopterFunction.release, True)]
)
def test_adopter_is_told_the_endpoint_and_what_to_do(
    change: Callable[[AdopterFunction, str], None], release: bool
) -> None:
    client = a_client("lambda")
    with Stubber(client) as stub:
        stub.add_response(
            "invoke",
            {"Payload": streamed(b"null")},
            {
                "FunctionName": "adopter",
                "Payload": json.dumps({"arn": "arn:of:it", "release": release}).encode(),
            },
        )
        change(AdopterFunction(client, "adopter"), "arn:of:it")
        stub.assert_no_pending_responses()


def test_adopter_that_failed_without_a_reason_is_a_refusal_that_names_the_endpoint() -> None:
    client = a_client("lambda")
    with Stubber(client) as stub:
        stub.add_response("invoke", {"FunctionError": "Unhandled", "Payload": streamed(b"{}")})
        with pytest.raises(AwsRefused) as refused:
            AdopterFunction(client, "adopter").adopt("arn:of:it")
    assert (refused.value.code, refused.value.message) == (
        "",
        "the tag of arn:of:it could not be changed",
    )


# --- queues -----------------------------------------------------------------------------------

WORK, STARTS = "https://sqs/work", "https://sqs/starts"


def entry(index: int, hint: Hint, delay: int) -> dict[str, Any]:
    return {"Id": str(index), "MessageBody": hint.to_body(), "DelaySeconds": delay}


def refused(*ids: str) -> dict[str, Any]:
    """The answer of SQS to a batch of which it does not take these messages."""
    failed = [{"Id": each, "Code": "InternalError", "SenderFault": False} for each in ids]
    return {"Successful": [], "Failed": failed}


def hints_on(client: Any) -> SqsHints:
    return SqsHints(client, STARTS, WORK, lambda: BEGUN)


def test_starts_have_a_queue_of_their_own_and_each_hint_its_exact_delay() -> None:
    client = a_client("sqs")
    stop = Hint("falcon", Cause.TICK, at=BEGUN + timedelta(seconds=7))
    start = Hint("flan", Cause.TICK, start=True)
    late = Hint("bert", Cause.RETRY, at=BEGUN + timedelta(hours=1))
    with Stubber(client) as stub:
        stop_and_late = [entry(0, stop, 7), entry(1, late, 900)]
        work = {"QueueUrl": WORK, "Entries": stop_and_late}
        stub.add_response("send_message_batch", refused(), work)
        starts = {"QueueUrl": STARTS, "Entries": [entry(0, start, 0)]}
        stub.add_response("send_message_batch", refused(), starts)
        hints_on(client).send(iter([stop, start, late]))
        stub.assert_no_pending_responses()


def test_more_hints_than_a_batch_holds_are_sent_in_several() -> None:
    client = a_client("sqs")
    hints = [Hint(f"e{number}", Cause.SWEEP) for number in range(21)]
    with Stubber(client) as stub:
        for batch in (hints[:10], hints[10:20], hints[20:]):
            entries = [entry(index, hint, 0) for index, hint in enumerate(batch)]
            work = {"QueueUrl": WORK, "Entries": entries}
            stub.add_response("send_message_batch", refused(), work)
        hints_on(client).send(hints)
        stub.assert_no_pending_responses()


def test_messages_that_sqs_did_not_take_are_sent_again() -> None:
    client = a_client("sqs")
    hints = [Hint("a", Cause.API), Hint("b", Cause.API)]
    with Stubber(client) as stub:
        both = {"QueueUrl": WORK, "Entries": [entry(0, hints[0], 0), entry(1, hints[1], 0)]}
        stub.add_response("send_message_batch", refused("1"), both)
        again = {"QueueUrl": WORK, "Entries": [entry(1, hints[1], 0)]}
        stub.add_response("send_message_batch", refused("1"), again)
        stub.add_response("send_message_batch", refused(), again)
        hints_on(client).send(hints)
        stub.assert_no_pending_responses()


def test_messages_that_sqs_refuses_three_times_are_told() -> None:
    client = a_client("sqs")
    with Stubber(client) as stub:
        for _ in range(3):
            sent = {"QueueUrl": WORK, "Entries": ANY}
            stub.add_response("send_message_batch", refused("0"), sent)
        with pytest.raises(AwsRefused) as told:
            hints_on(client).send([Hint("a", Cause.API)])
        stub.assert_no_pending_responses()
    assert told.value.code == "BatchEntriesFailed"
    assert told.value.message == f"1 hints were not taken by {WORK}"


# --- DynamoDB ---------------------------------------------------------------------------------


def test_token_that_a_busy_table_did_not_look_up_is_no_unknown_token() -> None:
    client = a_client("dynamodb")
    with Stubber(client) as stub:
        left = {"auth": {"Keys": [{"token": {"S": "x"}}]}}
        stub.add_response("batch_get_item", {"Responses": {}, "UnprocessedKeys": left})
        with pytest.raises(Throttled) as refused:
            DynamoTokens(client, "auth").holder("a-secret", BEGUN)
    assert (refused.value.code, refused.value.message) == (
        "UnprocessedKeys",
        "the auth table is busy",
    )


def test_id_of_the_state_table_is_asked_for_once_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter([1000.0, 1059.9, 1060.0, 1060.0])
    monkeypatch.setattr("lambdas.aws.state_store.time.monotonic", lambda: next(seconds))
    client = a_client("dynamodb")
    store = DynamoStateStore(client, client, "state")
    with Stubber(client) as stub:
        for table_id in ("one", "two"):
            stub.add_response("describe_table", {"Table": {"TableId": table_id}})
        assert [store.table_id() for _ in range(3)] == ["one", "one", "two"]


# --- SageMaker --------------------------------------------------------------------------------


def test_endpoint_is_described_with_all_that_the_meter_decides_by() -> None:
    client = a_client("sagemaker")
    at = BEGUN + timedelta(microseconds=123_999)
    described = {
        "EndpointName": "falcon",
        "EndpointArn": ENDPOINT,
        "EndpointConfigName": "falcon-1",
        "EndpointStatus": "Failed",
        "FailureReason": "no room",
        "CreationTime": at,
        "LastModifiedTime": at + timedelta(hours=1),
        "ProductionVariants": [
            {"VariantName": "a", "DesiredInstanceCount": 2, "DesiredWeight": 0.5},
            {"VariantName": "b"},
        ],
        "LastDeploymentConfig": {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "a"}]}},
    }
    with Stubber(client) as stub:
        stub.add_response("describe_endpoint", described, {"EndpointName": "falcon"})
        seen = SageMakerEndpoints(client, client, "demo").describe("falcon")
    milliseconds = timedelta(milliseconds=123)
    assert seen == Observed(
        Status.FAILED,
        "falcon-1",
        "no room",
        BEGUN + milliseconds,
        BEGUN + milliseconds + timedelta(hours=1),
        ENDPOINT,
        variants=(Variant("a", 2, 0.5), Variant("b", None, None)),
        last_deployment={"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "a"}]}},
    )


def test_config_that_cannot_be_described_is_not_taken_for_a_missing_one() -> None:
    client = a_client("sagemaker")
    missing = 'Could not find endpoint configuration "arn:x".'
    with Stubber(client) as stub:
        stub.add_client_error("describe_endpoint_config", "ValidationException", missing)
        stub.add_client_error("describe_endpoint_config", "AccessDeniedException", "no")
        endpoints = SageMakerEndpoints(client, client, "demo")
        assert endpoints.config_variants("falcon-1") is None
        with pytest.raises(AwsRefused, match="AccessDenied"):
            endpoints.config_variants("falcon-1")


# --- notices ----------------------------------------------------------------------------------


def test_notice_is_published_with_a_subject_that_sns_takes() -> None:
    client = a_client("sns")
    with Stubber(client) as stub:
        sent = {"TopicArn": "arn:topic", "Subject": "s" * 100, "Message": "why"}
        stub.add_response("publish", {"MessageId": "1"}, sent)
        SnsNotices(client, "arn:topic").tell("s" * 101, "why")
        stub.assert_no_pending_responses()


def test_notice_that_nobody_can_be_told_fails_nothing() -> None:
    client = a_client("sns")
    with Stubber(client) as stub:
        stub.add_client_error("publish", "NotFound")
        SnsNotices(client, "arn:topic").tell("subject", "why")


# --- results ----------------------------------------------------------------------------------


def test_long_answer_is_kept_under_the_name_of_its_execution() -> None:
    client = a_client("s3")
    with Stubber(client) as stub:
        stub.add_response(
            "put_object",
            {},
            {
                "Bucket": "bucket",
                "Key": "results/ann-1",
                "Body": b"answer",
                "ContentType": "text/plain",
            },
        )
        S3Results(client, "bucket").keep("ann-1", b"answer", "text/plain")
        stub.assert_no_pending_responses()


def test_link_to_a_kept_answer_works_for_a_quarter_of_an_hour() -> None:
    link = urllib.parse.urlsplit(S3Results(a_client("s3"), "bucket").link("ann-1"))
    query = urllib.parse.parse_qs(link.query)

    assert link.path.endswith("/results/ann-1")
    assert "bucket" in link.netloc + link.path
    lifetime = query.get("X-Amz-Expires") or [
        str(int(query["Expires"][0]) - int(datetime.now(UTC).timestamp()))
    ]
    assert 890 <= int(lifetime[0]) <= 900


# --- the runtime ------------------------------------------------------------------------------


def test_request_reaches_the_model_with_its_headers_and_the_answer_comes_back() -> None:
    client = a_client("sagemaker-runtime")
    answer = {
        "Body": streamed(b"answer"),
        "ContentType": "text/plain",
        "CustomAttributes": "trace",
        "InvokedProductionVariant": "B",
        "NewSessionId": "s-2",
        "ClosedSessionId": "s-1",
    }
    with Stubber(client) as stub:
        stub.add_response(
            "invoke_endpoint",
            answer,
            {
                "EndpointName": "falcon",
                "Body": b"question",
                "ContentType": "application/json",
                "Accept": "text/*",
                "CustomAttributes": "trace",
                "TargetVariant": "B",
                "TargetModel": "m.tar.gz",
                "TargetContainerHostname": "second",
                "InferenceComponentName": "part",
                "InferenceId": "i-1",
                "EnableExplanations": "`true`",
                "SessionId": "NEW_SESSION",
            },
        )
        invocation = Invocation(
            b"question",
            "application/json",
            "text/*",
            "trace",
            "B",
            target_model="m.tar.gz",
            target_container_hostname="second",
            inference_component_name="part",
            inference_id="i-1",
            enable_explanations="`true`",
            session_id="NEW_SESSION",
        )
        got = SageMakerRuntime(client).invoke("falcon", invocation)
    assert got == ModelAnswer(b"answer", "text/plain", "trace", "B", "s-2", "s-1")


def test_all_headers_of_the_runtime_are_passed_on_but_one_that_is_too_new() -> None:
    operation = a_client("sagemaker-runtime").meta.service_model.operation_model("InvokeEndpoint")

    def headers(shape: Any) -> set[str]:
        locations = [member.serialization for member in shape.members.values()]
        return {each["name"] for each in locations if each.get("location") == "header"}

    asked, answered = headers(operation.input_shape), headers(operation.output_shape)
    assert asked - set(REQUEST_HEADERS.values()) == {"X-Amzn-SageMaker-Prefix-Aware-Id"}
    assert set(REQUEST_HEADERS.values()) <= asked
    assert set(ANSWER_HEADERS.values()) == answered


def test_headers_that_are_not_there_are_left_out_and_an_answer_without_a_type_is_bytes() -> None:
    client = a_client("sagemaker-runtime")
    with Stubber(client) as stub:
        sent = {"EndpointName": "falcon", "Body": b"question"}
        stub.add_response("invoke_endpoint", {"Body": streamed(b"answer")}, sent)
        got = SageMakerRuntime(client).invoke("falcon", Invocation(b"question"))
    assert got == ModelAnswer(b"answer", "application/octet-stream")


@pytest.mark.parametrize(
    ("code", "message", "failure"),
    [
        ("ModelNotReadyException", "", ModelNotReady),
        ("ServiceUnavailable", "", ModelNotReady),
        ("AccessDeniedException", "", NotServed),
        ("ValidationError", "Endpoint falcon of account 1 not found.", NotServed),
        ("ValidationError", "Variant B not found.", InvalidInvocation),
        ("ValidationError", "Endpoint falcon serves no variant B", InvalidInvocation),
        ("ThrottlingException", "", TooManyInvocations),
        ("InternalFailure", "", Unavailable),
        ("InternalServerError", "", Unanswered),
    ],
)
def test_refusal_of_the_runtime_says_why_the_model_was_not_called(
    code: str, message: str, failure: type[Exception]
) -> None:
    client = a_client("sagemaker-runtime")
    with Stubber(client) as stub:
        stub.add_client_error("invoke_endpoint", code, message)
        with pytest.raises(failure) as raised:
            SageMakerRuntime(client).invoke("falcon", Invocation(b"question"))
    assert type(raised.value) is failure


def test_error_of_a_model_has_its_status_and_message() -> None:
    client = a_client("sagemaker-runtime")
    with Stubber(client) as stub:
        told = {"OriginalStatusCode": 507, "OriginalMessage": "no memory"}
        stub.add_client_error("invoke_endpoint", "ModelError", modeled_fields=told)
        stub.add_client_error("invoke_endpoint", "ModelError")
        runtime = SageMakerRuntime(client)
        with pytest.raises(ModelFailed, match="failed with status 507: no memory"):
            runtime.invoke("falcon", Invocation(b"question"))
        with pytest.raises(ModelFailed, match="failed with status 0: its container's log"):
            runtime.invoke("falcon", Invocation(b"question"))


def test_model_that_does_not_answer_in_time_is_told_apart_from_a_broken_call() -> None:
    client = a_client("sagemaker-runtime")
    times_out(client)
    with pytest.raises(ModelTimedOut):
        SageMakerRuntime(client).invoke("falcon", Invocation(b"question"))
