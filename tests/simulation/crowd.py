"""Many endpoints due at the same second, and a SageMaker that takes a few creates a second."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta

from lambdas.aws.items import encode, spec_values
from lambdas.core.schedule import Schedule
from lambdas.core.spec import Origin, Spec
from tests.simulation.faults import PEACE
from tests.simulation.sagemaker import Moods
from tests.simulation.stage import Stage

BEGIN = datetime(2026, 3, 2, 8, 30, tzinfo=UTC)
OPENING = datetime(2026, 3, 2, 9, tzinfo=UTC)
_WORKDAYS = frozenset(range(5))


@dataclass
class Limit:
    """A token bucket: `per_second` creates, and as many at once."""

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
    """What happened. Seconds count from the opening; `stop_delays` from when each was to stop."""

    per_second: float
    started: Counter[str] = field(default_factory=Counter)
    asked: int = 0
    last_start_seconds: float = 0.0
    stop_delays: list[float] = field(default_factory=list)
    in_service: int = 0
    violations: list[str] = field(default_factory=list)

    @property
    def share_of_allowed(self) -> float:
        """How much of what SageMaker would have taken until the last start was used."""
        allowed = self.per_second * (1 + self.last_start_seconds)
        return sum(self.started.values()) / allowed


def gather(
    starting: int, stopping: int, per_second: float, stop_minutes: int = 4, seed: int = 0
) -> Crowd:
    """Let `starting` endpoints open at once and, some minutes later, `stopping` others close."""
    moods = Moods(
        create_seconds=(180, 300), failed=0, capacity=0, stuck=0, rolled_back=0, lingers=0
    )
    stage = Stage(seed, BEGIN, PEACE, moods)
    crowd = Crowd(per_second)
    closing = OPENING + timedelta(minutes=stop_minutes)
    _watch(stage, crowd, closing)
    with stage.running():
        _declare(stage, starting, stopping, closing)
        end = OPENING + timedelta(seconds=starting / per_second * 2 + 600)
        at = BEGIN + timedelta(seconds=7)
        while at < end:
            stage.kernel.at(at, lambda: _tick(stage))
            at += timedelta(minutes=1)
        stage.kernel.run_until(OPENING - timedelta(minutes=5))
        stage.sagemaker.create_limit = Limit(per_second, stage.kernel.now)
        stage.kernel.run_until(end)
    crowd.in_service = sum(
        stage.sagemaker.status(f"open-{number}") == "InService" for number in range(starting)
    )
    crowd.violations = [*stage.watch.violations, *stage.kernel.errors]
    return crowd


def _tick(stage: Stage) -> None:
    began = stage.kernel.now
    stage.tick(lambda came: stage.watch.ticked(began, well=came.result is not None))


def _watch(stage: Stage, crowd: Crowd, closing: datetime) -> None:
    accepted, asked = stage.sagemaker.accepted, stage.sagemaker.asked

    def on_accepted(operation: str, key: str) -> None:
        accepted(operation, key)
        now = stage.kernel.now
        if operation == "CreateEndpoint" and key.startswith("open-"):
            crowd.started[key] += 1
            crowd.last_start_seconds = (now - OPENING).total_seconds()
        elif operation == "DeleteEndpoint" and key.startswith("close-"):
            crowd.stop_delays.append((now - closing).total_seconds())

    def on_asked(operation: str, key: str) -> None:
        asked(operation, key)
        crowd.asked += operation == "CreateEndpoint" and key.startswith("open-")

    stage.sagemaker.accepted, stage.sagemaker.asked = on_accepted, on_asked


def _declare(stage: Stage, starting: int, stopping: int, closing: datetime) -> None:
    stage.sagemaker.create_config("cfg")
    opens = Schedule("opens", OPENING.time(), time(17), days=_WORKDAYS)
    closes = Schedule("closes", time(8), closing.time(), days=_WORKDAYS)
    specs = [_spec(f"open-{number}", opens) for number in range(starting)]
    specs += [_spec(f"close-{number}", closes) for number in range(stopping)]
    for spec in specs:
        where = {"pk": f"ENDPOINT#{spec.key}", "sk": "SPEC#config"}
        stage.declare(encode({**where, **spec_values(spec)}))
    manifest = {spec.name: spec.endpoint_config_name for spec in specs}
    deploys = stage.deploys()
    stage.invoke("sweep", "sync", lambda _now: list(deploys.sync(manifest)))


def _spec(name: str, schedule: Schedule) -> Spec:
    return Spec(name, "cfg", Origin.CONFIG, schedules=(schedule,), spec_hash="1")
