"""The answers of the REST API: field names and formats of the original, and new ones."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from lambdas.core.decision import DRAINED, meter_of, paying_sessions, undecided
from lambdas.core.errors import InvalidField
from lambdas.core.history import Event
from lambdas.core.in_the_way import in_the_way, is_of_sagemaker
from lambdas.core.meter import Meter
from lambdas.core.reasons import last_end, why_running, why_stopped
from lambdas.core.spec import AsyncMode, Origin, Spec
from lambdas.core.state import Record, State, Status
from lambdas.core.wanted_config import chosen_config

_INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?"
    r"([Zz]|[+-][0-9]{2}(:?[0-9]{2})?)"
)
LEGACY_EXPIRY_KEY = "EndpointExpiry "
"""The original wrote the key with a trailing space. Its clients still read it."""


def endpoint_document(
    record: Record, now: datetime, *, draining: bool = False, told: str | None = None
) -> Mapping[str, Any]:
    """The answer about one endpoint. `record.spec` must not be None. `told` is what was in the way
    or under way, as a write knew it. None: as the state says.

    EndpointExpiry and ExpiresAt are when it stops if nothing changes. They and TimeLeft are null if
    it is open for ever. If it is not wanted: when it was last wanted, or else when its meter was
    set up. `Expires` says which of these holds.
    """
    spec, state = record.spec, record.state or State()
    assert spec is not None, "only endpoints with a spec are answered about"
    own = meter_of(spec, state)
    meter = Meter() if draining else own
    wanted = meter.wanted(now)
    if wanted:
        stops_at, rule = meter.wanted_until(now), why_running(meter, now)
    else:
        stop = last_end(own, state, now)
        stops_at = stop.at if stop else state.set_up_at
        rule = DRAINED if draining else why_stopped(stop)
    if not draining and undecided(spec, state, now) and state.observed_status is not Status.ABSENT:
        wanted, stops_at = True, None  # it goes on running; until when is not known
    left = timedelta() if not wanted else stops_at - now if stops_at else None
    expiry = f"{stops_at:%d-%m-%Y-%H-%M-%S}" if stops_at else None
    return {
        "EndpointName": spec.name,
        "EndpointExpiry": expiry,
        LEGACY_EXPIRY_KEY: expiry,
        "TimeLeft": None if left is None else time_left(left),
        "ExpiresAt": iso(stops_at),
        "Expires": "stopped" if not wanted else "at" if stops_at else "never",
        "SecondsLeft": None if left is None else left.total_seconds(),
        "LeaseExpiresAt": iso(own.expires_at),
        "Sessions": paying_sessions(state, own, now),
        "Wanted": "running" if wanted else "stopped",
        "Status": state.observed_status.value,
        "NextTransition": iso(meter.next_transition(now)),
        "EndpointConfigName": chosen_config(spec, state),
        "ServedConfigName": _served_config(state),
        "Reason": _reason(
            state.observed_status,
            in_the_way(spec, state, meter, now) if told is None else told,
            rule,
            wanted=meter.wanted(now),
        ),
        "Owner": "config" if spec.origin is Origin.CONFIG else "api",
        "AsyncApi": spec.async_api is not AsyncMode.OFF,
    }


def schedule_document(spec: Spec, now: datetime) -> Mapping[str, Any]:
    warnings = (schedule.without_effect(now) for schedule in spec.schedules)
    return {
        "EndpointName": spec.name,
        "schedule": [schedule.document() for schedule in spec.schedules],
        "warnings": [warning for warning in warnings if warning],
        "Owner": "config" if spec.origin is Origin.CONFIG else "api",
    }


def event_document(event: Event) -> Mapping[str, Any]:
    return {
        "EndpointName": event.endpoint,
        "At": iso(event.at),
        "Event": event.kind,
        "Reason": event.reason,
        "Actor": event.actor,
    }


def time_left(left: timedelta) -> str:
    """`H:MM:SS[.ffffff]`, with hours above 24 (the original wrote `1 day, 0:00:00`)."""
    seconds, micros = divmod(max(left, timedelta()) // timedelta(microseconds=1), 1_000_000)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour}:{minute:02}:{second:02}" + (f".{micros:06}" if micros else "")


def iso(instant: datetime | None) -> str | None:
    """ISO-8601 in UTC with a Z. Fractions of a second only if they are not 0."""
    return instant.isoformat().replace("+00:00", "Z") if instant else None


def minutes_text(minutes: int) -> str:
    return "1 minute" if minutes == 1 else f"{minutes} minutes"


def parse_instant(text: str, field: str) -> datetime:
    """An instant in ISO 8601, in UTC. Raises InvalidField."""
    if not _INSTANT.fullmatch(text):
        raise InvalidField(
            field,
            "write an instant with its time zone, such as 2026-12-24T17:00:00Z or …T18:00+01:00",
        )
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except ValueError as error:
        raise InvalidField(field, f"is no instant of the calendar: {error}") from error
    except OverflowError as error:
        raise InvalidField(
            field, "lies, in UTC, outside the years 1 to 9999: write an instant inside them"
        ) from error


def _served_config(state: State) -> str | None:
    """The config that our endpoint runs. That of a stranger is for nobody to see (`NotOurs`)."""
    ours = state.observed_status is not Status.ABSENT and not state.stranger
    return state.observed_config if ours else None


def _reason(status: Status, told: str, rule: str, *, wanted: bool) -> str:
    """Why the endpoint is as it is: what is in the way or under way, or else what the `rule` of
    running says. While SageMaker changes it to what is not wanted, and nothing is in the way: what
    comes after that, and why."""
    if not is_of_sagemaker(told):
        return told
    match status:
        case Status.CREATING if not told:
            after = "" if wanted else ", and deleted after that"
            return f"being created{after}: {rule}"
        case Status.DELETING if wanted:
            return f"{told or 'being deleted'}; created after that: {rule}"
        case Status.DELETING:
            return told or f"being deleted: {rule}"
        case Status.UPDATING | Status.ROLLING_BACK | Status.SYSTEM_UPDATING if not wanted:
            return f"{told}; deleted after that: {rule}"
        case _:
            return told or rule
