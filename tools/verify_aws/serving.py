"""What comes of an endpoint that serves: events, and answers through other services."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any

from constructs_lib.model_call import model_call
from constructs_lib.policy import Statement, service_may
from lambdas.core.executions import output_of
from lambdas.core.invocation import ModelAnswer
from tools.verify_aws import kinds
from tools.verify_aws.answers import Answer, compared
from tools.verify_aws.bench import Bench
from tools.verify_aws.model import Echo

_EVENT_SECONDS = 120.0
_EXECUTION_SECONDS = 120.0
_JSON = "application/json"
_TAG = {"Key": "endpoint-meter-verify", "Value": "yes"}
_DETAIL = (
    *("CreationTime", "EndpointArn", "EndpointConfigName", "EndpointName", "EndpointStatus"),
    *("LastModifiedTime", "ProductionVariants", "Tags"),
)


def event_of_a_creation(bench: Bench) -> Answer:
    """The rule is that of the stack. The event of the beginning may come before it is in force;
    that of the end does not."""
    aws, rule = bench.aws, f"{bench.name}-events"
    source: Mapping[str, Any] = {"ArnEquals": {"aws:SourceArn": aws.arn("events", f"rule/{rule}")}}
    queue_arn = aws.arn("sqs", rule)
    queue = bench.queue(
        "events", service_may("events.amazonaws.com", "sqs:SendMessage", queue_arn, source)
    )
    events, sqs = aws.client("events"), aws.client("sqs")
    pattern = {"source": ["aws.sagemaker"], "detail-type": ["SageMaker Endpoint State Change"]}

    def create(name: str) -> None:
        events.put_rule(Name=name, EventPattern=json.dumps(pattern))
        events.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": queue_arn}])

    bench.make(kinds.RULE, "events", create)
    endpoint = Echo(bench).serving(_TAG)
    received: list[dict[str, Any]] = []

    def in_service() -> dict[str, Any] | None:
        batch = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=1)
        for message in batch.get("Messages", ()):
            event = json.loads(message["Body"])
            if str(event["detail"].get("EndpointName", "")).lower() == endpoint.lower():
                received.append(event)
        return next((e for e in received if e["detail"]["EndpointStatus"] == "IN_SERVICE"), None)

    event = aws.until("the event of the endpoint's creation", in_service, _EVENT_SECONDS)
    detail = event["detail"]
    return compared(
        {"name": endpoint, "missing": []},
        {
            "name": detail["EndpointName"],
            "missing": [field for field in _DETAIL if field not in detail],
            "statuses": [each["detail"]["EndpointStatus"] for each in received],
            "event": event,
        },
    )


def body_through_step_functions(bench: Bench) -> Answer:
    """The state is that of the stack."""
    aws, endpoint = bench.aws, Echo(bench).serving(_TAG)
    arns = tuple(aws.arn("sagemaker", f"endpoint/{n}") for n in (endpoint, endpoint.lower()))
    role = bench.role(
        "machine", "states.amazonaws.com", [Statement(("sagemaker:InvokeEndpoint",), arns)]
    )
    steps = aws.client("stepfunctions")
    definition = {"StartAt": "Call", "States": {"Call": model_call(aws.partition)}}
    machine = bench.make(
        kinds.MACHINE,
        "machine",
        lambda name: steps.create_state_machine(
            name=name, definition=json.dumps(definition), roleArn=role
        )["stateMachineArn"],
    )
    body = {"text": 'a "quoted" ü', "numbers": [1, 2.5, None], "yes": True}

    def executed() -> Mapping[str, Any]:
        execution = steps.start_execution(
            stateMachineArn=machine,
            name=str(uuid.uuid4()),
            input=json.dumps({"endpointname": endpoint, "body": body}),
        )["executionArn"]

        def ended() -> Mapping[str, Any] | None:
            found: Mapping[str, Any] = steps.describe_execution(executionArn=execution)
            return None if found["status"] == "RUNNING" else found

        return aws.until("the end of the execution", ended, _EXECUTION_SECONDS)

    found = aws.latest(executed, lambda seen: "is not authorized" not in seen.get("cause", ""))
    if found["status"] != "SUCCEEDED":
        return compared(
            {"status": "SUCCEEDED"},
            {name: found.get(name) for name in ("status", "error", "cause")},
        )
    output = json.loads(found["output"])
    ours = output_of(ModelAnswer(json.dumps(body).encode(), _JSON, variant="All")) or {}
    told = output.pop("Body")
    text = told if isinstance(told, str) else ""
    return compared(
        {"body": body, "fields": sorted(ours)},
        {
            "body": json.loads(text) if text else told,
            "text": told,
            "fields": sorted([*output, "Body"]),
            "output": output,
        },
    )
