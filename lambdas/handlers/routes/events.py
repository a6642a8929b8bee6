"""/endpoint-events: what happened to an endpoint, newest first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.event_handler.router import APIGatewayRouter

from lambdas.core.answers import event_document
from lambdas.handlers.requests import caller, parking_meter

PATH = "/endpoint-events"
router = APIGatewayRouter()


@router.get(PATH, summary="What happened to an endpoint, newest first")
def get(
    EndpointName: Annotated[str, Query()],  # noqa: N803 (the wire's name)
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Sequence[Mapping[str, Any]]:
    caller(router, "read")
    return [event_document(event) for event in parking_meter().events(EndpointName, limit)]
