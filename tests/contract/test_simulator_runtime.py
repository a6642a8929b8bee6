"""InvokeEndpoint: an echo, answered by weighted variants while the endpoint serves."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.contract.simulated import Simulated, a_variant, simulated


@pytest.fixture
def here() -> Iterator[Simulated]:
    with simulated() as one:
        yield one


def invoke(here: Simulated, name: str = "Falcon", **more: Any) -> str:
    return here.runtime.invoke_endpoint(EndpointName=name, Body=b"x", **more)[
        "InvokedProductionVariant"
    ]


def test_the_echo_returns_body_content_type_and_attributes_unchanged(here: Simulated) -> None:
    here.has_endpoint()
    body = bytes(range(256)) * 40

    answer = here.runtime.invoke_endpoint(
        EndpointName="Falcon", Body=body, ContentType="image/x; q=1", CustomAttributes="trace=1;b"
    )

    assert answer["Body"].read() == body
    assert answer["ContentType"] == "image/x; q=1"
    assert answer["CustomAttributes"] == "trace=1;b"
    assert answer["InvokedProductionVariant"] == "AllTraffic"


def test_an_empty_body_comes_back_empty(here: Simulated) -> None:
    here.has_endpoint()

    assert here.runtime.invoke_endpoint(EndpointName="Falcon", Body=b"")["Body"].read() == b""


def not_found(here: Simulated, name: str = "Falcon") -> None:
    with pytest.raises(ClientError) as refused:
        invoke(here, name)
    error = refused.value.response["Error"]
    assert (error["Code"], error["Message"]) == (
        "ValidationError",
        f"Endpoint {name} of account 123456789012 not found.",
    )


def test_only_an_endpoint_in_service_can_be_invoked(here: Simulated) -> None:
    not_found(here)
    here.has_config()
    here.sagemaker.create_endpoint(EndpointName="Falcon", EndpointConfigName="config")
    not_found(here)
    here.clock.pass_seconds(300)
    invoke(here)
    not_found(here, "falcon")
    here.sagemaker.delete_endpoint(EndpointName="Falcon")
    not_found(here)


def test_an_update_and_its_rollback_interrupt_no_invocation(here: Simulated) -> None:
    here.has_endpoint()
    here.fault("UpdateEndpoint", "Rollback")
    here.sagemaker.update_endpoint(EndpointName="Falcon", EndpointConfigName="config")

    for status in ("Updating", "RollingBack", "InService"):
        assert here.status() == status
        assert invoke(here) == "AllTraffic"
        here.clock.pass_seconds(100)


def two_variants(here: Simulated, **weights: float) -> None:
    here.has_config("first")
    here.sagemaker.create_endpoint_config(
        EndpointConfigName="config",
        ProductionVariants=[
            a_variant(VariantName=name, InitialVariantWeight=weight)
            for name, weight in weights.items()
        ],
    )
    here.sagemaker.create_endpoint(EndpointName="Falcon", EndpointConfigName="config")
    here.clock.pass_seconds(300)


def test_variants_answer_in_proportion_to_their_weights(here: Simulated) -> None:
    two_variants(here, A=3, B=1)

    assert Counter(invoke(here) for _ in range(40)) == {"A": 30, "B": 10}


def test_a_variant_of_weight_zero_answers_only_as_target_variant(here: Simulated) -> None:
    two_variants(here, A=1, B=0)

    assert {invoke(here) for _ in range(10)} == {"A"}
    assert invoke(here, TargetVariant="B") == "B"
    with pytest.raises(ClientError, match="Variant C of endpoint Falcon"):
        invoke(here, TargetVariant="C")


def test_a_payload_over_six_megabytes_is_refused_as_amazon_does(here: Simulated) -> None:
    here.has_endpoint()

    with pytest.raises(ClientError, match=r"\(413\).*exceeded 6291456 bytes"):
        here.runtime.invoke_endpoint(EndpointName="Falcon", Body=b"x" * 6_291_457)


def test_an_injected_model_error_contains_the_message_of_the_container(here: Simulated) -> None:
    here.has_endpoint()
    here.fault("InvokeEndpoint", "ModelError", endpoint="Falcon")

    with pytest.raises(here.runtime.exceptions.ModelError) as refused:
        invoke(here)

    response: Any = refused.value.response
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert response["OriginalStatusCode"] == 0
    assert response["OriginalMessage"].startswith("Your invocation timed out")
    assert response["LogStreamArn"].endswith("/aws/sagemaker/Endpoints/Falcon")
    assert "in account 123456789012 for more information" in response["Error"]["Message"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"CustomAttributes": "x" * 1025},
        {"TargetModel": "no\tmodel"},
        {"TargetContainerHostname": "no host"},
        {"InferenceComponentName": "no name"},
        {"InferenceId": "x" * 65},
        {"EnableExplanations": "x" * 65},
        {"SessionId": "no id"},
    ],
)
def test_header_with_a_wrong_value_is_refused_by_name(
    here: Simulated, wrong: dict[str, str]
) -> None:
    here.has_endpoint()
    (name,) = wrong

    with pytest.raises(ClientError, match=f"at '{name[0].lower()}{name[1:]}' failed to satisfy"):
        invoke(here, **wrong)


def test_session_begins_and_ends(here: Simulated) -> None:
    here.has_endpoint()

    begun = here.runtime.invoke_endpoint(EndpointName="Falcon", Body=b"", SessionId="NEW_SESSION")
    session, _, rest = begun["NewSessionId"].partition("; ")
    assert rest.startswith("Expires=")
    within: Any = here.runtime.invoke_endpoint(EndpointName="Falcon", Body=b"x", SessionId=session)
    assert "ClosedSessionId" not in within
    close = b'{"requestType": "CLOSE"}'
    ended = here.runtime.invoke_endpoint(EndpointName="Falcon", Body=close, SessionId=session)
    assert ended["ClosedSessionId"] == session
