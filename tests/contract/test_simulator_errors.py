"""Each error of the simulator as botocore parses it: code, status and wording."""

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.simulator.account import Account
from tests.contract.simulated import ROLE, Simulated, a_variant, an_arn, simulated

ENDPOINT = an_arn("endpoint", "falcon")
CONFIG = an_arn("endpoint-config", "config")


@pytest.fixture
def here() -> Iterator[Simulated]:
    with simulated() as one:
        yield one


def refusal(call: Any, *, status: int = 400, **request: Any) -> tuple[str, str]:
    """The code and message with which a call is refused."""
    with pytest.raises(ClientError) as refused:
        call(**request)
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    error = refused.value.response["Error"]
    return error["Code"], error["Message"]


@pytest.mark.parametrize("seconds", [0, 300, 301])
def test_a_taken_endpoint_name_is_refused_in_any_case_and_status(
    here: Simulated, seconds: float
) -> None:
    here.has_config()
    here.sagemaker.create_endpoint(EndpointName="Falcon", EndpointConfigName="config")
    here.clock.pass_seconds(seconds)

    assert refusal(
        here.sagemaker.create_endpoint, EndpointName="FALCON", EndpointConfigName="config"
    ) == ("ValidationException", f'Cannot create already existing endpoint "{ENDPOINT}".')


def test_a_name_is_taken_while_its_endpoint_is_being_deleted(here: Simulated) -> None:
    here.has_endpoint()
    here.sagemaker.delete_endpoint(EndpointName="Falcon")

    code, message = refusal(
        here.sagemaker.create_endpoint, EndpointName="Falcon", EndpointConfigName="config"
    )

    assert (code, "already existing endpoint" in message) == ("ValidationException", True)


def test_a_taken_config_name_is_refused(here: Simulated) -> None:
    here.has_config("Config")

    assert refusal(
        here.sagemaker.create_endpoint_config,
        EndpointConfigName="config",
        ProductionVariants=[a_variant()],
    ) == (
        "ValidationException",
        f'Cannot create already existing endpoint configuration "{CONFIG}".',
    )


def test_a_taken_model_name_is_refused(here: Simulated) -> None:
    here.has_config()

    assert refusal(
        here.sagemaker.create_model,
        ModelName="Model",
        PrimaryContainer={"Image": "image:1"},
        ExecutionRoleArn=ROLE,
    ) == (
        "ValidationException",
        f'Cannot create already existing model "{an_arn("model", "model")}".',
    )


@pytest.mark.parametrize("operation", ["create_endpoint", "update_endpoint"])
def test_a_missing_config_is_named(here: Simulated, operation: str) -> None:
    here.has_endpoint("Flan")
    name = "Falcon" if operation == "create_endpoint" else "Flan"

    assert refusal(
        getattr(here.sagemaker, operation), EndpointName=name, EndpointConfigName="Other"
    ) == (
        "ValidationException",
        f'Could not find endpoint configuration "{an_arn("endpoint-config", "other")}".',
    )


@pytest.mark.parametrize("operation", ["describe_endpoint_config", "delete_endpoint_config"])
def test_a_config_that_never_existed_is_not_found(here: Simulated, operation: str) -> None:
    assert refusal(getattr(here.sagemaker, operation), EndpointConfigName="Config") == (
        "ValidationException",
        f'Could not find endpoint configuration "{CONFIG}".',
    )


def test_an_update_fails_if_the_config_in_use_was_deleted(here: Simulated) -> None:
    here.has_endpoint()
    here.has_config("next")
    here.sagemaker.delete_endpoint_config(EndpointConfigName="config")

    assert refusal(
        here.sagemaker.update_endpoint, EndpointName="Falcon", EndpointConfigName="next"
    ) == ("ValidationException", f'Could not find endpoint configuration "{CONFIG}".')


def on_falcon(here: Simulated, operation: str) -> tuple[str, str]:
    more: dict[str, dict[str, Any]] = {
        "update_endpoint": {"EndpointConfigName": "config"},
        "update_endpoint_weights_and_capacities": {
            "DesiredWeightsAndCapacities": [{"VariantName": "AllTraffic", "DesiredWeight": 2}]
        },
    }
    call = getattr(here.sagemaker, operation)
    return refusal(call, EndpointName="Falcon", **more.get(operation, {}))


CHANGES = ["update_endpoint", "update_endpoint_weights_and_capacities", "delete_endpoint"]


@pytest.mark.parametrize("operation", [*CHANGES, "describe_endpoint"])
def test_a_missing_endpoint_is_not_found(here: Simulated, operation: str) -> None:
    here.has_config()

    assert on_falcon(here, operation) == (
        "ValidationException",
        f'Could not find endpoint "{ENDPOINT}".',
    )


