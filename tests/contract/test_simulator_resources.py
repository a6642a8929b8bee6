"""Models, endpoint configs, listings and tags."""

import base64
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.contract.simulated import ROLE, Simulated, a_variant, an_arn, simulated


@pytest.fixture
def here() -> Iterator[Simulated]:
    with simulated() as one:
        yield one


def without_metadata(answer: Any) -> dict[str, Any]:
    return {key: value for key, value in answer.items() if key != "ResponseMetadata"}


def test_a_model_is_described_as_it_was_created(here: Simulated) -> None:
    container: Any = {
        "Image": "image:1",
        "Environment": {"SAGEMAKER_PROGRAM": "inference.py", "_X": ""},
        "ModelDataSource": {
            "S3DataSource": {
                "S3Uri": "s3://bucket/x/",
                "S3DataType": "S3Prefix",
                "CompressionType": "None",
            }
        },
    }
    here.sagemaker.create_model(
        ModelName="Model",
        PrimaryContainer=container,
        ExecutionRoleArn=ROLE,
        EnableNetworkIsolation=True,
        VpcConfig={"Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1"]},
        Tags=[{"Key": "team", "Value": "a"}],
    )

    assert without_metadata(here.sagemaker.describe_model(ModelName="model")) == {
        "ModelName": "Model",
        "ModelArn": an_arn("model", "model"),
        "PrimaryContainer": {**container, "Mode": "SingleModel"},
        "ExecutionRoleArn": ROLE,
        "EnableNetworkIsolation": True,
        "VpcConfig": {"Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1"]},
        "CreationTime": here.clock.now,
    }


def test_a_config_is_described_as_it_was_created(here: Simulated) -> None:
    here.has_config("warm-up")
    here.sagemaker.create_endpoint_config(
        EndpointConfigName="Config",
        ProductionVariants=[a_variant()],
        ShadowProductionVariants=[a_variant(VariantName="Shadow", InitialVariantWeight=0.5)],
        AsyncInferenceConfig={"OutputConfig": {"S3OutputPath": "s3://bucket/out"}},
        KmsKeyId="key",
    )

    assert without_metadata(
        here.sagemaker.describe_endpoint_config(EndpointConfigName="config")
    ) == {
        "EndpointConfigName": "Config",
        "EndpointConfigArn": an_arn("endpoint-config", "config"),
        "ProductionVariants": [a_variant(InitialVariantWeight=1.0)],
        "ShadowProductionVariants": [a_variant(VariantName="Shadow", InitialVariantWeight=0.5)],
        "AsyncInferenceConfig": {"OutputConfig": {"S3OutputPath": "s3://bucket/out"}},
        "KmsKeyId": "key",
        "EnableNetworkIsolation": False,
        "CreationTime": here.clock.now,
    }


def test_a_deleted_model_is_gone(here: Simulated) -> None:
    here.has_config()
    here.sagemaker.delete_model(ModelName="MODEL")

    with pytest.raises(ClientError, match="Could not find model"):
        here.sagemaker.describe_model(ModelName="model")


def some_endpoints(here: Simulated, count: int) -> list[str]:
    here.has_config()
    names = [f"Endpoint-{index:03}" for index in range(count)]
    for name in names:
        here.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName="config")
        here.clock.pass_seconds(1)
    return names


def listed(here: Simulated, **query: Any) -> list[str]:
    pages = here.sagemaker.get_paginator("list_endpoints").paginate(**query)
    return [one["EndpointName"] for page in pages for one in page["Endpoints"]]


def test_endpoints_are_listed_ten_a_page_newest_first(here: Simulated) -> None:
    names = some_endpoints(here, 25)

    first = here.sagemaker.list_endpoints()

    assert len(first["Endpoints"]) == 10
    assert "NextToken" in first
    assert listed(here) == names[::-1]


def test_a_page_holds_at_most_a_hundred(here: Simulated) -> None:
    names = some_endpoints(here, 101)

    assert len(here.sagemaker.list_endpoints(MaxResults=100)["Endpoints"]) == 100
    assert listed(here, SortBy="Name", SortOrder="Ascending", MaxResults=100) == names
    with pytest.raises(ClientError, match="less than or equal to 100"):
        here.sagemaker.list_endpoints(MaxResults=101)


