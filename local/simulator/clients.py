"""Clients for the emulator. The simulator calls it as the account's root user."""

from __future__ import annotations

from typing import Any

import boto3
from botocore.config import Config


def client(service: Any, endpoint_url: str, region: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=endpoint_url,
        region_name=region,
        # not the environment's credentials, which may belong to a real account
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106  # the emulator's own
        config=Config(
            connect_timeout=2,
            read_timeout=5,
            retries={"total_max_attempts": 3},
            s3={"addressing_style": "path"},
        ),
    )
