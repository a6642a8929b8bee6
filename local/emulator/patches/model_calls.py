"""State machines may call SageMaker Runtime's InvokeEndpoint.

MiniStack has no SageMaker Runtime. The call goes to the simulator, the address in
AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME, under the state machine's role.
"""

import json
import os
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, HTTPClientError

from local.emulator.patches.role_sessions import credentials_of
from local.emulator.patches.service_roles import machine_role

if TYPE_CHECKING:
    from mypy_boto3_sagemaker_runtime import SageMakerRuntimeClient

RESOURCE = "aws-sdk:sagemakerruntime:invokeEndpoint"
# The exception names of the SDK for Java, which Step Functions uses.
NAMED = {
    "InternalDependencyException": "InternalDependencyException",
    "InternalFailure": "InternalFailureException",
    "ModelError": "ModelErrorException",
    "ModelNotReadyException": "ModelNotReadyException",
    "ServiceUnavailable": "ServiceUnavailableException",
    "ValidationError": "ValidationErrorException",
}

stepfunctions: Any = import_module("ministack.services.stepfunctions")


def apply() -> None:
    """Forward these calls to the simulator; MiniStack handles all others."""
    dispatch = stepfunctions._invoke_aws_sdk_integration

    def dispatch_or_invoke(resource: str, parameters: dict[str, Any]) -> Any:
        if resource.endswith(f":::{RESOURCE}"):
            return _invoke(parameters)
        return dispatch(resource, parameters)

    stepfunctions._invoke_aws_sdk_integration = dispatch_or_invoke


def _invoke(parameters: dict[str, Any]) -> dict[str, Any]:
    body = json.dumps(parameters["Body"], ensure_ascii=False, separators=(",", ":")).encode()
    try:
        answer = _client(machine_role.get()).invoke_endpoint(**{**parameters, "Body": body})
    except ClientError as error:
        code = error.response["Error"]["Code"]
        raise _failed(NAMED.get(code, "SageMakerRuntimeException"), str(error)) from error
    except HTTPClientError as error:
        raise _failed("SdkClientException", str(error)) from error
    return {
        "Body": answer["Body"].read().decode(errors="replace"),
        "ContentType": answer["ContentType"],
        "InvokedProductionVariant": answer["InvokedProductionVariant"],
    }


def _failed(name: str, cause: str) -> Exception:
    failure: Exception = stepfunctions._ExecutionError(f"SageMakerRuntime.{name}", cause)
    return failure


@cache
def _client(role_arn: str) -> "SageMakerRuntimeClient":
    # No retries here: the definition of the state machine says how to retry.
    config = Config(read_timeout=70, retries={"total_max_attempts": 1})
    own = credentials_of(role_arn, os.environ["AWS_DEFAULT_REGION"], "StepFunctions")
    return boto3.client(
        "sagemaker-runtime",
        config=config,
        aws_access_key_id=own.access_key,
        aws_secret_access_key=own.secret_key,
        aws_session_token=own.token,
    )
