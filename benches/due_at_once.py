"""Two thousand endpoints that are due at the same second, on simulated AWS."""

from __future__ import annotations

from collections.abc import Iterator

from benches.row import Row
from constructs_lib.config.document import DeployConfig
from tests.simulation.crowd import gather

STARTING, FEWER, STOPPING, PER_SECOND = 2000, 600, 100, 5.0
CONSUMERS: int = DeployConfig.model_fields["reconciler_concurrency"].default
CHAIN = 16  # as Lambda does with functions that may not feed themselves
LEAST_SHARE, LONGEST_STOP_SECONDS, LONGEST_TICK_SECONDS = 0.9, 10, 55


def rows() -> Iterator[Row]:
    crowd = gather(STARTING, STOPPING, PER_SECOND)
    share, stop, tick = crowd.share_of_allowed, crowd.worst_stop_seconds, crowd.longest_tick_seconds
    name = f"{STARTING:,} due at once"
    figure = f"{share:.1%} of the {PER_SECOND:.0f} creates/s that SageMaker takes"
    yield Row(f"{name}: starts", figure, f">= {LEAST_SHARE:.0%}", ok=share >= LEAST_SHARE)
    yield Row(f"{name}: lost", str(crowd.lost), "0", ok=crowd.lost == 0)
    yield Row(f"{name}: started twice", str(crowd.started_twice), "0", ok=crowd.started_twice == 0)
    yield Row(f"{name}: calls", f"{crowd.calls_per_create:.1f} per create", "few")
    yield Row(
        f"{name}: stops",
        f"{stop:.1f} s late at the worst, of {STOPPING} in the same minutes",
        f"< {LONGEST_STOP_SECONDS} s",
        ok=stop < LONGEST_STOP_SECONDS,
    )
    yield Row(
        f"{name}: ticks",
        f"{tick:.0f} s at the longest",
        f"< {LONGEST_TICK_SECONDS} s",
        ok=tick < LONGEST_TICK_SECONDS,
    )
    cut = gather(STARTING, STOPPING, PER_SECOND, longest_chain=CHAIN)
    yield Row(
        f"{name}, chains cut after {CHAIN} looks: starts",
        f"{cut.share_of_allowed:.1%}; all {cut.in_service:,} in service",
        "all in service, once",
        ok=cut.in_service == STARTING and not cut.started_twice and not cut.violations,
    )
    few = gather(FEWER, STOPPING, PER_SECOND, concurrency=CONSUMERS)
    yield Row(
        f"{FEWER} due at once, {CONSUMERS} consumers of each queue (the default): starts",
        f"{few.share_of_allowed:.1%}; {len(few.violations)} invariants violated",
        f">= {LEAST_SHARE:.0%}",
        ok=few.share_of_allowed >= LEAST_SHARE and not few.violations,
    )
    broken = len(crowd.violations)
    yield Row(f"{name}: invariants", f"{broken} violated", "0", ok=broken == 0)
