"""Whole lives of the meter by seed: no invariant is violated, and a seed always gives the same
life."""

from __future__ import annotations

import os
import random
import subprocess
import sys

import pytest

from tests.simulation.life import live
from tests.simulation.trials import DAYS, ENDPOINTS, SEEDS

CUT_SEED = 6
"""In this life chains have up to 95 links."""
REPLAY = "from tests.simulation.life import live; print(live({seed}, {days}, {endpoints}).digest)"


@pytest.mark.parametrize(
    "seed", [SEEDS[0], *(pytest.param(seed, marks=pytest.mark.prove) for seed in SEEDS[1:])]
)
def test_nothing_is_violated_in_a_life_that_is_known(seed: int) -> None:
    figures = live(seed, DAYS, ENDPOINTS)
    assert figures.violations == []
    assert figures.renewals > 0
    assert sum(figures.faults.values()) > 0


@pytest.mark.prove
def test_nothing_is_violated_in_a_fresh_life() -> None:
    seed = random.SystemRandom().randrange(10**9)
    replay = f"python -m tests.simulation --seed {seed} --days {DAYS} --endpoints {ENDPOINTS}"
    assert live(seed, DAYS, ENDPOINTS).violations == [], f"replay: {replay}"


def test_nothing_is_violated_though_lambda_ends_long_chains() -> None:
    assert live(CUT_SEED, DAYS, ENDPOINTS, longest_chain=16).violations == []


def test_life_is_the_same_whatever_the_order_of_hashes() -> None:
    code = REPLAY.format(seed=11, days=0.1, endpoints=10)

    def digest(hash_seed: str) -> str:
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, check=True
        )
        return done.stdout.decode().strip()

    assert len(digest("1")) > 8
    assert digest("1") == digest("2")
