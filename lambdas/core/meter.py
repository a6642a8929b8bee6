"""The rule of running: wanted(t) = lease.expires_at > t, or a window is open and not held.

All functions are pure and take aware UTC instants.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from lambdas.core.schedule import Schedule, Window, clock_changes

# Schedules repeat every week, except around special dates and, if they have several time zones,
# around clock changes. If everything stays open for two weeks and a day without such a date, it
# stays open until the next such date; without one, for ever. (Two weeks, because a clock change may
# hide a gap between windows in one of them.)
_CALM = timedelta(days=15)
_AROUND = timedelta(days=2)
_CHANGES_AHEAD = timedelta(days=400)


@dataclass(frozen=True, slots=True)
class Meter:
    """What decides if an endpoint runs: the lease, the schedules and the hold.

    `held_since` closes exactly the windows that contain that instant.
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

    def is_held(self, window: Window) -> bool:
        """Whether the hold covers the window."""
        return self.held_since is not None and window.contains(self.held_since)

    def open_windows(self, instant: datetime) -> Iterator[tuple[Window, str]]:
        """The windows that contain `instant` and are not held, with their schedules' names."""
        for schedule in self.schedules:
            for window in schedule.windows_from(instant):
                if window.start > instant:
                    break
                if not self.is_held(window):
                    yield window, schedule.name

    def wanted_until(self, instant: datetime) -> datetime | None:
        """When an endpoint that is wanted at `instant` stops if nothing changes: the end of the
        lease or of the merged windows, whichever is later. None: never."""
        if self.held_since is None and any(s.never_closes(instant) for s in self.schedules):
            return None
        end = self.expires_at if self.expires_at and self.expires_at > instant else instant
        irregular = self._irregular_dates(end)
        calm_since = end
        windows = self._windows_from(end)
        while True:
            window = next(windows, None)
            if window is None or window.start > end:
                return end
            end = max(end, window.stop)
            while irregular and irregular[0] - _AROUND <= end:
                calm_since = max(calm_since, irregular.popleft() + _AROUND)
            if end - calm_since <= _CALM:
                continue
            if not irregular:
                return None
            end = irregular[0] - _AROUND
            windows = self._windows_from(end)

    def next_transition(self, instant: datetime) -> datetime | None:
        """The first instant after `instant` at which `wanted` changes. None: never."""
        first = next(self._windows_from(instant), None)
        if self.leased(instant) or (first and first.start <= instant):
            return self.wanted_until(instant)
        return first.start if first else None

    def _windows_from(self, instant: datetime) -> Iterator[Window]:
        """The windows that end after `instant` and are not held, of all schedules, by start."""
        distinct = {schedule.pattern: schedule for schedule in self.schedules}
        for window in heapq.merge(*(s.windows_from(instant) for s in distinct.values())):
            if not self.is_held(window):
                yield window

    def _irregular_dates(self, instant: datetime) -> deque[datetime]:
        """The dates after `instant` around which a week may differ from the next, in order."""
        days = {day for s in self.schedules for day in s.except_dates}
        days |= {s.on_date for s in self.schedules if s.on_date}
        zones = {s.timezone for s in self.schedules if s.days}
        dates = {datetime.combine(day, time(), UTC) for day in days}
        if len(zones) > 1:
            for zone in zones:
                dates.update(clock_changes(zone, instant.year))
                dates.update(clock_changes(zone, instant.year + 1))
            horizon = instant + _CHANGES_AHEAD
            dates = {date for date in dates if date < horizon or date.date() in days}
        return deque(sorted(date for date in dates if date + _AROUND > instant))
