"""How many endpoint-days the simulation runs per second, and how many violations it finds."""

from __future__ import annotations

import time
from collections.abc import Iterator

from benches.row import Row
from tests.simulation.life import live

SEEDS = (1, 2, 3)


def rows() -> Iterator[Row]:
    began = time.perf_counter()
    lives = [live(seed) for seed in SEEDS]
    seconds = time.perf_counter() - began
    days = sum(figures.endpoint_days for figures in lives)
    steps = sum(figures.steps for figures in lives)
    figure = f"{days / seconds:.0f} endpoint-days, {steps / seconds:,.0f} calls a second"
    yield Row(f"simulation: {len(SEEDS)} lives", figure, "on one core")
    violated = sum(len(figures.violations) for figures in lives)
    yield Row("simulation: invariants", f"{violated} violated", "0", ok=violated == 0)
