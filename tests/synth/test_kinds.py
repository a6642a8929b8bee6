"""Every cell of the table of kinds and settings: accepted, or refused at its place."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest

from constructs_lib.config.document import JumpstartModel
from constructs_lib.config.file import parse
from constructs_lib.config.kinds import (
    ENTRY_NAMES,
    FOR_EVERY_KIND,
    PAGE,
    SETTINGS,
    Kind,
    Setting,
    page,
)
from constructs_lib.config.problems import InvalidConfig
from constructs_lib.config.variants import Variant
from tests.synth.entries import (
    ASYNC,
    CAPTURE,
    DATA,
    IMAGE,
    LINEAR,
    MANAGED,
    OWN,
    PACKAGE,
    SERVERLESS,
    VPC,
    XGB,
)
from tests.synth.synthesis import FLAN, config_with

BASE: Mapping[Kind, Mapping[str, Any]] = {
    Kind.INSTANCES: OWN,
    Kind.ASYNC: ASYNC,
    Kind.SERVERLESS: SERVERLESS,
}
TARGET = {"max_capacity": 3, "target": 5}
NO_SOURCE = {"image": None, "model_data_url": None}
ROUTE = {"type": "api", "properties": {"api_resource_name": "boston"}}
ROLLING = {
    "MaximumBatchSize": {"Type": "CAPACITY_PERCENT", "Value": 50},
    "WaitIntervalInSeconds": 60,
}
ROLE = "arn:aws:iam::123456789012:role/hosting"
REGISTRY = "registry.example.com:5000/team/llm:1"
PLAIN_OBJECT = {
    "s3_uri": "s3://our-models/boston/model.bin",
    "s3_data_type": "S3Object",
    "compression_type": "None",
}
# None takes the field of the base away.
GIVEN: Mapping[str, Mapping[str, Any]] = {
    "`model_id`": {
        **NO_SOURCE,
        "model_id": FLAN["model_id"],
        "inference_instance_type": FLAN["inference_instance_type"],
    },
    "`model_package_arn` of one's own": {
        **NO_SOURCE,
        "model_package_arn": "arn:aws:sagemaker:us-east-1:123456789012:model-package/boston/7",
    },
    "`model_package_arn` of the AWS Marketplace": {**NO_SOURCE, "model_package_arn": PACKAGE},
    "`image` in ECR": {"image": IMAGE},
    "`containers`": {**NO_SOURCE, "containers": [{"image": IMAGE}] * 2},
    "`image_config` of a private registry": {
        "image": REGISTRY,
        "image_config": {"repository_access_mode": "Vpc"},
        "vpc": VPC,
    },
    "`inference_execution_mode` `Direct`": {
        **NO_SOURCE,
        "containers": [{"image": IMAGE}] * 2,
        "inference_execution_mode": "Direct",
    },
    "`mode` `MultiModel`": {"mode": "MultiModel", "model_data_url": "s3://our-models/many/"},
    "`model_data_url` of an archive": {"model_data_url": DATA},
    "`model_data_url` of a folder": {"model_data_url": "s3://our-models/boston/"},
    "`model_data_source`": {"model_data_url": None, "model_data_source": PLAIN_OBJECT},
    "`environment`": {"environment": {"LEVEL": "20"}},
    "`execution_role_arn`": {"execution_role_arn": ROLE},
    "`vpc`": {"vpc": VPC},
    "`network_isolation`": {"network_isolation": True},
    "`instance_type`": {"inference_instance_type": "ml.m5.xlarge"},
    "`instance_count`": {"inference_instance_count": 2},
    "`instance_type_fallbacks`": {"instance_type_fallbacks": ["ml.m5.large"]},
    "`managed_instance_scaling`": {"managed_instance_scaling": MANAGED},
    "`routing_strategy`": {"routing_strategy": "RANDOM"},
    "`volume_size_gb`": {"volume_size_gb": 50},
    "`model_data_download_timeout_seconds`": {"model_data_download_timeout_seconds": 600},
    "`inference_ami_version`": {"inference_ami_version": "al2-ami-sagemaker-inference-gpu-3-1"},
    "`enable_ssm_access`": {"enable_ssm_access": True},
    "`container_startup_timeout_seconds`": {"container_startup_timeout_seconds": 600},
    "`core_dump_config`": {"core_dump_config": {"destination_s3_uri": "s3://dumps"}},
    "`serverless`": {
        "serverless": SERVERLESS["serverless"],
        "inference_instance_type": None,
        "model_data_url": None,
    },
    "`autoscaling` on `invocations`": {"autoscaling": TARGET},
    "`autoscaling` on `backlog`": {"autoscaling": {**TARGET, "scale_on": "backlog"}},
    "`autoscaling` on `concurrency`": {"autoscaling": {**TARGET, "scale_on": "concurrency"}},
    "`autoscaling.min_capacity` of 0": {
        "autoscaling": {**TARGET, "scale_on": "backlog", "min_capacity": 0}
    },
    "more than one of `variants`": {
        **NO_SOURCE,
        "inference_instance_type": None,
        "serverless": None,
        "variants": [LINEAR, XGB],
    },
    "`shadow_variants`": {"shadow_variants": [XGB]},
    "`data_capture`": {"data_capture": CAPTURE},
    "`kms_key_id`": {"kms_key_id": "alias/volumes"},
    "`async`": {"async": {}},
    "`async_api_enabled`": {"async_api_enabled": True},
    "`integration`": {"integration": ROUTE},
    "`update` with a `RollingUpdatePolicy`": {
        "update": {"DeploymentConfig": {"RollingUpdatePolicy": ROLLING}},
        "inference_instance_count": 2,
    },
}


def entry_with(setting: Setting, kind: Kind) -> dict[str, Any]:
    given = dict(GIVEN[setting.name])
    if kind is Kind.SERVERLESS and "variants" in given:
        serverless = {"name": "S", "image": IMAGE, "serverless": SERVERLESS["serverless"]}
        given["variants"] = [serverless, {**serverless, "name": "T"}]
    if kind is Kind.SERVERLESS and setting.name != "`instance_type`":
        given.pop("inference_instance_type", None)
    whole = {**BASE[kind], **given}
    return {key: value for key, value in whole.items() if value is not None}


CELLS = [(setting, kind) for setting in SETTINGS for kind in Kind]


def named(cell: object) -> str:
    return cell.name if isinstance(cell, Setting) else str(cell)


def test_each_setting_of_the_table_is_tried() -> None:
    assert [setting.name for setting in SETTINGS] == list(GIVEN)


@pytest.mark.parametrize(("setting", "kind"), CELLS, ids=named)
def test_a_setting_is_accepted_or_refused_as_the_table_says(setting: Setting, kind: Kind) -> None:
    config = config_with(entry_with(setting, kind))
    sentence = setting.refused.get(kind)
    if sentence is None:
        assert parse(config).jumpstart_models
        return
    with pytest.raises(InvalidConfig) as caught:
        parse(config)
    first, *rest = setting.path
    path = ".".join(["jumpstart_models[0]", ENTRY_NAMES.get(first, first), *rest])
    found = {problem.path: problem.sentence for problem in caught.value.problems}
    if setting.in_core:
        assert path in found
    else:
        assert f"{path}: {sentence}" in [str(problem) for problem in caught.value.problems]


def test_a_variant_is_checked_as_an_entrys_own_model_is() -> None:
    serverless = {"name": "S", "image": IMAGE, "serverless": SERVERLESS["serverless"]}
    with pytest.raises(InvalidConfig) as caught:
        parse(
            config_with(
                {"name": "B", "inference_type": "realtime", "variants": [serverless | {"vpc": VPC}]}
            )
        )
    (problem,) = caught.value.problems
    assert problem.path == "jumpstart_models[0].variants[0].vpc"


def test_each_field_of_an_entry_or_a_variant_has_a_row_or_goes_with_every_kind() -> None:
    fields = {
        info.alias or name
        for kind in (JumpstartModel, Variant)
        for name, info in kind.model_fields.items()
    }
    rows = {ENTRY_NAMES.get(setting.path[0], setting.path[0]) for setting in SETTINGS}
    in_variants = set(ENTRY_NAMES)
    assert not rows & {*FOR_EVERY_KIND}
    assert fields - in_variants == rows | {*FOR_EVERY_KIND}


def test_a_sentence_says_how_to_mend_it() -> None:
    words = re.compile(r"\b(remove|use|name|give|call|put|must)\b")
    for setting in SETTINGS:
        for sentence in setting.refused.values():
            assert words.search(sentence), sentence


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == page(), "run `python -m constructs_lib.config.kinds`"
