"""The real Terraform AWS provider against the simulator: create, no drift, destroy."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.serving.server import Address
from local.simulator.account import Account
from local.simulator.lifecycle import Durations
from local.simulator.server import serving
from local.simulator.service import Simulator
from local.simulator.world import World
from tools import terraform_cli

STACK = """
terraform {
  required_providers {
    aws = { source = "hashicorp/aws", version = "~> 5.100.0" }
  }
}
provider "aws" {
  region                      = "us-east-1"
  access_key                  = "test"
  secret_key                  = "test"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
  default_tags { tags = { "endpoint-meter:stack" = "demo-us-east-1" } }
}
resource "aws_sagemaker_model" "jumpstart" {
  name                     = "Demo-Model-1a2b"
  execution_role_arn       = "arn:aws:iam::000000000000:role/Demo"
  enable_network_isolation = true
  primary_container {
    image       = "763104351884.dkr.ecr.us-east-1.amazonaws.com/inference:1"
    environment = { SAGEMAKER_PROGRAM = "inference.py", SM_NUM_GPUS = "4" }
    model_data_source {
      s3_data_source {
        s3_uri           = "s3://jumpstart-cache-prod-us-east-1/model/"
        s3_data_type     = "S3Prefix"
        compression_type = "None"
      }
    }
  }
}
resource "aws_sagemaker_model" "packed" {
  name               = "Demo-Packed"
  execution_role_arn = "arn:aws:iam::000000000000:role/Demo"
  container {
    image          = "763104351884.dkr.ecr.us-east-1.amazonaws.com/inference:1"
    model_data_url = "s3://bucket/model.tar.gz"
  }
  vpc_config {
    subnets            = ["subnet-1"]
    security_group_ids = ["sg-1"]
  }
}
resource "aws_sagemaker_endpoint_configuration" "variants" {
  name = "Demo-Config-3c4d"
  production_variants {
    variant_name                                      = "AllTraffic"
    model_name                                        = aws_sagemaker_model.jumpstart.name
    instance_type                                     = "ml.g5.12xlarge"
    initial_instance_count                            = 1
    volume_size_in_gb                                 = 256
    model_data_download_timeout_in_seconds            = 1200
    container_startup_health_check_timeout_in_seconds = 3600
  }
  production_variants {
    variant_name           = "Other"
    model_name             = aws_sagemaker_model.packed.name
    instance_type          = "ml.g5.8xlarge"
    initial_instance_count = 2
    initial_variant_weight = 0.5
  }
  data_capture_config {
    enable_capture              = true
    initial_sampling_percentage = 10
    destination_s3_uri          = "s3://bucket/capture"
    capture_options { capture_mode = "Input" }
  }
}
resource "aws_sagemaker_endpoint_configuration" "async" {
  name        = "Demo-Async"
  kms_key_arn = "arn:aws:kms:us-east-1:000000000000:key/1"
  production_variants {
    variant_name = "AllTraffic"
    model_name   = aws_sagemaker_model.packed.name
    instance_type          = "ml.m5.large"
    initial_instance_count = 1
  }
  async_inference_config {
    client_config { max_concurrent_invocations_per_instance = 4 }
    output_config {
      s3_output_path = "s3://bucket/out"
      notification_config { success_topic = "arn:aws:sns:us-east-1:000000000000:success" }
    }
  }
}
resource "aws_sagemaker_endpoint" "running" {
  name                 = "Demo-Endpoint"
  endpoint_config_name = aws_sagemaker_endpoint_configuration.variants.name
}
"""


@pytest.fixture
def simulator() -> Simulator:
    return Simulator(World(Account(), Durations(0.1, 0.1, 0.1)))


@pytest.fixture
def server(simulator: Simulator) -> Iterator[Address]:
    with serving(simulator) as running:
        yield running


def test_terraform_creates_sees_no_drift_and_destroys(
    simulator: Simulator, server: Address, tmp_path: Path
) -> None:
    binary = terraform_cli.require()
    (tmp_path / "main.tf").write_text(STACK)
    settings = terraform_cli.environment()
    environment = {key: value for key, value in settings.items() if not key.startswith("AWS_")}
    environment["AWS_ENDPOINT_URL_SAGEMAKER"] = server.url

    def terraform(*arguments: str) -> str:
        done = subprocess.run(
            [binary, *arguments, "-no-color", "-input=false"],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    terraform("init")
    assert "5 added, 0 changed, 0 destroyed" in terraform("apply", "-auto-approve")
    assert "No changes." in terraform("plan", "-detailed-exitcode")
    assert "5 destroyed" in terraform("destroy", "-auto-approve")
    until = time.monotonic() + 5  # the provider returns as soon as the endpoint is Deleting
    while simulator.health()["endpoints"] and time.monotonic() < until:
        time.sleep(0.05)
    assert simulator.health()["endpoints"] == 0
