"""Links to answers that are kept in S3. They are computed by botocore, without a call."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest

from lambdas.aws import clients
from lambdas.aws.results import S3Results

HOSTS = {
    "us-east-1": "demo-results.s3.us-east-1.amazonaws.com",
    "us-west-2": "demo-results.s3.us-west-2.amazonaws.com",
    "eu-west-1": "demo-results.s3.eu-west-1.amazonaws.com",
    "ap-southeast-2": "demo-results.s3.ap-southeast-2.amazonaws.com",
    "us-gov-west-1": "demo-results.s3.us-gov-west-1.amazonaws.com",
    "cn-north-1": "demo-results.s3.cn-north-1.amazonaws.com.cn",
}


@pytest.fixture
def _credentials(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    for cached in (clients._session, clients.s3):
        cached.cache_clear()
    yield
    for cached in (clients._session, clients.s3):
        cached.cache_clear()


@pytest.mark.usefixtures("_credentials")
@pytest.mark.parametrize(("region", "host"), HOSTS.items())
def test_link_names_the_regions_host_and_has_a_signature_of_version_4(
    region: str, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", region)
    link = urlsplit(S3Results(clients.s3(), "demo-results").link("abc"))
    query = parse_qs(link.query)
    assert (link.scheme, link.hostname) == ("https", host)
    assert query["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    assert f"/{region}/s3/aws4_request" in query["X-Amz-Credential"][0]
    assert "AWSAccessKeyId" not in query, "that is a signature of version 2"


@pytest.mark.usefixtures("_credentials")
def test_link_on_the_embedded_aws_addresses_the_bucket_by_path(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")
    link = urlsplit(S3Results(clients.s3(), "demo-results").link("abc"))
    assert link.netloc == "127.0.0.1:4566"
    assert link.path.startswith("/demo-results/")
