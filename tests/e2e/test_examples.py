"""All of configs/examples in one stack: deployed, renewed, and answering."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import boto3
import httpx
import pytest

from tests.e2e.checkout import Checkout, until
from tests.topics import subscribed_queue

PROMPT = {"inputs": "Write a program to compute factorial in python:"}


@pytest.fixture(scope="module")
def combined(checkout: Checkout) -> Iterator[Checkout]:
    """The stack of all examples; each endpoint is renewed and in service."""
    checkout.clear_faults()
    checkout.up(CONFIG=str(checkout.folder / "configs/examples/combined.json"))
    with checkout.api() as api:
        names = [each["EndpointName"] for each in listed(api)]
        for name in names:
            renewal = {"EndpointName": name, "minutes": 30}
            api.post("/endpoint-expiry", json=renewal).raise_for_status()
        until(lambda: {each["Status"] for each in listed(api)} == {"InService"}, 120, every=0.5)
        yield checkout
        for name in names:
            api.delete("/endpoint-expiry", params={"EndpointName": name}).raise_for_status()
        until(lambda: {each["Status"] for each in listed(api)} == {"Absent"}, 120, every=0.5)
    checkout.up()


def listed(api: httpx.Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = api.get("/endpoint-expiry").raise_for_status().json()
    return found


def runtime(checkout: Checkout) -> Any:
    return boto3.client(
        "sagemaker-runtime",
        endpoint_url=checkout.stack["sagemaker_endpoint_url"],
        region_name=checkout.stack["region"],
        aws_access_key_id=checkout.stack["aws_access_key_id"],
        aws_secret_access_key=checkout.stack["aws_secret_access_key"],
    )


def output(checkout: Checkout, name: str) -> str:
    shown = checkout.terraform("output", "-raw", name)
    assert shown.returncode == 0, shown.stderr
    return shown.stdout


def test_each_entry_has_an_endpoint_in_service(combined: Checkout) -> None:
    config = json.loads((combined.folder / "configs/examples/combined.json").read_text())
    with combined.api() as api:
        names = {each["EndpointName"] for each in listed(api)}
    assert names == {f"demo-{entry['name']}-Endpoint" for entry in config["jumpstart_models"]}
    assert len(names) >= 17


def test_the_next_plan_is_empty(combined: Checkout) -> None:
    planned = combined.terraform("plan", "-detailed-exitcode", "-no-color")
    assert planned.returncode == 0, planned.stdout


def test_the_entry_that_scales_from_zero_has_an_alarm_that_starts_its_first_instance(
    combined: Checkout,
) -> None:
    cloudwatch = combined.client("cloudwatch")
    name = "BacklogWithoutCapacity-demo-FlanT5Async-Scaled-24-Endpoint"
    until(lambda: cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"], 60)
    (alarm,) = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    assert alarm["AlarmActions"][0].endswith(":policyName/HasBacklogWithoutCapacity")


def test_realtime_entries_answer_through_a_function_and_through_the_gateway(
    combined: Checkout,
) -> None:
    with combined.api() as api:
        falcon = api.post("/falcon-1", json=PROMPT)
        flan = api.post("/flan-2", json={"text_inputs": "write a story"})
    assert (falcon.status_code, falcon.json()) == (200, [{"generated_text": PROMPT["inputs"]}])
    assert (flan.status_code, flan.json()) == (200, {"text_inputs": "write a story"})


def test_each_variant_answers_its_share(combined: Checkout) -> None:
    client = runtime(combined)
    answered = Counter(
        client.invoke_endpoint(EndpointName="demo-Boston-13-Endpoint", Body=b"1,2")[
            "InvokedProductionVariant"
        ]
        for _ in range(200)
    )
    assert set(answered) == {"Linear-Model", "XGB-Model"}
    assert 120 <= answered["Linear-Model"] <= 190, "four of five"


def test_an_asynchronous_entry_writes_to_s3_and_notifies_its_topic(combined: Checkout) -> None:
    sns, sqs, s3 = (combined.client(service) for service in ("sns", "sqs", "s3"))
    topic = output(combined, "async_success_topic_arn")
    queue = subscribed_queue(sns, sqs, topic, "inferences")
    answer = runtime(combined).invoke_endpoint_async(
        EndpointName="demo-FlanT5Async-3-Endpoint",
        Body=json.dumps(PROMPT).encode(),
        ContentType="application/json",
    )
    bucket = output(combined, "async_bucket_name")
    location = answer["OutputLocation"]
    assert location.startswith(f"s3://{bucket}/FlanT5Async-3/output/")

    def find_notice() -> dict[str, Any] | None:
        messages = sqs.receive_message(QueueUrl=queue).get("Messages", [])
        notices = [json.loads(json.loads(message["Body"])["Message"]) for message in messages]
        return next((n for n in notices if n["inferenceId"] == answer["InferenceId"]), None)

    notice = until(find_notice, 20)
    assert notice["invocationStatus"] == "Completed"
    assert notice["responseParameters"]["outputLocation"] == location
    key = location.removeprefix(f"s3://{bucket}/")
    assert json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read()) == PROMPT
    sqs.delete_queue(QueueUrl=queue)
