"""Roles on the embedded stack, where IAM is enforced. What a role may not do does not happen. After
a permission is removed, the failure is reported, and the work is done once it is back."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError

from local.simulator.authority import KEPT_SECONDS
from tests.e2e.checkout import Checkout, until
from tests.roles import session_of

FLAN = "demo-FlanT5-Endpoint"
TAG = "endpoint-meter:stack"
OURS, ADOPTED = "demo-us-east-1", "demo-us-east-1/adopted"
IGNORED = {"Key": "endpoint-meter:ignore", "Value": ""}  # the tag counts with any value
FOREIGN = {
    "somebody-elses": [],
    "of-another-stack": [{"Key": TAG, "Value": "other-us-east-1"}],
    "to-be-ignored": [IGNORED],
    "ours-to-be-ignored": [{"Key": TAG, "Value": OURS}, IGNORED],
    "adopted-to-be-ignored": [{"Key": TAG, "Value": ADOPTED}, IGNORED],
}
"""Endpoints that the stack must not change, by their tags."""


@pytest.fixture(scope="module")
def outsiders(checkout: Checkout) -> Iterator[dict[str, str]]:
    """The ARNs of the endpoints in FOREIGN, by name; they are in service."""
    sagemaker = checkout.client("sagemaker")
    (config, *_) = sagemaker.list_endpoint_configs()["EndpointConfigs"]
    arns = {
        name: sagemaker.create_endpoint(
            EndpointName=name, EndpointConfigName=config["EndpointConfigName"], Tags=tags
        )["EndpointArn"]
        for name, tags in FOREIGN.items()
    }
    for name in arns:
        until(lambda name=name: checkout.status(name) == "InService", 30)  # type: ignore[misc]
    yield arns
    for name in arns:
        sagemaker.delete_endpoint(EndpointName=name)


def role_of(checkout: Checkout, function: str) -> str:
    """The ARN of a function's role."""
    configured = checkout.client("lambda").get_function_configuration(FunctionName=function)
    arn: str = configured["Role"]
    return arn


def acting_as(checkout: Checkout, function: str, service: str) -> Any:
    arn = role_of(checkout, function)
    return checkout.client(service, **session_of(arn, checkout.client("lambda")))


@pytest.mark.parametrize("name", FOREIGN)
def test_the_reconcilers_role_changes_no_endpoint_that_is_not_ours(
    checkout: Checkout, outsiders: dict[str, str], name: str
) -> None:
    sagemaker = acting_as(checkout, "demo-reconciler", "sagemaker")
    described = sagemaker.describe_endpoint(EndpointName=name)
    named = {"EndpointName": name}
    ours = [{"Key": TAG, "Value": OURS}]
    weights = [{"VariantName": "AllTraffic", "DesiredWeight": 1.0}]
    for call, arguments in (
        (sagemaker.delete_endpoint, named),
        (
            sagemaker.update_endpoint,
            {**named, "EndpointConfigName": described["EndpointConfigName"]},
        ),
        (
            sagemaker.update_endpoint_weights_and_capacities,
            {**named, "DesiredWeightsAndCapacities": weights},
        ),
        (sagemaker.add_tags, {"ResourceArn": outsiders[name], "Tags": ours}),
        (sagemaker.create_endpoint, {**named, "EndpointConfigName": "any"}),
    ):
        with pytest.raises(ClientError, match="is not authorized to perform") as refused:
            call(**arguments)
        assert refused.value.response["Error"]["Code"] == "AccessDeniedException"
    assert checkout.status(name) == "InService"


def test_the_adopters_role_may_tag_only_endpoints_without_an_owner(
    checkout: Checkout, outsiders: dict[str, str]
) -> None:
    sagemaker = acting_as(checkout, "demo-adopter", "sagemaker")
    adopted = {"Key": TAG, "Value": ADOPTED}
    for name, tags in (
        ("of-another-stack", [adopted]),
        ("to-be-ignored", [adopted]),
        ("ours-to-be-ignored", [adopted]),
        ("adopted-to-be-ignored", [adopted]),
        ("somebody-elses", [{"Key": TAG, "Value": OURS}]),
        ("somebody-elses", [{"Key": "team", "Value": "ours"}]),
        ("somebody-elses", [adopted, {"Key": "team", "Value": "ours"}]),
    ):
        with pytest.raises(ClientError, match="is not authorized to perform: sagemaker:AddTags"):
            sagemaker.add_tags(ResourceArn=outsiders[name], Tags=tags)
    for name in ("somebody-elses", "of-another-stack", "ours-to-be-ignored"):
        with pytest.raises(ClientError, match="not authorized to perform: sagemaker:DeleteTags"):
            sagemaker.delete_tags(ResourceArn=outsiders[name], TagKeys=[TAG])
    sagemaker.add_tags(ResourceArn=outsiders["somebody-elses"], Tags=[adopted])
    sagemaker.delete_tags(ResourceArn=outsiders["somebody-elses"], TagKeys=[TAG])


@pytest.mark.parametrize("tag", [OURS, ADOPTED])
def test_the_reconcilers_role_updates_and_deletes_what_the_stack_made_or_took_over(
    checkout: Checkout, tag: str
) -> None:
    sagemaker = checkout.client("sagemaker")
    configs = [
        config["EndpointConfigName"]
        for config in sagemaker.list_endpoint_configs()["EndpointConfigs"]
    ]
    named = {"EndpointName": "of-the-stack"}
    sagemaker.create_endpoint(
        **named, EndpointConfigName=configs[0], Tags=[{"Key": TAG, "Value": tag}]
    )
    until(lambda: checkout.status("of-the-stack") == "InService", 30)
    reconciler = acting_as(checkout, "demo-reconciler", "sagemaker")
    reconciler.update_endpoint(**named, EndpointConfigName=configs[1])
    until(lambda: checkout.status("of-the-stack") == "InService", 30)
    assert sagemaker.describe_endpoint(**named)["EndpointConfigName"] == configs[1]
    reconciler.delete_endpoint(**named)
    until(lambda: checkout.status("of-the-stack") == "Absent", 30)


