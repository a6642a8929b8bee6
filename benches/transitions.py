"""How long it takes to find the next transition of an endpoint."""

from __future__ import annotations

import time as stopwatch
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta

from benches.row import Row
from lambdas.core.days import WEEKDAYS
from lambdas.core.meter import Meter
from lambdas.core.schedule import Schedule

ZONES = ("UTC", "Australia/Melbourne", "America/New_York", "Europe/Berlin", "Asia/Kolkata")
START = datetime(2026, 3, 2, tzinfo=UTC)


def milliseconds_each(schedules: Sequence[Schedule]) -> float:
    """The mean over a thousand instants, after the time zones have been loaded."""
    meter = Meter(schedules=schedules)
    instants = [START + timedelta(minutes=7 * step) for step in range(1000)]
    meter.next_transition(START)
    began = stopwatch.perf_counter()
    for instant in instants:
        meter.next_transition(instant)
    return (stopwatch.perf_counter() - began) / len(instants) * 1000


def rows() -> Iterator[Row]:
    weekly = [
        Schedule(
            f"w{n}",
            time(n % 24),
            time((n + 8) % 24, 30),
            days=frozenset({WEEKDAYS[n % 7]}),
            timezone=ZONES[n % len(ZONES)],
        )
        for n in range(50)
    ]
    far = [
        Schedule(f"d{n}", time(9), time(17), on_date=date(2027, 3, 1 + n % 28)) for n in range(50)
    ]
    for name, schedules in (("50 weekly schedules", weekly), ("50 a year away", far)):
        yield Row(f"next transition: {name}", f"{milliseconds_each(schedules):.3f} ms", "< 1 ms")
