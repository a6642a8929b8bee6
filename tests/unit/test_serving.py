"""When to ask again about an endpoint that does not serve, and what is said of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from lambdas.core.errors import EndpointStarting, EndpointStopped, NotOurs
from lambdas.core.schedule import Schedule
from lambdas.core.serving import not_serving, require_serving, starts_within_seconds
from lambdas.core.state import Owner, Record, State, Status
from tests.fakes import a_spec, clock

NOW = clock(9)


@pytest.mark.parametrize(
    ("fields", "seconds"),
    [
        ({}, 15),
        ({"start_seconds": 200}, 200),
        ({"start_seconds": 200, "owned_since": clock(8)}, 200),
        ({"start_seconds": 200, "observed_status": Status.CREATING}, 200),
        (
            {
                "start_seconds": 200,
                "observed_status": Status.CREATING,
                "owned_since": NOW - timedelta(seconds=50, milliseconds=500),
            },
            150,
        ),
        (
            {
                "start_seconds": 200,
                "observed_status": Status.CREATING,
                "owned_since": NOW - timedelta(seconds=200),
            },
            5,
        ),
        ({"retry_at": NOW + timedelta(seconds=40, milliseconds=1)}, 41),
        ({"retry_at": NOW, "start_seconds": 30}, 30),
    ],
    ids=[
        "first start",
        "as long as the last start",
        "that of an earlier life does not count",
        "creation not seen yet",
        "what is left of it",
        "overdue",
        "until the retry",
        "retry is due",
    ],
)
def test_start_is_asked_for_again_when_it_should_be_over(
    fields: dict[str, Any], seconds: int
) -> None:
    assert starts_within_seconds(State(**fields), NOW) == seconds


@pytest.mark.parametrize(
    "status", [Status.IN_SERVICE, Status.UPDATING, Status.SYSTEM_UPDATING, Status.ROLLING_BACK]
)
def test_endpoint_serves_also_while_it_is_updated(status: Status) -> None:
    require_serving(Record("falcon", a_spec(), state=State(observed_status=status)), NOW)


def test_endpoint_that_does_not_serve_is_starting_or_stopped() -> None:
    window = {"name": "w", "start_time": "10:00", "stop_time": "11:00", "days": ["mon"]}
    scheduled = a_spec(schedules=(Schedule.parse(window),))

    with pytest.raises(EndpointStopped) as never:
        require_serving(Record("falcon", a_spec()), NOW)
    stopped = not_serving(Record("falcon", scheduled), NOW + timedelta(milliseconds=1))
    starting = not_serving(Record("falcon", a_spec(), state=State(expires_at=clock(10))), NOW)

    assert never.value.retry_after_seconds == 60
    assert isinstance(stopped, EndpointStopped)
    assert stopped.retry_after_seconds == 3600
    assert isinstance(starting, EndpointStarting)
    assert starting.retry_after_seconds == 15


def test_nobody_is_told_that_another_s_endpoint_is_stopped() -> None:
    theirs = State(observed_status=Status.IN_SERVICE, stranger=Owner.NOBODY)

    with pytest.raises(NotOurs):
        require_serving(Record("falcon", a_spec(), state=theirs), NOW)
