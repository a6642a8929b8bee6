"""The rule of running: wanted(t) = the lease ends after t, or a window is open and not held.

A lone stop ends the lease that was paid before it, and the windows that opened before it.

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
# hide a gap between windows in one of them.) With days of the month the calendar itself takes up
# to 40 years to repeat. Five of them have each day of each month on each day of the week, but for
# the 29th of February, so an endpoint without a gap in them is taken as open for ever.
_CALM = timedelta(days=15)
_CALM_OF_MONTHS = timedelta(days=5 * 366)
_AROUND = timedelta(days=1)
_CHANGES_AHEAD = timedelta(days=400)


@dataclass(frozen=True, slots=True)
class Meter:
    """What decides if an endpoint runs: the end of the lease, the schedules and the hold.

    `held_since` closes exactly the windows that contain that instant.
    """

    expires_at: datetime | None = None
    schedules: Sequence[Schedule] = ()
    held_since: datetime | None = None

    @classmethod
    def paid(
        cls,
        until: datetime | None,
        paid_at: datetime | None,
        schedules: Sequence[Schedule],
        held_since: datetime | None,
    ) -> Meter:
        """A meter whose lease was last paid at `paid_at`: the next lone stop ends it. None: older
        code did not record that, and no stop ends the lease."""
        stop = first_stop(schedules, paid_at) if until and paid_at else None
        return cls(min(until, stop) if until and stop else until, schedules, held_since)

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
            for window in self.windows_of(schedule, instant):
                if window.start > instant:
                    break
                yield window, schedule.name

    def windows_of(self, schedule: Schedule, instant: datetime) -> Iterator[Window]:
        """The windows of a schedule that end after `instant`, by start: cut at lone stops, without
        those that are held."""
        stops = self._lone_stops
        for window in schedule.windows_from(instant):
            stop = first_stop(stops, window.start)
            cut = Window(window.start, stop) if stop and stop < window.stop else window
            if cut.stop > instant and not self.is_held(cut):
                yield cut

    def stopped_by(self, instant: datetime) -> str | None:
        """The name of a schedule that has a lone stop at `instant`."""
        just_before = instant - timedelta(microseconds=1)
        for schedule in self._lone_stops:
            if next(schedule.stops_after(just_before), None) == instant:
                return schedule.name
        return None

    def wanted_until(self, instant: datetime) -> datetime | None:
        """When an endpoint that is wanted at `instant` stops if nothing changes: the end of the
        lease or of the merged windows, whichever is later. None: never."""
        unbroken = self.held_since is None and not self._lone_stops
        if unbroken and any(s.never_closes(instant) for s in self.schedules):
            return None
        around = self._around
        calm = _CALM if all(s.is_weekly for s in self.schedules) else _CALM_OF_MONTHS
        end = self.expires_at if self.expires_at and self.expires_at > instant else instant
        irregular = self._irregular_dates(end)
        calm_since = end
        windows = self._windows_from(end)
        while True:
            window = next(windows, None)
            if window is None or window.start > end:
                return end
            end = max(end, window.stop)
            while irregular and irregular[0] - around <= end:
                calm_since = max(calm_since, irregular.popleft() + around)
            if end - calm_since <= calm:
                continue
            if not irregular:
                return None
            end = irregular[0] - around
            windows = self._windows_from(end)

    def next_transition(self, instant: datetime) -> datetime | None:
        """The first instant after `instant` at which `wanted` changes. None: never."""
        first = next(self._windows_from(instant), None)
        if self.leased(instant) or (first and first.start <= instant):
            return self.wanted_until(instant)
        return first.start if first else None

    def _windows_from(self, instant: datetime) -> Iterator[Window]:
        """The windows of all schedules that end after `instant`, by start: as `windows_of`."""
        distinct = {schedule.pattern: schedule for schedule in self.schedules}
        return heapq.merge(*(self.windows_of(s, instant) for s in distinct.values()))

    @property
    def _lone_stops(self) -> Sequence[Schedule]:
        return [schedule for schedule in self.schedules if schedule.stops_only]

    @property
    def _around(self) -> timedelta:
        """So far from an irregular date a week may differ from the next."""
        return _AROUND + max((s.longest for s in self.schedules), default=timedelta())

    def _irregular_dates(self, instant: datetime) -> deque[datetime]:
        """The dates after `instant` around which a week may differ from the next, in order."""
        days = {day for s in self.schedules for day in s.except_dates}
        days |= {s.on_date for s in self.schedules if s.on_date}
        zones = {s.timezone for s in self.schedules if s.days}
        dates = {datetime.combine(day, time(), UTC) for day in days}
        if len(zones) > 1 or any(s.minutes for s in self.schedules):
            for zone in zones:
                dates.update(clock_changes(zone, instant.year))
                dates.update(clock_changes(zone, instant.year + 1))
            horizon = instant + _CHANGES_AHEAD
            dates = {date for date in dates if date < horizon or date.date() in days}
        begin = instant - self._around
        return deque(sorted(date for date in dates if date > begin))


def first_stop(schedules: Sequence[Schedule], instant: datetime) -> datetime | None:
    """The first lone stop after `instant`."""
    stops = (next(schedule.stops_after(instant), None) for schedule in schedules)
    return min((stop for stop in stops if stop), default=None)


def last_stop(schedules: Sequence[Schedule], now: datetime) -> datetime | None:
    """The last lone stop at or before `now`."""
    stops = (schedule.last_stop(now) for schedule in schedules)
    return max((stop for stop in stops if stop), default=None)
