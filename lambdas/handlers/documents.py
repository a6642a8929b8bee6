"""The JSON that the API answers, for /openapi.json; nothing is checked against it at run time."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from lambdas.core.days import DAYS
from lambdas.core.documents import LEGACY_EXPIRY_KEY
from lambdas.core.schedule import MAX_WINDOW_MINUTES
from lambdas.core.state import Status

_Instant = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
_Time = Annotated[str, Field(pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$", examples=["09:00"])]
_Day = Annotated[str, Field(pattern="^[0-3][0-9]/[01][0-9]/[0-9]{4}$", examples=["24/12/2026"])]
_Expiry = Annotated[
    str,
    Field(pattern="^[0-9]{2}-[0-9]{2}-[0-9]{4}(-[0-9]{2}){3}$", examples=["21-11-2026-03-44-12"]),
]
Owner = Literal["config", "api"]
# Built on first use: a cold start does not need them.
_OF_ANSWERS = ConfigDict(extra="forbid", defer_build=True)


class Error(BaseModel):
    """Why a request was refused."""

    model_config = _OF_ANSWERS

    error: Annotated[
        str, Field(description="A sentence for people", examples=["minutes: Field required"])
    ]
    code: Annotated[str, Field(pattern="^[A-Z][A-Za-z]*$", examples=["InvalidRequest"])]
    requestId: Annotated[str, Field(description="By which the meter's log knows the request")]  # noqa: N815


class Endpoint(BaseModel):
    """The meter of an endpoint, and the status of the endpoint."""

    model_config = _OF_ANSWERS

    EndpointName: Annotated[str, Field(examples=["demo-FlanT5-Endpoint"])]
    EndpointExpiry: Annotated[
        _Expiry | None,
        Field(
            description="When it stops if nothing changes, dd-mm-YYYY-HH-MM-SS in UTC: the end of "
            "the lease or of the open windows, whichever is later. Null where it is open for ever, "
            "or is not to run and never had a lease"
        ),
    ]
    expiry_of_the_original: Annotated[
        _Expiry | None,
        Field(alias=LEGACY_EXPIRY_KEY, description="EndpointExpiry, for clients of the original"),
    ]
    TimeLeft: Annotated[
        Annotated[str, Field(pattern=r"^[0-9]+:[0-9]{2}:[0-9]{2}(\.[0-9]{6})?$")] | None,
        Field(description="H:MM:SS[.ffffff]; null where it is open for ever", examples=["0:10:00"]),
    ]
    ExpiresAt: Annotated[_Instant | None, Field(description="EndpointExpiry in ISO 8601")]
    Expires: Annotated[
        Literal["at", "stopped", "never"],
        Field(
            description="What EndpointExpiry is. `at`: it stops then if nothing changes. "
            "`stopped`: it was last wanted then, or its meter was set up then. `never`: it is open "
            "for ever."
        ),
    ]
    SecondsLeft: Annotated[Annotated[float, Field(ge=0)] | None, Field(examples=[600.0])]
    LeaseExpiresAt: Annotated[
        _Instant | None, Field(description="The end of the lease, sessions included")
    ]
    Sessions: Annotated[int, Field(ge=0, description="How many sessions pay for it now")]
    Wanted: Literal["running", "stopped"]
    Status: Annotated[
        str,
        Field(
            description="SageMaker's status as it was last seen, or Absent",
            json_schema_extra={"enum": [status.value for status in Status]},
        ),
    ]
    NextTransition: Annotated[
        _Instant | None, Field(description="When Wanted next changes if nothing else does")
    ]
    EndpointConfigName: str
    ServedConfigName: Annotated[
        str | None,
        Field(description="The endpoint config that it runs; null if none of ours runs"),
    ]
    Reason: Annotated[str, Field(description="Why it is as it is")]
    Owner: Annotated[Owner, Field(description="Whether the config or a caller of the API added it")]
    AsyncApi: Annotated[bool, Field(description="Whether POST /startexecution may call its model")]


class Schedule(BaseModel):
    """A window that opens again and again, or on one date. A stop at or before the start lies on
    the next day; equal times mean 24 hours. With `minutes` instead of a stop, it is that long. With
    a stop alone, what runs then is stopped."""

    model_config = ConfigDict(
        **_OF_ANSWERS,
        json_schema_extra={
            "allOf": [
                {"oneOf": [{"required": ["days"]}, {"required": ["date"]}]},
                {
                    "oneOf": [
                        {"required": ["start_time", "minutes"]},
                        {"required": ["stop_time"]},
                    ]
                },
            ]
        },
    )

    name: Annotated[str, Field(min_length=1, max_length=100, examples=["workdays"])]
    start_time: Annotated[_Time, Field(default_factory=str)]
    stop_time: Annotated[_Time, Field(default_factory=str)]
    minutes: Annotated[int, Field(default_factory=int, ge=1, le=MAX_WINDOW_MINUTES)]
    days: Annotated[
        list[Annotated[str | int, WithJsonSchema({"enum": list(DAYS)})]],
        Field(default_factory=list, min_length=1, json_schema_extra={"uniqueItems": True}),
    ]
    date: Annotated[_Day, Field(default_factory=str)]
    timezone: Annotated[str, Field(examples=["Australia/Melbourne"])] = "UTC"
    except_dates: Annotated[list[_Day], Field(default_factory=list)]


class Schedules(BaseModel):
    """The schedules of an endpoint."""

    model_config = _OF_ANSWERS

    EndpointName: str
    schedule: list[Schedule]
    warnings: Annotated[list[str], Field(description="Schedules without effect, and why")]
    Owner: Owner


class Event(BaseModel):
    """One entry of the history."""

    model_config = _OF_ANSWERS

    EndpointName: str
    At: _Instant
    Event: Annotated[str, Field(description="What happened", examples=["renewed", "create"])]
    Reason: str
    Actor: Annotated[str, Field(description="The name of a token, or 'meter'")]


class StartedExecution(BaseModel):
    """A call of a model that has begun."""

    model_config = _OF_ANSWERS

    executionArn: str  # noqa: N815
    startDate: Annotated[float, Field(description="Epoch seconds")]  # noqa: N815


class Execution(BaseModel):
    """What Step Functions says of an execution; more fields may stand beside these."""

    model_config = ConfigDict(**{**_OF_ANSWERS, "extra": "allow"})

    executionArn: str  # noqa: N815
    name: str
    status: Annotated[
        str,
        Field(
            json_schema_extra={"enum": ["RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"]}
        ),
    ]
    startDate: Annotated[float, Field(description="Epoch seconds")]  # noqa: N815
    input: Annotated[str, Field(description="JSON text: `endpointname` and `body`")]


class Health(BaseModel):
    """When the meter's parts last worked."""

    model_config = _OF_ANSWERS

    status: Literal["ok", "late", "draining"]
    late: Annotated[list[str], Field(description="What has not worked for too long")]
    lastTick: _Instant | None  # noqa: N815
    lastReconcile: _Instant | None  # noqa: N815
    lastSweep: _Instant | None  # noqa: N815
    lastSageMaker: Annotated[  # noqa: N815
        _Instant | None, Field(description="When SageMaker last answered; asked every minute")
    ]
    tzdata: Annotated[str, Field(description="The release of the time-zone data in use")]


# As operations name them.
Endpoints = Endpoint | list[Endpoint]
Events = list[Event]
HealthOrError = Health | Error


def request_schema() -> dict[str, Any]:
    """The schema of a schedule, to stand in a request."""
    return Schedule.model_json_schema()
