"""/endpoint-update and /endpoint-weights: change by hand what an endpoint runs."""

from __future__ import annotations

import json
from functools import cache
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body
from aws_lambda_powertools.event_handler.router import APIGatewayRouter
from pydantic import BaseModel, ConfigDict, Field, StrictStr, WithJsonSchema

from lambdas.core.idempotency import Answer
from lambdas.core.names import sagemaker_name
from lambdas.core.rollout import OPTIONS
from lambdas.core.routes import route
from lambdas.core.updates import DESIRED, UpdateUseCases
from lambdas.handlers.operations import Documented, Operation
from lambdas.handlers.request_context import adapters, requested, utc_now

UPDATE_PATH, WEIGHTS_PATH = "/endpoint-update", "/endpoint-weights"
router = APIGatewayRouter()

_TAG = "Updates"
UPDATE = Operation(
    route("POST", UPDATE_PATH),
    "Move an endpoint to another endpoint config",
    {
        202: Documented(
            "It is going to; /endpoint-expiry and /endpoint-events tell how.", "Endpoint"
        )
    },
    refusals=(404, 422),
    keyed=True,
    description="SageMaker's UpdateEndpoint, with its options and limits. The update begins within "
    "the second, or once a transition is over; not while it may take longer than the endpoint is "
    "wanted. A stopped endpoint gets it at its next start. The config holds until a deploy changes "
    "the endpoint's entry, or the update is rolled back.",
    tag=_TAG,
)
WEIGHTS = Operation(
    route("POST", WEIGHTS_PATH),
    "Give the variants of a running endpoint other weights or capacities",
    {202: Documented("They are going to; /endpoint-events tells how.", "Endpoint")},
    refusals=(404, 409),
    keyed=True,
    description="SageMaker's UpdateEndpointWeightsAndCapacities. They last until the endpoint is "
    "updated or stopped. Refused (409) while it is not InService.",
    tag=_TAG,
)
OPERATIONS = (UPDATE, WEIGHTS)


def _with_options(schema: dict[str, Any]) -> None:
    """Add the options of UpdateEndpoint to the schema. The core checks them."""
    schema["properties"].update(OPTIONS.schema()["properties"])
    schema["additionalProperties"] = False


class UpdateRequest(BaseModel):
    """Move `EndpointName` to `EndpointConfigName`, with options as UpdateEndpoint takes them."""

    model_config = ConfigDict(extra="allow", title="Update", json_schema_extra=_with_options)

    EndpointName: Annotated[StrictStr, Field(description="In any case")]
    EndpointConfigName: Annotated[
        StrictStr, Field(description="An endpoint config that exists in SageMaker")
    ]


class WeightsRequest(BaseModel):
    """`DesiredWeightsAndCapacities` as UpdateEndpointWeightsAndCapacities takes them."""

    model_config = ConfigDict(extra="forbid", title="Weights")

    EndpointName: Annotated[StrictStr, Field(description="In any case")]
    DesiredWeightsAndCapacities: Annotated[Any, WithJsonSchema(DESIRED.schema())]


@cache
def use_cases() -> UpdateUseCases:
    return UpdateUseCases.over(adapters())


@UPDATE.on(router)
def update(body: Annotated[UpdateRequest, Body()]) -> Response[Any]:
    request = requested(router, f"POST {UPDATE_PATH}", body.model_dump())
    name = sagemaker_name(body.EndpointName, "EndpointName")
    options = body.model_extra or {}
    return _json(use_cases().update(name, body.EndpointConfigName, options, utc_now(), request))


@WEIGHTS.on(router)
def weights(body: Annotated[WeightsRequest, Body()]) -> Response[Any]:
    request = requested(router, f"POST {WEIGHTS_PATH}", body.model_dump())
    name = sagemaker_name(body.EndpointName, "EndpointName")
    desired = body.DesiredWeightsAndCapacities
    return _json(use_cases().reweigh(name, desired, utc_now(), request))


def _json(answered: Answer) -> Response[Any]:
    return Response(answered.http_status, "application/json", json.dumps(answered.document))
