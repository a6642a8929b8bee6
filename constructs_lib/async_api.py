"""The state machine for asynchronous calls of models.

The api function starts and describes executions, and shows callers only their own. The state
machine only calls the model, and retries while SageMaker is busy.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cdktf_cdktf_provider_aws.sfn_state_machine import SfnStateMachine
from constructs import Construct

from constructs_lib.canonical import canonical
from constructs_lib.deployment import Deployment, addressed
from constructs_lib.model_call import CALL_SECONDS, model_call, retry
from constructs_lib.policy import Statement, of_account, trust_document
from constructs_lib.python_function import PythonFunction
from constructs_lib.role import own_role
from constructs_lib.sagemaker_access import SageMakerAccess
from lambdas.core.errors import Throttled
from lambdas.core.executions import THROUGH_LAMBDA, VIA
from lambdas.core.invocation import ModelNotReady, TooManyInvocations

_EXECUTION_SECONDS = 900
# The invoker's own exceptions, by class name, and the errors of Lambda itself.
_INVOKER_BUSY = (
    ModelNotReady.__name__,
    TooManyInvocations.__name__,
    Throttled.__name__,
    "Lambda.ClientExecutionTimeoutException",
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.TooManyRequestsException",
)


def state_machine_arn(at: Deployment) -> str:
    return at.arn("states", f"stateMachine:{at.name('async')}")


def call_asynchronously(at: Deployment) -> list[Statement]:
    """What the api function needs: to start and describe executions of our state machine."""
    executions = at.arn("states", f"execution:{at.name('async')}:*")
    return [
        Statement(("states:StartExecution",), (state_machine_arn(at),)),
        Statement(("states:DescribeExecution",), (executions,)),
    ]


class AsyncApi(Construct):
    """The state machine `{prefix}-async`. It may call the endpoints of this stack, also those that
    were added over the API, and `invoker` for answers that are too large for Step Functions. Which
    of them take asynchronous calls is checked by the api function, which alone starts it."""

    def __init__(self, scope: Construct, at: Deployment, *, invoker: PythonFunction | None) -> None:
        super().__init__(scope, "async-api")
        call_models = SageMakerAccess(at).invoke(["*"])
        statements = [*call_models, *(invoker.invoke() if invoker else [])]
        role, policy = own_role(
            self,
            at,
            thing="async",
            logical_id="async",
            trust=trust_document("states.amazonaws.com", of_account(at.account_id)),
            statements=statements,
        )
        addressed(
            SfnStateMachine(
                self,
                "machine",
                name=at.name("async"),
                role_arn=role.arn,
                definition=canonical(_definition(at, invoker)),
                depends_on=[policy],
            ),
            "async",
        )


def _definition(at: Deployment, invoker: PythonFunction | None) -> Mapping[str, Any]:
    states: dict[str, Any] = {"Call": model_call(at.partition)}
    if invoker:
        states["Way"] = {
            "Type": "Choice",
            "Choices": [
                {
                    "And": [
                        {"Variable": f"$.{VIA}", "IsPresent": True},
                        {"Variable": f"$.{VIA}", "StringEquals": THROUGH_LAMBDA},
                    ],
                    "Next": "CallThroughLambda",
                }
            ],
            "Default": "Call",
        }
        states["CallThroughLambda"] = _call_through_lambda(at, invoker)
    return {
        "Comment": "Calls a model and keeps its answer as the execution's output",
        "StartAt": "Way" if invoker else "Call",
        "TimeoutSeconds": _EXECUTION_SECONDS,
        "States": states,
    }


def _call_through_lambda(at: Deployment, invoker: PythonFunction) -> Mapping[str, Any]:
    return {
        "Type": "Task",
        "Resource": f"arn:{at.partition}:states:::lambda:invoke",
        "Parameters": {
            "FunctionName": invoker.arn,
            "Payload": {
                "endpointname.$": "$.endpointname",
                "body.$": "$.body",
                "execution.$": "$$.Execution.Name",
            },
        },
        "OutputPath": "$.Payload",
        "TimeoutSeconds": CALL_SECONDS,
        "Retry": [retry(_INVOKER_BUSY)],
        "End": True,
    }
