"""/endpoint-schedule: the schedules of an endpoint that was added over the API."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any

from aws_lambda_powertools.event_handler.openapi.params import Body, Query
from aws_lambda_powertools.event_handler.router import APIGatewayRouter
from pydantic import BaseModel, ConfigDict, Field

from lambdas.core.control_characters import refuse_control_characters
from lambdas.core.documents import schedule_document
from lambdas.core.errors import InvalidField
from lambdas.core.routes import route
from lambdas.core.schedule import Schedule
from lambdas.core.schedule_changes import ScheduleUseCases
from lambdas.handlers.operations import Documented, Operation
from lambdas.handlers.request_context import adapters, requested, utc_now

PATH = "/endpoint-schedule"
router = APIGatewayRouter()

_TAG = "Schedules"
GET = Operation(
    route("GET", PATH),
    "The schedules of an endpoint",
    {200: Documented("Its schedules.", "Schedules")},
    refusals=(404,),
    query=("EndpointName",),
    tag=_TAG,
)
PUT = Operation(
    route("PUT", PATH),
    "Replace the schedules of an endpoint that was added over the API",
    {200: Documented("The schedules that are in force now.", "Schedules")},
    refusals=(404, 409),
    query=("EndpointName",),
    description="EndpointName is given once, in the query or in the body. The schedules of the "
    "deployed config are read-only (409).",
    tag=_TAG,
)
DELETE = Operation(
    route("DELETE", PATH),
    "Remove the schedules of an endpoint that was added over the API",
    {200: Documented("It has none now.", "Schedules")},
    refusals=(404, 409),
    query=("EndpointName",),
    tag=_TAG,
)
OPERATIONS = (GET, PUT, DELETE)
_Name = Annotated[str, Query(description="In any case")]


@cache
def use_cases() -> ScheduleUseCases:
    return ScheduleUseCases.over(adapters())


class _DescribedSchedule:
    """Marks a schedule in a request, which the core reads and only /openapi.json describes."""

    def __get_pydantic_json_schema__(self, *_of_a_dict: object) -> dict[str, Any]:
        from lambdas.handlers.documents import request_schema  # noqa: PLC0415  # asked for rarely

        return request_schema()


class ScheduleRequest(BaseModel):
    """`schedule` as in the config: objects with name, start_time, stop_time, days or date."""

    model_config = ConfigDict(extra="forbid", title="ScheduleRequest")

    EndpointName: str | None = None
    schedule: Annotated[
        list[Annotated[dict[str, Any], _DescribedSchedule()]],
        Field(json_schema_extra={"maxItems": 100}),
    ]


@GET.on(router)
def get(EndpointName: _Name) -> Mapping[str, Any]:  # noqa: N803 (the wire's name)
    now = utc_now()
    return schedule_document(use_cases().read(EndpointName, now), now)


@PUT.on(router)
def put(
    body: Annotated[ScheduleRequest, Body()],
    EndpointName: Annotated[str | None, Query(description="In any case")] = None,  # noqa: N803
) -> Mapping[str, Any]:
    names = {name for name in (EndpointName, body.EndpointName) if name is not None}
    if len(names) != 1:
        raise InvalidField("EndpointName", "give it once, in the query or in the body")
    schedules = [_parsed(index, document) for index, document in enumerate(body.schedule)]
    request, now = requested(router), utc_now()
    spec = use_cases().replace(names.pop(), schedules, now, request)
    return schedule_document(spec, now)


@DELETE.on(router)
def delete(EndpointName: _Name) -> Mapping[str, Any]:  # noqa: N803 (the wire's name)
    request, now = requested(router), utc_now()
    return schedule_document(use_cases().replace(EndpointName, [], now, request), now)


def _parsed(index: int, document: Mapping[str, Any]) -> Schedule:
    try:
        schedule = Schedule.parse(document)
        # Here and not in the core: what is stored already stays readable.
        refuse_control_characters(schedule.name, "name")
    except InvalidField as error:
        raise InvalidField(f"schedule[{index}].{error.field}", error.sentence) from error
    return schedule
