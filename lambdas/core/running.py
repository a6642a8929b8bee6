"""The rule of running: wanted(t) = lease.expires_at > t, or a window is open and not held.

All functions are pure and take aware UTC instants.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from lambdas.core.schedule import Schedule, Window

# Schedules of one zone repeat every week: once past the last special date, two weeks (two,
# since a change of the clocks may swallow a gap between windows in one of them) and a day that
# stay open show that they stay open for ever. Zones that change their clocks on different days
# need a whole year, and some.
_ONE_ZONE_HORIZON = timedelta(days=15)
_MANY_ZONES_HORIZON = timedelta(days=400)


@dataclass(frozen=True, slots=True)
class Meter:
    """What decides about running: the paid time, the schedules and the hold.

    `held_since` suppresses exactly the windows that contain that instant.
    """

    expires_at: datetime | None = None
    schedules: Sequence[Schedule] = ()
    held_since: datetime | None = None

    def leased(self, instant: datetime) -> bool:
        return self.expires_at is not None and self.expires_at > instant

    def wanted(self, instant: datetime) -> bool:
        """Whether the endpoint should run at `instant`."""
        return self.leased(instant) or self.window_open(instant)

    def window_open(self, instant: datetime) -> bool:
        """Whether a window contains `instant` and no hold covers it."""
        first = next(self._windows_from(instant), None)
        return first is not None and first.start <= instant

    def wanted_until(self, instant: datetime) -> datetime | None:
        """When an endpoint that is wanted at `instant` stops if nothing changes: the end of the
        lease or of the merged windows, whichever is later. None: never."""
        if self.held_since is None and any(s.never_closes(instant) for s in self.schedules):
            return None
        end = self.expires_at if self.expires_at and self.expires_at > instant else instant
        horizon = self._horizon(end)
        for window in self._windows_from(instant):
            if window.start > end:
                return end
            end = max(end, window.stop)
            if horizon and end > horizon:
                return None
        return end

    def next_transition(self, instant: datetime) -> datetime | None:
        """The first instant after `instant` at which `wanted` changes; None: never."""
        first = next(self._windows_from(instant), None)
        if self.leased(instant) or (first and first.start <= instant):
            return self.wanted_until(instant)
        return first.start if first else None

    def _windows_from(self, instant: datetime) -> Iterator[Window]:
        """The windows of all schedules that end after `instant` and are not held, by start."""
        for window in heapq.merge(*(s.windows_from(instant) for s in self.schedules)):
            if self.held_since is None or not window.contains(self.held_since):
                yield window

    def _horizon(self, instant: datetime) -> datetime | None:
        """An instant up to which windows that stay open are open for ever; None: none are."""
        intervals = [schedule for schedule in self.schedules if schedule.days]
        if not intervals:
            return None
        special = [day for s in self.schedules for day in s.except_dates]
        special += [s.on_date for s in self.schedules if s.on_date]
        last = max((datetime.combine(day, time(), UTC) for day in special), default=instant)
        one_zone = len({schedule.timezone for schedule in intervals}) == 1
        return max(last, instant) + (_ONE_ZONE_HORIZON if one_zone else _MANY_ZONES_HORIZON)
