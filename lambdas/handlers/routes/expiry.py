"""/endpoint-expiry: list, renew, add, stop."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body, Query
from aws_lambda_powertools.event_handler.router import APIGatewayRouter
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr

from lambdas.core.meter import Request
from lambdas.core.names import sagemaker_name
from lambdas.handlers.requests import caller, keyed_request, parking_meter, utc_now

PATH = "/endpoint-expiry"
router = APIGatewayRouter()


class ExpiryRequest(BaseModel):
    """Renew `EndpointName` by `minutes`; with `EndpointConfigName`, add it first if need be."""

    model_config = ConfigDict(extra="forbid")

    EndpointName: StrictStr
    minutes: Annotated[StrictInt, Field(gt=0)]
    EndpointConfigName: StrictStr | None = None
    adopt: StrictBool = False


@router.get(PATH, summary="What is on the meter of one endpoint, or of all")
def get(
    EndpointName: Annotated[str | None, Query()] = None,  # noqa: N803 (the wire's name)
    limit: Annotated[int | None, Query(ge=1, le=1000)] = None,
    next: Annotated[str | None, Query()] = None,  # noqa: A002 (the wire's name)
) -> Response[Any]:
    caller(router, "read")
    now = utc_now()
    if EndpointName is not None:
        return _json(HTTPStatus.OK, parking_meter().get(EndpointName, now))
    documents, token = parking_meter().list(now, limit, next)
    return _json(HTTPStatus.OK, documents, {"X-Next": token} if token else {})


@router.post(PATH, summary="Renew an endpoint, or add one")
def post(body: Annotated[ExpiryRequest, Body()]) -> Response[Any]:
    who = caller(router, "renew")
    sent = body.model_dump(exclude_unset=True)
    request = keyed_request(router, who, f"POST {PATH}", sent)
    name = sagemaker_name(body.EndpointName, "EndpointName")
    if body.EndpointConfigName is None:
        answer = parking_meter().renew(name, body.minutes, utc_now(), request)
    else:
        config = body.EndpointConfigName
        answer = parking_meter().add(
            name, config, body.minutes, utc_now(), request, adopt=body.adopt
        )
    return _json(HTTPStatus(answer.http_status), answer.document)


@router.delete(PATH, summary="Stop an endpoint now")
def delete(
    EndpointName: Annotated[str, Query()],  # noqa: N803 (the wire's name)
    forget: Annotated[bool, Query()] = False,  # noqa: FBT002 (a query parameter)
) -> Response[Any]:
    who = caller(router, "renew")
    request = Request(who.name)
    answer = parking_meter().stop(EndpointName, utc_now(), request, forget=forget)
    return _json(HTTPStatus(answer.http_status), answer.document)


def _json(
    status: HTTPStatus, document: object, headers: Mapping[str, str] | None = None
) -> Response[Any]:
    return Response(
        int(status), "application/json", json.dumps(document), headers=dict(headers or {})
    )