def test_the_apis_role_changes_only_counters_in_the_history(checkout: Checkout) -> None:
    dynamodb = acting_as(checkout, "demo-api", "dynamodb")

    def counting(partition: str) -> dict[str, Any]:
        return {
            "TableName": "demo-history",
            "Key": {"pk": {"S": partition}, "sk": {"S": "1"}},
            "UpdateExpression": "ADD requests :one",
            "ExpressionAttributeValues": {":one": {"N": "1"}},
        }

    own, foreign = counting("RATE#of-a-test"), counting(f"ENDPOINT#{FLAN.lower()}")
    dynamodb.update_item(**own)
    for call, arguments in (
        (dynamodb.update_item, foreign),
        (dynamodb.transact_write_items, {"TransactItems": [{"Update": own}, {"Update": foreign}]}),
    ):
        with pytest.raises(ClientError) as refused:
            call(**arguments)
        assert refused.value.response["Error"]["Code"] == "AccessDeniedException"


def test_code_of_an_integration_reaches_no_table_and_no_function_of_the_meter(
    checkout: Checkout,
) -> None:
    """The role that runs the code in `lambda_src`."""
    function = "demo-model-Falcon40B"
    dynamodb = acting_as(checkout, function, "dynamodb")
    table, key = checkout.stack["state_table"], {"pk": {"S": "CONTROL"}, "sk": {"S": "CONTROL"}}
    functions = acting_as(checkout, function, "lambda")
    for call, arguments in (
        (dynamodb.get_item, {"TableName": table, "Key": key}),
        (dynamodb.scan, {"TableName": checkout.stack["auth_table"]}),
        (dynamodb.update_item, {"TableName": table, "Key": key}),
        (dynamodb.put_item, {"TableName": "demo-history", "Item": key}),
        (functions.invoke, {"FunctionName": "demo-calls", "Payload": b"{}"}),
        (functions.invoke, {"FunctionName": "demo-api", "Payload": b"{}"}),
    ):
        with pytest.raises(ClientError, match="is not authorized to perform"):
            call(**arguments)


def test_a_denied_stop_is_reported_and_done_as_soon_as_it_is_allowed(checkout: Checkout) -> None:
    checkout.clear_faults()
    assert renew(checkout).status_code == 200
    until(lambda: get(checkout)["Status"] == "InService", 60)
    with without(checkout, "demo-reconciler", "sagemaker:DeleteEndpoint"):
        stop(checkout)
        event = until(lambda: next((e for e in events(checkout) if "refused" in e["Event"]), None))
        assert event["Event"] == "delete refused"
        assert "is not authorized to perform: sagemaker:DeleteEndpoint" in event["Reason"]
        document = get(checkout)
        assert (document["Wanted"], document["Status"]) == ("stopped", "InService")
        assert "delete refused: " in document["Reason"]
    stop(checkout)
    until(lambda: checkout.status(FLAN) == "Absent", 90)
    until(lambda: get(checkout)["Status"] == "Absent", 30)


def test_a_denied_write_is_502_and_changes_nothing(checkout: Checkout) -> None:
    before = get(checkout)["LeaseExpiresAt"]
    with without(checkout, "demo-api", "dynamodb:UpdateItem"):
        answer = renew(checkout)
        assert answer.status_code == 502, answer.text
        assert answer.json()["code"] == "AwsRefused"
        assert "denies the meter a permission" in answer.json()["error"]
        assert get(checkout)["LeaseExpiresAt"] == before
    assert renew(checkout).status_code == 200
    stop(checkout)


@contextmanager
def without(checkout: Checkout, function: str, action: str) -> Iterator[None]:
    """Remove one action from the role of the function until the end of the `with`."""
    iam = checkout.client("iam")
    of = {"RoleName": role_of(checkout, function).rpartition("/")[2], "PolicyName": "own"}
    policy = iam.get_role_policy(**of)["PolicyDocument"]
    kept = [
        {**statement, "Action": [each for each in statement["Action"] if each != action]}
        for statement in policy["Statement"]
    ]
    assert kept != policy["Statement"]
    less = {**policy, "Statement": [statement for statement in kept if statement["Action"]]}
    iam.put_role_policy(**of, PolicyDocument=json.dumps(less))
    time.sleep(KEPT_SECONDS)
    try:
        yield
    finally:
        iam.put_role_policy(**of, PolicyDocument=json.dumps(policy))
        time.sleep(KEPT_SECONDS)


def get(checkout: Checkout) -> dict[str, Any]:
    with checkout.api() as api:
        answer = api.get("/endpoint-expiry", params={"EndpointName": FLAN})
    document: dict[str, Any] = answer.raise_for_status().json()
    return document


def events(checkout: Checkout) -> list[dict[str, Any]]:
    with checkout.api() as api:
        answer = api.get("/endpoint-events", params={"EndpointName": FLAN, "limit": 5})
    found: list[dict[str, Any]] = answer.raise_for_status().json()
    return found


def renew(checkout: Checkout) -> httpx.Response:
    with checkout.api() as api:
        return api.post("/endpoint-expiry", json={"EndpointName": FLAN, "minutes": 10})


def stop(checkout: Checkout) -> None:
    with checkout.api() as api:
        api.delete("/endpoint-expiry", params={"EndpointName": FLAN}).raise_for_status()
