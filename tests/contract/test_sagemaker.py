"""The SageMaker adapter, on a simulator over HTTP."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import timedelta

import boto3
import pytest
from botocore.response import StreamingBody
from botocore.stub import Stubber

from lambdas.aws.sagemaker import AdopterFunction, SageMakerEndpoints
from lambdas.core.errors import AlreadyExists, AwsRefused, Gone, InProgress, Throttled, Unanswered
from lambdas.core.rollout import Variant
from lambdas.core.settings import STACK_TAG_KEY
from lambdas.core.state import Owner, Status
from tests.contract.simulated import DURATIONS, Simulated, simulated

TAG = "demo-eu-west-1"


@pytest.fixture
def world() -> Iterator[Simulated]:
    with simulated() as served:
        served.has_config("falcon-1")
        yield served


@pytest.fixture
def endpoints(world: Simulated) -> SageMakerEndpoints:
    return SageMakerEndpoints(world.sagemaker, world.sagemaker, TAG)


def test_endpoint_is_created_with_our_tag_and_described(
    world: Simulated, endpoints: SageMakerEndpoints
) -> None:
    assert endpoints.describe("falcon") is None
    began = world.clock()
    endpoints.create("Falcon", "falcon-1", {"team": "nlp"})
    seen = endpoints.describe("falcon")
    assert seen is not None
    assert (seen.status, seen.config_name) == (Status.CREATING, "falcon-1")
    assert seen.created_at == began
    assert endpoints.owner(seen.arn) is Owner.US
    tags = world.sagemaker.list_tags(ResourceArn=seen.arn)["Tags"]
    assert {"Key": "team", "Value": "nlp"} in tags
    world.clock.pass_seconds(DURATIONS.create_seconds)
    again = endpoints.describe("Falcon")
    assert again is not None
    assert (again.status, again.created_at) == (Status.IN_SERVICE, seen.created_at)


def test_endpoint_has_the_tags_of_the_stack_beneath_its_own_and_ours_above_all(
    world: Simulated,
) -> None:
    stack = {"team": "platform", "cost": "4711"}
    endpoints = SageMakerEndpoints(world.sagemaker, world.sagemaker, TAG, tags=stack)
    endpoints.create("falcon", "falcon-1", {"team": "nlp", STACK_TAG_KEY: "another-stack"})
    seen = endpoints.describe("falcon")
    assert seen is not None
    tags = world.sagemaker.list_tags(ResourceArn=seen.arn)["Tags"]
    assert {tag["Key"]: tag["Value"] for tag in tags} == {
        "team": "nlp",
        "cost": "4711",
        STACK_TAG_KEY: TAG,
    }


def test_creation_time_distinguishes_endpoints_of_the_same_name(
    world: Simulated, endpoints: SageMakerEndpoints
) -> None:
    endpoints.create("falcon", "falcon-1", {})
    first = endpoints.describe("falcon")
    world.clock.pass_seconds(DURATIONS.create_seconds)
    endpoints.delete("falcon")
    world.clock.pass_seconds(DURATIONS.delete_seconds)
    endpoints.create("falcon", "falcon-1", {})
    second = endpoints.describe("falcon")
    assert first is not None
    assert second is not None
    assert first.created_at is not None
    assert second.created_at == first.created_at + timedelta(
        seconds=DURATIONS.create_seconds + DURATIONS.delete_seconds
    )


def test_gone_busy_and_existing_endpoints_raise_different_errors(
    world: Simulated, endpoints: SageMakerEndpoints
) -> None:
    with pytest.raises(Gone):
        endpoints.delete("falcon")
    endpoints.create("falcon", "falcon-1", {})
    with pytest.raises(InProgress):
        endpoints.delete("falcon")
    with pytest.raises(AlreadyExists):
        endpoints.create("FALCON", "falcon-1", {})
    world.clock.pass_seconds(DURATIONS.create_seconds)
    endpoints.delete("falcon")


def test_missing_config_is_not_a_missing_endpoint(endpoints: SageMakerEndpoints) -> None:
    with pytest.raises(AwsRefused) as refusal:
        endpoints.create("falcon", "no-such-config", {})
    assert not isinstance(refusal.value, Gone)
    assert endpoints.config_variants("falcon-1") == [Variant("AllTraffic", 1)]
    assert endpoints.config_variants("no-such-config") is None


def test_owner_of_a_config_is_read_from_its_tag(
    world: Simulated, endpoints: SageMakerEndpoints
) -> None:
    world.has_config("ours-1")
    arn = world.sagemaker.describe_endpoint_config(EndpointConfigName="ours-1")["EndpointConfigArn"]
    world.sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": STACK_TAG_KEY, "Value": TAG}])
    assert endpoints.config_owner("ours-1") is Owner.US
    assert endpoints.config_owner("falcon-1") is Owner.NOBODY
    assert endpoints.config_owner("no-such-config") is Owner.NOBODY


def test_update_moves_to_the_new_config(world: Simulated, endpoints: SageMakerEndpoints) -> None:
    world.has_endpoint("falcon", "cfg-a")
    world.has_config("cfg-b")
    endpoints.update("falcon", "cfg-b", {})
    with pytest.raises(InProgress):
        endpoints.update("falcon", "cfg-a", {})
    world.clock.pass_seconds(DURATIONS.update_seconds)
    seen = endpoints.describe("falcon")
    assert seen is not None
    assert (seen.status, seen.config_name) == (Status.IN_SERVICE, "cfg-b")


def test_weights_are_changed_and_served_variants_are_described(
    world: Simulated, endpoints: SageMakerEndpoints
) -> None:
    world.has_config("two", InitialInstanceCount=4)
    endpoints.create("falcon", "two", {})
    world.clock.pass_seconds(DURATIONS.create_seconds)
    at_once = {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}
    policy = {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": at_once}}
    endpoints.update("falcon", "two", {"DeploymentConfig": policy})
    world.clock.pass_seconds(DURATIONS.update_seconds)
    endpoints.reweigh("falcon", [{"VariantName": "AllTraffic", "DesiredInstanceCount": 2}])
    with pytest.raises(InProgress):
        endpoints.reweigh("falcon", [{"VariantName": "AllTraffic", "DesiredWeight": 0.5}])
    world.clock.pass_seconds(DURATIONS.update_seconds)
    seen = endpoints.describe("falcon")
    assert seen is not None
    assert seen.variants == (Variant("AllTraffic", 2, 1.0),)
    assert seen.last_deployment == policy
    with pytest.raises(AwsRefused) as refusal:
        endpoints.reweigh("falcon", [{"VariantName": "Other", "DesiredWeight": 1.0}])
    assert refusal.value.code == "ValidationException"


def test_throttling_raises_its_own_error(world: Simulated, endpoints: SageMakerEndpoints) -> None:
    world.fault("CreateEndpoint", "ThrottlingException", count=1)
    with pytest.raises(Throttled):
        endpoints.create("falcon", "falcon-1", {})


def test_call_that_worked_but_timed_out_is_unanswered(
    world: Simulated, endpoints: SageMakerEndpoints
) -> None:
    world.fault("CreateEndpoint", "TimeoutAfter", count=1)
    with pytest.raises(Unanswered):
        endpoints.create("falcon", "falcon-1", {})
    assert endpoints.describe("falcon") is not None


def test_foreign_endpoint_has_no_owner_until_adopted_and_after_release(
    world: Simulated, endpoints: SageMakerEndpoints
) -> None:
    world.has_endpoint("hand-made", "theirs")
    seen = endpoints.describe("hand-made")
    assert seen is not None
    assert endpoints.owner(seen.arn) is Owner.NOBODY
    endpoints.adopt(seen.arn)
    assert endpoints.owner(seen.arn) is Owner.ADOPTED, "not the same as one that we made"
    assert endpoints.owner(seen.arn.replace("hand-made", "nobody")) is Owner.NOBODY
    elsewhere = SageMakerEndpoints(world.sagemaker, world.sagemaker, "another-stack")
    assert elsewhere.owner(seen.arn) is Owner.ANOTHER_STACK
    endpoints.release(seen.arn)
    assert endpoints.owner(seen.arn) is Owner.NOBODY
    endpoints.release(seen.arn.replace("hand-made", "nobody"))


def test_ignore_tag_takes_precedence_over_the_stack_tag(
    world: Simulated, endpoints: SageMakerEndpoints
) -> None:
    endpoints.create("falcon", "falcon-1", {"endpoint-meter:ignore": ""})
    seen = endpoints.describe("falcon")
    assert seen is not None
    assert endpoints.owner(seen.arn) is Owner.IGNORED


def test_listing_reads_every_page(world: Simulated, endpoints: SageMakerEndpoints) -> None:
    names = {f"endpoint-{number}" for number in range(23)}
    for name in names:
        world.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName="falcon-1")
    assert {seen.name for seen in endpoints.list()} == names
    assert {seen.status for seen in endpoints.list()} == {Status.CREATING}


def test_more_endpoints_than_a_page_holds_are_all_listed(
    world: Simulated, endpoints: SageMakerEndpoints
) -> None:
    for number in range(130):
        world.sagemaker.create_endpoint(EndpointName=f"e{number}", EndpointConfigName="falcon-1")
    asked: list[str] = []
    world.sagemaker.meta.events.register(
        "before-call.sagemaker.ListEndpoints", lambda params, **_: asked.append(params["body"])
    )
    assert len(list(endpoints.list())) == 130
    assert [json.loads(body)["MaxResults"] for body in asked] == [100, 100]


def test_refusal_that_the_adopter_met_keeps_its_code() -> None:
    answer = b'{"errorType": "AwsRefused", "errorMessage": "ValidationException: 50 tags: no more"}'
    lambda_client = boto3.client("lambda", region_name="eu-west-1")
    with Stubber(lambda_client) as stubbed:
        body = StreamingBody(io.BytesIO(answer), len(answer))
        stubbed.add_response("invoke", {"FunctionError": "Unhandled", "Payload": body})
        with pytest.raises(AwsRefused) as refused:
            AdopterFunction(lambda_client, "adopter").adopt("arn:of:it")
    assert (refused.value.code, refused.value.message) == (
        "ValidationException",
        "50 tags: no more",
    )
