"""The only place that makes clients of AWS, with their time-outs, retries and endpoints.

They are botocore's, which boto3 hands out too: importing boto3 on top would cost every cold start.
"""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING, Any

import botocore.session
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_sagemaker_runtime import SageMakerRuntimeClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_stepfunctions import SFNClient

_READ = Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "max_attempts": 3})
# A write that timed out may have worked: the SDK must not retry it.
_WRITE = Config(
    connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 1}
)
_SLOW_WRITE = _WRITE.merge(Config(read_timeout=8))


@cache
def _session() -> botocore.session.Session:
    return botocore.session.Session()


def _client(service: str, config: Config) -> Any:
    return _session().create_client(service, config=config)


@cache
def dynamodb() -> DynamoDBClient:
    return _client("dynamodb", _READ)


@cache
def dynamodb_once() -> DynamoDBClient:
    """For writes that the SDK must not retry."""
    return _client("dynamodb", _WRITE)


@cache
def dynamodb_hasty() -> DynamoDBClient:
    """For writes that must not delay a request."""
    return _client("dynamodb", _WRITE.merge(Config(connect_timeout=1, read_timeout=1)))


@cache
def sqs() -> SQSClient:
    return _client("sqs", _READ)


@cache
def sagemaker() -> SageMakerClient:
    return _client(
        "sagemaker",
        _READ.merge(Config(retries={"mode": "standard", "total_max_attempts": 2})),
    )


@cache
def sagemaker_once() -> SageMakerClient:
    """For calls that change endpoints."""
    return _client("sagemaker", _SLOW_WRITE)


@cache
def sagemaker_runtime(read_seconds: int) -> SageMakerRuntimeClient:
    """For calls of models. They are not retried: each costs GPU time, and may have side effects."""
    return _client("sagemaker-runtime", _WRITE.merge(Config(read_timeout=read_seconds)))


@cache
def functions() -> LambdaClient:
    return _client("lambda", _SLOW_WRITE)


@cache
def functions_that_call_models(read_seconds: int) -> LambdaClient:
    """For calls of models through functions. They are not retried either."""
    return _client("lambda", _WRITE.merge(Config(read_timeout=read_seconds)))


@cache
def logs() -> Any:
    """For calls that must not delay a start."""
    return _client("logs", _WRITE.merge(Config(connect_timeout=1, read_timeout=2)))


@cache
def cloudwatch() -> Any:
    """For alarms. They must not delay a stop, and putting one again is harmless."""
    return _client("cloudwatch", _WRITE.merge(Config(connect_timeout=1, read_timeout=2)))


@cache
def sns() -> SNSClient:
    return _client("sns", _READ)


def user_pool_url(host: str) -> str:
    """The base URL of the public keys of user pools. No API call returns them, so there is no
    client."""
    return os.environ.get("AWS_ENDPOINT_URL") or f"https://{host}"


@cache
def s3() -> S3Client:
    """Its links have signatures of version 4: S3 takes no others for objects encrypted with KMS.
    They name the bucket's region: on the global host a redirect would break the signature. Where
    AWS_ENDPOINT_URL is an IP address, the SDK addresses buckets by path all the same."""
    link = Config(
        signature_version="s3v4",
        s3={"addressing_style": "virtual", "us_east_1_regional_endpoint": "regional"},
    )
    return _client("s3", _READ.merge(link))


@cache
def stepfunctions() -> SFNClient:
    return _client("stepfunctions", _READ)


@cache
def autoscaling() -> Any:
    """Application Auto Scaling. Its calls may be retried."""
    return _client("application-autoscaling", _READ)
