"""Alarms go off when what they watch breaks.

The emulator evaluates an alarm when data are put, and does not read metrics from logs. So these
tests break something, read the metrics that the functions log, and put them with PutMetricData, as
CloudWatch does with the embedded metric format. Alarms of the emulator ignore dimensions;
`watches` compares them.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest

from tests.e2e.calls import FLAN, renew
from tests.e2e.checkout import Checkout, until
from tests.topics import subscribed_queue

NAMESPACE = "EndpointMeter"
STRANGER, ORPHAN = "somebodys-experiment", "left-over"


@pytest.fixture(scope="module")
def watchful(checkout: Checkout) -> Iterator[Checkout]:
    """The stack, with the policy to report unmanaged endpoints."""
    config = {**checkout.config(), "unmanaged_endpoints": "report"}
    checkout.up(CONFIG=checkout.write_config(config))
    yield checkout
    checkout.clear_faults()
    checkout.up()


@pytest.fixture
def hand_made(watchful: Checkout) -> Iterator[Callable[..., None]]:
    """Creates endpoints directly in SageMaker; they are deleted afterwards."""
    made: list[str] = []
    sagemaker = watchful.client("sagemaker")

    def make(name: str, tags: Mapping[str, str]) -> None:
        (config, *_) = sagemaker.list_endpoint_configs()["EndpointConfigs"]
        sagemaker.create_endpoint(
            EndpointName=name,
            EndpointConfigName=config["EndpointConfigName"],
            Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
        )
        made.append(name)
        until(lambda: watchful.status(name) == "InService", 60)

    yield make
    for name in made:
        if watchful.status(name) != "Absent":
            sagemaker.delete_endpoint(EndpointName=name)
        until(lambda name=name: watchful.status(name) == "Absent", 60)  # type: ignore[misc]


def test_lambda_lets_the_reconciler_feed_itself(watchful: Checkout) -> None:
    setting = watchful.client("lambda").get_function_recursion_config(
        FunctionName="demo-reconciler"
    )
    assert setting["RecursiveLoop"] == "Allow"


def invoke(checkout: Checkout, action: str) -> tuple[Mapping[str, Any], str]:
    """The answer of the sweep, and the tail of its log."""
    answer = checkout.client("lambda").invoke(
        FunctionName="demo-sweep", LogType="Tail", Payload=json.dumps({"action": action})
    )
    document: Mapping[str, Any] = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, document
    return document, base64.b64decode(answer["LogResult"]).decode()


def metrics_in(log: str) -> Iterator[Mapping[str, Any]]:
    """The metrics logged in the embedded metric format, as data for PutMetricData."""
    for line in log.splitlines():
        if not line.startswith('{"_aws"'):
            continue
        document = json.loads(line)
        (directive,) = document["_aws"]["CloudWatchMetrics"]
        assert directive["Namespace"] == NAMESPACE
        (dimensions,) = directive["Dimensions"]
        for metric in directive["Metrics"]:
            (value,) = document[metric["Name"]]
            yield {
                "MetricName": metric["Name"],
                "Dimensions": [{"Name": d, "Value": document[d]} for d in dimensions],
                "Value": value,
                "Unit": metric["Unit"],
            }


def reconciled(checkout: Checkout, metric: str, since: float) -> Mapping[str, Any] | None:
    """A datum of `metric` that the reconciler logged after `since`."""
    pages = (
        checkout.client("logs")
        .get_paginator("filter_log_events")
        .paginate(logGroupName="/aws/lambda/demo-reconciler", startTime=int(since * 1000))
    )
    log = "\n".join(event["message"] for page in pages for event in page["events"])
    return next((datum for datum in metrics_in(log) if datum["MetricName"] == metric), None)


def publish(checkout: Checkout, data: Sequence[Mapping[str, Any]]) -> None:
    checkout.client("cloudwatch").put_metric_data(Namespace=NAMESPACE, MetricData=data)


def alarm(checkout: Checkout, name: str) -> Mapping[str, Any]:
    cloudwatch = checkout.client("cloudwatch")
    (found,) = cloudwatch.describe_alarms(AlarmNames=[f"demo-{name}"])["MetricAlarms"]
    description: Mapping[str, Any] = found
    return description


def state(checkout: Checkout, name: str) -> str:
    word: str = alarm(checkout, name)["StateValue"]
    return word


def swept(checkout: Checkout, metric: str) -> Mapping[str, Any]:
    """Sweep, and return the datum of `metric` that it logged.

    The emulator reads the log beside the answer: a line may arrive with the next invocation.
    """

    def printed() -> Sequence[Mapping[str, Any]]:
        _, log = invoke(checkout, "sweep")
        return [datum for datum in metrics_in(log) if datum["MetricName"] == metric]

    return until(printed)[-1]


def watches(checkout: Checkout, name: str, datum: Mapping[str, Any]) -> bool:
    """Whether the alarm watches exactly this metric, with its dimensions."""
    described = alarm(checkout, name)
    return (described["MetricName"], described["Dimensions"], described["Namespace"]) == (
        datum["MetricName"],
        datum["Dimensions"],
        NAMESPACE,
    )


def test_an_endpoint_with_our_tag_that_nobody_declared_is_an_alarm(
    watchful: Checkout, hand_made: Callable[..., None]
) -> None:
    calm = swept(watchful, "Orphans")
    publish(watchful, [calm])
    assert (calm["Value"], state(watchful, "orphans")) == (0, "OK")
    hand_made(ORPHAN, {"endpoint-meter:stack": "demo-us-east-1"})
    found = swept(watchful, "Orphans")
    publish(watchful, [found])
    assert found["Value"] == 1
    assert watches(watchful, "orphans", found)
    assert state(watchful, "orphans") == "ALARM"


def test_an_unmanaged_endpoint_is_an_alarm_if_the_policy_reports_it(
    watchful: Checkout, hand_made: Callable[..., None]
) -> None:
    publish(watchful, [swept(watchful, "Unmanaged")])
    assert state(watchful, "unmanaged") == "OK"
    hand_made(STRANGER, {"team": "research"})
    found = swept(watchful, "Unmanaged")
    publish(watchful, [found])
    assert watches(watchful, "unmanaged", found)
    assert (found["Value"], state(watchful, "unmanaged")) == (1, "ALARM")
    assert watchful.status(STRANGER) == "InService", "reported, and left alone"


def test_a_restored_state_table_is_an_alarm_until_somebody_accepts_it(watchful: Checkout) -> None:
    publish(watchful, [swept(watchful, "RestoredTable")])
    assert state(watchful, "restored-table") == "OK"
    dynamodb = watchful.client("dynamodb")
    (control,) = [
        item
        for page in dynamodb.get_paginator("scan").paginate(TableName="demo-state")
        for item in page["Items"]
        if "table_id" in item
    ]
    dynamodb.update_item(
        TableName="demo-state",
        Key={"pk": control["pk"], "sk": control["sk"]},
        UpdateExpression="SET table_id = :other",
        ExpressionAttributeValues={":other": {"S": "the table that was backed up"}},
    )
    found = swept(watchful, "RestoredTable")
    publish(watchful, [found])
    assert watches(watchful, "restored-table", found)
    assert (found["Value"], state(watchful, "restored-table")) == (1, "ALARM")
    assert invoke(watchful, "accept_restored_table")[0] == {"accepted": True}
    assert swept(watchful, "RestoredTable")["Value"] == 0


def test_an_endpoint_that_the_reconciler_gave_up_is_an_alarm(
    watchful: Checkout, hand_made: Callable[..., None]
) -> None:
    """Somebody made an endpoint by hand under a declared name: the reconciler must not touch it."""
    began = time.time()
    hand_made(FLAN, {"team": "research"})
    renew(watchful, FLAN, 5)
    datum = until(lambda: reconciled(watchful, "GaveUp", began), 30)
    publish(watchful, [datum])
    assert watches(watchful, "gave-up", datum)
    assert state(watchful, "gave-up") == "ALARM"
    with watchful.api() as api:
        api.delete("/endpoint-expiry", params={"EndpointName": FLAN}).raise_for_status()


def test_steps_that_fail_are_an_alarm(watchful: Checkout) -> None:
    began = time.time()
    watchful.fault("CreateEndpoint", "Failed", endpoint=FLAN, count=2)
    renew(watchful, FLAN, 5)
    datum = until(lambda: reconciled(watchful, "Failures", began), 60)
    publish(watchful, [datum])
    assert watches(watchful, "failures", datum)
    assert state(watchful, "failures") == "ALARM"
    watchful.clear_faults()
    with watchful.api() as api:
        api.delete("/endpoint-expiry", params={"EndpointName": FLAN}).raise_for_status()


def test_an_endpoint_late_for_too_long_is_an_alarm(watchful: Checkout) -> None:
    """Instead of waiting half an hour, the test changes the value of a datum of the sweep."""
    calm = swept(watchful, "Late")
    publish(watchful, [calm])
    assert (calm["Value"], state(watchful, "late")) == (0, "OK")
    assert watches(watchful, "late", calm)
    publish(watchful, [{**calm, "Value": 1}])
    assert state(watchful, "late") == "ALARM"


def test_a_hint_that_cannot_be_handled_is_an_alarm(watchful: Checkout) -> None:
    """SQS counts the dead letters; here the test passes the count to CloudWatch."""
    sqs, cloudwatch = watchful.client("sqs"), watchful.client("cloudwatch")
    for queue in ("starts", "work"):
        url = sqs.get_queue_url(QueueName=f"demo-{queue}-dead")["QueueUrl"]
        described = alarm(watchful, f"{queue}-dead")
        datum = {
            "MetricName": described["MetricName"],
            "Dimensions": [{"Name": "QueueName", "Value": url.rpartition("/")[2]}],
        }
        assert described["Dimensions"] == datum["Dimensions"]

        def visible(url: str = url) -> int:
            name = "ApproximateNumberOfMessages"
            found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[name])
            return int(found["Attributes"][name])

        cloudwatch.set_alarm_state(
            AlarmName=described["AlarmName"], StateValue="OK", StateReason="a new test"
        )
        sqs.send_message(QueueUrl=url, MessageBody='{"endpoint": "falcon", "cause": "tick"}')
        until(lambda visible=visible: visible() == 1, 10)  # type: ignore[misc]
        cloudwatch.put_metric_data(
            Namespace=described["Namespace"], MetricData=[{**datum, "Value": visible()}]
        )
        assert state(watchful, f"{queue}-dead") == "ALARM"
        sqs.purge_queue(QueueUrl=url)


def test_a_function_of_the_meter_that_lambda_refuses_to_start_is_an_alarm(
    watchful: Checkout,
) -> None:
    """Lambda counts what it refuses; here the test passes the count to CloudWatch."""
    functions, cloudwatch = watchful.client("lambda"), watchful.client("cloudwatch")
    name = "demo-adopter"
    dimensions = [{"Name": "FunctionName", "Value": name}]

    def count(throttles: int) -> None:
        datum = {"MetricName": "Throttles", "Dimensions": dimensions, "Value": throttles}
        cloudwatch.put_metric_data(Namespace="AWS/Lambda", MetricData=[datum])

    described = alarm(watchful, "adopter-throttles")
    assert (described["Namespace"], described["MetricName"]) == ("AWS/Lambda", "Throttles")
    assert described["Dimensions"] == dimensions
    count(0)
    assert state(watchful, "adopter-throttles") == "OK"
    functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    try:
        with pytest.raises(functions.exceptions.TooManyRequestsException):
            functions.invoke(FunctionName=name)
    finally:
        functions.delete_function_concurrency(FunctionName=name)
    count(1)
    assert state(watchful, "adopter-throttles") == "ALARM"


def test_the_heartbeat_comes_from_the_reconciler_and_its_absence_is_breaching(
    watchful: Checkout,
) -> None:
    began = time.time() - 60
    datum = until(lambda: reconciled(watchful, "Heartbeat", began), 90, every=1)
    assert watches(watchful, "no-heartbeat", datum)
    publish(watchful, [datum])
    assert state(watchful, "no-heartbeat") == "OK"
    publish(watchful, [swept(watchful, "Endpoints")])
    assert state(watchful, "no-sweep") == "OK"
    for name in ("no-heartbeat", "no-sweep"):
        assert alarm(watchful, name)["TreatMissingData"] == "breaching"


def test_an_alarm_notifies_its_topic(watchful: Checkout) -> None:
    sns, sqs = watchful.client("sns"), watchful.client("sqs")
    topics = [topic["TopicArn"] for topic in sns.list_topics()["Topics"]]
    (topic,) = [each for each in topics if each.endswith(":demo-alarms")]
    url = subscribed_queue(sns, sqs, topic, "listener")
    watchful.client("cloudwatch").set_alarm_state(
        AlarmName="demo-late", StateValue="OK", StateReason="a new test"
    )
    publish(watchful, [{**swept(watchful, "Late"), "Value": 1}])

    def find_alarm_message() -> str | None:
        bodies = [m["Body"] for m in sqs.receive_message(QueueUrl=url).get("Messages", [])]
        return next((body for body in bodies if "demo-late" in body), None)

    assert "ALARM" in until(find_alarm_message, 15)
    sqs.delete_queue(QueueUrl=url)


def test_the_dashboard_is_deployed_and_named_by_the_output(watchful: Checkout) -> None:
    name = json.loads(watchful.terraform("output", "-json").stdout)["dashboard_name"]["value"]
    found = watchful.client("cloudwatch").get_dashboard(DashboardName=name)
    widgets = json.loads(found["DashboardBody"])["widgets"]
    assert any(widget["type"] == "alarm" for widget in widgets)
