"""What Lambda does with long invocations and with functions that feed themselves."""

from __future__ import annotations

import json
from collections.abc import Callable

from botocore.config import Config

from constructs_lib.policy import Statement
from tools.verify_aws.answers import Answer, compared
from tools.verify_aws.bench import Bench

HOPS = 24
"""More than the 16 or so after which Lambda ends a chain that it may end."""
_LOOP_SECONDS = 300.0
_IDLE = "def handler(event, context):\n    return {}\n"
_SLEEPER = """\
import time


def handler(event, context):
    time.sleep(event)
    return {"slept": event}
"""
_LOOP = """\
import os

import boto3


def handler(event, context):
    sqs = boto3.client("sqs")
    for record in event["Records"]:
        hop = int(record["body"]) + 1
        where = "ENDS" if hop >= int(os.environ["HOPS"]) else "LOOP"
        sqs.send_message(QueueUrl=os.environ[where], MessageBody=str(hop))
"""


def recursion_setting(bench: Bench) -> Answer:
    functions, name = bench.aws.client("lambda"), bench.function("idle", _IDLE)
    before = functions.get_function_recursion_config(FunctionName=name)["RecursiveLoop"]
    functions.put_function_recursion_config(FunctionName=name, RecursiveLoop="Allow")
    after = functions.get_function_recursion_config(FunctionName=name)["RecursiveLoop"]
    return compared({"before": "Terminate", "after": "Allow"}, {"before": before, "after": after})


def chain_that_is_allowed(bench: Bench) -> Answer:
    """A function that feeds its own queue comes further than Lambda's limit."""
    aws, sqs = bench.aws, bench.aws.client("sqs")
    loop, ends = bench.queue("loop"), bench.queue("ends")
    arns = {what: aws.arn("sqs", f"{bench.name}-{what}") for what in ("loop", "ends")}
    consume = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")
    function = bench.function(
        "loop",
        _LOOP,
        [
            Statement(("sqs:SendMessage",), tuple(arns.values())),
            Statement(consume, (arns["loop"],)),
        ],
        seconds=20,
        variables={"LOOP": loop, "ENDS": ends, "HOPS": str(HOPS)},
    )
    functions = aws.client("lambda")
    functions.put_function_recursion_config(FunctionName=function, RecursiveLoop="Allow")
    bench.settled(
        lambda: functions.create_event_source_mapping(
            EventSourceArn=arns["loop"], FunctionName=function, BatchSize=1
        )
    )
    sqs.send_message(QueueUrl=loop, MessageBody="0")

    def ended() -> int | None:
        batch = sqs.receive_message(QueueUrl=ends, WaitTimeSeconds=1).get("Messages", ())
        return int(batch[0]["Body"]) if batch else None

    hops = aws.until(f"the end of a chain of {HOPS} hops", ended, _LOOP_SECONDS)
    return compared({"hops": HOPS}, {"hops": hops})


def invocation_of(seconds: int) -> Callable[[Bench], Answer]:
    """A question: whether a synchronous invocation of so many seconds is answered."""

    def ask(bench: Bench) -> Answer:
        name = bench.function("sleeper", _SLEEPER, seconds=seconds + 30)
        waits = Config(
            read_timeout=seconds + 60, tcp_keepalive=True, retries={"total_max_attempts": 1}
        )
        answer = bench.aws.patient_client("lambda", waits).invoke(
            FunctionName=name, Payload=json.dumps(seconds).encode()
        )
        seen = {"status": answer["StatusCode"], "returned": json.loads(answer["Payload"].read())}
        return compared({"status": 200, "returned": {"slept": seconds}}, seen)

    return ask
