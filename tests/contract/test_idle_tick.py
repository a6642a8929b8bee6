"""The cost of a tick depends on the endpoints that are due, not on all that exist."""

from __future__ import annotations

from benches.idle_tick import calls_of_an_idle_tick


def test_idle_tick_makes_the_same_calls_with_ten_endpoints_and_with_ten_thousand() -> None:
    few, many = calls_of_an_idle_tick(10), calls_of_an_idle_tick(10_000)
    assert few == many
    assert sum(few.values()) <= 6
