"""/endpoint-events: what happened to an endpoint, newest first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Annotated, Any

from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.event_handler.router import APIGatewayRouter

from lambdas.core.documents import event_document
from lambdas.core.events import EventUseCases
from lambdas.core.names import endpoint_key
from lambdas.core.routes import route
from lambdas.handlers.operations import Documented, Operation
from lambdas.handlers.request_context import adapters

PATH = "/endpoint-events"
router = APIGatewayRouter()
GET = Operation(
    route("GET", PATH),
    "What happened to an endpoint and why, newest first",
    {200: Documented("The newest entries.", "Events")},
    refusals=(404,),
    query=("EndpointName", "limit"),
    description="Also of endpoints that were forgotten, as long as the history is kept.",
    tag="History",
)
OPERATIONS = (GET,)


@cache
def use_cases() -> EventUseCases:
    return EventUseCases.over(adapters())


@GET.on(router)
def get(
    EndpointName: Annotated[str, Query(description="In any case")],  # noqa: N803 (wire name)
    limit: Annotated[int, Query(ge=1, le=1000, description="Of the answer")] = 100,
) -> Sequence[Mapping[str, Any]]:
    events = use_cases().newest(EndpointName, limit)
    # The history has the case-folded name. The display name is in the spec, if there still is one.
    spec = use_cases().store.load(endpoint_key(EndpointName)).spec
    name = {"EndpointName": spec.name} if spec else {}
    return [{**event_document(event), **name} for event in events]
