"""Many endpoints are due in the same second, and SageMaker accepts a few creates per second."""

from __future__ import annotations

from tests.simulation.crowd import gather
from tests.simulation.faults import Profile

ROUGH = Profile("rough", 0.01, 0.02, 0.02, 0.05, 0.02, None)


def test_crowd_uses_what_sagemaker_takes_and_delays_no_stop() -> None:
    crowd = gather(200, 20, per_second=5)
    assert (crowd.lost, crowd.started_twice, crowd.violations) == (0, 0, [])
    assert crowd.share_of_allowed >= 0.9
    assert crowd.worst_stop_seconds < 10
    assert crowd.calls_per_create < 4


def test_crowd_gets_through_though_lambda_ends_long_chains() -> None:
    crowd = gather(100, 20, per_second=1, longest_chain=8)
    assert crowd.dead_letters > 0
    assert (crowd.in_service, crowd.started_twice, crowd.violations) == (100, 0, [])


def test_crowd_gets_through_though_calls_messages_and_functions_fail() -> None:
    crowd = gather(100, 20, per_second=5, profile=ROUGH)
    assert (crowd.lost, crowd.violations) == (0, [])
    assert set(crowd.started.values()) == {1}, "none is started twice"
