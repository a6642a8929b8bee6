"""What each client does by itself: how long it waits, and whether it repeats a call."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest

from lambdas.aws import clients

# Service, seconds to connect, seconds to read, tries. One try: the call must not be repeated,
# since it may have worked.
CLIENTS: list[tuple[Callable[[], Any], tuple[str, int, int, int]]] = [
    (clients.dynamodb, ("dynamodb", 2, 5, 4)),
    (clients.dynamodb_once, ("dynamodb", 2, 5, 1)),
    (clients.dynamodb_hasty, ("dynamodb", 1, 1, 1)),
    (clients.sqs, ("sqs", 2, 5, 4)),
    (clients.sagemaker, ("sagemaker", 2, 5, 2)),
    (clients.sagemaker_once, ("sagemaker", 2, 8, 1)),
    (lambda: clients.sagemaker_runtime(70), ("sagemaker-runtime", 2, 70, 1)),
    (clients.functions, ("lambda", 2, 8, 1)),
    (lambda: clients.functions_that_call_models(29), ("lambda", 2, 29, 1)),
    (clients.logs, ("logs", 1, 2, 1)),
    (clients.cloudwatch, ("monitoring", 1, 2, 1)),
    (clients.sns, ("sns", 2, 5, 4)),
    (clients.s3, ("s3", 2, 5, 4)),
    (clients.stepfunctions, ("stepfunctions", 2, 5, 4)),
    (clients.autoscaling, ("application-autoscaling", 2, 5, 4)),
]
CACHED: tuple[Any, ...] = (
    *(make for make, _ in CLIENTS if hasattr(make, "cache_clear")),
    clients.sagemaker_runtime,
    clients.functions_that_call_models,
)


@pytest.fixture(autouse=True)
def region(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The environment of a Lambda function, and no client from another test."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # it keeps those of other tests
    _forget()
    yield "eu-central-1"
    _forget()


def _forget() -> None:
    for make in CACHED:
        make.cache_clear()


@pytest.mark.parametrize(
    ("make", "expected"),
    CLIENTS,
    ids=[f"{number} {expected[0]}" for number, (_, expected) in enumerate(CLIENTS)],
)
def test_client_waits_and_repeats_as_its_calls_allow(
    make: Callable[[], Any], expected: tuple[str, int, int, int], region: str
) -> None:
    client = make()

    config = client.meta.config
    assert (
        client.meta.service_model.endpoint_prefix,
        config.connect_timeout,
        config.read_timeout,
        config.retries["total_max_attempts"],
    ) == (_prefix(expected[0]), *expected[1:])
    assert config.retries["mode"] == "standard"
    assert client.meta.region_name == region
    assert make() is client, "made once"


def _prefix(service: str) -> str:
    """The name of a service in its endpoint, where it differs from that of its client."""
    others = {
        "sagemaker": "api.sagemaker",
        "sagemaker-runtime": "runtime.sagemaker",
        "stepfunctions": "states",
    }
    return others.get(service, service)


def test_links_of_s3_are_signed_with_version_4() -> None:
    link = clients.s3().generate_presigned_url("get_object", Params={"Bucket": "b", "Key": "k"})

    assert "X-Amz-Algorithm=AWS4-HMAC-SHA256" in link


def test_keys_of_user_pools_come_from_their_host_or_from_the_embedded_aws(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    host = "cognito-idp.eu-west-1.amazonaws.com"
    assert clients.user_pool_url(host) == f"https://{host}"

    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")
    assert clients.user_pool_url(host) == "http://127.0.0.1:4566"
