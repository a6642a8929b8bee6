"""Entries of a config, and parts of entries, for tests about what an endpoint runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
DATA = "s3://our-models/boston/model.tar.gz"
PACKAGE = "arn:aws:sagemaker:us-east-1:865070037744:model-package/j2-light-v2-0-004"
BARE: Mapping[str, Any] = {"name": "Boston", "inference_type": "realtime"}
OWN: Mapping[str, Any] = {
    **BARE,
    "image": IMAGE,
    "model_data_url": DATA,
    "inference_instance_type": "ml.m5.xlarge",
}
LINEAR: Mapping[str, Any] = {"name": "Linear", "image": IMAGE, "instance_type": "ml.m5.xlarge"}
XGB: Mapping[str, Any] = {**LINEAR, "name": "XGB"}
TWO: Mapping[str, Any] = {**BARE, "variants": [LINEAR, XGB]}
SERVERLESS: Mapping[str, Any] = {
    **BARE,
    "image": IMAGE,
    "serverless": {"memory_mb": 1024, "max_concurrency": 5},
}
SCALING: Mapping[str, Any] = {"max_capacity": 2, "invocations_per_instance": 10}
MANAGED: Mapping[str, Any] = {"min_instance_count": 1, "max_instance_count": 2}
VPC: Mapping[str, Any] = {"security_group_ids": ["sg-1"], "subnet_ids": ["subnet-1"]}
CAPTURE: Mapping[str, Any] = {"destination_s3_uri": "s3://captures"}
SHADOWED: Mapping[str, Any] = {**OWN, "shadow_variants": [XGB]}
ASYNC: Mapping[str, Any] = {**OWN, "inference_type": "async"}


def called(account: str, name: str, **properties: Any) -> dict[str, Any]:
    """An entry with an image of this account that is called through a function."""
    route = {"api_resource_name": name.lower(), **properties}
    return {
        "name": name,
        "image": f"{account}.dkr.ecr.us-east-1.amazonaws.com/own:1",
        "inference_instance_type": "ml.m5.xlarge",
        "inference_type": "realtime",
        "integration": {"type": "lambda", "properties": route},
    }
