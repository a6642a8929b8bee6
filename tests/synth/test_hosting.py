"""The resources that models, variants and asynchronous settings of a config become."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

import main
from constructs_lib.config.file import load, notes, parse
from constructs_lib.hosting import hostings
from constructs_lib.models_lock import ModelsLock
from tests.synth.conftest import Synthesize
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
from tests.synth.synthesis import COMBINED, FLAN, Stack, config_with

NOON = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
CONFIG, MODEL = "aws_sagemaker_endpoint_configuration", "aws_sagemaker_model"
TELEMETRY = {
    "logs:CreateLogGroup",
    "logs:CreateLogStream",
    "logs:DescribeLogStreams",
    "logs:PutLogEvents",
    "cloudwatch:PutMetricData",
}
PARTITION = "arn:${data.aws_partition.current.partition}"
HERE = "us-east-1:${data.aws_caller_identity.current.account_id}"

AMI = {"inference_ami_version": "al2-ami-sagemaker-inference-gpu-3-1"}
OF_REGISTRY = "arn:aws:sagemaker:us-east-1:123456789012:model-package/boston/7"
INVOCATIONS, CONCURRENCY = (
    {"PredefinedMetricSpecification": {"PredefinedMetricType": f"SageMakerVariant{metric}"}}
    for metric in ("InvocationsPerInstance", "ConcurrentRequestsPerModelHighResolution")
)
BACKLOG = {
    "CustomizedMetricSpecification": {
        "MetricName": "ApproximateBacklogSizePerInstance",
        "Namespace": "AWS/SageMaker",
        "Dimensions": [{"Name": "EndpointName", "Value": "demo-Boston-Endpoint"}],
        "Statistic": "Average",
    }
}

# A new value moves running endpoints in the next deploy: raise the recipe only where that is meant.
DIGESTS: Mapping[str, list[str]] = {
    "async-own-places": ["8842098c"],
    "falcon-all-settings": ["40c545ee", "a2de6af8", "df292b20"],
    "image": ["0079ec2b"],
    "model-package": ["3fbc785d"],
    "pipeline": ["0e2f5732"],
    "serverless": ["fffdeafe"],
    "shadow": ["d40079f5"],
    "variants": ["5ec66363"],
    "vpc": ["1b117bf8"],
}


def only(found: Mapping[str, Any]) -> Any:
    (value,) = found.values()
    return value


def roles_of_models(stack: Stack) -> dict[str, list[Mapping[str, Any]]]:
    return {
        name: stack.statements(name)
        for name in stack.all("aws_iam_role_policy")
        if name.startswith("Boston")
    }


def by_action(statements: list[Mapping[str, Any]]) -> dict[str, list[str]]:
    """The resources on which each action is allowed."""
    found: dict[str, list[str]] = {}
    for statement in statements:
        for action in statement["Action"]:
            found.setdefault(action, []).extend(statement["Resource"])
    return found


def test_the_role_of_an_image_may_read_only_its_own_image_and_data(stack_of: Synthesize) -> None:
    stack = stack_of(config_with({**OWN, "environment": {"LEVEL": "20"}}))
    (container,) = [only(stack.all(MODEL))["primary_container"]]
    assert container == {
        "image": IMAGE,
        "model_data_url": DATA,
        "environment": {"LEVEL": "20"},
    }
    allowed = by_action(only(roles_of_models(stack)))
    assert allowed["s3:GetObject"] == [f"{PARTITION}:s3:::our-models/boston/model.tar.gz"]
    assert allowed["ecr:BatchGetImage"] == [
        f"{PARTITION}:ecr:us-east-1:683313688378:repository/sagemaker-xgboost"
    ]
    assert {action for action in allowed if not action.startswith(("s3:", "ecr:"))} == TELEMETRY


def test_model_data_in_a_folder_becomes_a_data_source(stack_of: Synthesize) -> None:
    stack = stack_of(config_with({**OWN, "model_data_url": "s3://our-models/boston/"}))
    container = only(stack.all(MODEL))["primary_container"]
    assert "model_data_url" not in container
    assert container["model_data_source"]["s3_data_source"] == [
        {
            "s3_uri": "s3://our-models/boston/",
            "s3_data_type": "S3Prefix",
            "compression_type": "None",
        }
    ]
    allowed = by_action(only(roles_of_models(stack)))
    assert allowed["s3:GetObject"] == [f"{PARTITION}:s3:::our-models/boston/*"]


def test_a_model_package_is_isolated_and_its_role_reads_nothing(stack_of: Synthesize) -> None:
    entry = {**BARE, "model_package_arn": PACKAGE, "inference_instance_type": "ml.g5.12xlarge"}
    stack = stack_of(config_with(entry))
    model = only(stack.all(MODEL))
    assert model["enable_network_isolation"]
    assert model["primary_container"] == {"model_package_name": PACKAGE}
    assert set(by_action(only(roles_of_models(stack)))) == TELEMETRY


def test_a_pipeline_has_its_containers_in_order(stack_of: Synthesize) -> None:
    other = IMAGE.replace("xgboost", "scikit-learn")
    entry = {
        **BARE,
        "containers": [{"image": other}, {"image": IMAGE, "model_data_url": DATA}],
        "inference_instance_type": "ml.m5.xlarge",
    }
    stack = stack_of(config_with(entry))
    model = only(stack.all(MODEL))
    assert "primary_container" not in model
    first, second = model["container"]
    assert (first["image"], first["container_hostname"]) == (other, "container-1")
    assert (second["model_data_url"], second["container_hostname"]) == (DATA, "container-2")
    assert len(by_action(only(roles_of_models(stack)))["ecr:BatchGetImage"]) == 2


def test_a_role_given_by_the_user_is_used_unchanged(stack_of: Synthesize) -> None:
    role = "arn:aws:iam::123456789012:role/hosting"
    stack = stack_of(config_with({**OWN, "execution_role_arn": role}))
    assert only(stack.all(MODEL))["execution_role_arn"] == role
    assert not roles_of_models(stack)


def test_in_a_vpc_the_role_may_create_interfaces_only_in_its_subnets_and_groups(
    stack_of: Synthesize,
) -> None:
    stack = stack_of(config_with({**OWN, "vpc": VPC}))
    assert only(stack.all(MODEL))["vpc_config"] == {
        "security_group_ids": ["sg-1"],
        "subnets": ["subnet-1"],
    }
    statements = only(roles_of_models(stack))
    subnet = f"{PARTITION}:ec2:{HERE}:subnet/subnet-1"
    assert by_action(statements)["ec2:CreateNetworkInterface"] == [
        f"{PARTITION}:ec2:{HERE}:security-group/sg-1",
        subnet,
        f"{PARTITION}:ec2:{HERE}:network-interface/*",
    ]
    (conditions,) = [
        s["Condition"] for s in statements if "ec2:DeleteNetworkInterface" in s["Action"]
    ]
    assert conditions == {"ArnEquals": {"ec2:Subnet": [subnet]}}


def test_each_variant_has_a_model_of_its_own(stack_of: Synthesize) -> None:
    stack = stack_of(
        config_with(
            {
                **BARE,
                "variants": [
                    {**LINEAR, "weight": 4, "instance_count": 2, "autoscaling": SCALING},
                    {**XGB, "managed_instance_scaling": MANAGED, "routing_strategy": "RANDOM"},
                ],
            }
        )
    )
    linear, xgb = only(stack.all(CONFIG))["production_variants"]
    assert (linear["variant_name"], linear["initial_variant_weight"]) == ("Linear", 4)
    assert linear["initial_instance_count"] == 2
    assert (xgb["variant_name"], xgb["initial_variant_weight"]) == ("XGB", 1)
    assert xgb["managed_instance_scaling"] == {
        "status": "ENABLED",
        "min_instance_count": 1,
        "max_instance_count": 2,
    }
    assert xgb["routing_config"] == [{"routing_strategy": "RANDOM"}]
    assert linear["model_name"] != xgb["model_name"]
    assert len(roles_of_models(stack)) == len(stack.all(MODEL)) == 2
    item = json.loads(only(stack.all("aws_dynamodb_table_item"))["item"])
    (scaling,) = json.loads(item["scaling"]["S"])
    assert (scaling["variant"], scaling["max_capacity"]) == ("Linear", 2)


def test_a_change_of_one_variant_replaces_all_models_and_the_config(stack_of: Synthesize) -> None:
    before = stack_of(config_with(TWO))
    after = stack_of(config_with({**TWO, "variants": [LINEAR, {**XGB, "weight": 2}]}))
    for kind in (CONFIG, MODEL):
        assert not set(before.all(kind)) & set(after.all(kind))


@pytest.mark.parametrize("example", DIGESTS)
def test_a_field_that_is_added_changes_no_name_of_an_entry_that_does_not_set_it(
    example: str,
) -> None:
    config = load(main.PROJECT / "configs" / "examples" / f"{example}.json")
    lock = ModelsLock.read(main.PROJECT / "configs" / "models.lock.json", config.region_name)
    digests = [
        each.digest() for choices in hostings(config, lock.resolve(config)) for each in choices
    ]
    assert sorted(digests) == sorted(DIGESTS[example])


def test_the_longest_name_fits_models_roles_and_configs(stack_of: Synthesize) -> None:
    name = "a" * (63 - len("demo--Endpoint"))
    stack = stack_of(config_with({**TWO, "name": name}))
    for kind, most in ((CONFIG, 63), (MODEL, 63), ("aws_iam_role", 64)):
        names = [body["name"] for key, body in stack.all(kind).items() if key.startswith(name)]
        assert names
        assert max(map(len, names)) <= most


def test_a_shadow_has_its_own_model_and_the_variant_keeps_its_name(stack_of: Synthesize) -> None:
    config = only(stack_of(config_with(SHADOWED)).all(CONFIG))
    (production,), (shadow,) = config["production_variants"], config["shadow_production_variants"]
    assert (production["variant_name"], shadow["variant_name"]) == ("AllTraffic", "XGB")
    assert production["model_name"] != shadow["model_name"]


def test_a_serverless_variant_has_no_instances(stack_of: Synthesize) -> None:
    (variant,) = only(stack_of(config_with(SERVERLESS)).all(CONFIG))["production_variants"]
    assert variant["serverless_config"] == {"memory_size_in_mb": 1024, "max_concurrency": 5}
    assert "instance_type" not in variant
    assert "initial_instance_count" not in variant


@pytest.mark.parametrize(
    ("key", "arn"),
    [
        ("alias/volumes", f"{PARTITION}:kms:{HERE}:alias/volumes"),
        (
            "1234abcd-12ab-34cd-56ef-1234567890ab",
            f"{PARTITION}:kms:{HERE}:key/1234abcd-12ab-34cd-56ef-1234567890ab",
        ),
        ("arn:aws:kms:us-east-1:123456789012:key/x", "arn:aws:kms:us-east-1:123456789012:key/x"),
    ],
)
def test_the_reconciler_may_create_grants_for_the_volume_key_only_for_aws_services(
    stack_of: Synthesize, key: str, arn: str
) -> None:
    stack = stack_of(config_with({**OWN, "kms_key_id": key}))
    assert only(stack.all(CONFIG))["kms_key_arn"] == arn
    (grant,) = [s for s in stack.statements("reconciler") if "kms:CreateGrant" in s["Action"]]
    assert grant["Condition"]["Bool"] == {"kms:GrantIsForAWSResource": "true"}
    assert grant["Resource"] == [arn.replace("alias/volumes", "key/*")]
    by_alias = grant["Condition"].get("ForAnyValue:StringEquals")
    assert by_alias == ({"kms:ResourceAliases": "alias/volumes"} if "alias" in key else None)


def test_a_note_says_that_the_key_does_not_encrypt_local_disks() -> None:
    entry = {**OWN, "kms_key_id": "alias/volumes"}
    on_disks = parse(config_with({**entry, "inference_instance_type": "ml.g5.xlarge"}))
    assert "does not encrypt the disks of ml.g5.xlarge" in "\n".join(notes(on_disks, NOON))
    assert "kms_key_id" not in "\n".join(notes(parse(config_with(entry)), NOON))


def test_captured_data_may_be_written_to_its_destination(stack_of: Synthesize) -> None:
    capture = {**CAPTURE, "sampling_percentage": 20, "kms_key_id": "alias/captures"}
    stack = stack_of(config_with({**OWN, "data_capture": capture}))
    assert only(stack.all(CONFIG))["data_capture_config"] == {
        "enable_capture": True,
        "destination_s3_uri": "s3://captures",
        "initial_sampling_percentage": 20,
        "capture_options": [{"capture_mode": "Input"}, {"capture_mode": "Output"}],
        "kms_key_id": f"{PARTITION}:kms:{HERE}:alias/captures",
    }
    allowed = by_action(only(roles_of_models(stack)))
    assert allowed["s3:PutObject"] == [f"{PARTITION}:s3:::captures/*"]
    assert allowed["kms:GenerateDataKey"] == [f"{PARTITION}:kms:{HERE}:key/*"]


def test_captured_bodies_are_read_by_their_content_types(stack_of: Synthesize) -> None:
    types = {"csv_content_types": ["text/csv"], "json_content_types": ["application/json"]}
    stack = stack_of(config_with({**OWN, "data_capture": {**CAPTURE, **types}}))
    capture = only(stack.all(CONFIG))["data_capture_config"]
    assert capture["capture_content_type_header"] == types


def test_core_dumps_may_be_written_to_their_place(stack_of: Synthesize) -> None:
    dump = {"destination_s3_uri": "s3://dumps/boston", "kms_key_id": "alias/dumps"}
    stack = stack_of(
        config_with({**OWN, "core_dump_config": dump, "enable_ssm_access": True, **AMI})
    )
    (variant,) = only(stack.all(CONFIG))["production_variants"]
    assert variant["core_dump_config"] == {
        **dump,
        "kms_key_id": f"{PARTITION}:kms:{HERE}:alias/dumps",
    }
    assert (variant["enable_ssm_access"], variant["inference_ami_version"]) == (
        True,
        AMI["inference_ami_version"],
    )
    allowed = by_action(only(roles_of_models(stack)))
    assert allowed["s3:PutObject"] == [f"{PARTITION}:s3:::dumps/boston/*"]
    assert "kms:GenerateDataKey" in allowed


def test_a_data_source_is_passed_on_as_it_is_spelled_out(stack_of: Synthesize) -> None:
    source = {
        "s3_uri": "s3://our-models/boston/model.bin",
        "s3_data_type": "S3Object",
        "compression_type": "None",
    }
    entry = {key: value for key, value in OWN.items() if key != "model_data_url"}
    stack = stack_of(config_with({**entry, "model_data_source": {**source, "accept_eula": True}}))
    container = only(stack.all(MODEL))["primary_container"]
    assert "model_data_url" not in container
    assert container["model_data_source"]["s3_data_source"] == [
        {**source, "model_access_config": {"accept_eula": True}}
    ]
    allowed = by_action(only(roles_of_models(stack)))
    assert allowed["s3:GetObject"] == [f"{PARTITION}:s3:::our-models/boston/model.bin"]


def test_a_multi_model_container_takes_the_folder_of_its_models(stack_of: Synthesize) -> None:
    many = {"mode": "MultiModel", "model_data_url": "s3://our-models/many/"}
    stack = stack_of(config_with({**OWN, **many, "model_cache_setting": "Disabled"}))
    container = only(stack.all(MODEL))["primary_container"]
    assert container["model_data_url"] == "s3://our-models/many/"
    assert "model_data_source" not in container
    assert container["mode"] == "MultiModel"
    assert container["multi_model_config"] == {"model_cache_setting": "Disabled"}
    allowed = by_action(only(roles_of_models(stack)))
    assert allowed["s3:GetObject"] == [f"{PARTITION}:s3:::our-models/many/*"]


def test_the_role_of_an_image_in_a_registry_of_ones_own_asks_for_its_password(
    stack_of: Synthesize,
) -> None:
    login = "arn:aws:lambda:us-east-1:123456789012:function:login"
    config = {"repository_access_mode": "Vpc", "repository_credentials_provider_arn": login}
    registry = {"image": "registry.example.com:5000/llm:1", "image_config": config, "vpc": VPC}
    stack = stack_of(config_with({**OWN, **registry}))
    container = only(stack.all(MODEL))["primary_container"]
    assert container["image"] == "registry.example.com:5000/llm:1"
    assert container["image_config"] == {
        "repository_access_mode": "Vpc",
        "repository_auth_config": {"repository_credentials_provider_arn": login},
    }
    allowed = by_action(only(roles_of_models(stack)))
    assert allowed["lambda:InvokeFunction"] == [login]
    assert not [action for action in allowed if action.startswith("ecr:")]


def test_containers_that_are_called_one_by_one_have_names(stack_of: Synthesize) -> None:
    entry = {
        **BARE,
        "containers": [{"image": IMAGE, "container_hostname": "boosted"}, {"image": IMAGE}],
        "inference_execution_mode": "Direct",
        "inference_instance_type": "ml.m5.xlarge",
    }
    model = only(stack_of(config_with(entry)).all(MODEL))
    assert model["inference_execution_config"] == {"mode": "Direct"}
    names = [container["container_hostname"] for container in model["container"]]
    assert names == ["boosted", "container-2"]


def test_a_serverless_package_is_not_isolated_because_serverless_cannot_be(
    stack_of: Synthesize,
) -> None:
    package = {"model_package_arn": OF_REGISTRY, "inference_specification_name": "cpu"}
    entry = {**BARE, **package, "serverless": SERVERLESS["serverless"]}
    model = only(stack_of(config_with(entry)).all(MODEL))
    assert model["enable_network_isolation"] is False
    assert model["primary_container"] == {
        "model_package_name": OF_REGISTRY,
        "inference_specification_name": "cpu",
    }


def test_an_asynchronous_endpoint_may_put_answers_into_its_notifications(
    stack_of: Synthesize,
) -> None:
    topics = ["SUCCESS_NOTIFICATION_TOPIC"]
    stack = stack_of(config_with({**ASYNC, "async": {"include_inference_response_in": topics}}))
    output = only(stack.all(CONFIG))["async_inference_config"]["output_config"]
    assert output["notification_config"]["include_inference_response_in"] == topics


def test_what_an_entry_says_itself_is_laid_over_the_locked_model(stack_of: Synthesize) -> None:
    locked = only(stack_of(config_with({**FLAN, "name": "Boston"})).all(MODEL))["primary_container"]
    own = {"environment": {"MAX_INPUT_LENGTH": "4096"}, "image": IMAGE, "model_data_url": DATA}
    stack = stack_of(config_with({**FLAN, "name": "Boston", **own}))
    assert only(stack.all(MODEL))["primary_container"] == {
        "environment": {**locked["environment"], "MAX_INPUT_LENGTH": "4096"},
        "image": IMAGE,
        "model_data_url": DATA,
    }
    allowed = by_action(only(roles_of_models(stack)))
    assert allowed["s3:GetObject"] == [f"{PARTITION}:s3:::our-models/boston/model.tar.gz"]


def test_the_servers_of_all_examples_leave_room_for_an_answer(stack_of: Synthesize) -> None:
    """Text Generation Inference does not start otherwise."""
    page = (main.PROJECT / "docs" / "configuration.md").read_text()
    (documented,) = re.findall(r'^\{"environment": \{"MAX_INPUT_LENGTH.*$', page, re.MULTILINE)
    combined, of_docs = (
        json.loads(COMBINED.read_text()),
        config_with({**FLAN, **json.loads(documented)}),
    )
    for config in (combined, of_docs):
        models = stack_of(config).all(MODEL).values()
        variables = [
            each["primary_container"].get("environment", {})
            for each in models
            if "primary_container" in each
        ]
        limits = [v for v in variables if {"MAX_INPUT_LENGTH", "MAX_TOTAL_TOKENS"} <= v.keys()]
        assert "4096" in {each["MAX_INPUT_LENGTH"] for each in limits}
        for each in limits:
            assert int(each["MAX_INPUT_LENGTH"]) < int(each["MAX_TOTAL_TOKENS"]), each


def test_notes_say_what_is_not_as_it_was_locked() -> None:
    lock = ModelsLock.read(main.PROJECT / "configs" / "models.lock.json", "us-east-1")
    own = {"environment": {"MAX_INPUT_LENGTH": "4096", "OURS": "1"}, "image": IMAGE}
    told = "\n".join(lock.notes(parse(config_with({**FLAN, **own}))))
    assert "`environment` sets MAX_INPUT_LENGTH to '4096' instead of the publisher's " in told
    assert f"`image` is used instead of what {FLAN['model_id']} was locked with." in told
    assert "OURS" not in told
    assert not list(lock.notes(parse(config_with(FLAN))))


@pytest.mark.parametrize(
    ("autoscaling", "name", "metric"),
    [
        ({"invocations_per_instance": 10}, "invocations", INVOCATIONS),
        ({"target": 10}, "invocations", INVOCATIONS),
        ({"scale_on": "concurrency", "target": 10}, "concurrency", CONCURRENCY),
        ({"scale_on": "backlog", "target": 10, "min_capacity": 0}, "backlog", BACKLOG),
    ],
    ids=["by name", "invocations", "concurrency", "backlog"],
)
def test_scaling_is_on_the_metric_that_was_chosen(
    autoscaling: Mapping[str, Any], name: str, metric: Mapping[str, Any]
) -> None:
    entry = ASYNC if name == "backlog" else OWN
    (model,) = parse(
        config_with({**entry, "autoscaling": {"max_capacity": 2, **autoscaling}})
    ).jumpstart_models
    (scaling,) = model.scaling("demo-Boston-Endpoint")
    assert (scaling.min_capacity, scaling.max_capacity) == (autoscaling.get("min_capacity", 1), 2)
    assert scaling.policies == {
        name: {"TargetValue": 10.0, **metric, "ScaleInCooldown": 300, "ScaleOutCooldown": 300}
    }


def test_an_asynchronous_endpoint_gets_a_bucket_and_topics_of_the_stack(
    stack_of: Synthesize,
) -> None:
    stack = stack_of(config_with(ASYNC))
    output_config = only(stack.all(CONFIG))["async_inference_config"]["output_config"]
    bucket = "${aws_s3_bucket.data.bucket}"
    assert output_config["s3_output_path"] == f"s3://{bucket}/Boston/output"
    assert output_config["s3_failure_path"] == f"s3://{bucket}/Boston/failure"
    assert output_config["notification_config"] == {
        "success_topic": "${aws_sns_topic.async_success.arn}",
        "error_topic": "${aws_sns_topic.async_error.arn}",
    }
    allowed = by_action(only(roles_of_models(stack)))
    assert allowed["s3:PutObject"] == [
        f"{PARTITION}:s3:::{bucket}/Boston/output/*",
        f"{PARTITION}:s3:::{bucket}/Boston/failure/*",
    ]
    assert f"{PARTITION}:s3:::{bucket}/Boston/input/*" in allowed["s3:GetObject"]
    assert set(allowed["sns:Publish"]) == {
        "${aws_sns_topic.async_success.arn}",
        "${aws_sns_topic.async_error.arn}",
    }
    assert stack.document["output"]["async_bucket_name"]["value"] == bucket


def test_the_bucket_is_private_encrypted_tls_only_and_expires_objects(stack_of: Synthesize) -> None:
    stack = stack_of(config_with(ASYNC))
    block = stack.one("aws_s3_bucket_public_access_block", "data")
    assert all(
        value is True for key, value in block.items() if key.startswith(("block", "ig", "re"))
    )
    (rule,) = stack.one("aws_s3_bucket_server_side_encryption_configuration", "data")["rule"]
    assert rule["apply_server_side_encryption_by_default"] == {"sse_algorithm": "AES256"}
    policy = json.loads(stack.one("aws_s3_bucket_policy", "data")["policy"])
    (deny,) = policy["Statement"]
    assert (deny["Effect"], deny["Condition"]) == (
        "Deny",
        {"Bool": {"aws:SecureTransport": "false"}},
    )
    (expiry,) = stack.one("aws_s3_bucket_lifecycle_configuration", "data")["rule"]
    assert expiry["expiration"] == [{"days": 30}]


def test_an_asynchronous_endpoint_with_its_own_bucket_and_topics_gets_none_of_the_stack(
    stack_of: Synthesize,
) -> None:
    topic = "arn:aws:sns:us-east-1:123456789012:"
    places = {
        "input_path": "s3://ours/in",
        "output_path": "s3://ours/out",
        "failure_path": "s3://ours/failed",
        "success_topic_arn": f"{topic}done",
        "error_topic_arn": f"{topic}failed",
        "max_concurrent_invocations_per_instance": 4,
        "kms_key_id": "alias/results",
    }
    stack = stack_of(config_with({**ASYNC, "async": places}))
    async_config = only(stack.all(CONFIG))["async_inference_config"]
    assert async_config["client_config"] == {"max_concurrent_invocations_per_instance": 4}
    assert async_config["output_config"]["s3_output_path"] == "s3://ours/out"
    assert "data" not in stack.all("aws_s3_bucket")
    allowed = by_action(only(roles_of_models(stack)))
    assert allowed["sns:Publish"] == [f"{topic}done", f"{topic}failed"]
    assert "kms:GenerateDataKey" in allowed
    assert "async_bucket_name" not in stack.document["output"]


def test_settings_of_the_entry_override_those_of_jumpstart(stack_of: Synthesize) -> None:
    entry = {**FLAN, "name": "Boston", "container_startup_timeout_seconds": 900}
    (variant,) = only(stack_of(config_with(entry)).all(CONFIG))["production_variants"]
    assert variant["container_startup_health_check_timeout_in_seconds"] == 900
    assert parse(config_with(entry)).jumpstart_models[0].volume_size_gb is None


@pytest.mark.parametrize(
    ("settings", "groups"),
    [
        ({}, "*"),
        ({"max_added_endpoints": 0}, "*"),
        ({"addable_configs": ["others-*"], "adoptable": []}, "*"),
        ({"max_added_endpoints": 0, "adoptable": ["team-a-*"]}, "*"),
        ({"max_added_endpoints": 0, "adoptable": []}, "demo-*"),
        ({"addable_configs": [], "adoptable": []}, "demo-*"),
    ],
    ids=[
        "any may be added and adopted",
        "any may be adopted and moved",
        "those with another config may be added and moved",
        "some may be adopted and moved",
        "none may be added or adopted",
        "none may be added with any config or adopted",
    ],
)
def test_a_model_may_log_for_each_endpoint_that_may_run_it(
    stack_of: Synthesize, settings: dict[str, Any], groups: str
) -> None:
    stack = stack_of(config_with(OWN, **settings))
    (role,) = [name for name in stack.all("aws_iam_role_policy") if name.startswith("Boston")]
    (resource,) = [
        resource
        for statement in stack.statements(role)
        if "logs:PutLogEvents" in statement["Action"]
        for resource in statement["Resource"]
    ]
    assert resource.endswith(f":log-group:/aws/sagemaker/Endpoints/{groups}")
