"""What fails, and how often: chosen by the seed, counted by kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from random import Random


class Fault(StrEnum):
    """The faults of one call to AWS, and of messages."""

    CRASH_BEFORE = "crash before a call"
    CRASH_AFTER = "crash after a call"
    THROTTLE = "throttle"
    NO_ANSWER = "time-out before the effect"
    LOST_ANSWER = "time-out after the effect"
    BROKEN = "internal failure"


DISRUPTIVE = tuple(Fault)


@dataclass(frozen=True)
class Profile:
    """How often things fail. Odds are per call, message or step.

    `quiet`: after a disruption an endpoint has no other for this time, so that all bounds must
    hold. None: disruptions may follow each other at once, and bounds count from the last one.
    """

    name: str
    call: float
    message_lost: float
    message_late: float
    message_doubled: float
    refusal: float
    quiet: timedelta | None

    @property
    def strict(self) -> bool:
        return self.quiet is not None


CALM = Profile("calm", 0.0, 0.0, 0.0, 0.05, 0.02, timedelta(minutes=10))
SPARSE = Profile("sparse", 0.008, 0.02, 0.02, 0.05, 0.05, timedelta(minutes=8))
STORM = Profile("storm", 0.02, 0.05, 0.05, 0.1, 0.1, None)
PEACE = Profile("peace", 0.0, 0.0, 0.0, 0.0, 0.0, timedelta(0))
PROFILES = (CALM, SPARSE, SPARSE, SPARSE, STORM, STORM)


class Faults:
    """Draws faults, keeps the quiet time of the profile, and records which endpoint was disrupted
    when."""

    def __init__(self, rng: Random, profile: Profile, epoch: datetime) -> None:
        self.rng = rng
        self.profile = profile
        self.counts: Counter[str] = Counter()
        self._epoch = epoch
        self._hit: dict[str, datetime] = {}

    def last_hit(self, subject: str) -> datetime:
        """When work for the endpoint was last disrupted."""
        return self._hit.get(subject, self._epoch)

    def of_call(self, subjects: Sequence[str], now: datetime) -> Fault | None:
        """The fault of one call for these endpoints, if any."""
        if self.rng.random() >= self.profile.call or not self._may_hit(subjects, now):
            return None
        fault = self.rng.choice(DISRUPTIVE)
        self.hit(fault, subjects, now)
        return fault

    def of_message(self, subject: str, now: datetime) -> tuple[bool, float, bool]:
        """Whether a message is lost, how late it is, and whether it comes twice."""
        rng, profile = self.rng, self.profile
        draw = rng.random()
        if draw < profile.message_lost + profile.message_late and self._may_hit([subject], now):
            if draw < profile.message_lost:
                self.hit("message lost", [subject], now)
                return True, 0.0, False
            self.hit("message late", [subject], now)
            return False, rng.uniform(10, 90), False
        doubled = rng.random() < profile.message_doubled
        if doubled:
            self.counts["message doubled"] += 1
        return False, 0.0, doubled

    def refuses(self, kind: str) -> bool:
        """Whether SageMaker refuses a call now for its own reasons."""
        if self.rng.random() >= self.profile.refusal:
            return False
        self.counts[kind] += 1
        return True

    def count(self, kind: str) -> None:
        self.counts[kind] += 1

    def hit(self, kind: str, subjects: Sequence[str], now: datetime) -> None:
        self.counts[str(kind)] += 1
        for subject in subjects:
            self._hit[subject] = now

    def _may_hit(self, subjects: Sequence[str], now: datetime) -> bool:
        quiet = self.profile.quiet
        return quiet is None or all(now - self.last_hit(one) >= quiet for one in subjects)
