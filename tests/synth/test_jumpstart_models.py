"""Gated models and models of the Marketplace, from the documents of the hub to Terraform."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import main
from constructs_lib.config.file import parse
from constructs_lib.config.problems import InvalidConfig
from constructs_lib.models_lock import ModelsLock
from jumpstart.hub import Hub
from jumpstart.locking import Wanted, make
from local.simulator.account import Account
from local.simulator.hub import PublicHub
from tests.contract.simulated import SESSION, simulated
from tests.synth.synthesis import Stack, config_with, synthesize
from tests.synth.terraform import Terraform

DOCUMENTS = main.PROJECT / "tests" / "jumpstart_documents"
LLAMA: Mapping[str, Any] = {
    "name": "Llama",
    "model_id": "meta-textgeneration-llama-3-1-70b",
    "inference_instance_type": "ml.p4d.24xlarge",
    "inference_type": "realtime",
    "accept_eula": True,
}
JURASSIC: Mapping[str, Any] = {
    "name": "Jurassic",
    "model_id": "ai21-jurassic-2-light",
    "inference_instance_type": "ml.p4de.24xlarge",
    "inference_type": "realtime",
}
PACKED = {**LLAMA, "name": "Packed", "inference_instance_type": "ml.g5.48xlarge"}
CONFIG = config_with(LLAMA, JURASSIC, PACKED)


def locked(config: Mapping[str, Any]) -> dict[str, Any]:
    account = Account(region="us-east-1")
    with simulated(account, hub=PublicHub.read(account, DOCUMENTS)) as here:
        hub = Hub(SESSION.client("sagemaker", endpoint_url=here.server.url))
        outcome = make([Wanted("test", parse(config), account.region)], lambda _: hub, {})
    assert not outcome.problems
    return outcome.lock


@pytest.fixture(scope="module")
def lock() -> dict[str, Any]:
    return locked(CONFIG)


@pytest.fixture(scope="module")
def stack(lock: Mapping[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Stack:
    folder = tmp_path_factory.mktemp("jumpstart")
    llama = lock["regions"]["us-east-1"][LLAMA["model_id"]]["versions"]["0.0.0"]
    packed = llama["instance_types"][PACKED["inference_instance_type"]]
    packed["artifact"] = packed["artifact"].rstrip("/") + ".tar.gz"
    (folder / "config.json").write_text(json.dumps(CONFIG))

    def read(_path: Path, region: str) -> ModelsLock:
        return ModelsLock.of(lock, "the test's lock", region)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ModelsLock, "read", staticmethod(read))
        return synthesize(folder / "config.json", folder / "out")


def only(stack: Stack, kind: str, name: str) -> Mapping[str, Any]:
    (found,) = (body for key, body in stack.all(kind).items() if key.startswith(name))
    return dict(found)


def test_a_gated_model_is_created_with_its_licence_accepted(stack: Stack) -> None:
    container = only(stack, "aws_sagemaker_model", "Llama")["primary_container"]
    (source,) = container["model_data_source"]["s3_data_source"]
    assert source["model_access_config"] == {"accept_eula": True}
    assert source["s3_uri"].startswith("s3://jumpstart-private-cache-prod-us-east-1/")
    assert container["environment"]["OPTION_TENSOR_PARALLEL_DEGREE"] == "8"
    config = only(stack, "aws_sagemaker_endpoint_configuration", "Llama")
    (variant,) = config["production_variants"]
    assert variant["container_startup_health_check_timeout_in_seconds"] == 1200


def test_a_gated_archive_is_a_data_source_too(stack: Stack) -> None:
    container = only(stack, "aws_sagemaker_model", "Packed")["primary_container"]
    assert "model_data_url" not in container
    (source,) = container["model_data_source"]["s3_data_source"]
    assert (source["s3_data_type"], source["compression_type"]) == ("S3Object", "Gzip")
    assert source["model_access_config"] == {"accept_eula": True}


def test_a_model_package_is_created_from_its_arn_alone_and_in_isolation(stack: Stack) -> None:
    model = only(stack, "aws_sagemaker_model", "Jurassic")
    assert model["primary_container"] == {
        "model_package_name": "arn:aws:sagemaker:us-east-1:865070037744:model-package/"
        "j2-light-v2-0-004"
    }
    assert model["enable_network_isolation"] is True
    policy = json.loads(only(stack, "aws_iam_role_policy", "Jurassic")["policy"])
    actions = {action for each in policy["Statement"] for action in each["Action"]}
    assert not any(action.startswith(("s3:", "ecr:")) for action in actions)


@pytest.mark.slow
def test_gated_and_marketplace_models_are_valid_terraform(
    stack: Stack, terraform: Terraform
) -> None:
    terraform.take(stack.document)
    terraform.assert_valid()


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        (
            {"environment": {"A": "1"}},
            (
                "environment: cannot be changed: ai21-jurassic-2-light is sold on the AWS "
                "Marketplace as a package; remove it"
            ),
        ),
        (
            {"inference_type": "async"},
            (
                "model_id: ai21-jurassic-2-light is sold on the AWS Marketplace as a package, and "
                "asynchronous endpoints take no such package; use `inference_type` 'realtime'"
            ),
        ),
    ],
    ids=["environment", "async"],
)
def test_a_model_of_the_marketplace_is_taken_as_it_is_sold(
    lock: Mapping[str, Any], own: Mapping[str, Any], expected: str
) -> None:
    with pytest.raises(InvalidConfig) as caught:
        ModelsLock.of(lock, "the lock", "us-east-1").resolve(
            parse(config_with({**JURASSIC, **own}))
        )
    assert [str(problem) for problem in caught.value.problems] == [
        f"jumpstart_models[0].{expected}"
    ]


def test_an_ami_that_terraform_does_not_know_is_refused_unless_another_is_named(
    lock: Mapping[str, Any],
) -> None:
    changed = json.loads(json.dumps(lock))
    versions = changed["regions"]["us-east-1"][LLAMA["model_id"]]["versions"]
    locked_type = versions["0.0.0"]["instance_types"]["ml.p4d.24xlarge"]
    locked_type["inference_ami_version"] = "al2023-ami-sagemaker-inference-gpu-4-1"
    models = ModelsLock.of(changed, "the lock", "us-east-1")
    with pytest.raises(InvalidConfig, match="al2023-ami-sagemaker-inference-gpu-4-1, which AWS"):
        models.resolve(parse(config_with(LLAMA)))
    own = {"inference_ami_version": "al2-ami-sagemaker-inference-gpu-3-1"}
    assert models.resolve(parse(config_with({**LLAMA, **own})))


def test_what_terraform_cannot_express_is_refused_at_synth(lock: Mapping[str, Any]) -> None:
    changed = json.loads(json.dumps(lock))
    versions = changed["regions"]["us-east-1"][LLAMA["model_id"]]["versions"]
    locked_type = versions["0.0.0"]["instance_types"]["ml.p4d.24xlarge"]
    locked_type["additional_sources"] = {"draft_model": "s3://bucket/draft/"}
    with pytest.raises(InvalidConfig) as caught:
        ModelsLock.of(changed, "the lock", "us-east-1").resolve(parse(config_with(LLAMA)))
    (problem,) = caught.value.problems
    assert str(problem).startswith(
        "jumpstart_models[0].inference_instance_type: on 'ml.p4d.24xlarge' "
        "meta-textgeneration-llama-3-1-70b needs more artifacts than its own (draft_model)"
    )
