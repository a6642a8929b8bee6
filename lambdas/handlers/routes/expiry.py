"""/endpoint-expiry: list, renew, add, stop."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from http import HTTPStatus
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body, Query
from aws_lambda_powertools.event_handler.router import APIGatewayRouter
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr

from lambdas.core.documents import parse_instant
from lambdas.core.errors import NOT_A_PAGE, InvalidField
from lambdas.core.expiry import ExpiryUseCases
from lambdas.core.idempotency import Answer, Request
from lambdas.core.name_patterns import NamePatterns
from lambdas.core.names import sagemaker_name
from lambdas.core.routes import route
from lambdas.core.sessions import MAX_SESSION_MINUTES, SessionUseCases
from lambdas.core.spec import MAX_MINUTES
from lambdas.core.takeover import Limits
from lambdas.handlers.operations import Documented, Operation
from lambdas.handlers.request_context import adapters, caller, requested, settings, utc_now

PATH = "/endpoint-expiry"
router = APIGatewayRouter()

_X_NEXT = {
    "description": "The `next` of the following page; absent on the last.",
    "schema": {"type": "string"},
}
GET = Operation(
    route("GET", PATH),
    "What is on the meter of one endpoint, or of all",
    {
        200: Documented(
            "The endpoint; without EndpointName an array of all, or with `limit` of a page.",
            "Endpoints",
            headers={"X-Next": _X_NEXT},
        )
    },
    refusals=(404,),
    query=("EndpointName", "limit", "next"),
)
POST = Operation(
    route("POST", PATH),
    "Renew an endpoint, or add one",
    {
        200: Documented("Renewed.", "Endpoint"),
        201: Documented("Added, with its first lease.", "Endpoint"),
    },
    refusals=(404, 409, 422),
    keyed=True,
    scopes_told="To add an endpoint that is not on the meter yet takes `add` instead, and to adopt "
    "a live one of somebody else `manage`.",
    description="Adds `minutes` to what is left, or counts from now where nothing is. With `until` "
    "instead, the lease lasts until then at least. With a `session` of yours, `minutes` from now "
    f"become the end of that session alone ({MAX_SESSION_MINUTES} at most); the lease ends with "
    "the latest of all. With EndpointConfigName the endpoint is put on the meter first if it is "
    "not yet. Each of these ends a hold. Concurrent renewals add up exactly.",
)
DELETE = Operation(
    route("DELETE", PATH),
    "Stop an endpoint now",
    {200: Documented("Stopped; SageMaker deletes it within seconds.", "Endpoint")},
    refusals=(404, 409, 422),
    query=("EndpointName", "forget", "session"),
    description="Ends the lease, with all sessions, and holds the windows that are open until they "
    "close. With `forget` an endpoint that was added over the API is taken off the meter as well. "
    "With `session`, that session of yours ends, and nothing else.",
    keyed=True,
    scopes_told="With `forget` it takes `add` instead.",
)
OPERATIONS = (GET, POST, DELETE)

_Minutes = Annotated[StrictInt, Field(gt=0, json_schema_extra={"maximum": MAX_MINUTES})]
"""More than the meter may hold is LeaseTooLong, however much it is: what no stack allows, too."""


class ExpiryRequest(BaseModel):
    """Renew `EndpointName` by `minutes` or `until` an instant; with `EndpointConfigName`, add it
    first if need be."""

    model_config = ConfigDict(
        extra="forbid",
        title="Renewal",
        json_schema_extra={"examples": [{"EndpointName": "demo-FlanT5-Endpoint", "minutes": 10}]},
    )

    EndpointName: Annotated[StrictStr, Field(description="In any case")]
    minutes: Annotated[
        _Minutes | None,
        Field(
            description="Added to what is left: at most what `max_lease_minutes` of the stack "
            f"allows; with a `session` at most {MAX_SESSION_MINUTES}"
        ),
    ] = None
    until: Annotated[
        StrictStr | None,
        Field(
            description="Instead of `minutes`: an instant in ISO 8601 with its time zone",
            json_schema_extra={"format": "date-time"},
        ),
    ] = None
    session: Annotated[
        StrictStr | None,
        Field(description="A name for a part of the lease that ends by itself; yours alone"),
    ] = None
    EndpointConfigName: Annotated[
        StrictStr | None, Field(description="An endpoint config that exists in SageMaker")
    ] = None
    adopt: Annotated[
        StrictBool, Field(description="Put a live endpoint of that config on the meter")
    ] = False
    async_api: Annotated[
        StrictBool,
        Field(
            description="Whether POST /startexecution may call its model. With EndpointConfigName "
            "only. For an endpoint that is on the meter, it changes that; absent: as it is"
        ),
    ] = False


@cache
def use_cases() -> ExpiryUseCases:
    environment = settings()
    limits = Limits(
        NamePatterns.stored(environment.adoptable),
        NamePatterns.stored(environment.addable_configs),
        environment.max_added_endpoints,
        environment.max_added_per_token_per_day,
    )
    return ExpiryUseCases.over(
        adapters(), max_lease_minutes=environment.max_lease_minutes, limits=limits
    )


@cache
def sessions() -> SessionUseCases:
    adoptable = NamePatterns.stored(settings().adoptable)
    return SessionUseCases.over(adapters(), adoptable=adoptable)


@GET.on(router)
def get(
    EndpointName: Annotated[  # noqa: N803 (the wire's name)
        str | None, Query(description="In any case; without it all are listed")
    ] = None,
    limit: Annotated[int | None, Query(ge=1, le=1000, description="Of a page")] = None,
    next: Annotated[  # noqa: A002 (the wire's name)
        str | None, Query(description="The X-Next of the page before")
    ] = None,
) -> Response[Any]:
    now = utc_now()
    if EndpointName is not None:
        return _json(HTTPStatus.OK, use_cases().get(EndpointName, now))
    documents, token = _listed(caller(router).scopes.endpoints("read"), now, limit, next)
    return _json(HTTPStatus.OK, documents, {"X-Next": token} if token else {})


@POST.on(router)
def post(body: Annotated[ExpiryRequest, Body()]) -> Response[Any]:
    sent = body.model_dump(exclude_unset=True)
    request = requested(router, f"POST {PATH}", sent)
    name = sagemaker_name(body.EndpointName, "EndpointName")
    answered = _lease(body, name, request)
    return _json(HTTPStatus(answered.http_status), answered.document)


def _lease(body: ExpiryRequest, name: str, request: Request) -> Answer:
    """Do what the body asks for. Raises InvalidField if its fields do not fit together."""
    now, minutes = utc_now(), body.minutes
    if body.session is not None or body.until is not None:
        one, other = ("session", "minutes") if body.session is not None else ("until", "until")
        allowed = {"EndpointName", one, other}
        for each in sorted(body.model_fields_set - allowed):
            raise InvalidField(each, f"does not go together with `{one}`: send one of them")
    if body.until is not None:
        return use_cases().renew_until(name, parse_instant(body.until, "until"), now, request)
    if minutes is None:
        or_until = "" if body.session is not None else ", or give `until`, an instant"
        raise InvalidField("minutes", f"is needed: how many minutes to pay for{or_until}")
    if body.session is not None:
        return sessions().pay(name, body.session, minutes, now, request)
    if body.adopt and body.EndpointConfigName is None:
        raise InvalidField("EndpointConfigName", "is needed with `adopt`: what the endpoint runs")
    async_api = body.async_api if "async_api" in body.model_fields_set else None
    if async_api is not None and body.EndpointConfigName is None:
        raise InvalidField(
            "EndpointConfigName", "is needed with `async_api`: the config that it was added with"
        )
    if body.EndpointConfigName is None:
        return use_cases().renew(name, minutes, now, request)
    return use_cases().add(
        name,
        body.EndpointConfigName,
        minutes,
        now,
        request,
        adopt=body.adopt,
        async_api=async_api,
    )


@DELETE.on(router)
def delete(
    EndpointName: Annotated[str, Query(description="In any case")],  # noqa: N803 (wire name)
    forget: Annotated[bool, Query(description="Also remove what was added over the API")] = False,  # noqa: FBT002 (a query parameter)
    session: Annotated[str | None, Query(description="End this session of yours alone")] = None,
) -> Response[Any]:
    sent = {"EndpointName": EndpointName, "forget": forget}
    if session is not None:
        if forget:
            raise InvalidField("forget", "does not go together with `session`: send one of them")
        request = requested(router, f"DELETE {PATH}", {**sent, "session": session})
        answered = sessions().end(EndpointName, session, utc_now(), request)
        return _json(HTTPStatus(answered.http_status), answered.document)
    request = requested(router, f"DELETE {PATH}", sent)
    answered = use_cases().stop(EndpointName, utc_now(), request, forget=forget)
    return _json(HTTPStatus(answered.http_status), answered.document)


def _listed(
    readable: frozenset[str] | None, now: datetime, limit: int | None, after: str | None
) -> tuple[Sequence[Mapping[str, Any]], str | None]:
    """A page of the endpoints that the caller may read (None: all), and the token of the next
    page."""
    if readable is None:
        return use_cases().list(now, limit, after)
    if after is not None and after not in readable:
        raise InvalidField("next", NOT_A_PAGE)
    names = [name for name in sorted(readable) if after is None or name > after]
    page = names[:limit]
    return use_cases().list_some(page, now), page[-1] if len(page) < len(names) else None


def _json(
    status: HTTPStatus, document: object, headers: Mapping[str, str] | None = None
) -> Response[Any]:
    return Response(
        int(status), "application/json", json.dumps(document), headers=dict(headers or {})
    )
