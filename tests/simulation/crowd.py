"""Many endpoints that are due in the same second, and a SageMaker that accepts a few creates per
second."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from random import Random

from lambdas.aws.attribute_values import encode
from lambdas.aws.items import spec_values
from lambdas.core.days import WEEKDAYS
from lambdas.core.schedule import Schedule
from lambdas.core.spec import Origin, Spec
from tests.simulation.faults import PEACE, Profile
from tests.simulation.sagemaker import Moods
from tests.simulation.stack import Came
from tests.simulation.stage import Stage

BEGIN = datetime(2026, 3, 2, 8, 30, tzinfo=UTC)
OPENING = datetime(2026, 3, 2, 9, tzinfo=UTC)
_WORKDAYS = frozenset(WEEKDAYS[:5])
_CLOSING_MINUTES = 5
_MOODS = Moods(create_seconds=(180, 300), failed=0, capacity=0, stuck=0, rolled_back=0, lingers=0)
_CREATED = timedelta(minutes=15)
"""More than enough time until the last one is in service."""


@dataclass
class Limit:
    """A token bucket: `per_second` creates per second, and as many in one burst."""

    per_second: float
    at: datetime
    tokens: float = 0.0

    def __call__(self, now: datetime) -> bool:
        gained = (now - self.at).total_seconds() * self.per_second
        self.tokens, self.at = min(self.per_second, self.tokens + gained), now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


@dataclass
class Crowd:
    """The result. Seconds count from the opening, `stop_delays` from when each had to stop."""

    starting: int
    stopping: int
    per_second: float
    started: Counter[str] = field(default_factory=Counter)
    asked: int = 0
    asked_in_vain: int = 0
    """Creates of endpoints that existed already."""
    last_start_seconds: float = 0.0
    longest_tick_seconds: float = 0.0
    stop_delays: list[float] = field(default_factory=list)
    in_service: int = 0
    dead_letters: int = 0
    lineage: int = 0
    """The longest chain of invocations of the reconciler."""
    violations: list[str] = field(default_factory=list)

    @property
    def share_of_allowed(self) -> float:
        """The part of SageMaker's capacity that was used until the last start."""
        allowed = self.per_second * (1 + self.last_start_seconds)
        return sum(self.started.values()) / allowed

    @property
    def lost(self) -> int:
        """Endpoints that did not start or stop in all this time, and dead letters."""
        missing = self.starting - self.in_service
        return missing + self.stopping - len(self.stop_delays) + self.dead_letters

    @property
    def started_twice(self) -> int:
        return sum(times > 1 for times in self.started.values()) + self.asked_in_vain

    @property
    def calls_per_create(self) -> float:
        return self.asked / max(len(self.started), 1)

    @property
    def worst_stop_seconds(self) -> float:
        return max(self.stop_delays, default=0.0)


def gather(
    starting: int,
    stopping: int,
    per_second: float,
    profile: Profile = PEACE,
    seed: int = 0,
    longest_chain: int | None = None,
    concurrency: int = 10,
) -> Crowd:
    """Open `starting` endpoints at once. Close `stopping` others, some in the same second and the
    rest in the minutes after it. Faults happen as the profile says, and Lambda ends chains as in
    `life.live`."""
    stage = Stage(seed, BEGIN, PEACE, _MOODS, concurrency)
    stage.longest_chain = longest_chain
    stage.sagemaker.refusals.by_chance = False  # each is to start
    stage.wire.latency = _latency
    crowd = Crowd(starting, stopping, per_second)
    _watch(stage, crowd)
    with stage.running():
        _declare(stage, starting, stopping)
        stage.kernel.at(BEGIN + timedelta(seconds=7), lambda: _tick(stage, crowd))
        stage.kernel.run_until(OPENING - timedelta(minutes=5))
        stage.sagemaker.create_limit = Limit(per_second, stage.kernel.now)
        stage.faults.profile = profile
        stage.kernel.at(OPENING + timedelta(minutes=1), lambda: _sweep(stage))
        latest = OPENING + timedelta(seconds=starting / per_second * 2) + _CREATED
        while stage.kernel.now < latest and not _over(stage, crowd):
            stage.kernel.run_until(stage.kernel.now + timedelta(seconds=30))
    crowd.in_service = _in_service(stage, crowd)
    crowd.lineage = stage.lineage
    crowd.dead_letters = sum(len(queue.dead) for queue in stage.queues.values())
    crowd.violations = [*stage.watch.violations, *stage.kernel.errors]
    return crowd


def _over(stage: Stage, crowd: Crowd) -> bool:
    through = len(crowd.stop_delays) >= crowd.stopping
    return through and _in_service(stage, crowd) == crowd.starting


def _in_service(stage: Stage, crowd: Crowd) -> int:
    statuses = (stage.sagemaker.status(f"open-{number}") for number in range(crowd.starting))
    return sum(status == "InService" for status in statuses)


def _latency(rng: Random) -> float:
    """The seconds of one call to DynamoDB or SageMaker on a good day."""
    return rng.uniform(0.005, 0.03)


def _tick(stage: Stage, crowd: Crowd) -> None:
    began = stage.kernel.now

    def over(came: Came) -> None:
        seconds = (stage.kernel.now - began).total_seconds()
        crowd.longest_tick_seconds = max(crowd.longest_tick_seconds, seconds)
        stage.watch.ticked(began, well=came.result is not None)

    stage.tick(over)
    stage.kernel.after(60, lambda: _tick(stage, crowd))


def _sweep(stage: Stage) -> None:
    stage.sweep()


def _closing(number: int) -> datetime:
    return OPENING + timedelta(minutes=number % _CLOSING_MINUTES)


def _watch(stage: Stage, crowd: Crowd) -> None:
    accepted, asked = stage.sagemaker.accepted, stage.sagemaker.asked

    def on_accepted(operation: str, key: str) -> None:
        accepted(operation, key)
        now = stage.kernel.now
        if operation == "CreateEndpoint" and key.startswith("open-"):
            crowd.started[key] += 1
            crowd.last_start_seconds = (now - OPENING).total_seconds()
        elif operation == "DeleteEndpoint" and key.startswith("close-"):
            closing = _closing(int(key.removeprefix("close-")))
            crowd.stop_delays.append((now - closing).total_seconds())

    def on_asked(operation: str, key: str) -> None:
        asked(operation, key)
        if operation == "CreateEndpoint" and key.startswith("open-"):
            crowd.asked += 1
            crowd.asked_in_vain += stage.sagemaker.status(key) is not None

    stage.sagemaker.accepted, stage.sagemaker.asked = on_accepted, on_asked


def _declare(stage: Stage, starting: int, stopping: int) -> None:
    stage.sagemaker.create_config("cfg")
    opens = Schedule("opens", OPENING.time(), time(17), days=_WORKDAYS)
    specs = [_spec(f"open-{number}", opens) for number in range(starting)]
    for number in range(stopping):
        closes = Schedule("closes", time(8), _closing(number).time(), days=_WORKDAYS)
        specs.append(_spec(f"close-{number}", closes))
    for spec in specs:
        where = {"pk": f"ENDPOINT#{spec.key}", "sk": "SPEC#config"}
        stage.declare(encode({**where, **spec_values(spec)}))
    manifest = {spec.name: spec.endpoint_config_name for spec in specs}
    deploys = stage.deploys()
    stage.invoke("sweep", "sync", lambda _now: list(deploys.sync(manifest)))


def _spec(name: str, schedule: Schedule) -> Spec:
    return Spec(name, "cfg", Origin.CONFIG, schedules=(schedule,), spec_hash="1")
