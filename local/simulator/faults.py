"""Faults that tests inject: which calls fail, how, and how often."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from local.simulator.errors import STATUS_BY_CODE
from local.simulator.lifecycle import Outcome

UPDATES = frozenset({"UpdateEndpoint", "UpdateEndpointWeightsAndCapacities"})
CHANGES = UPDATES | {"CreateEndpoint", "DeleteEndpoint"}
ON_AN_ENDPOINT = CHANGES | {"DescribeEndpoint", "InvokeEndpoint", "InvokeEndpointAsync"}
OPERATIONS_BY_OUTCOME = {
    Outcome.FAILED: CHANGES | {"InvokeEndpointAsync"},
    Outcome.ROLLBACK: UPDATES,
    Outcome.CAPACITY: UPDATES | {"CreateEndpoint"},
    Outcome.STUCK: CHANGES,
}
TIMEOUT_AFTER = "TimeoutAfter"
ERROR_CODE = re.compile(
    r"[A-Z][A-Za-z]*(Exception|Error|Failure|Exceeded|Unavailable|InUse|NotFound|Timeout)"
)
MOST_OF_ONE_FAULT = 1_000_000
FIELDS = ("operation", "endpoint", "failure", "count")


class FaultRefusedError(ValueError):
    """The fault is not valid. The message says why."""


@dataclass
class Fault:
    """The next `count` matching calls fail this way. `endpoint` None matches any endpoint."""

    operation: str
    endpoint: str | None
    failure: str
    count: int = field(default=1)

    @property
    def outcome(self) -> Outcome | None:
        """How an accepted change ends; None for other kinds of faults."""
        by_value = {outcome.value: outcome for outcome in OPERATIONS_BY_OUTCOME}
        return by_value.get(self.failure)

    def matches(self, operation: str, endpoint: str | None) -> bool:
        if self.count < 1 or self.operation != operation:
            return False
        return self.endpoint is None or (
            endpoint is not None and endpoint.lower() == self.endpoint.lower()
        )

    def as_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in FIELDS}


class FaultBook:
    """The faults that are still to happen. Each call uses one, in the order posted."""

    def __init__(self, operations: frozenset[str]) -> None:
        self._operations = operations
        self._faults: list[Fault] = []

    def __iter__(self) -> Iterator[Fault]:
        return iter(self._faults)

    def post(self, body: object) -> Fault:
        """Add a fault. Raises FaultRefusedError with the first problem of the body."""
        fault = _parsed(body, self._operations)
        self._faults.append(fault)
        return fault

    def clear(self) -> None:
        self._faults.clear()

    def find(self, operation: str, endpoint: str | None) -> Fault | None:
        """The fault for this call. It stays until `use`, so that a refused call does not use it."""
        return next((f for f in self._faults if f.matches(operation, endpoint)), None)

    def use(self, fault: Fault) -> None:
        fault.count -= 1
        self._faults = [one for one in self._faults if one.count > 0]


def _parsed(body: object, operations: frozenset[str]) -> Fault:
    if not isinstance(body, dict):
        raise FaultRefusedError("A fault must be a JSON object.")
    unknown = sorted(set(body) - set(FIELDS))
    if unknown:
        raise FaultRefusedError(f"Unknown field {unknown[0]!r}; there are {', '.join(FIELDS)}.")
    operation, endpoint, failure = (body.get(name) for name in FIELDS[:3])
    count = body.get("count", 1)
    if not isinstance(operation, str) or operation not in operations:
        raise FaultRefusedError(
            f"operation must be one of {', '.join(sorted(operations))}, not {operation!r}."
        )
    if endpoint is not None and not (isinstance(endpoint, str) and endpoint):
        raise FaultRefusedError("endpoint must be an endpoint's name, or null for any.")
    if endpoint is not None and operation not in ON_AN_ENDPOINT:
        raise FaultRefusedError(f"{operation} names no endpoint: leave endpoint out.")
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MOST_OF_ONE_FAULT:
        raise FaultRefusedError(f"count must be an integer from 1 to {MOST_OF_ONE_FAULT}.")
    fault = Fault(operation, endpoint, _failure(failure), count)
    if fault.outcome and operation not in OPERATIONS_BY_OUTCOME[fault.outcome]:
        allowed = ", ".join(sorted(OPERATIONS_BY_OUTCOME[fault.outcome]))
        raise FaultRefusedError(f"{fault.failure} can only happen to {allowed}.")
    return fault


def _failure(failure: object) -> str:
    outcomes = [outcome.value for outcome in OPERATIONS_BY_OUTCOME]
    if isinstance(failure, str) and (
        failure in (*outcomes, TIMEOUT_AFTER)
        or failure in STATUS_BY_CODE
        or ERROR_CODE.fullmatch(failure)
    ):
        return failure
    raise FaultRefusedError(
        f"failure must be one of {', '.join(outcomes)}, {TIMEOUT_AFTER} or an error code such as "
        f"ThrottlingException, not {failure!r}."
    )
