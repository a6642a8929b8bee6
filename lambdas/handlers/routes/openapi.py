"""/openapi.json: the description of this API. No token needed."""

from __future__ import annotations

from functools import cache
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response
from aws_lambda_powertools.event_handler.router import APIGatewayRouter

PATH = "/openapi.json"
router = APIGatewayRouter()
_described: list[APIGatewayRestResolver] = []


def describe(app: APIGatewayRestResolver) -> None:
    """Tell this route which application it describes."""
    _described[:] = [app]


@router.get(PATH, include_in_schema=False)
def get() -> Response[Any]:
    return Response(200, "application/json", _schema())


@cache
def _schema() -> str:
    (app,) = _described
    return app.get_openapi_json_schema(
        title="SageMaker Endpoint Manager",
        version="1",
        description="A parking meter on each SageMaker endpoint.",
    )
