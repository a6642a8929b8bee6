"""Clients for the emulator. The simulator calls it as the account's root user."""

from __future__ import annotations

from typing import Any

import boto3
from botocore.config import Config

from local.key import Key


def client(service: Any, endpoint_url: str, region: str, key: Key) -> Any:
    return boto3.client(
        service,
        endpoint_url=endpoint_url,
        region_name=region,
        aws_access_key_id=key.aws_access_key_id,
        aws_secret_access_key=key.aws_secret_access_key,
        config=Config(
            connect_timeout=2,
            read_timeout=5,
            retries={"total_max_attempts": 3},
            s3={"addressing_style": "path"},
        ),
    )