@pytest.mark.parametrize("operation", CHANGES)
@pytest.mark.parametrize("status", ["Creating", "Updating", "RollingBack", "Deleting"])
def test_an_endpoint_in_transition_cannot_be_changed(
    here: Simulated, operation: str, status: str
) -> None:
    here.has_endpoint()
    match status:
        case "Creating":
            here.sagemaker.delete_endpoint(EndpointName="Falcon")
            here.clock.pass_seconds(60)
            here.sagemaker.create_endpoint(EndpointName="Falcon", EndpointConfigName="config")
        case "Updating" | "RollingBack":
            if status == "RollingBack":
                here.fault("UpdateEndpoint", "Rollback")
            here.has_config("next")
            here.sagemaker.update_endpoint(EndpointName="Falcon", EndpointConfigName="next")
            here.clock.pass_seconds(101)
        case _:
            here.sagemaker.delete_endpoint(EndpointName="Falcon")
    assert here.status() == status

    assert on_falcon(here, operation) == (
        "ValidationException",
        f'Cannot update in-progress endpoint "{ENDPOINT}".',
    )


def test_an_injected_quota_names_the_instance_type(here: Simulated) -> None:
    here.has_config(InstanceType="ml.p4d.24xlarge")
    here.fault("CreateEndpoint", "ResourceLimitExceeded")

    code, message = refusal(
        here.sagemaker.create_endpoint, EndpointName="Falcon", EndpointConfigName="config"
    )

    assert code == "ResourceLimitExceeded"
    assert message.startswith(
        "The account-level service limit 'ml.p4d.24xlarge for endpoint usage' is 0 Instances, with "
        "current utilization of 0 Instances and a request delta of 1 Instances. Please use AWS "
        "Service Quotas to request an increase for this quota."
    )


def test_an_injected_throttle_is_worded_as_sagemaker_words_it(here: Simulated) -> None:
    here.fault("ListEndpoints", "ThrottlingException")

    assert refusal(here.sagemaker.list_endpoints) == ("ThrottlingException", "Rate exceeded")


def test_an_injected_denial_of_a_delete_names_the_missing_permission(here: Simulated) -> None:
    here.has_endpoint()
    here.fault("DeleteEndpoint", "AccessDeniedException")

    code, message = on_falcon(here, "delete_endpoint")

    assert code == "AccessDeniedException"
    assert "does not have application-autoscaling:DeregisterScalableTarget permission" in message


def test_an_injected_internal_failure_has_its_own_status(here: Simulated) -> None:
    here.fault("ListModels", "InternalFailure")

    assert refusal(here.sagemaker.list_models, status=500)[0] == "InternalFailure"


@pytest.mark.parametrize("accepted", [None, False])
def test_a_gated_model_needs_its_licence_accepted(here: Simulated, accepted: bool | None) -> None:
    uri = "s3://jumpstart-private-cache-prod-eu-west-1/llama/"
    source: dict[str, Any] = {"S3Uri": uri, "S3DataType": "S3Prefix", "CompressionType": "None"}
    if accepted is not None:
        source["ModelAccessConfig"] = {"AcceptEula": accepted}

    code, message = refusal(
        here.sagemaker.create_model,
        ModelName="llama",
        PrimaryContainer={"Image": "i", "ModelDataSource": {"S3DataSource": source}},
        ExecutionRoleArn=ROLE,
    )

    assert code == "ValidationException"
    assert message.startswith(
        "The AcceptEula value must be explicitly defined as True in order to accept the end-user "
        f'license agreement (EULA) that this "{uri}" model requires.'
    )


SCALING_TO_ZERO = {"Status": "ENABLED", "MinInstanceCount": 0, "MaxInstanceCount": 2}


def test_a_model_on_the_variant_cannot_scale_to_zero(here: Simulated) -> None:
    here.has_config()

    assert refusal(
        here.sagemaker.create_endpoint_config,
        EndpointConfigName="zero",
        ProductionVariants=[a_variant(ManagedInstanceScaling=SCALING_TO_ZERO)],
    ) == (
        "ValidationException",
        "ManagedInstanceScaling is only supported for inference component endpoints.",
    )


def test_some_regions_do_not_scale_to_zero_at_all() -> None:
    with simulated(Account("123456789012", "eu-west-3")) as paris:
        assert refusal(
            paris.sagemaker.create_endpoint_config,
            EndpointConfigName="zero",
            ProductionVariants=[a_variant(ModelName=None, ManagedInstanceScaling=SCALING_TO_ZERO)],
        ) == (
            "ValidationException",
            "Min instance count needs to be greater than 0 for enabled managed instance scaling",
        )


def test_a_config_of_a_missing_model_is_refused(here: Simulated) -> None:
    assert refusal(
        here.sagemaker.create_endpoint_config,
        EndpointConfigName="config",
        ProductionVariants=[a_variant(ModelName="None")],
    ) == ("ValidationException", f'Could not find model "{an_arn("model", "none")}".')


def test_a_failed_endpoint_accepts_only_its_deletion(here: Simulated) -> None:
    here.fault("CreateEndpoint", "Failed")
    here.has_endpoint()

    assert on_falcon(here, "update_endpoint")[0] == "ValidationException"
    here.sagemaker.delete_endpoint(EndpointName="Falcon")
    assert here.status() == "Deleting"


def test_an_operation_that_is_not_simulated_is_unknown(here: Simulated) -> None:
    assert refusal(here.sagemaker.list_domains)[0] == "UnknownOperationException"
