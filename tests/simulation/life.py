"""A part of the life of a stack, made from one seed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random

from lambdas.core.sweep import Policy, Unmanaged
from tests.simulation.faults import PEACE, PROFILES
from tests.simulation.kernel import Kernel
from tests.simulation.outsiders import Outsiders
from tests.simulation.people import Team, Users
from tests.simulation.sagemaker import Moods
from tests.simulation.stack import LIMITS, Came
from tests.simulation.stage import Stage
from tests.simulation.takers import NextDoor, Takers

STARTS = (
    datetime(2026, 3, 7, 18, tzinfo=UTC),  # the clocks change in North America
    datetime(2026, 3, 28, 12, tzinfo=UTC),  # in Europe
    datetime(2026, 4, 4, 6, tzinfo=UTC),  # in Australia, New Zealand and Chile
    datetime(2026, 10, 3, 6, tzinfo=UTC),  # in Australia
    datetime(2026, 10, 24, 12, tzinfo=UTC),  # in Europe
    datetime(2026, 10, 31, 18, tzinfo=UTC),  # in North America
    datetime(2026, 12, 31, 6, tzinfo=UTC),
    datetime(2028, 2, 28, 12, tzinfo=UTC),
)
DAYS, ENDPOINTS = 1.0, 120
VISITS_A_DAY = 2.0
TICK = timedelta(minutes=1)
SWEEP = timedelta(minutes=15)
QUIET_END = timedelta(minutes=50)
"""The last part, in which nobody does anything and nothing fails."""


@dataclass
class Figures:
    """The result of a run."""

    seed: int
    profile: str = ""
    endpoint_days: float = 0.0
    renewals: int = 0
    steps: int = 0
    lives: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    digest: str = ""
    story: list[str] = field(default_factory=list)


class Life:
    """The timers of a stage: a tick each minute, a sweep every 15 minutes."""

    def __init__(self, seed: int, days: float, endpoints: int, longest_chain: int | None) -> None:
        rng = Random(f"life {seed}")  # noqa: S311  # no secrets here
        self.start = rng.choice(STARTS) + timedelta(seconds=rng.uniform(0, 3600))
        self.end = self.start + timedelta(days=days)
        self.seed = seed
        self.profile = rng.choice(PROFILES)
        self.stage = stage = Stage(seed, self.start, self.profile)
        stage.longest_chain = stage.neighbour.longest_chain = longest_chain
        shared = max(1, endpoints // 4)
        names = [f"Model-{number}" for number in range(endpoints - shared)]
        added = [f"mine-{number}" for number in range(shared)]
        self.people_end = self.end - QUIET_END
        contested = [f"theirs-{number}" for number in range(4)]
        self.team = Team(stage, names, contested[:2], self.people_end)
        self.users = Users(stage, names + added, VISITS_A_DAY, self.people_end)
        self.outsiders = Outsiders(stage, [*contested, "hidden-0"], self.people_end)
        wanted = [*contested, "THEIRS-1", "hidden-0", *names[:4]]
        self.takers = Takers((stage, stage.neighbour), wanted, self.people_end)
        unmanaged = rng.choice((Unmanaged.IGNORE, Unmanaged.REPORT, Unmanaged.METER))
        stage.policy = Policy(unmanaged, adoptable=LIMITS.adoptable)
        self._onlookers = Random(f"onlookers {seed}")  # noqa: S311
        self.endpoint_minutes = 0
        self._outage_until = self.start
        if rng.random() < 0.2:
            stage.kernel.at(self.start + timedelta(days=days / 2), self.team.destroy)
        if stage.faults.profile.call:
            for _ in range(rng.choice((0, 1, 1, 2))):
                at = self.start + timedelta(days=days * rng.uniform(0.1, 0.8))
                stage.kernel.at(at, self._stop_ticking)
        for act, most in (
            (self.team.update_code, 1),
            (self.team.roll_back, 2),
            (self.team.restore_table, 1),
        ):
            for _ in range(rng.randint(0, most)):
                at = self.start + (self.people_end - timedelta(hours=1) - self.start) * rng.random()
                stage.kernel.at(at, act)

    def run(self) -> Figures:
        stage = self.stage
        with stage.running():
            self.team.begin()
            self.users.begin()
            self.team.plan(6)
            self.outsiders.begin()
            self.takers.begin()
            NextDoor(stage.neighbour).begin()
            stage.kernel.after(stage.rng.uniform(0, 60), self._tick)
            stage.kernel.after(stage.rng.uniform(0, 900), self._sweep)
            stage.kernel.at(self.people_end, self._calm_down)
            stage.kernel.run_until(self.end)
            self._check_end()
        return self._figures()

    @property
    def kernel(self) -> Kernel:
        return self.stage.kernel

    def _stop_ticking(self) -> None:
        if self.kernel.now < self.people_end - timedelta(hours=1):
            self.stage.faults.count("an hour without ticks")
            self._outage_until = self.kernel.now + timedelta(hours=1)

    def _tick(self) -> None:
        stage, watch = self.stage, self.stage.watch
        self.endpoint_minutes += sum(
            account.spec is not None for account in watch.ledger.accounts.values()
        )
        self.kernel.after(TICK.total_seconds(), self._tick)
        if self.kernel.now < self._outage_until:
            return

        for key in self._onlookers.sample(sorted(watch.cases), min(5, len(watch.cases))):
            stage.show(key)
        began = self.kernel.now

        def ticked(came: Came) -> None:
            watch.ticked(began, well=came.result is not None)

        stage.tick(ticked)
        if stage.rng.random() < stage.faults.profile.message_doubled / 5:
            stage.faults.count("tick doubled")
            stage.kernel.after(stage.rng.uniform(0, 2), self._tick_again)

    def _tick_again(self) -> None:
        self.stage.tick()

    def _sweep(self) -> None:
        stage, began = self.stage, self.kernel.now
        self.kernel.after(SWEEP.total_seconds(), self._sweep)

        def swept(came: Came) -> None:
            if came.result is not None:
                stage.watch.swept(began)

        stage.sweep(swept)

    def _calm_down(self) -> None:
        # Bounds of earlier disruptions count from now.
        self.stage.faults.profile = replace(PEACE, quiet=self.profile.quiet)
        self.stage.sagemaker.moods = Moods(failed=0, capacity=0, stuck=0, rolled_back=0, lingers=0)
        self.stage.sagemaker.release_stuck()

    def _check_end(self) -> None:
        """At the end everything must be as wanted."""
        stage, watch, now = self.stage, self.stage.watch, self.kernel.now
        for error in self.kernel.errors:
            watch.violation("-", error)
        for key, case in sorted(watch.cases.items()):
            status = stage.sagemaker.status(key)
            if not watch.ours(key):
                continue
            wanted = watch.wanted(key, now - timedelta(minutes=4))
            steady = wanted is watch.wanted(key, now) and not case.in_flux
            steady = steady and not (wanted and watch.is_refused("CreateEndpoint", key))
            if steady and wanted is (status in (None, "Deleting")):
                watch.violation(key, f"in the end wanted {wanted}, but {status}")
            record = stage.store.load(key)
            if record.locked_until and record.locked_until > now + timedelta(minutes=1):
                watch.violation(key, f"in the end still locked until {record.locked_until}")

    def _figures(self) -> Figures:
        stage = self.stage
        return Figures(
            seed=self.seed,
            profile=self.profile.name,
            endpoint_days=self.endpoint_minutes / 1440,
            renewals=stage.watch.ledger.renewals,
            steps=stage.wire.steps,
            faults=stage.faults.counts,
            violations=stage.watch.violations,
            digest=stage.wire.digest(),
            story=stage.watch.story,
        )


def live(
    seed: int,
    days: float = DAYS,
    endpoints: int = ENDPOINTS,
    longest_chain: int | None = None,
) -> Figures:
    """Run one seed. After `longest_chain` invocations of the reconciler, each by a message of the
    one before, Lambda ends the chain, as it does with functions that may not call themselves."""
    return Life(seed, days, endpoints, longest_chain).run()
