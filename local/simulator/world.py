"""The simulated SageMaker: all its resources, and the operations of the control plane."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from local.simulator.account import Account, Kind
from local.simulator.autoscaling import ScalableTargets
from local.simulator.call import Call, epoch
from local.simulator.catalog import Catalog, Record
from local.simulator.errors import UNKNOWN_OPERATION
from local.simulator.fleet import Fleet, StatusChange
from local.simulator.hub import PublicHub
from local.simulator.lifecycle import Durations, Endpoint, Json, Outcome
from local.simulator.listing import Entry, page
from local.simulator.runtime import Runtime
from local.simulator.summaries import event_detail
from local.simulator.tagging import Tags

Operation = Callable[[Call], Json]


class World:
    """Models, endpoint configs, endpoints, tags and scaling. Not thread-safe; it reads no clock.

    Each call first makes the changes that are due by `now`. `now` must never go back.
    """

    def __init__(
        self, account: Account, durations: Durations, hub: PublicHub | None = None
    ) -> None:
        self.account = account
        self._hub = hub or PublicHub(account, ())
        self._catalog = Catalog(account)
        self._fleet = Fleet(account, self._catalog, durations)
        self._runtime = Runtime(account, self._fleet.shelf)
        self.targets = ScalableTargets(account, self._fleet.shelf)
        self._fleet.check_update = self.targets.check_update
        self._tags = Tags(
            account,
            {
                Kind.MODEL: self._catalog.models,
                Kind.CONFIG: self._catalog.configs,
                Kind.ENDPOINT: self._fleet.shelf,
            },
        )
        self._operations = self._table()

    @property
    def operations(self) -> frozenset[str]:
        return frozenset(self._operations)

    @property
    def endpoint_count(self) -> int:
        return len(self._fleet.shelf)

    def perform(
        self, operation: str, request: Json, now: datetime, outcome: Outcome = Outcome.SUCCESS
    ) -> Json:
        """The answer to a valid request. Raises ApiError if SageMaker would refuse it."""
        self.settle(now)
        try:
            handler = self._operations[operation]
        except KeyError:
            raise UNKNOWN_OPERATION.error() from None
        return handler(Call(request, now, outcome))

    def route(self, endpoint_name: str, variant_name: str | None, now: datetime) -> str:
        """The variant that answers an invocation now. Raises ApiError if none does."""
        self.settle(now)
        return self._runtime.route(endpoint_name, variant_name, now)

    def asynchronous(self, endpoint_name: str, now: datetime) -> Json:
        """The current AsyncInferenceConfig of the endpoint. Raises ApiError."""
        self.settle(now)
        return self._runtime.asynchronous(endpoint_name)

    def settle(self, now: datetime) -> None:
        self._fleet.settle(now)

    def next_change(self) -> datetime | None:
        return self._fleet.next_change()

    def release_stuck(self, now: datetime) -> None:
        self.settle(now)
        self._fleet.release_stuck(now)

    def take_changes(self) -> list[StatusChange]:
        """The status changes since the last call, in order."""
        taken, self._fleet.changes = self._fleet.changes, []
        return taken

    def instance_type(self, config_name: str) -> tuple[str, int]:
        """The first variant's instance type and count, for the message about a quota."""
        if config_name not in self._catalog.configs:
            return ("ml.m5.large", 1)
        first = self._catalog.configs.get(config_name).body["ProductionVariants"][0]
        return (first.get("InstanceType", "serverless"), first.get("InitialInstanceCount", 1))

    def tags_on(self, arn: str) -> dict[str, str]:
        """The tags of the resource with this ARN; empty if there is none."""
        return self._tags.on(arn)

    def event_detail(self, change: StatusChange) -> Json:
        name = change.endpoint.name
        tags = self._tags.of(Kind.ENDPOINT, name)
        return event_detail(change.endpoint, self.account.arn(Kind.ENDPOINT, name), tags)

    def _table(self) -> dict[str, Operation]:
        catalog, fleet, tags, targets = self._catalog, self._fleet, self._tags, self.targets
        return {
            "CreateModel": tags.creating(Kind.MODEL, "ModelName", catalog.create_model),
            "DescribeModel": catalog.describe_model,
            "DeleteModel": catalog.delete_model,
            "ListModels": self._list_models,
            "CreateEndpointConfig": tags.creating(
                Kind.CONFIG, "EndpointConfigName", catalog.create_config
            ),
            "DescribeEndpointConfig": catalog.describe_config,
            "DeleteEndpointConfig": catalog.delete_config,
            "ListEndpointConfigs": self._list_configs,
            "CreateEndpoint": tags.creating(Kind.ENDPOINT, "EndpointName", fleet.create),
            "DescribeEndpoint": fleet.describe,
            "UpdateEndpoint": fleet.update,
            "UpdateEndpointWeightsAndCapacities": fleet.update_weights,
            "DeleteEndpoint": self._delete_endpoint,
            "ListEndpoints": self._list_endpoints,
            "AddTags": tags.add,
            "ListTags": tags.list,
            "DeleteTags": tags.delete,
            "DescribeHubContent": self._hub.describe,
            "ListHubContents": self._hub.list_models,
            "ListHubContentVersions": self._hub.list_versions,
            "RegisterScalableTarget": targets.register,
            "DescribeScalableTargets": targets.describe,
            "DeregisterScalableTarget": targets.deregister,
            "PutScalingPolicy": targets.put_policy,
            "DescribeScalingPolicies": targets.describe_policies,
        }

    def _delete_endpoint(self, call: Call) -> Json:
        answer = self._fleet.delete(call)
        self.targets.forget(call.request["EndpointName"])
        return answer

    def _list_models(self, call: Call) -> Json:
        rows = (self._record_entry(record, Kind.MODEL, "Model") for record in self._catalog.models)
        return page(rows, call.request, "Models")

    def _list_configs(self, call: Call) -> Json:
        configs = self._catalog.configs
        rows = (self._record_entry(record, Kind.CONFIG, "EndpointConfig") for record in configs)
        return page(rows, call.request, "EndpointConfigs")

    def _list_endpoints(self, call: Call) -> Json:
        return page(map(self._endpoint_entry, self._fleet.shelf), call.request, "Endpoints")

    def _record_entry(self, record: Record, kind: Kind, prefix: str) -> Entry:
        summary = {
            f"{prefix}Name": record.name,
            f"{prefix}Arn": self.account.arn(kind, record.name),
            "CreationTime": epoch(record.created_at),
        }
        return Entry(record.name, record.created_at, summary)

    def _endpoint_entry(self, endpoint: Endpoint) -> Entry:
        summary = {
            "EndpointName": endpoint.name,
            "EndpointArn": self.account.arn(Kind.ENDPOINT, endpoint.name),
            "CreationTime": epoch(endpoint.created_at),
            "LastModifiedTime": epoch(endpoint.modified_at),
            "EndpointStatus": endpoint.status.value,
        }
        return Entry(
            endpoint.name,
            endpoint.created_at,
            summary,
            endpoint.modified_at,
            endpoint.status.value,
        )
