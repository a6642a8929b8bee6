"""Who may call the simulator of a stack, and who may call one that was started alone."""

from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

import boto3
import httpx
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from local.key import Key
from tests.contract.simulated import ACCOUNT, Simulated, simulated

KEY, OTHER = Key.made(), Key.made()
ARN = "arn:aws:sts::123456789012:assumed-role/reconciler/function"


@pytest.fixture(scope="module")
def here() -> Iterator[Simulated]:
    with simulated(key=KEY) as one:
        one.has_endpoint("Falcon")
        yield one


def a_session(key: Key) -> dict[str, str]:
    made = key.session(ARN)
    return {
        "aws_access_key_id": made.access_key_id,
        "aws_secret_access_key": made.secret_access_key,
        "aws_session_token": made.token,
    }


def code_for(here: Simulated, credentials: dict[str, str], service: Any = "sagemaker") -> str:
    client: Any = boto3.client(  # type: ignore[call-overload]  # one of two services
        service, endpoint_url=here.server.url, region_name=ACCOUNT.region, **credentials
    )
    try:
        if service == "sagemaker":
            client.list_endpoints()
        else:
            client.invoke_endpoint(EndpointName="Falcon", Body=b"x", Accept="a, b")
    except ClientError as refused:
        return refused.response["Error"]["Code"]
    return "accepted"


@pytest.mark.parametrize("service", ["sagemaker", "sagemaker-runtime"])
@pytest.mark.parametrize(
    ("credentials", "code"),
    [
        (asdict(KEY), "accepted"),
        (a_session(KEY), "accepted"),
        (asdict(OTHER), "UnrecognizedClientException"),
        ({"aws_access_key_id": "test", "aws_secret_access_key": "test"}, "Unrecognized"),
        ({"aws_access_key_id": "123456789012", "aws_secret_access_key": "x"}, "Unrecognized"),
        (asdict(replace(KEY, aws_secret_access_key="guessed")), "InvalidSignatureException"),
        ({**a_session(KEY), "aws_secret_access_key": "guessed"}, "InvalidSignatureException"),
        ({**a_session(KEY), "aws_access_key_id": "ASIAOTHER"}, "UnrecognizedClientException"),
        ({**asdict(KEY), "aws_session_token": "made-up"}, "UnrecognizedClientException"),
        (a_session(OTHER), "UnrecognizedClientException"),
    ],
)
def test_a_stack_takes_only_its_own_key_and_sessions(
    here: Simulated, service: str, credentials: dict[str, str], code: str
) -> None:
    assert code_for(here, credentials, service).startswith(code)


def test_an_unsigned_call_is_refused(here: Simulated) -> None:
    controlled = httpx.post(here.server.url, headers={"X-Amz-Target": "SageMaker.ListEndpoints"})
    invoked = httpx.post(f"{here.server.url}/endpoints/Falcon/invocations", content=b"x")

    assert controlled.json()["__type"] == "MissingAuthenticationTokenException"
    assert (controlled.status_code, invoked.status_code) == (400, 403)


def test_a_signature_is_for_one_body(here: Simulated) -> None:
    url = f"{here.server.url}/endpoints/Falcon/invocations"
    request = AWSRequest("POST", url, {}, b"signed")
    own = Credentials(KEY.aws_access_key_id, KEY.aws_secret_access_key)
    SigV4Auth(own, "sagemaker", ACCOUNT.region).add_auth(request)

    signed, changed = (
        httpx.post(url, content=body, headers=dict(request.headers))
        for body in (b"signed", b"changed")
    )

    assert (signed.status_code, changed.status_code) == (200, 403)
    assert changed.headers["x-amzn-ErrorType"] == "InvalidSignatureException"


def test_the_control_routes_need_no_signature(here: Simulated) -> None:
    fault = {"operation": "CreateEndpoint", "failure": "Failed"}

    posted = httpx.post(f"{here.server.url}/_faults", json=fault)
    cleared = httpx.delete(f"{here.server.url}/_faults")

    assert (posted.status_code, cleared.status_code) == (200, 200)


@pytest.mark.parametrize("credentials", [asdict(OTHER), a_session(OTHER)])
def test_a_simulator_alone_takes_any_key(credentials: dict[str, str]) -> None:
    with simulated() as alone:
        assert code_for(alone, credentials) == "accepted"
        unsigned = httpx.post(alone.server.url, headers={"X-Amz-Target": "SageMaker.ListEndpoints"})

    assert unsigned.status_code == 200
