"""Concurrent executions of Lambda that functions keep for themselves.

A reservation is a cap too, so a function that callers reach (api, authorizer) has none: it would
refuse them while the account has room.
https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html
"""

from __future__ import annotations

from collections.abc import Mapping

from constructs_lib.config.called import MODEL_FUNCTION
from constructs_lib.config.document import DeployConfig

ALWAYS_UNRESERVED = 100
"""What Lambda keeps of the account's limit for functions without a reservation."""
QUEUES = 2
TICK = 2
"""A tick ends before the next one begins; the scheduler may call it twice."""
SWEEP = 5
"""Two of the schedule, and those for which a deploy waits."""


def reservations(config: DeployConfig) -> Mapping[str, int]:
    """By the name of the function, without the prefix. A function that is missing reserves none."""
    found: dict[str, int] = {}
    if config.reserved_concurrency:
        # Both queues may have as many consumers at once. Fewer would throttle one of them.
        reconciler = QUEUES * config.reconciler_concurrency
        found |= {"tick": TICK, "sweep": SWEEP, "reconciler": reconciler}
    for entry in config.jumpstart_models:
        if entry.integration and entry.integration.properties.reserved_concurrency:
            function = MODEL_FUNCTION.format(entry.name)
            found[function] = entry.integration.properties.reserved_concurrency
    return found
