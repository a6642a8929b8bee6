"""The answers about an endpoint, at their edges."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from lambdas.core.documents import endpoint_document, iso, parse_instant, time_left
from lambdas.core.errors import InvalidField
from lambdas.core.state import Record, State, Status
from tests.fakes import a_spec, clock

NOW = clock(9)
UNREADABLE = Record("falcon", a_spec("falcon", unreadable="window 1"))


def test_endpoint_without_a_state_is_stopped_and_absent() -> None:
    answer = endpoint_document(Record("falcon", a_spec("falcon")), NOW)

    assert (answer["Wanted"], answer["Status"], answer["Expires"]) == (
        "stopped",
        "Absent",
        "stopped",
    )
    assert (answer["SecondsLeft"], answer["TimeLeft"]) == (0.0, "0:00:00")


@pytest.mark.parametrize(
    ("status", "draining", "wanted", "expires", "left"),
    [
        (Status.IN_SERVICE, False, "running", "never", None),
        (Status.ABSENT, False, "stopped", "stopped", 0.0),
        (Status.IN_SERVICE, True, "stopped", "stopped", 0.0),
    ],
)
def test_endpoint_that_runs_with_unreadable_schedules_goes_on_and_nobody_knows_how_long(
    status: Status, draining: bool, wanted: str, expires: str, left: float | None
) -> None:
    record = Record("falcon", UNREADABLE.config_spec, state=State(observed_status=status))

    answer = endpoint_document(record, NOW, draining=draining)

    assert (answer["Wanted"], answer["Expires"], answer["SecondsLeft"]) == (wanted, expires, left)


def test_served_config_of_an_endpoint_that_is_gone_is_not_shown() -> None:
    gone = State(observed_status=Status.ABSENT, observed_config="falcon-1")

    answer = endpoint_document(Record("falcon", a_spec("falcon"), state=gone), NOW)

    assert answer["ServedConfigName"] is None


@pytest.mark.parametrize(
    ("status", "beginning"),
    [
        (Status.CREATING, "being created, and deleted after that: "),
        (Status.DELETING, "being deleted: "),
    ],
)
def test_reason_begins_with_what_sagemaker_does(status: Status, beginning: str) -> None:
    record = Record("falcon", a_spec("falcon"), state=State(observed_status=status))

    assert endpoint_document(record, NOW)["Reason"].startswith(beginning)


@pytest.mark.parametrize(
    ("left", "text"),
    [
        (timedelta(hours=49, minutes=59, seconds=59), "49:59:59"),
        (timedelta(hours=1), "1:00:00"),
        (timedelta(seconds=61), "0:01:01"),
        (timedelta(microseconds=1), "0:00:00.000001"),
        (timedelta(seconds=59, microseconds=500_000), "0:00:59.500000"),
        (timedelta(seconds=-5), "0:00:00"),
    ],
)
def test_time_left_is_in_hours_minutes_and_seconds(left: timedelta, text: str) -> None:
    assert time_left(left) == text


def test_instants_are_written_and_read_in_utc() -> None:
    instant = datetime(2026, 12, 24, 17, tzinfo=UTC)

    assert iso(instant) == "2026-12-24T17:00:00Z"
    assert iso(None) is None
    assert parse_instant("2026-12-24T18:00:00+01:00", "until") == instant
    assert parse_instant("2026-12-24T17:00:00Z", "until") == instant
    for wrong in ("2026-12-24T17:00:00", "soon", "0001-01-01T00:00:00+23:00"):
        with pytest.raises(InvalidField) as refused:
            parse_instant(wrong, "until")
        assert refused.value.field == "until"
