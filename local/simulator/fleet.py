"""The endpoints: the effect of each operation, and the changes that become due."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from local.simulator.account import Account, Kind, Shelf
from local.simulator.call import Call
from local.simulator.catalog import Catalog
from local.simulator.errors import BUSY, FAILED_ENDPOINT
from local.simulator.lifecycle import (
    Deployment,
    Durations,
    Endpoint,
    Json,
    Outcome,
    Status,
    advance,
    begin,
    release,
)
from local.simulator.rollout import retaining, reweighted
from local.simulator.shifting import plan
from local.simulator.summaries import described


@dataclass(frozen=True)
class StatusChange:
    """An endpoint that has entered its status at the instant `at`."""

    endpoint: Endpoint
    at: datetime


class Fleet:
    """All endpoints of one account. Call `settle(now)` before any other method."""

    def __init__(self, account: Account, catalog: Catalog, durations: Durations) -> None:
        self._catalog = catalog
        self._durations = durations
        self._due: list[tuple[datetime, int, str]] = []  # one item per change that is not held
        self._pushed = 0
        self.shelf: Shelf[Endpoint] = Shelf(account, Kind.ENDPOINT)
        self.changes: list[StatusChange] = []
        self.check_update: Callable[[Endpoint, Deployment], None] = lambda _endpoint, _target: None
        """Raises if something outside the fleet forbids an update."""

    def create(self, call: Call) -> Json:
        name = call.request["EndpointName"]
        self.shelf.refuse_if_present(name)
        target = self._catalog.deployment(call.request["EndpointConfigName"])
        target = replace(target, policy=call.request.get("DeploymentConfig"))
        new = Endpoint(name, target.config_name, Status.CREATING, call.now, call.now)
        seconds = self._durations.create_seconds
        self._enter(begin(new, Status.CREATING, target, seconds, call.outcome, call.now), call.now)
        return {"EndpointArn": self.shelf.arn(name)}

    def describe(self, call: Call) -> Json:
        endpoint = self.shelf.get(call.request["EndpointName"])
        return described(endpoint, self.shelf.arn(endpoint.name))

    def update(self, call: Call) -> Json:
        """Update to a new config. SageMaker also requires that the current config still exists."""
        endpoint = self._changeable(call.request["EndpointName"])
        target = self._catalog.deployment(call.request["EndpointConfigName"])
        self._catalog.configs.get(endpoint.config_name)
        serving = endpoint.serving
        if serving is not None and call.request.get("RetainAllVariantProperties"):
            target = retaining(serving, target, call.request, self.shelf.arn(endpoint.name))
        policy = call.request.get("DeploymentConfig")
        if policy is None and serving and call.request.get("RetainDeploymentConfig"):
            policy = serving.policy
        target = replace(target, policy=policy)
        self.check_update(endpoint, target)
        self._begin_rollout(endpoint, target, call)
        return {"EndpointArn": self.shelf.arn(endpoint.name)}

    def update_weights(self, call: Call) -> Json:
        endpoint = self._changeable(call.request["EndpointName"])
        assert endpoint.serving is not None  # an endpoint that is settled and not Failed has served
        desired = call.request["DesiredWeightsAndCapacities"]
        self._begin_update(endpoint, reweighted(endpoint.serving, desired), call)
        return {"EndpointArn": self.shelf.arn(endpoint.name)}

    def delete(self, call: Call) -> Json:
        endpoint = self._settled(call.request["EndpointName"])
        seconds = self._durations.delete_seconds
        gone = begin(endpoint, Status.DELETING, None, seconds, call.outcome, call.now)
        self._enter(gone, call.now)
        return {}

    def settle(self, now: datetime) -> None:
        """Finish every change that is due by `now`, in order."""
        while self._due and self._due[0][0] <= now:
            due, _, name = heapq.heappop(self._due)
            after = advance(self.shelf.get(name))
            if after is None:
                self.shelf.remove(name)
            else:
                self._enter(after, due)

    def next_change(self) -> datetime | None:
        """The instant at which `settle` has something to do next."""
        return self._due[0][0] if self._due else None

    def release_stuck(self, now: datetime) -> None:
        for endpoint in list(self.shelf):
            if endpoint.pending is not None and endpoint.pending.held:
                self._keep(release(endpoint, now))

    def _begin_update(self, endpoint: Endpoint, target: Deployment, call: Call) -> None:
        seconds = self._durations.update_seconds
        updating = begin(endpoint, Status.UPDATING, target, seconds, call.outcome, call.now)
        self._enter(updating, call.now)

    def _begin_rollout(self, endpoint: Endpoint, target: Deployment, call: Call) -> None:
        """Begin a rollout. If it takes longer than its policy allows, it is rolled back then."""
        counts = [variant.instance_count for variant in target.variants]
        rollout = plan(target.policy, self._durations.update_seconds, counts)
        seconds, outcome = rollout.over_after.total_seconds(), call.outcome
        if rollout.too_long and outcome is Outcome.SUCCESS:
            seconds, outcome = 2 * seconds, Outcome.ROLLBACK  # the rollback takes as long
        updating = begin(
            endpoint, Status.UPDATING, target, seconds, outcome, call.now, rollout.shifts
        )
        self._enter(updating, call.now)

    def _settled(self, name: str) -> Endpoint:
        endpoint = self.shelf.get(name)
        if endpoint.pending is not None:
            raise BUSY.error(arn=self.shelf.arn(name))
        return endpoint

    def _changeable(self, name: str) -> Endpoint:
        endpoint = self._settled(name)
        if endpoint.status is Status.FAILED:
            raise FAILED_ENDPOINT.error(arn=self.shelf.arn(name))
        return endpoint

    def _enter(self, endpoint: Endpoint, at: datetime) -> None:
        self._keep(endpoint)
        self.changes.append(StatusChange(endpoint, at))

    def _keep(self, endpoint: Endpoint) -> None:
        self.shelf.put(endpoint.name, endpoint)
        pending = endpoint.pending
        if pending is not None and not pending.held:
            self._pushed += 1  # keeps changes at the same instant in the order of their calls
            heapq.heappush(self._due, (pending.due, self._pushed, endpoint.name))
