"""Injected faults: what each does, to which calls, how often, and which are invalid."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ReadTimeoutError

from tests.contract.simulated import SESSION, Simulated, simulated


@pytest.fixture
def here() -> Iterator[Simulated]:
    with simulated() as one:
        yield one


def create(here: Simulated, name: str = "Falcon") -> None:
    here.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName="config")


def reason_of(here: Simulated) -> str:
    return here.sagemaker.describe_endpoint(EndpointName="Falcon")["FailureReason"]


def test_a_failed_create_is_accepted_and_ends_in_failed(here: Simulated) -> None:
    here.fault("CreateEndpoint", "Failed")
    here.has_endpoint()

    assert here.status() == "Failed"
    assert reason_of(here) == (
        "The primary container for production variant AllTraffic did not pass the ping health "
        "check. Please check CloudWatch logs for this endpoint."
    )


def test_a_create_without_capacity_fails_with_the_wording_of_amazon(here: Simulated) -> None:
    here.fault("CreateEndpoint", "Capacity")
    here.has_endpoint()

    assert here.status() == "Failed"
    assert reason_of(here) == (
        "Unable to provision requested ML compute capacity due to InsufficientInstanceCapacity "
        "error. Please retry using a different ML instance type or after some time."
    )


def test_an_update_without_capacity_rolls_back(here: Simulated) -> None:
    here.has_endpoint()
    here.has_config("next")
    here.fault("UpdateEndpoint", "Capacity")

    here.sagemaker.update_endpoint(EndpointName="Falcon", EndpointConfigName="next")
    here.clock.pass_seconds(200)

    assert here.status() == "InService"
    assert "InsufficientInstanceCapacity" in reason_of(here)


@pytest.mark.parametrize(
    ("operation", "status"),
    [
        ("CreateEndpoint", "Creating"),
        ("UpdateEndpoint", "Updating"),
        ("DeleteEndpoint", "Deleting"),
    ],
)
def test_a_stuck_endpoint_stays_until_the_faults_are_cleared(
    here: Simulated, operation: str, status: str
) -> None:
    here.fault(operation, "Stuck")
    here.has_endpoint()
    if operation == "UpdateEndpoint":
        here.sagemaker.update_endpoint(EndpointName="Falcon", EndpointConfigName="config")
    if operation == "DeleteEndpoint":
        here.sagemaker.delete_endpoint(EndpointName="Falcon")
    here.clock.pass_seconds(100_000)
    assert here.status() == status

    here.http("DELETE", "/_faults")

    endpoints = here.sagemaker.list_endpoints()["Endpoints"]
    left = [one["EndpointStatus"] for one in endpoints]
    assert left == ([] if operation == "DeleteEndpoint" else ["InService"])


def test_clearing_faults_leaves_endpoints_alone_that_are_not_stuck(here: Simulated) -> None:
    here.has_endpoint("Flan", "other")
    here.fault("CreateEndpoint", "Stuck")
    here.has_endpoint()
    create(here, "New")
    here.clock.pass_seconds(1)

    here.http("DELETE", "/_faults")

    assert [here.status(name) for name in ("Flan", "Falcon", "New")] == [
        "InService",
        "InService",
        "Creating",
    ]


def test_a_delete_can_fail_and_be_tried_again(here: Simulated) -> None:
    here.has_endpoint()
    here.fault("DeleteEndpoint", "Failed")
    here.sagemaker.delete_endpoint(EndpointName="Falcon")
    here.clock.pass_seconds(60)
    assert here.status() == "Failed"

    here.sagemaker.delete_endpoint(EndpointName="Falcon")
    here.clock.pass_seconds(60)

    assert here.sagemaker.list_endpoints()["Endpoints"] == []


def test_a_call_that_fails_with_an_error_code_has_no_effect(here: Simulated) -> None:
    here.has_config()
    here.fault("CreateEndpoint", "ThrottlingException")

    with pytest.raises(ClientError, match="ThrottlingException"):
        create(here)

    assert here.sagemaker.list_endpoints()["Endpoints"] == []


def test_a_call_with_timeout_after_takes_effect_and_gets_no_answer(here: Simulated) -> None:
    here.has_config()
    here.fault("CreateEndpoint", "TimeoutAfter")
    impatient = SESSION.client(
        "sagemaker",
        endpoint_url=here.server.url,
        config=Config(retries={"total_max_attempts": 1}, read_timeout=0.3),
    )

    began = time.monotonic()
    with pytest.raises(ReadTimeoutError):
        impatient.create_endpoint(EndpointName="Falcon", EndpointConfigName="config")

    assert time.monotonic() - began < 4
    assert here.status() == "Creating"


def test_a_fault_happens_as_often_as_its_count(here: Simulated) -> None:
    here.fault("ListModels", "ThrottlingException", count=2)

    outcomes = []
    for _ in range(3):
        try:
            here.sagemaker.list_models()
            outcomes.append("ok")
        except ClientError as error:
            outcomes.append(error.response["Error"]["Code"])

    assert outcomes == ["ThrottlingException", "ThrottlingException", "ok"]


def test_faults_are_used_in_the_order_posted_one_per_call(here: Simulated) -> None:
    here.has_config()
    here.fault("CreateEndpoint", "ServiceUnavailable")
    here.fault("CreateEndpoint", "Failed")

    with pytest.raises(ClientError, match="ServiceUnavailable"):
        create(here)
    create(here)
    here.clock.pass_seconds(300)

    assert here.status() == "Failed"


def test_a_fault_applies_only_to_its_endpoint_in_any_case(here: Simulated) -> None:
    here.has_config()
    here.fault("CreateEndpoint", "Failed", endpoint="FALCON")
    create(here, "Flan")
    create(here, "falcon")
    here.clock.pass_seconds(300)

    assert (here.status("Flan"), here.status("falcon")) == ("InService", "Failed")


def test_a_refused_call_does_not_use_a_fault_up(here: Simulated) -> None:
    here.has_endpoint()
    here.fault("CreateEndpoint", "Failed")

    with pytest.raises(ClientError, match="already existing"):
        create(here)

    _, listed = here.http("GET", "/_faults")
    assert listed["faults"] == [
        {"operation": "CreateEndpoint", "endpoint": None, "failure": "Failed", "count": 1}
    ]


def test_cleared_faults_do_not_happen(here: Simulated) -> None:
    here.fault("ListModels", "ThrottlingException", count=5)
    here.http("DELETE", "/_faults")

    assert here.sagemaker.list_models()["Models"] == []
    assert here.http("GET", "/_faults") == (200, {"faults": []})


VALID = {"operation": "CreateEndpoint", "endpoint": None, "failure": "Failed", "count": 1}


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"{", "must be a JSON object"),
        (b"", "must be a JSON object"),
        (["a"], "must be a JSON object"),
        ({**VALID, "operation": "CreateEndpoints"}, "operation must be one of AddTags"),
        ({**VALID, "operation": None}, "operation must be one of"),
        ({**VALID, "operation": ["a"]}, "operation must be one of"),
        ({**VALID, "operation": {}}, "operation must be one of"),
        ({**VALID, "failure": ["a"]}, "failure must be one of"),
        ({**VALID, "endpoint": ["a"]}, "endpoint must be an endpoint's name"),
        ({**VALID, "count": [1]}, "count must be an integer from 1"),
        ({}, "operation must be one of"),
        ({**VALID, "failure": "Stuk"}, "failure must be one of Failed, Rollback, Capacity, Stuck"),
        ({**VALID, "failure": 3}, "failure must be one of"),
        ({**VALID, "failure": "Rollback"}, "can only happen to UpdateEndpoint"),
        ({**VALID, "operation": "DeleteEndpoint", "failure": "Capacity"}, "can only happen to"),
        ({**VALID, "operation": "ListModels", "endpoint": "x"}, "names no endpoint"),
        ({**VALID, "endpoint": ""}, "endpoint must be an endpoint's name"),
        ({**VALID, "endpoint": 7}, "endpoint must be an endpoint's name"),
        ({**VALID, "count": 0}, "count must be an integer from 1"),
        ({**VALID, "count": True}, "count must be an integer from 1"),
        ({**VALID, "count": 1.5}, "count must be an integer from 1"),
        ({**VALID, "times": 1}, "Unknown field 'times'"),
    ],
)
def test_an_invalid_fault_is_refused_with_a_reason(
    here: Simulated, body: Any, sentence: str
) -> None:
    status, answer = here.http("POST", "/_faults", body)

    assert status == 400
    assert sentence in answer["error"]
    assert here.http("GET", "/_faults") == (200, {"faults": []})
