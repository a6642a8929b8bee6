"""/startexecution and /describeexecution: models called asynchronously."""

from __future__ import annotations

import json
from functools import cache
from typing import Annotated, Any
from uuid import uuid4

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body
from aws_lambda_powertools.event_handler.router import APIGatewayRouter
from pydantic import BaseModel, ConfigDict, Field, StrictStr

from lambdas.aws import clients
from lambdas.aws.executions import StepFunctionsExecutions
from lambdas.aws.results import S3Results
from lambdas.core.executions import AsyncCalls, unique_of
from lambdas.core.routes import route
from lambdas.handlers import wiring
from lambdas.handlers.at_import import prepare
from lambdas.handlers.operations import Documented, Operation
from lambdas.handlers.request_context import caller, idempotency_key, settings, utc_now

router = APIGatewayRouter()

_TAG = "Models"
START = Operation(
    route("POST", "/startexecution"),
    "Call a model without waiting for its answer",
    {200: Documented("Begun.", "StartedExecution")},
    refusals=(404, 409, 422),
    keyed=True,
    names_endpoint="endpointname",
    description="For calls that take longer than API Gateway waits. Ask POST /describeexecution "
    "for the answer until its status is SUCCEEDED. Only for endpoints with AsyncApi.",
    tag=_TAG,
)
DESCRIBE = Operation(
    route("POST", "/describeexecution"),
    "What became of a call that was begun by POST /startexecution",
    {200: Documented("As DescribeExecution of Step Functions answers.", "Execution")},
    refusals=(404,),
    description="Only for the token that began it. `output` is a JSON text with `Body`, "
    "`ContentType` and `InvokedProductionVariant`; of an answer that is kept in S3 it has a "
    "`ResultUrl` instead of the `Body`: a link that holds for 15 minutes, made anew by each call.",
    tag=_TAG,
)
OPERATIONS = (START, DESCRIBE)


class StartRequest(BaseModel):
    """Send `body` to the model of the endpoint `endpointname`, as application/json."""

    model_config = ConfigDict(
        extra="forbid",
        title="StartExecution",
        json_schema_extra={
            "examples": [
                {"endpointname": "demo-Falcon40B-Endpoint", "body": {"inputs": "Tell me a story"}}
            ]
        },
    )

    endpointname: Annotated[StrictStr, Field(description="In any case")]
    body: Annotated[Any, Field(description="Any JSON; the model gets it unchanged")]


class DescribeRequest(BaseModel):
    """The `executionArn` that POST /startexecution answered."""

    model_config = ConfigDict(extra="forbid", title="DescribeExecution")

    executionArn: StrictStr  # noqa: N815 (the wire's name)


@cache
def _calls() -> AsyncCalls:
    environment = settings()
    arn = environment.async_state_machine_arn
    executions = StepFunctionsExecutions(clients.stepfunctions(), arn)
    results = S3Results(clients.s3(), environment.async_results_bucket)
    return AsyncCalls(wiring.store(environment.state_table), executions, results, arn)


@START.on(router)
def start(body: Annotated[StartRequest, Body()]) -> Response[Any]:
    key = idempotency_key(router)
    unique = unique_of(key) if key else str(uuid4())
    who = caller(router)
    return _json(_calls().start(body.endpointname, body.body, who.identity, unique, utc_now()))


@DESCRIBE.on(router)
def describe(body: Annotated[DescribeRequest, Body()]) -> Response[Any]:
    return _json(_calls().describe(body.executionArn, caller(router).identity))


def _json(document: object) -> Response[Any]:
    return Response(200, "application/json", json.dumps(document))


prepare(_calls)
