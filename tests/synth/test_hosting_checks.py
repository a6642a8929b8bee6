"""What a config may say about models, variants and asynchronous endpoints, and what it may not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from constructs_lib.config.file import parse
from constructs_lib.config.problems import InvalidConfig
from tests.synth.entries import (
    ASYNC,
    BARE,
    CAPTURE,
    DATA,
    IMAGE,
    LINEAR,
    MANAGED,
    OWN,
    PACKAGE,
    SCALING,
    SERVERLESS,
    SHADOWED,
    TWO,
    VPC,
    XGB,
)
from tests.synth.synthesis import FLAN, config_with

PACKAGED = {**BARE, "model_package_arn": PACKAGE, "inference_instance_type": "ml.g5.12xlarge"}
PRIVATE = {"repository_access_mode": "Vpc"}
FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:login"
OBJECT = {
    "s3_uri": "s3://our-models/boston/model.bin",
    "s3_data_type": "S3Object",
    "compression_type": "None",
}


def without(entry: Mapping[str, Any], *fields: str) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key not in fields}


def problems(entry: Mapping[str, Any]) -> list[str]:
    """The problems of an entry; paths start below the entry."""
    with pytest.raises(InvalidConfig) as caught:
        parse(config_with(entry))
    return [str(p).removeprefix("jumpstart_models[0].") for p in caught.value.problems]


@pytest.mark.parametrize(
    "entry",
    [
        OWN,
        without(OWN, "model_data_url"),
        {**BARE, "model_package_arn": PACKAGE, "inference_instance_type": "ml.g5.12xlarge"},
        {**BARE, "containers": [{"image": IMAGE}] * 15, "inference_instance_type": "ml.m5.large"},
        {**OWN, "environment": {f"KEY_{n}": "x" for n in range(100)}},
        {**OWN, "vpc": VPC, "network_isolation": False},
        TWO,
        {**TWO, "vpc": VPC, "kms_key_id": "alias/volumes"},
        {**BARE, "variants": [{**LINEAR, "name": f"v{n}"} for n in range(10)]},
        SERVERLESS,
        SHADOWED,
        {**BARE, "variants": [LINEAR], "shadow_variants": [XGB]},
        {**OWN, "managed_instance_scaling": MANAGED, "inference_instance_count": 2},
        {**OWN, "data_capture": {**CAPTURE, "sampling_percentage": 0}},
        ASYNC,
        {**ASYNC, "async": {"output_path": "s3://results"}},
    ],
)
def test_what_sagemaker_accepts_is_accepted(entry: Mapping[str, Any]) -> None:
    assert parse(config_with(entry)).jumpstart_models


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        # --- source of a model
        (
            {**OWN, "model_package_arn": PACKAGE},
            "image: stands beside `model_package_arn`; a model has one origin",
        ),
        (
            {**PACKAGED, "model_data_url": DATA},
            "model_data_url: goes with `image` or `model_id` alone",
        ),
        (
            {**PACKAGED, "environment": {"A": "b"}},
            "environment: goes with `image` or `model_id` alone",
        ),
        (
            {**OWN, "inference_specification_name": "gpu"},
            "inference_specification_name: goes with `model_package_arn` alone",
        ),
        (
            {**OWN, "inference_execution_mode": "Direct"},
            "inference_execution_mode: goes with `containers` alone",
        ),
        (
            {**OWN, "image": "registry.example.com/llm:1", "image_config": PRIVATE},
            "vpc: is required: the registry of `image_config` is reached through it",
        ),
        (
            {**OWN, "image_config": {"repository_access_mode": "VPC"}},
            ("image_config.repository_access_mode: must be one of 'Platform', 'Vpc', not 'VPC'"),
        ),
        (
            {
                **OWN,
                "image_config": {
                    "repository_access_mode": "Platform",
                    "repository_credentials_provider_arn": FUNCTION,
                },
            },
            (
                "image_config.repository_credentials_provider_arn: is for "
                "`repository_access_mode` 'Vpc': ECR asks for no password"
            ),
        ),
        (
            {**OWN, "image_config": {**PRIVATE, "repository_credentials_provider_arn": "login"}},
            (
                "image_config.repository_credentials_provider_arn: must be the ARN of a function "
                "such as 'arn:aws:lambda:us-east-1:123456789012:function:name', not 'login'"
            ),
        ),
        (
            {**OWN, "mode": "MultiModel"},
            (
                "model_data_url: must be the folder of the models, ending with '/': `mode` is "
                "MultiModel"
            ),
        ),
        (
            {**OWN, "model_cache_setting": "Disabled"},
            "model_cache_setting: goes with `mode` 'MultiModel' alone",
        ),
        (
            {**OWN, "model_data_source": OBJECT},
            (
                "model_data_source: stands beside `model_data_url`; a container has its data from "
                "one place"
            ),
        ),
        (
            {**OWN, "model_data_source": {**OBJECT, "s3_data_type": "S3Prefix"}},
            "model_data_source.s3_uri: must end with '/': it is a prefix",
        ),
        (
            {
                **OWN,
                "model_data_source": {
                    "s3_uri": "s3://our-models/x/",
                    "s3_data_type": "S3Prefix",
                    "compression_type": "Gzip",
                },
            },
            (
                "model_data_source.compression_type: must be 'None': only an 'S3Object' can be an "
                "archive"
            ),
        ),
        (
            {
                **BARE,
                "containers": [
                    {"image": IMAGE, "container_hostname": "container-2"},
                    {"image": IMAGE},
                ],
            },
            "containers: 'container-2' is the name of 2 of them",
        ),
        (
            {**OWN, "inference_ami_version": "al2023-ami-sagemaker-inference-gpu-4-1"},
            (
                "inference_ami_version: must be one of 'al2-ami-sagemaker-inference-gpu-2', "
                "'al2-ami-sagemaker-inference-gpu-2-1', 'al2-ami-sagemaker-inference-gpu-3-1', "
                "'al2-ami-sagemaker-inference-neuron-2', not "
                "'al2023-ami-sagemaker-inference-gpu-4-1' (not in provider 5.100)"
            ),
        ),
        (
            {**OWN, "image": IMAGE.replace(".amazonaws.com/", ".amazonaws.com.cn/")},
            ("image: registries of us-east-1 are below amazonaws.com, not amazonaws.com.cn"),
        ),
        (
            {**OWN, "capacity_reservation_config": {}},
            "capacity_reservation_config: SageMaker has this, and it is not in provider 5.100",
        ),
        (
            {**OWN, "additional_model_data_sources": []},
            "additional_model_data_sources: SageMaker has this, and it is not in provider 5.100",
        ),
        (
            {**OWN, "timeout_seconds": 20},
            "timeout_seconds: unknown key; it belongs into `integration.properties`",
        ),
        (
            {**OWN, "model_data_url": "s3://b/folder/"},
            (
                "model_data_url: names no bucket: 3 to 63 lowercase letters, digits, '.' or '-', "
                "beginning and ending with a letter or digit, not 'b'"
            ),
        ),
        (
            {**ASYNC, "wake_on_request": {"minutes": 10}},
            (
                "wake_on_request: an asynchronous endpoint is not called over the API, which alone "
                "starts one that is called: remove it, renew the endpoint or give it a `schedule`"
            ),
        ),
        # --- scaling
        (
            {**OWN, "autoscaling": {"max_capacity": 2}},
            "autoscaling.invocations_per_instance: is required",
        ),
        (
            {**ASYNC, "autoscaling": {"max_capacity": 2, "scale_on": "backlog"}},
            "autoscaling.target: is required: what `scale_on` measures is kept near it",
        ),
        (
            {**ASYNC, "autoscaling": {**SCALING, "scale_on": "backlog"}},
            (
                "autoscaling.invocations_per_instance: is for `scale_on` 'invocations'; name "
                "`target` instead"
            ),
        ),
        (
            {**OWN, "autoscaling": {**SCALING, "target": 5}},
            (
                "autoscaling.target: stands beside `invocations_per_instance`, which says the "
                "same; keep one"
            ),
        ),
        (
            {**OWN, "autoscaling": {"max_capacity": 2, "target": 0}},
            "autoscaling.target: must be at least 1, not 0",
        ),
        (
            {**OWN, "accept_eula": True},
            "accept_eula: goes with `model_id` alone",
        ),
        (
            {**OWN, "image": "python:3.13"},
            (
                "image: must be an image in ECR such as "
                "'123456789012.dkr.ecr.us-east-1.amazonaws.com/repository:tag', not 'python:3.13'; "
                'for a registry of your own: "image_config": {"repository_access_mode": "Vpc"}'
            ),
        ),
        (
            {**OWN, "image": IMAGE.replace("us-east-1", "eu-west-1")},
            "image: must be in us-east-1 (region_name), where the endpoint is, not eu-west-1",
        ),
        (
            {**BARE, "model_package_arn": PACKAGE.replace("us-east-1", "eu-west-1")},
            (
                "model_package_arn: must be in us-east-1 (region_name), where the endpoint is, "
                "not eu-west-1"
            ),
        ),
        (
            {**BARE, "model_package_arn": "j2-light"},
            (
                "model_package_arn: must be the ARN of a model package such as "
                "'arn:aws:sagemaker:us-east-1:123456789012:model-package/name', not 'j2-light'"
            ),
        ),
        (
            {**OWN, "model_data_url": "s3://our-models/model.zip"},
            (
                "model_data_url: must be a .tar.gz archive, or a folder that ends with '/', such "
                "as 's3://bucket/model.tar.gz', not 's3://our-models/model.zip'"
            ),
        ),
        (
            {**OWN, "model_data_url": f"s3://our-models/{'x' * 1024}/"},
            "model_data_url: has 1041 characters, and at most 1024 go in",
        ),
        (
            {**OWN, "environment": {f"KEY_{n}": "" for n in range(101)}},
            "environment: has 101 entries, and at most 100 go in",
        ),
        (
            {**OWN, "environment": {"1ST": "x"}},
            (
                "environment.1ST: is no name of a variable: letters, digits and '_', not "
                "beginning with a digit, not '1ST'"
            ),
        ),
        (
            {**OWN, "environment": {"A": "x" * 1025}},
            "environment.A: has 1025 characters, and at most 1024 go in",
        ),
        (
            {**OWN, "environment": {f"K{n}": "x" * 1000 for n in range(40)}},
            (
                "environment: all variables of a model take 40110 bytes together, and at most "
                "32768 go in"
            ),
        ),
        (
            {**OWN, "environment": {"A": 1}},
            "environment.A: must be a string, not 1",
        ),
        (
            {**BARE, "containers": [{"image": IMAGE}]},
            "containers: has 1 entries, and needs at least 2",
        ),
        (
            {**BARE, "containers": [{"image": IMAGE}] * 16},
            "containers: has 16 entries, and at most 15 go in",
        ),
        (
            {**BARE, "containers": [{"image": IMAGE, "model_data": DATA}, {"image": IMAGE}]},
            "containers[0].model_data: unknown key; did you mean 'model_data_url'?",
        ),
        (
            {**OWN, "execution_role_arn": "my-role"},
            (
                "execution_role_arn: must be the ARN of a role such as "
                "'arn:aws:iam::123456789012:role/name', not 'my-role'"
            ),
        ),
        (
            {**OWN, "vpc": {**VPC, "security_groups": []}},
            "vpc.security_groups: unknown key; did you mean 'security_group_ids'?",
        ),
        (
            {**OWN, "vpc": {**VPC, "security_group_ids": [f"sg-{n}" for n in range(6)]}},
            "vpc.security_group_ids: has 6 entries, and at most 5 go in",
        ),
        (
            {**OWN, "vpc": {**VPC, "subnet_ids": []}},
            "vpc.subnet_ids: has 0 entries, and needs at least 1",
        ),
        (
            {**OWN, "vpc": {**VPC, "subnet_ids": ["sg-1"]}},
            "vpc.subnet_ids[0]: must be a subnet such as 'subnet-0123456789abcdef0', not 'sg-1'",
        ),
        # --- variants
        (
            {**TWO, "image": IMAGE},
            "image: has no meaning beside `variants`: each of them says it for itself",
        ),
        (
            {**TWO, "inference_instance_type": "ml.m5.xlarge"},
            (
                "inference_instance_type: has no meaning beside `variants`: each of them says it "
                "for itself"
            ),
        ),
        (
            {**TWO, "instance_type_fallbacks": ["ml.m5.large"]},
            (
                "instance_type_fallbacks: has no meaning beside `variants`: only an entry's own "
                "model falls back"
            ),
        ),
        (
            {**BARE, "variants": []},
            "variants: has 0 entries, and needs at least 1",
        ),
        (
            {**BARE, "variants": [{**LINEAR, "name": f"v{n}"} for n in range(11)]},
            "variants: has 11 entries, and at most 10 go in",
        ),
        (
            {**BARE, "variants": [LINEAR, {**XGB, "name": "Linear"}]},
            (
                "variants[1].name: 'Linear' is the name of jumpstart_models[0].variants[0] "
                "already; rename one"
            ),
        ),
        (
            {**BARE, "variants": [{**LINEAR, "name": "Linear_Model"}]},
            (
                "variants[0].name: must be 1 to 63 letters, digits or hyphens, beginning and "
                "ending with a letter or digit, not 'Linear_Model'"
            ),
        ),
        (
            {**BARE, "variants": [LINEAR, {**XGB, "weight": -1}]},
            "variants[1].weight: must be at least 0, not -1",
        ),
        (
            {**BARE, "variants": [LINEAR, {**XGB, "weight": "half"}]},
            "variants[1].weight: must be a number, not 'half'",
        ),
        (
            {**BARE, "variants": [{**LINEAR, "weight": 0}, {**XGB, "weight": 0}]},
            (
                "variants[0].weight: at least one variant needs a weight above 0, or no request "
                "has a way to go"
            ),
        ),
        (
            {**BARE, "variants": [without(LINEAR, "image")]},
            (
                "variants[0].model_id: is required, or one of `model_package_arn`, `image`, "
                "`containers`"
            ),
        ),
        (
            {**BARE, "variants": [without(LINEAR, "instance_type")]},
            "variants[0].instance_type: is required, or `serverless`",
        ),
        (
            {**BARE, "variants": [{**LINEAR, "instance_count": 0}]},
            "variants[0].instance_count: must be at least 1, not 0",
        ),
        (
            {**BARE, "variants": [{**LINEAR, "inference_instance_type": "ml.m5.large"}]},
            ("variants[0].inference_instance_type: unknown key; did you mean 'instance_type'?"),
        ),
        (
            {**OWN, "inference_instance_count": 0},
            "inference_instance_count: must be at least 1, not 0",
        ),
        (
            {**OWN, "routing_strategy": "ROUND_ROBIN"},
            (
                "routing_strategy: must be one of 'LEAST_OUTSTANDING_REQUESTS', 'RANDOM', not "
                "'ROUND_ROBIN'"
            ),
        ),
        (
            {**OWN, "volume_size_gb": 513},
            "volume_size_gb: must be at most 512, not 513",
        ),
        (
            {**OWN, "inference_instance_type": "ml.g5.xlarge", "volume_size_gb": 100},
            "volume_size_gb: ml.g5.xlarge brings disks of its own and takes no volume; remove it",
        ),
        (
            {**OWN, "container_startup_timeout_seconds": 59},
            "container_startup_timeout_seconds: must be at least 60, not 59",
        ),
        (
            {**OWN, "model_data_download_timeout_seconds": 3601},
            "model_data_download_timeout_seconds: must be at most 3600, not 3601",
        ),
        (
            {**OWN, "managed_instance_scaling": {**MANAGED, "min_instance_count": 0}},
            "managed_instance_scaling.min_instance_count: must be at least 1, not 0",
        ),
        (
            {**OWN, "managed_instance_scaling": {**MANAGED, "min_instance_count": 3}},
            ("managed_instance_scaling.min_instance_count: must be at most 2 (max_instance_count)"),
        ),
        (
            {**OWN, "managed_instance_scaling": MANAGED, "inference_instance_count": 3},
            "inference_instance_count: must be 1 to 2 (managed_instance_scaling), not 3",
        ),
        (
            {**OWN, "managed_instance_scaling": MANAGED, "autoscaling": SCALING},
            (
                "autoscaling: stands beside `managed_instance_scaling`; only one may set how many "
                "run"
            ),
        ),
        # --- serverless
        (
            {**SERVERLESS, "inference_instance_type": "ml.m5.xlarge"},
            (
                "inference_instance_type: stands beside `serverless`, which has no instances; "
                "remove one"
            ),
        ),
        (
            {**SERVERLESS, "inference_instance_count": 1},
            (
                "inference_instance_count: is for instances, and `serverless` has none; remove one "
                "of the two"
            ),
        ),
        (
            {**SERVERLESS, "serverless": {"memory_mb": 1000, "max_concurrency": 5}},
            ("serverless.memory_mb: must be one of 1024, 2048, 3072, 4096, 5120, 6144, not 1000"),
        ),
        (
            {**SERVERLESS, "serverless": {"memory_mb": 1024, "max_concurrency": 201}},
            "serverless.max_concurrency: must be at most 200, not 201",
        ),
        (
            {
                **SERVERLESS,
                "serverless": {
                    "memory_mb": 1024,
                    "max_concurrency": 2,
                    "provisioned_concurrency": 3,
                },
            },
            "serverless.provisioned_concurrency: must be at most 2 (max_concurrency)",
        ),
        (
            {**SERVERLESS, "autoscaling": SCALING},
            "autoscaling: is for instances, and `serverless` has none; remove one of the two",
        ),
        (
            {**SERVERLESS, "vpc": VPC},
            "vpc: is not supported by serverless variants: remove it, or run on instances",
        ),
        (
            {**SERVERLESS, "data_capture": CAPTURE},
            "data_capture: is not supported by serverless variants: remove it, or run on instances",
        ),
        (
            {**SERVERLESS, "model_data_url": "s3://our-models/folder/"},
            "model_data_url: must be a .tar.gz archive: serverless variants take no folder",
        ),
        (
            {**SERVERLESS, "inference_type": "async"},
            (
                "serverless: is not supported by asynchronous endpoints: remove it, or use "
                "`inference_type` 'realtime'"
            ),
        ),
        (
            without({**FLAN, "serverless": SERVERLESS["serverless"]}, "inference_instance_type"),
            (
                "model_id: is resolved for an instance type, and `serverless` has none: name its "
                "`image` and `model_data_url` instead"
            ),
        ),
        (
            {
                **BARE,
                "variants": [
                    LINEAR,
                    {"name": "S", "image": IMAGE, "serverless": SERVERLESS["serverless"]},
                ],
            },
            (
                "variants: are too many: `serverless` is for an endpoint of one variant; give "
                "each an entry of its own"
            ),
        ),
        # --- shadows
        (
            {**OWN, "shadow_variants": [LINEAR, XGB]},
            "shadow_variants: has 2 entries; SageMaker takes one shadow for one variant",
        ),
        (
            {**TWO, "shadow_variants": [{**XGB, "name": "Shadow"}]},
            "shadow_variants: shadows one production variant only, and there are 2",
        ),
        (
            {**OWN, "shadow_variants": [{**XGB, "name": "AllTraffic"}]},
            (
                "shadow_variants[0].name: 'AllTraffic' is the name of jumpstart_models[0] already; "
                "rename one"
            ),
        ),
        (
            {**SHADOWED, "inference_type": "async"},
            (
                "shadow_variants: is not supported by asynchronous endpoints: remove it, or use "
                "`inference_type` 'realtime'"
            ),
        ),
        (
            {**OWN, "shadow_variants": [{**XGB, "instance_type": "ml.inf1.xlarge"}]},
            (
                "shadow_variants[0].instance_type: ml.inf1.xlarge is not supported beside a "
                "shadow variant"
            ),
        ),
        (
            {**OWN, "shadow_variants": [{**without(XGB, "image"), "model_package_arn": PACKAGE}]},
            "shadow_variants[0].model_package_arn: is not supported beside a shadow variant",
        ),
        (
            {**OWN, "shadow_variants": [{**XGB, "weigth": 1}]},
            "shadow_variants[0].weigth: unknown key; did you mean 'weight'?",
        ),
        # --- data capture and keys
        (
            {**OWN, "data_capture": {**CAPTURE, "sampling_percentage": 101}},
            "data_capture.sampling_percentage: must be at most 100, not 101",
        ),
        (
            {**OWN, "data_capture": {**CAPTURE, "capture": ["Inputs"]}},
            (
                "data_capture.capture[0]: must be one of 'Input', 'Output', not 'Inputs'; did you "
                "mean 'Input'?"
            ),
        ),
        (
            {**OWN, "data_capture": {**CAPTURE, "capture": ["Input", "Input"]}},
            "data_capture.capture[1]: 'Input' is named twice; remove one",
        ),
        (
            {**OWN, "data_capture": {}},
            "data_capture.destination_s3_uri: is required",
        ),
        (
            {**OWN, "kms_key_id": "my key"},
            (
                "kms_key_id: must be a KMS key: its ARN, its id, or its alias such as "
                "'alias/name', not 'my key'"
            ),
        ),
        (
            {**OWN, "kms_key_id": "arn:aws:kms:eu-west-1:123456789012:key/x"},
            "kms_key_id: must be in us-east-1 (region_name), where the endpoint is, not eu-west-1",
        ),
        # --- asynchronous
        (
            {**OWN, "async": {}},
            "async: is for `inference_type` 'async': remove it",
        ),
        (
            {**ASYNC, "async": {"output": "s3://x"}},
            "async.output: unknown key; did you mean 'output_path'?",
        ),
        (
            {**ASYNC, "async": {"max_concurrent_invocations_per_instance": 1001}},
            "async.max_concurrent_invocations_per_instance: must be at most 1000, not 1001",
        ),
        (
            {**ASYNC, "async": {"output_path": "results"}},
            (
                "async.output_path: must be a place in S3 such as 's3://bucket/folder', not "
                "'results'"
            ),
        ),
        (
            {**ASYNC, "async": {"success_topic_arn": "done"}},
            (
                "async.success_topic_arn: must be the ARN of a topic such as "
                "'arn:aws:sns:us-east-1:123456789012:name'; SageMaker speaks to no FIFO topic, "
                "not 'done'"
            ),
        ),
    ],
    ids=lambda value: value[:60] if isinstance(value, str) else "",
)
def test_a_mistake_is_reported_with_its_place_and_what_to_do(
    entry: Mapping[str, Any], expected: str
) -> None:
    assert expected in problems(entry)


def test_settings_of_an_entry_apply_to_variants_that_do_not_override_them() -> None:
    role = "arn:aws:iam::123456789012:role/own"
    (entry,) = parse(
        config_with(
            {
                **BARE,
                "vpc": VPC,
                "network_isolation": True,
                "variants": [LINEAR, {**XGB, "network_isolation": False}],
                "execution_role_arn": role,
            }
        )
    ).jumpstart_models
    linear, xgb = entry.production_variants().values()
    assert (linear.network_isolation, xgb.network_isolation) == (True, False)
    assert linear.vpc == xgb.vpc == entry.vpc
    assert linear.execution_role_arn == role


def test_all_mistakes_of_a_variant_are_reported_together() -> None:
    found = problems(
        {**BARE, "variants": [{"name": "a b", "weight": -1, "instance": "ml.m5.large"}]}
    )
    assert [problem.partition(":")[0] for problem in found] == [
        "variants[0].instance",
        "variants[0].instance_type",
        "variants[0].model_id",
        "variants[0].name",
        "variants[0].weight",
    ]
