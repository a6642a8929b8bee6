"""Stacks in China, GovCloud and isolated regions: nothing is of the standard partition."""

from __future__ import annotations

import json

import botocore.session
import pytest

from constructs_lib.partitions import partition_of
from lambdas.core.user_pool import DNS_SUFFIXES, UserPool
from tests.synth.conftest import Synthesize
from tests.synth.entries import OWN
from tests.synth.synthesis import config_with

KEY = "arn:{}:kms:{}:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
REGIONS = {"aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}
SUFFIX = "${data.aws_partition.current.dns_suffix}"


@pytest.mark.parametrize("partition", REGIONS)
def test_a_key_is_used_through_services_of_the_partition(
    stack_of: Synthesize, partition: str
) -> None:
    region = REGIONS[partition]
    host = f"{region}.{DNS_SUFFIXES.get(partition, 'amazonaws.com')}"
    image = OWN["image"].replace("us-east-1.amazonaws.com", host)
    key = KEY.format(partition, region)
    stack = stack_of(config_with({**OWN, "image": image}, region_name=region, kms_key_arn=key))
    conditions = [
        statement["Condition"]["StringEquals"]["kms:ViaService"]
        for role in stack.all("aws_iam_role_policy")
        for statement in stack.statements(role)
        if "kms:ViaService" in statement.get("Condition", {}).get("StringEquals", {})
    ]
    assert conditions
    assert all(each.endswith(f".{region}.{SUFFIX}") for each in conditions)


@pytest.mark.parametrize("partition", REGIONS)
def test_no_arn_names_the_standard_partition(stack_of: Synthesize, partition: str) -> None:
    region = REGIONS[partition]
    host = f"{region}.{DNS_SUFFIXES.get(partition, 'amazonaws.com')}"
    image = OWN["image"].replace("us-east-1.amazonaws.com", host)
    stack = stack_of(config_with({**OWN, "image": image}, region_name=region))
    assert "arn:aws:" not in json.dumps(stack.document["resource"])


def test_suffixes_of_the_partitions_are_those_of_botocore() -> None:
    loader = botocore.session.get_session().get_component("data_loader")
    known = {
        each["partition"]: each["dnsSuffix"] for each in loader.load_data("endpoints")["partitions"]
    }
    others = {name: suffix for name, suffix in known.items() if suffix != "amazonaws.com"}
    assert others == DNS_SUFFIXES


def test_regions_are_in_the_partitions_that_botocore_knows() -> None:
    loader = botocore.session.get_session().get_component("data_loader")
    for each in loader.load_data("endpoints")["partitions"]:
        assert {partition_of(region) for region in each["regions"]} == {each["partition"]}


def test_tokens_of_a_user_pool_are_checked_at_the_host_of_its_partition() -> None:
    pool = UserPool("arn:aws-cn:cognito-idp:cn-north-1:123456789012:userpool/x", "client", {})
    assert pool.issuer == "https://cognito-idp.cn-north-1.amazonaws.com.cn/x"
