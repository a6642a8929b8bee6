"""/health: whether the functions do their work. Needs no token."""

from __future__ import annotations

import json
from typing import Any

import tzdata
from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.router import APIGatewayRouter

from lambdas.core.health import health_of
from lambdas.core.routes import route
from lambdas.handlers.operations import Documented, Operation
from lambdas.handlers.request_context import adapters, utc_now

PATH = "/health"
router = APIGatewayRouter()
GET = Operation(
    route("GET", PATH),
    "When the meter last did its work; 503 when it is late, or SageMaker does not answer",
    {
        200: Documented("All parts work.", "Health"),
        503: Documented("A part is late, or the meter cannot tell.", "HealthOrError"),
    },
    tag="The meter itself",
)
OPERATIONS = (GET,)


@GET.on(router)
def get() -> Response[Any]:
    health = health_of(adapters().store.control(), utc_now())
    document = {**health.document(), "tzdata": tzdata.IANA_VERSION}
    return Response(503 if health.late else 200, "application/json", json.dumps(document))
