"""The functions as AWS calls them, on tables and queues in moto and a simulator over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from moto import mock_aws

from lambdas.aws import clients
from lambdas.aws.attribute_values import encode
from lambdas.aws.items import spec_values
from lambdas.aws.state_store import DynamoStateStore
from lambdas.core.deploys import DrainIncomplete
from lambdas.core.errors import AwsRefused, Throttled
from lambdas.core.hints import MAX_HOPS
from lambdas.core.settings import (
    AdopterSettings,
    ReconcilerSettings,
    SweepSettings,
    TickSettings,
)
from lambdas.core.state import Owner, Record, State
from lambdas.handlers import adopter, reconciler, sweep, tick, wiring
from tests.aws_tables import create_tables
from tests.contract.simulated import Simulated, simulated
from tests.fakes import a_spec


@dataclass
class Cloud:
    """The AWS account in which the functions run."""

    dynamodb: Any
    sqs: Any
    starts: str
    work: str
    sagemaker: Simulated

    def declare(self, name: str, **fields: Any) -> None:
        spec = a_spec(name, "falcon-1", **fields)
        keys = {"pk": f"ENDPOINT#{spec.key}", "sk": "SPEC#config"}
        self.dynamodb.put_item(TableName="state", Item=encode({**spec_values(spec), **keys}))

    def queued(self, url: str) -> list[dict[str, Any]]:
        """Take all messages, delayed ones too, in the form of events to the reconciler."""
        self.sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "0"})
        messages = []
        while got := self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            for message in got:
                self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                messages.append({"messageId": message["MessageId"], "body": message["Body"]})
        return messages

    def store(self) -> Any:
        return wiring.store("state", wiring.history("history", 90))


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    environment = {
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "POWERTOOLS_METRICS_NAMESPACE": "EndpointMeter",
        "POWERTOOLS_SERVICE_NAME": "demo",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with simulated() as served, mock_aws():
        served.has_config("falcon-1")
        dynamodb = boto3.client("dynamodb")
        create_tables(dynamodb, "state", "history", "auth")
        sqs = boto3.client("sqs")
        sns = boto3.client("sns")
        topic = sns.create_topic(Name="alarms")["TopicArn"]
        starts = sqs.create_queue(QueueName="starts")["QueueUrl"]
        work = sqs.create_queue(QueueName="work")["QueueUrl"]
        common = {"state_table": "state", "starts_queue_url": starts, "work_queue_url": work}
        history_and_tag = {"history_table": "history", "history_days": 90, "stack_tag": "demo"}
        for settings in (
            AdopterSettings("demo"),
            TickSettings(**common),
            ReconcilerSettings(
                **common,  # type: ignore[arg-type]
                **history_and_tag,  # type: ignore[arg-type]
                adopter_function="adopter",
                log_days=30,
            ),
            SweepSettings(
                **common,  # type: ignore[arg-type]
                **history_and_tag,  # type: ignore[arg-type]
                alarm_topic_arn=topic,
                drain_wait_seconds=0,
                unmanaged_endpoints="report",
                unmanaged_lease_minutes=60,
                late_minutes=30,
                adoptable="null",
                max_lease_minutes=43_200,
            ),
        ):
            for name, value in settings.to_environment().items():
                monkeypatch.setenv(name, value)
        monkeypatch.setattr(clients, "dynamodb", lambda: dynamodb)
        monkeypatch.setattr(clients, "dynamodb_once", lambda: dynamodb)
        monkeypatch.setattr(clients, "sqs", lambda: sqs)
        monkeypatch.setattr(clients, "sns", lambda: sns)
        monkeypatch.setattr(clients, "sagemaker", lambda: served.sagemaker)
        monkeypatch.setattr(clients, "sagemaker_once", lambda: served.sagemaker)
        caches = (
            adopter._endpoints,
            tick._ports,
            reconciler._settings,
            sweep._settings,
            sweep._sweep,
            sweep._deploys,
        )
        for cached in caches:
            cached.cache_clear()
        yield Cloud(dynamodb, sqs, starts, work, served)
        for cached in caches:
            cached.cache_clear()


def context() -> Any:
    return SimpleNamespace(
        aws_request_id="request-1",
        function_name="f",
        memory_limit_in_mb=128,
        invoked_function_arn="arn",
        get_remaining_time_in_millis=lambda: 30_000,
    )


def test_renewed_endpoint_goes_from_tick_through_queue_to_sagemaker(
    cloud: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    cloud.declare("falcon", initial_provision_minutes=30)
    sweep.handler({"action": "sync", "manifest": {"falcon": "falcon-1"}}, None)
    tick.handler({}, None)
    records = cloud.queued(cloud.starts) + cloud.queued(cloud.work)
    assert {json.loads(record["body"])["cause"] for record in records} >= {"sweep", "canary"}
    answer = reconciler.handler({"Records": records}, context())
    assert answer == {"batchItemFailures": []}
    heartbeat = next(
        json.loads(line) for line in capsys.readouterr().out.splitlines() if "Heartbeat" in line
    )
    assert (heartbeat["service"], heartbeat["Heartbeat"]) == ("demo", [1.0])
    assert cloud.sagemaker.status("falcon") == "Creating"
    state = cloud.store().load("falcon").state
    assert state.observed_status == "Creating"
    assert cloud.store().control().last_reconcile is not None


def test_one_failing_hint_does_not_stop_the_others_of_its_batch(cloud: Cloud) -> None:
    cloud.declare("falcon", initial_provision_minutes=30)
    cloud.declare("broken", initial_provision_minutes=30)
    cloud.sagemaker.fault("DescribeEndpoint", "InternalFailure", endpoint="broken", count=10)
    records = [
        {"messageId": name, "body": json.dumps({"endpoint": name, "cause": "api"})}
        for name in ("broken", "falcon")
    ]
    answer = reconciler.handler({"Records": records}, context())
    assert answer == {"batchItemFailures": []}
    assert cloud.sagemaker.status("falcon") == "Creating"
    assert "not seen" in cloud.store().load("broken").state.troubles["wait"].why


def test_logs_of_an_endpoint_expire_from_its_first_start_on(cloud: Cloud) -> None:
    cloud.declare("falcon", initial_provision_minutes=30)
    body = json.dumps({"endpoint": "falcon", "cause": "api"})
    for number in ("1", "2"):
        hint = {"messageId": number, "body": body.replace("api", "event")}
        reconciler.handler({"Records": [hint]}, context())
    (group,) = boto3.client("logs").describe_log_groups()["logGroups"]
    assert (group["logGroupName"], group["retentionInDays"]) == (
        "/aws/sagemaker/Endpoints/falcon",
        30,
    )


def test_hints_at_the_end_of_a_long_chain_are_counted(
    cloud: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    cloud.declare("falcon", initial_provision_minutes=30)
    for hops in (MAX_HOPS - 1, MAX_HOPS):
        body = json.dumps({"endpoint": "falcon", "cause": "event", "hops": hops})
        reconciler.handler({"Records": [{"messageId": str(hops), "body": body}]}, context())
    lines = [line for line in capsys.readouterr().out.splitlines() if '"LongChains"' in line]
    (counted,) = [json.loads(line) for line in lines if "_aws" in line]
    assert counted["LongChains"] == [1.0]


@pytest.mark.parametrize("operation", ["CreateEndpoint", "DescribeEndpoint"])
def test_calls_that_sagemaker_throttles_are_counted(
    cloud: Cloud, capsys: pytest.CaptureFixture[str], operation: str
) -> None:
    for name in ("falcon", "flan"):
        cloud.declare(name, initial_provision_minutes=30)
    cloud.sagemaker.fault(operation, "ThrottlingException", endpoint="falcon", count=10)
    records = [
        {"messageId": name, "body": json.dumps({"endpoint": name, "cause": "api"})}
        for name in ("falcon", "flan")
    ]
    reconciler.handler({"Records": records}, context())
    metrics = [line for line in capsys.readouterr().out.splitlines() if "Throttled" in line]
    (throttled,) = [json.loads(line) for line in metrics if "_aws" in line]
    assert (throttled["service"], throttled["Throttled"]) == ("demo", [1.0])
    assert cloud.sagemaker.status("flan") == "Creating"


def test_only_the_hint_whose_state_cannot_be_read_is_delivered_again(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.declare("falcon", initial_provision_minutes=30)
    load = DynamoStateStore.load

    def failing(store: DynamoStateStore, key: str) -> Record:
        if key == "broken":
            raise Throttled("ThrottlingException", "slow down")
        return load(store, key)

    monkeypatch.setattr(DynamoStateStore, "load", failing)
    records = [
        {"messageId": name, "body": json.dumps({"endpoint": name, "cause": "api"})}
        for name in ("broken", "falcon")
    ]
    answer = reconciler.handler({"Records": records}, context())
    assert answer == {"batchItemFailures": [{"itemIdentifier": "broken"}]}
    assert cloud.sagemaker.status("falcon") == "Creating"


@pytest.mark.parametrize("body", ["", "{", "[]", "{}", '{"endpoint": 5, "cause": "api"}'])
def test_message_that_is_no_hint_is_dropped_and_logged(cloud: Cloud, body: str) -> None:
    record = {"messageId": "m", "body": body}
    assert reconciler.handler({"Records": [record]}, context()) == {"batchItemFailures": []}
    assert not cloud.queued(cloud.work)


def test_tick_sends_more_than_one_batch(cloud: Cloud) -> None:
    store = cloud.store()
    for number in range(25):
        cloud.declare(f"e{number}")
        store.create_state(
            f"e{number}", State(next_due=datetime.now(UTC) + timedelta(seconds=number))
        )
    assert tick.handler({}, None) == {"hinted": 25}
    assert tick.handler({}, None) == {"hinted": 0}, "claimed"


def test_sweep_reports_and_records_its_beat(cloud: Cloud) -> None:
    cloud.declare("falcon")
    assert sweep.handler({"action": "sweep"}, None)["endpoints"] == 1
    assert cloud.store().control().last_sweep is not None


def test_terraform_gets_a_verdict_as_plain_json(cloud: Cloud) -> None:
    cloud.declare("falcon")
    answer = sweep.handler({"action": "verdict", "manifest": {"falcon": "falcon-1"}}, None)
    assert json.loads(json.dumps(answer)) == {"settled": True, "unsettled": []}


def test_destroy_fails_while_an_endpoint_is_left_and_names_it(cloud: Cloud) -> None:
    cloud.declare("falcon", initial_provision_minutes=30)
    sweep.handler({"action": "sync", "manifest": {"falcon": "falcon-1"}}, None)
    reconciler.handler({"Records": cloud.queued(cloud.work)}, context())
    event = {"action": "sync", "manifest": {}, "tf": {"action": "delete"}}
    with pytest.raises(DrainIncomplete, match="falcon"):
        sweep.handler(event, None)


def test_only_the_first_invocation_drains_on_destroy(cloud: Cloud) -> None:
    assert sweep.handler({"action": "wait", "tf": {"action": "delete"}}, None) == {}
    assert cloud.store().control().drain_until is None


@pytest.mark.usefixtures("cloud")
def test_unknown_action_fails_loudly() -> None:
    with pytest.raises(ValueError, match="unknown action"):
        sweep.handler({"action": "polish"}, None)


def test_adopter_tags_an_endpoint_and_removes_the_tag(cloud: Cloud) -> None:
    cloud.sagemaker.has_endpoint("hand-made", "theirs")
    arn = cloud.sagemaker.sagemaker.describe_endpoint(EndpointName="hand-made")["EndpointArn"]
    adopter.handler({"arn": arn}, None)
    assert wiring.endpoints("demo").owner(arn) is Owner.ADOPTED
    for _ in range(2):
        adopter.handler({"arn": arn, "release": True}, None)
        assert wiring.endpoints("demo").owner(arn) is Owner.NOBODY
    with pytest.raises(AwsRefused):
        adopter.handler({"arn": "arn:aws:sagemaker:eu-west-1:123456789012:endpoint/none"}, None)
