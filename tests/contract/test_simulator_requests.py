"""Requests that botocore accepts and SageMaker refuses, and requests of raw clients."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.model import ListShape, MapShape, Shape, StructureShape

from local.simulator.account import Account
from local.simulator.lifecycle import Durations
from local.simulator.requests import _matches, operation_model
from local.simulator.world import World
from tests.contract.simulated import Simulated, a_variant, simulated


@pytest.fixture
def here() -> Iterator[Simulated]:
    with simulated() as one:
        yield one


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        ({"EndpointName": "n" * 64}, "at 'endpointName' .* length less than or equal to 63"),
        ({"EndpointName": "-n"}, "at 'endpointName' .* regular expression pattern"),
        ({"EndpointName": "n_n"}, "at 'endpointName' .* regular expression pattern"),
        (
            {"Tags": [{"Key": "k" * 129, "Value": ""}]},
            "at 'tags.1.member.key' .* length less than or equal to 128",
        ),
        (
            {"Tags": [{"Key": str(n), "Value": ""} for n in range(51)]},
            "at 'tags' .* length less than or equal to 50",
        ),
        (
            {
                "DeploymentConfig": {
                    "RollingUpdatePolicy": {
                        "MaximumBatchSize": {"Type": "PERCENT", "Value": 5},
                        "WaitIntervalInSeconds": 3601,
                    }
                }
            },
            "^.*2 validation errors detected.*INSTANCE_COUNT.*less than or equal to 3600",
        ),
    ],
)
def test_a_value_out_of_its_range_is_refused(
    here: Simulated, request_: dict[str, Any], sentence: str
) -> None:
    request: Any = {"EndpointName": "n", "EndpointConfigName": "c", **request_}
    with pytest.raises(ClientError, match=sentence) as refused:
        here.sagemaker.create_endpoint(**request)
    assert refused.value.response["Error"]["Code"] == "ValidationException"


def test_an_instance_type_that_botocore_does_not_know_is_refused(here: Simulated) -> None:
    here.has_config()

    with pytest.raises(
        ClientError, match=r"productionVariants.1.member.instanceType.*ml.g5.xlarge"
    ):
        here.sagemaker.create_endpoint_config(
            EndpointConfigName="c", ProductionVariants=[a_variant(InstanceType="ml.g99.huge")]
        )


@pytest.mark.parametrize("instance_type", ["ml.g5.8xlarge", "ml.g5.12xlarge", "ml.p5.48xlarge"])
def test_any_instance_type_that_botocore_knows_is_accepted(
    here: Simulated, instance_type: str
) -> None:
    here.has_config("c", InstanceType=instance_type)


@pytest.mark.parametrize(
    ("variants", "sentence"),
    [
        ([a_variant(), a_variant()], "Duplicate variant names: AllTraffic"),
        ([a_variant(InstanceType=None)], "either an InstanceType or a ServerlessConfig"),
    ],
)
def test_variants_that_contradict_themselves_are_refused(
    here: Simulated, variants: Any, sentence: str
) -> None:
    here.has_config()
    with pytest.raises(ClientError, match=sentence):
        here.sagemaker.create_endpoint_config(EndpointConfigName="c", ProductionVariants=variants)


@pytest.mark.parametrize(
    ("variants", "sentence"),
    [
        ([a_variant(), a_variant(VariantName="Other")], "Only one production variant"),
        (
            [
                a_variant(
                    InstanceType=None,
                    InitialInstanceCount=None,
                    ServerlessConfig={"MemorySizeInMB": 1024, "MaxConcurrency": 1},
                )
            ],
            "ServerlessConfig is not supported",
        ),
    ],
    ids=["two", "serverless"],
)
def test_an_asynchronous_config_takes_one_variant_on_instances(
    here: Simulated, variants: Any, sentence: str
) -> None:
    here.has_config()
    output: Any = {"OutputConfig": {"S3OutputPath": "s3://bucket/out"}}
    with pytest.raises(ClientError, match=sentence):
        here.sagemaker.create_endpoint_config(
            EndpointConfigName="c", ProductionVariants=variants, AsyncInferenceConfig=output
        )


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({}, "Exactly one of"),
        ({"PrimaryContainer": {"Image": "i"}, "Containers": [{"Image": "i"}]}, "Exactly one of"),
        ({"PrimaryContainer": {"ModelDataUrl": "s3://b/x"}}, "either an Image or"),
    ],
)
def test_a_model_needs_one_way_to_name_its_containers(
    here: Simulated, more: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ClientError, match=sentence):
        here.sagemaker.create_model(ModelName="m", **more)


def raw(here: Simulated, target: str, body: bytes) -> tuple[int, dict[str, Any]]:
    request = urllib.request.Request(here.server.url, body, {"X-Amz-Target": target})
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, json.load(refused)


@pytest.mark.parametrize(
    ("body", "code", "sentence"),
    [
        (b"{", "SerializationException", "not JSON"),
        (b'{"EndpointName": NaN}', "SerializationException", "not JSON"),
        (b"[" * 100_000, "SerializationException", "not JSON"),
        (b"[]", "SerializationException", "can not be converted to a Structure"),
        (b'{"EndpointName": 7}', "SerializationException", "NUMBER_VALUE can not be converted"),
        (b'{"EndpointName": ["x"]}', "SerializationException", "can not be converted to a String"),
        (b'{"EndpointName": true}', "SerializationException", "BOOLEAN_VALUE can not be"),
        (b'{"EndpointName": null}', "ValidationException", "'endpointName' failed to satisfy"),
        (b"{}", "ValidationException", "Value null at 'endpointName' failed to satisfy"),
        (b"", "ValidationException", "Member must not be null"),
    ],
)
def test_a_malformed_raw_request_is_refused(
    here: Simulated, body: bytes, code: str, sentence: str
) -> None:
    status, answer = raw(here, "SageMaker.DescribeEndpoint", body)

    assert (status, answer["__type"]) == (400, code)
    assert sentence in answer["message"]


@pytest.mark.parametrize(
    ("operation", "body", "sentence"),
    [
        ("AddTags", {"ResourceArn": "a", "Tags": {}}, "can not be converted to a List"),
        (
            "CreateModel",
            {"ModelName": "m", "PrimaryContainer": {"Image": "i", "Environment": []}},
            "can not be converted to a Map",
        ),
        ("ListEndpoints", {"CreationTimeAfter": "soon"}, "can not be converted to a Timestamp"),
        ("ListEndpoints", {"MaxResults": 1.5}, "DECIMAL_VALUE can not be converted to a Integer"),
        (
            "CreateModel",
            {"ModelName": "m", "PrimaryContainer": {"Environment": {"9": ""}}},
            "regular expression pattern",
        ),
    ],
)
def test_a_member_of_the_wrong_type_is_refused(
    here: Simulated, operation: str, body: dict[str, Any], sentence: str
) -> None:
    status, answer = raw(here, f"SageMaker.{operation}", json.dumps(body).encode())

    assert status == 400
    assert sentence in answer["message"]


def test_iso_timestamps_and_integral_floats_are_accepted(here: Simulated) -> None:
    here.has_endpoint()
    query = {"CreationTimeAfter": "2030-01-07T09:00:00Z", "MaxResults": 5.0}

    status, answer = raw(here, "SageMaker.ListEndpoints", json.dumps(query).encode())

    assert (status, len(answer["Endpoints"])) == (200, 1)


@pytest.mark.parametrize("target", ["", "SageMaker.", "SageMaker.Nothing", "DynamoDB.ListTables"])
def test_an_unknown_operation_is_refused(here: Simulated, target: str) -> None:
    assert raw(here, target, b"{}")[1]["__type"] == "UnknownOperationException"


def test_unknown_members_are_ignored(here: Simulated) -> None:
    here.has_endpoint()

    status, _ = raw(
        here, "SageMaker.DescribeEndpoint", b'{"EndpointName": "Falcon", "NewInTheYear2031": {}}'
    )

    assert status == 200


def test_every_pattern_of_the_service_model_can_be_checked() -> None:
    seen: set[str] = set()

    def check(shape: Shape) -> None:
        if shape.name in seen:
            return
        seen.add(shape.name)
        if "pattern" in shape.metadata:
            _matches(shape.metadata["pattern"], "x")
        if isinstance(shape, StructureShape):
            for member in shape.members.values():
                check(member)
        if isinstance(shape, ListShape):
            check(shape.member)
        if isinstance(shape, MapShape):
            check(shape.key)
            check(shape.value)

    for operation in World(Account(), Durations()).operations:
        shape = operation_model(operation).input_shape
        assert shape is not None
        check(shape)

    assert len(seen) > 150
