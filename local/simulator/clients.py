"""Clients for the emulator, beside which the simulator stands; any credentials will do there."""

from __future__ import annotations

import os
from typing import Any

import boto3
from botocore.config import Config


def client(service: Any, endpoint_url: str, region: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=endpoint_url,
        region_name=region,
        aws_access_key_id=os.environ.get("AWS_ACCESS_KEY_ID", "test"),
        aws_secret_access_key=os.environ.get("AWS_SECRET_ACCESS_KEY", "test"),
        config=Config(
            connect_timeout=2,
            read_timeout=5,
            retries={"total_max_attempts": 3},
            s3={"addressing_style": "path"},
        ),
    )