def test_an_endpoint_deleted_between_pages_does_not_hide_others(here: Simulated) -> None:
    names = some_endpoints(here, 12)
    first = here.sagemaker.list_endpoints(SortBy="Name", SortOrder="Ascending")
    here.clock.pass_seconds(300)
    here.sagemaker.delete_endpoint(EndpointName=names[0])
    here.clock.pass_seconds(60)

    second = here.sagemaker.list_endpoints(
        SortBy="Name", SortOrder="Ascending", NextToken=first["NextToken"]
    )

    assert [one["EndpointName"] for one in second["Endpoints"]] == names[10:]


def test_endpoints_are_listed_by_status_name_and_time(here: Simulated) -> None:
    began = here.clock.now
    names = some_endpoints(here, 4)
    here.clock.pass_seconds(296.5)

    assert listed(here, StatusEquals="InService") == [names[0]]
    assert listed(here, SortBy="Status", SortOrder="Ascending") == [*names[1:], names[0]]
    assert listed(here, NameContains="point-002") == [names[2]]
    assert listed(here, CreationTimeAfter=began + timedelta(seconds=3)) == [names[3]]
    assert listed(here, CreationTimeBefore=began) == [names[0]]
    assert listed(here, LastModifiedTimeAfter=began + timedelta(seconds=10)) == [names[0]]


def test_an_invalid_page_token_is_refused(here: Simulated) -> None:
    deep = base64.urlsafe_b64encode(b"[" * 5_000).decode()
    for token in ("x", "WzFd", "bnVsbA==", deep):
        with pytest.raises(ClientError, match="Invalid NextToken"):
            here.sagemaker.list_endpoints(NextToken=token)


def test_models_and_configs_are_listed_in_pages_too(here: Simulated) -> None:
    for index in range(12):
        here.has_config(f"config-{index}", model=f"model-{index}")

    models = here.sagemaker.get_paginator("list_models").paginate(SortBy="Name")
    configs = here.sagemaker.get_paginator("list_endpoint_configs").paginate(NameContains="CONFIG-")

    assert len([one["ModelArn"] for page in models for one in page["Models"]]) == 12
    assert len([one for page in configs for one in page["EndpointConfigs"]]) == 12


def tags_of(here: Simulated, arn: str) -> dict[str, str]:
    pages = here.sagemaker.get_paginator("list_tags").paginate(ResourceArn=arn)
    return {tag["Key"]: tag["Value"] for page in pages for tag in page["Tags"]}


def test_tags_given_at_creation_can_be_added_to_and_removed(here: Simulated) -> None:
    here.has_config()
    arn = here.sagemaker.create_endpoint(
        EndpointName="Falcon",
        EndpointConfigName="config",
        Tags=[{"Key": "endpoint-meter:stack", "Value": "demo-eu-west-1"}],
    )["EndpointArn"]

    here.sagemaker.add_tags(
        ResourceArn=arn, Tags=[{"Key": "Größe", "Value": "10 %"[:2]}, {"Key": "b", "Value": ""}]
    )
    here.sagemaker.delete_tags(ResourceArn=arn, TagKeys=["b", "never"])

    assert tags_of(here, arn) == {"endpoint-meter:stack": "demo-eu-west-1", "Größe": "10"}


def test_tags_are_listed_in_pages(here: Simulated) -> None:
    here.has_endpoint()
    arn = an_arn("endpoint", "falcon")
    tags = {f"key-{index:02}": "x" for index in range(50)}
    here.sagemaker.add_tags(
        ResourceArn=arn, Tags=[{"Key": key, "Value": value} for key, value in tags.items()]
    )

    assert "NextToken" in here.sagemaker.list_tags(ResourceArn=arn)
    assert tags_of(here, arn) == tags
    with pytest.raises(ClientError, match="at most 50 tags"):
        here.sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "one-more", "Value": ""}])


def test_a_recreated_endpoint_has_no_tags_of_the_old_one(here: Simulated) -> None:
    here.has_endpoint()
    arn = an_arn("endpoint", "falcon")
    here.sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "a", "Value": "b"}])
    here.sagemaker.delete_endpoint(EndpointName="Falcon")
    here.clock.pass_seconds(60)
    with pytest.raises(ClientError, match="Could not find endpoint"):
        tags_of(here, arn)

    here.sagemaker.create_endpoint(EndpointName="Falcon", EndpointConfigName="config")

    assert tags_of(here, arn) == {}
