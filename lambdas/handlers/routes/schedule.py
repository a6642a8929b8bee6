"""/endpoint-schedule: the schedules of an endpoint that was added over the API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from aws_lambda_powertools.event_handler.openapi.params import Body, Query
from aws_lambda_powertools.event_handler.router import APIGatewayRouter
from pydantic import BaseModel, ConfigDict

from lambdas.core.answers import schedule_document
from lambdas.core.errors import InvalidField
from lambdas.core.meter import Request
from lambdas.core.schedule import Schedule
from lambdas.handlers.requests import caller, parking_meter, utc_now

PATH = "/endpoint-schedule"
router = APIGatewayRouter()


class ScheduleRequest(BaseModel):
    """`schedule` as in the config: objects with name, start_time, stop_time, days or date."""

    model_config = ConfigDict(extra="forbid")

    EndpointName: str | None = None
    schedule: list[dict[str, Any]]


@router.get(PATH, summary="The schedules of an endpoint")
def get(EndpointName: Annotated[str, Query()]) -> Mapping[str, Any]:  # noqa: N803 (wire name)
    caller(router, "read")
    return schedule_document(parking_meter().schedules(EndpointName, utc_now()))


@router.put(PATH, summary="Replace the schedules of an endpoint that was added over the API")
def put(
    body: Annotated[ScheduleRequest, Body()],
    EndpointName: Annotated[str | None, Query()] = None,  # noqa: N803 (the wire's name)
) -> Mapping[str, Any]:
    who = caller(router, "manage")
    names = {name for name in (EndpointName, body.EndpointName) if name is not None}
    if len(names) != 1:
        raise InvalidField("EndpointName", "give it once, in the query or in the body")
    schedules = [_parsed(index, document) for index, document in enumerate(body.schedule)]
    spec = parking_meter().set_schedules(names.pop(), schedules, utc_now(), Request(who.name))
    return schedule_document(spec)


@router.delete(PATH, summary="Remove the schedules of an endpoint that was added over the API")
def delete(EndpointName: Annotated[str, Query()]) -> Mapping[str, Any]:  # noqa: N803 (wire name)
    who = caller(router, "manage")
    spec = parking_meter().set_schedules(EndpointName, [], utc_now(), Request(who.name))
    return schedule_document(spec)


def _parsed(index: int, document: Mapping[str, Any]) -> Schedule:
    try:
        return Schedule.parse(document)
    except InvalidField as error:
        raise InvalidField(f"schedule[{index}].{error.field}", error.sentence) from error
