"""The call of a model as a state of Step Functions, as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

# SageMaker gives a model 60 s: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html
CALL_SECONDS = 90
# Exception names of the SDK for Java. Errors without a class of their own, such as throttling, are
# called SageMakerRuntimeException.
_BUSY = (
    "ModelNotReadyException",
    "ServiceUnavailableException",
    "InternalFailureException",
    "InternalDependencyException",
    "ThrottlingException",
    "SageMakerRuntimeException",
)


def model_call(partition: str) -> Mapping[str, Any]:
    """Its input is `{"endpointname", "body"}`, its output that of InvokeEndpoint."""
    return {
        "Type": "Task",
        "Resource": f"arn:{partition}:states:::aws-sdk:sagemakerruntime:invokeEndpoint",
        "Parameters": {
            "EndpointName.$": "$.endpointname",
            "ContentType": "application/json",
            # a JSON value: Step Functions sends it serialized as JSON
            "Body.$": "$.body",
        },
        "TimeoutSeconds": CALL_SECONDS,
        "Retry": [retry(f"SageMakerRuntime.{name}" for name in _BUSY)],
        "End": True,
    }


def retry(errors: Iterable[str]) -> Mapping[str, Any]:
    return {
        "ErrorEquals": list(errors),
        "IntervalSeconds": 2,
        "BackoffRate": 2,
        "MaxAttempts": 7,
        "MaxDelaySeconds": 60,
        "JitterStrategy": "FULL",
    }
