"""The logs of endpoints expire, and never keep an endpoint from its start."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws

from lambdas.aws.endpoint_logs import EndpointLogs

GROUP = "/aws/sagemaker/Endpoints/falcon"


@pytest.fixture
def logs() -> Iterator[Any]:
    with mock_aws():
        yield boto3.client("logs", region_name="eu-west-1")


def retention(logs: Any) -> list[int]:
    groups = logs.describe_log_groups(logGroupNamePrefix=GROUP)["logGroups"]
    return [group["retentionInDays"] for group in groups]


@pytest.mark.parametrize("made_before", [False, True])
def test_log_group_of_an_endpoint_expires_whoever_made_it(logs: Any, made_before: bool) -> None:
    if made_before:
        logs.create_log_group(logGroupName=GROUP)
    assert EndpointLogs(30, logs=lambda: logs).keep("falcon")
    assert retention(logs) == [30]


def test_retention_is_that_of_now(logs: Any) -> None:
    EndpointLogs(30, logs=lambda: logs).keep("falcon")
    EndpointLogs(7, logs=lambda: logs).keep("falcon")
    assert retention(logs) == [7]


def test_log_group_gets_the_key_of_the_stack_also_if_sagemaker_made_it() -> None:
    key = "arn:aws:kms:eu-west-1:123456789012:key/1"
    client = boto3.client("logs", region_name="eu-west-1")
    retention = {"logGroupName": GROUP, "retentionInDays": 30}
    with Stubber(client) as stubbed:
        stubbed.add_response("put_retention_policy", {}, retention)
        stubbed.add_response("associate_kms_key", {}, {"logGroupName": GROUP, "kmsKeyId": key})
        assert EndpointLogs(30, key, logs=lambda: client).keep("falcon")
        stubbed.add_response("put_retention_policy", {}, retention)
        stubbed.add_client_error("associate_kms_key", "InvalidParameterException")
        assert not EndpointLogs(30, key, logs=lambda: client).keep("falcon")
        stubbed.assert_no_pending_responses()


@pytest.mark.parametrize("code", ["AccessDeniedException", "ThrottlingException"])
def test_refusal_is_no_obstacle_but_told(code: str, caplog: pytest.LogCaptureFixture) -> None:
    client = boto3.client("logs", region_name="eu-west-1")
    with Stubber(client) as stubbed:
        stubbed.add_client_error("put_retention_policy", code)
        assert not EndpointLogs(30, logs=lambda: client).keep("falcon")
        stubbed.assert_no_pending_responses()
    assert caplog.messages == [f"{GROUP} does not get its retention and key: {code}"]
