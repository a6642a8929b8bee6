"""SageMaker's control plane with the interface of boto3's client: the pure world of the local
simulator (its names, messages and lifecycles) on simulated time, with faults."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, cast

from botocore.exceptions import ClientError

from lambdas.core.errors import AwsRefused
from lambdas.core.ports import Adopter
from lambdas.core.settings import IGNORE_TAG_KEY, STACK_TAG_KEY, adopted_tag
from local.simulator.account import Account, Kind
from local.simulator.errors import EXISTS, MISSING, QUOTA, THROTTLED, ApiError
from local.simulator.fleet import StatusChange
from local.simulator.lifecycle import Durations, Outcome
from local.simulator.world import World
from tests.simulation.faults import Faults
from tests.simulation.kernel import Kernel
from tests.simulation.refusals import Refusals
from tests.simulation.wire import Call, Wire

ACCOUNT = Account()
STACK_TAG = "simulated"
_TYPES = ("ml.m5.large", "ml.m5.xlarge")
UPDATES = frozenset({"UpdateEndpoint", "UpdateEndpointWeightsAndCapacities"})
_OURS = [{"Key": STACK_TAG_KEY, "Value": STACK_TAG}]


@dataclass
class Moods:
    """How SageMaker behaves. The seconds of each change are drawn between two bounds."""

    create_seconds: tuple[float, float] = (15, 120)
    delete_seconds: tuple[float, float] = (2, 40)
    update_seconds: tuple[float, float] = (15, 120)
    failed: float = 0.04
    capacity: float = 0.03
    stuck: float = 0.01
    rolled_back: float = 0.15
    lingers: float = 0.2
    iam_seconds: float = 4.0
    """How long IAM may use old tags. It is shorter than the wait of an adoption (TAG_SETTLES), by
    the errors of two clocks."""


@dataclass
class SageMaker:
    """The region: its endpoints, and the callbacks of the watchers.

    For the watched stack: `refused` is called for each refusal of SageMaker itself, `changed` for
    each endpoint that got another status or is gone, `asked` for each call that arrives and changes
    an endpoint, `accepted` for each create, delete and update that was accepted. For all stacks:
    `mutating` and `mutated` are called for requested and accepted changes, `described` and
    `tags_read` for reads, and `retagged` for each endpoint with changed tags.
    """

    kernel: Kernel
    faults: Faults
    moods: Moods
    rng: Random
    refusals: Refusals
    create_limit: Callable[[datetime], bool] | None = None
    refused: Callable[[str, str, str], None] = lambda _operation, _key, _code: None
    changed: Callable[[str], None] = lambda _key: None
    announce: Callable[[StatusChange], None] = lambda _change: None
    accepted: Callable[[str, str], None] = lambda _operation, _key: None
    asked: Callable[[str, str], None] = lambda _operation, _key: None
    mutating: Callable[[str, str, str], None] = lambda _stack, _operation, _key: None
    mutated: Callable[[str, str, str], None] = lambda _stack, _operation, _key: None
    described: Callable[[str], None] = lambda _key: None
    tags_read: Callable[[str], None] = lambda _key: None
    retagged: Callable[[str], None] = lambda _key: None
    lingering: dict[str, datetime] = field(default_factory=dict)
    config_seen_from: dict[str, datetime] = field(default_factory=dict)
    adopted_at: dict[str, datetime] = field(default_factory=dict)
    """When the adopter of a stack last tagged an endpoint."""
    _recently_gone: list[tuple[datetime, dict[str, Any]]] = field(default_factory=list)
    _known: dict[str, str] = field(default_factory=dict)
    _settle_at: datetime | None = None

    def __post_init__(self) -> None:
        self.world = World(ACCOUNT, cast("Durations", _Drawn(self)))

    def perform(
        self, operation: str, request: dict[str, Any], outcome: Outcome = Outcome.SUCCESS
    ) -> dict[str, Any]:
        """The pure world. The meter calls it through its client, Terraform and outsiders
        directly."""
        try:
            return self.world.perform(operation, request, self.kernel.now, outcome)
        finally:
            self._notice()

    def status(self, key: str) -> str | None:
        return self._known.get(key)

    def endpoint(self, key: str) -> Any:
        shelf = self.world._fleet.shelf
        return shelf.get(key) if key in shelf else None

    def tags(self, key: str) -> dict[str, str]:
        return self.world._tags.of(Kind.ENDPOINT, key)

    def ours(self, key: str, stack: str = STACK_TAG) -> bool:
        """Whether IAM lets the stack change it."""
        tags = self.tags(key)
        return tags.get(STACK_TAG_KEY) in (stack, adopted_tag(stack)) and IGNORE_TAG_KEY not in tags

    def retag(self, key: str, add: Mapping[str, str], remove: Sequence[str] = ()) -> None:
        """Change the tags of an endpoint, as a person with a console does."""
        arn = ACCOUNT.arn(Kind.ENDPOINT, key)
        tags = [{"Key": name, "Value": value} for name, value in add.items()]
        self.perform("AddTags", {"ResourceArn": arn, "Tags": tags})
        self.perform("DeleteTags", {"ResourceArn": arn, "TagKeys": list(remove)})
        self.retagged(key)

    def may_adopt(self, stack: str, key: str, value: str) -> bool:
        """Whether IAM lets the adopter of the stack tag it: if it has no stack tag, or if another
        stack tagged it so recently that IAM does not know it yet."""
        tags = self.tags(key)
        lately = self.kernel.now - timedelta(seconds=self.moods.iam_seconds)
        unheard = self.adopted_at.get(key, lately) > lately
        free = STACK_TAG_KEY not in tags or unheard
        return value == adopted_tag(stack) and free and IGNORE_TAG_KEY not in tags

    def may_release(self, stack: str, key: str) -> bool:
        return self.tags(key).get(STACK_TAG_KEY) == adopted_tag(stack)

    def create_config(self, name: str, *, ours: bool = False) -> None:
        """`ours`: created by Terraform, which tags everything that it creates."""
        kind = _TYPES[sum(name.encode()) % len(_TYPES)]  # neighbours differ
        variant = {"VariantName": "all", "InstanceType": kind, "InitialInstanceCount": 1}
        request = {"EndpointConfigName": name, "ProductionVariants": [variant]}
        self.perform("CreateEndpointConfig", request | ({"Tags": _OURS} if ours else {}))
        lag = self.rng.uniform(0, 20) if self.rng.random() < 0.1 else 0.0
        self.config_seen_from[name] = self.kernel.now + timedelta(seconds=lag)

    def destroy_config(self, name: str) -> list[str]:
        """Delete an old config, as Terraform does. Returns the endpoints that still used it."""
        served = []
        for endpoint in self.world._fleet.shelf:
            target = endpoint.pending.target if endpoint.pending else None
            status = self.status(endpoint.name.lower())
            if status != "Deleting" and name in (endpoint.config_name, _config_of(target)):
                served.append(endpoint.name.lower())
        self.perform("DeleteEndpointConfig", {"EndpointConfigName": name})
        return served

    def config_exists(self, name: str) -> bool:
        return name in self.world._catalog.configs

    def release_stuck(self) -> None:
        self.world.release_stuck(self.kernel.now)
        self._notice()

    def listed(self) -> list[dict[str, Any]]:
        """All endpoints. One deleted recently may still be listed, a new one may be missing."""
        now = self.kernel.now
        self._recently_gone = [(at, row) for at, row in self._recently_gone if at > now]
        live = [self.world._endpoint_entry(one).summary for one in self.world._fleet.shelf]
        names = {row["EndpointName"].lower() for row in live}
        gone = [row for _, row in self._recently_gone if row["EndpointName"].lower() not in names]
        return live + gone

    def outcome(self, operation: str) -> Outcome:
        """How a change that begins now will end."""
        draw, moods = self.rng.random(), self.moods
        if operation in UPDATES:
            return Outcome.ROLLBACK if draw < moods.rolled_back else Outcome.SUCCESS
        if operation == "DeleteEndpoint":
            return Outcome.FAILED if draw < moods.failed / 10 else Outcome.SUCCESS
        for odds, outcome in (
            (moods.failed, Outcome.FAILED),
            (moods.capacity, Outcome.CAPACITY),
            (moods.stuck, Outcome.STUCK),
        ):
            if draw < odds:
                self.faults.count(f"create ends {outcome.value}")
                if outcome is Outcome.STUCK:
                    self.kernel.after(self.rng.uniform(600, 3600), self.release_stuck)
                return outcome
            draw -= odds
        return Outcome.SUCCESS

    def _notice(self) -> None:
        for change in self.world.take_changes():
            key = change.endpoint.name.lower()
            self._known[key] = change.endpoint.status.value
            self.announce(change)
            self.changed(key)
        if self.world.endpoint_count < len(self._known):
            shelf = self.world._fleet.shelf
            for key in [key for key in self._known if key not in shelf]:
                del self._known[key]
                self._gone(key)
        due = self.world.next_change()
        if due is not None and (self._settle_at is None or due < self._settle_at):
            self._settle_at = due
            self.kernel.at(due, self._settle)

    def _settle(self) -> None:
        self._settle_at = None
        self.world.settle(self.kernel.now)
        self._notice()

    def _gone(self, key: str) -> None:
        now, rng = self.kernel.now, self.rng
        if rng.random() < self.moods.lingers:
            self.faults.count("slow delete")
            self.lingering[key] = now + timedelta(seconds=rng.uniform(1, 25))
            row = {
                "EndpointName": key,
                "EndpointArn": ACCOUNT.arn(Kind.ENDPOINT, key),
                "EndpointStatus": "Deleting",
                "CreationTime": now.timestamp(),
                "LastModifiedTime": now.timestamp(),
            }
            self._recently_gone.append((self.lingering[key], row))
        self.changed(key)


def _config_of(target: Any) -> str | None:
    return target.config_name if target else None


class _Drawn:
    """`Durations` that are drawn again for each change."""

    def __init__(self, sagemaker: SageMaker) -> None:
        self._sagemaker = sagemaker

    def __getattr__(self, name: str) -> float:
        return self._sagemaker.rng.uniform(*getattr(self._sagemaker.moods, name))


class SageMakerClient:
    """boto3's client, as far as the adapter uses it, with the rights of a stack's functions."""

    def __init__(self, sagemaker: SageMaker, wire: Wire, stack: str, *, repeats: bool) -> None:
        self._sagemaker = sagemaker
        self._wire = wire
        self._stack = stack
        self._watched = stack == STACK_TAG
        self._repeats = repeats

    def describe_endpoint(self, **request: Any) -> dict[str, Any]:
        name = request["EndpointName"]

        def effect() -> dict[str, Any]:
            self._sagemaker.described(name.lower())
            return self._sagemaker.perform("DescribeEndpoint", request)

        return _with_instants(self._call("DescribeEndpoint", name, request, effect))

    def describe_endpoint_config(self, **request: Any) -> dict[str, Any]:
        return self._call("DescribeEndpointConfig", None, request)

    def create_endpoint(self, **request: Any) -> dict[str, Any]:
        return self._change("CreateEndpoint", request)

    def update_endpoint(self, **request: Any) -> dict[str, Any]:
        return self._change("UpdateEndpoint", request)

    def update_endpoint_weights_and_capacities(self, **request: Any) -> dict[str, Any]:
        return self._change("UpdateEndpointWeightsAndCapacities", request)

    def delete_endpoint(self, **request: Any) -> dict[str, Any]:
        return self._change("DeleteEndpoint", request)

    def add_tags(self, **request: Any) -> dict[str, Any]:
        def allowed(key: str) -> bool:
            value = request["Tags"][0]["Value"]
            return self._sagemaker.may_adopt(self._stack, key, value)

        return self._retag("AddTags", request, allowed)

    def delete_tags(self, **request: Any) -> dict[str, Any]:
        return self._retag(
            "DeleteTags", request, lambda key: self._sagemaker.may_release(self._stack, key)
        )

    def _retag(
        self, operation: str, request: dict[str, Any], allowed: Callable[[str], bool]
    ) -> dict[str, Any]:
        key, sagemaker = _named(request["ResourceArn"]).lower(), self._sagemaker

        def refusal() -> ApiError | None:
            if sagemaker.status(key) is None or allowed(key):
                return None
            return ApiError("AccessDeniedException", f"not authorized to {operation} {key}")

        def perform() -> dict[str, Any]:
            answer = sagemaker.perform(operation, request)
            if operation == "AddTags":
                sagemaker.adopted_at[key] = sagemaker.kernel.now
            sagemaker.retagged(key)
            return answer

        return self._mutate(operation, key, request, refusal, perform)

    def get_paginator(self, operation: str) -> _Listing:
        return _Listing(self._tags if operation == "list_tags" else self._endpoints)

    def _tags(self, request: dict[str, Any]) -> dict[str, Any]:
        key = _named(request["ResourceArn"]).lower()

        def effect() -> dict[str, Any]:
            self._sagemaker.tags_read(key)
            return self._sagemaker.perform("ListTags", request)

        return self._call("ListTags", key, request, effect)

    def _endpoints(self, request: dict[str, Any]) -> dict[str, Any]:
        """Ten rows a page, by name."""

        def effect() -> dict[str, Any]:
            rows = sorted(self._sagemaker.listed(), key=lambda row: str(row["EndpointName"]))
            after = request.get("NextToken", "")
            rows = [row for row in rows if row["EndpointName"] > after]
            answer: dict[str, Any] = {"Endpoints": [_with_instants(row) for row in rows[:10]]}
            if len(rows) > 10:
                answer["NextToken"] = rows[9]["EndpointName"]
            return answer

        call = Call("sagemaker", "ListEndpoints", None, repeats=self._repeats)
        return self._wire.send(call, effect)

    def _change(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        key, sagemaker = request["EndpointName"].lower(), self._sagemaker

        def perform() -> dict[str, Any]:
            answer = sagemaker.perform(operation, request, sagemaker.outcome(operation))
            if self._watched:
                sagemaker.accepted(operation, key)
            return answer

        return self._mutate(
            operation,
            key,
            request,
            lambda: _refusal(sagemaker, self._stack, operation, key, request),
            perform,
        )

    def _mutate(
        self,
        operation: str,
        key: str,
        request: dict[str, Any],
        refusal: Callable[[], ApiError | None],
        perform: Callable[[], dict[str, Any]],
    ) -> dict[str, Any]:
        sagemaker = self._sagemaker

        def effect() -> dict[str, Any]:
            sagemaker.mutating(self._stack, operation, key)
            if self._watched:
                sagemaker.asked(operation, key)
            refused = refusal()
            if refused is None and sagemaker.faults.refuses(f"{operation} throttled"):
                refused = THROTTLED.error()
            if refused is not None:
                if self._watched:
                    sagemaker.refused(operation, key, refused.code)
                raise refused
            answer = perform()
            sagemaker.mutated(self._stack, operation, key)
            return answer

        return self._call(operation, key, request, effect)

    def _call(
        self,
        operation: str,
        name: str | None,
        request: dict[str, Any],
        effect: Callable[[], dict[str, Any]] | None = None,
    ) -> dict[str, Any]:
        def perform() -> dict[str, Any]:
            try:
                return effect() if effect else self._sagemaker.perform(operation, request)
            except ApiError as error:
                raise _client_error(error, operation) from None

        key = name.lower() if name else None
        return self._wire.send(Call("sagemaker", operation, key, repeats=self._repeats), perform)


class ScalingClient:
    """Application Auto Scaling's client, as far as the adapter uses it."""

    def __init__(self, sagemaker: SageMaker, wire: Wire, stack: str) -> None:
        self._sagemaker = sagemaker
        self._wire = wire
        self._stack = stack

    def register_scalable_target(self, **request: Any) -> dict[str, Any]:
        return self._call("RegisterScalableTarget", request)

    def deregister_scalable_target(self, **request: Any) -> dict[str, Any]:
        return self._call("DeregisterScalableTarget", request)

    def put_scaling_policy(self, **request: Any) -> dict[str, Any]:
        return self._call("PutScalingPolicy", request)

    def get_paginator(self, _operation: str) -> _Listing:
        return _Listing(lambda request: self._call("DescribeScalableTargets", request))

    def _call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        key = request["ResourceId"].split("/")[1].lower() if "ResourceId" in request else None

        def effect() -> dict[str, Any]:
            if key is not None:
                self._sagemaker.mutating(self._stack, operation, key)
                self._refuse(operation, key, request)
            try:
                return self._sagemaker.perform(operation, request)
            except ApiError as error:
                raise _client_error(error, operation) from None

        return self._wire.send(Call("scaling", operation, key, repeats=True), effect)

    def _refuse(self, operation: str, key: str, request: dict[str, Any]) -> None:
        sagemaker = self._sagemaker
        if operation != "PutScalingPolicy" or self._stack != STACK_TAG:
            return
        error = sagemaker.refusals.of(operation, key, request)
        if error is not None:
            sagemaker.refused(operation, key, error.code)
            raise _client_error(error, operation)


class AlarmsClient:
    """CloudWatch's client, as far as the adapter uses it here: nothing scales from zero."""

    def delete_alarms(self, **_request: Any) -> dict[str, Any]:
        return {}


class AdopterClient:
    """Lambda's client, as far as the reconciler uses it: it runs the adopter."""

    def __init__(self, adopter: Adopter) -> None:
        self._adopter = adopter

    def invoke(self, *, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803
        event = json.loads(Payload)
        act = self._adopter.release if event["release"] else self._adopter.adopt
        try:
            act(event["arn"])
        except AwsRefused as error:
            answer = json.dumps({"errorType": "AwsRefused", "errorMessage": str(error)})
            return {"FunctionError": "Unhandled", "Payload": io.BytesIO(answer.encode())}
        return {}


def _with_instants(row: dict[str, Any]) -> dict[str, Any]:
    """boto3 reads epoch seconds as instants."""
    times = ("CreationTime", "LastModifiedTime")
    return {**row, **{name: datetime.fromtimestamp(row[name], UTC) for name in times}}


def _client_error(error: ApiError, operation: str) -> ClientError:
    return ClientError({"Error": {"Code": error.code, "Message": error.message}}, operation)


def _refusal(
    sagemaker: SageMaker, stack: str, operation: str, key: str, request: dict[str, Any]
) -> ApiError | None:
    """The error of SageMaker or IAM if the call is refused now."""
    if operation != "CreateEndpoint":
        if sagemaker.status(key) is not None and not sagemaker.ours(key, stack):
            return ApiError("AccessDeniedException", f"not authorized to {operation} {key}")
        if operation == "UpdateEndpoint" and stack == STACK_TAG:
            return sagemaker.refusals.of(operation, key, request)
        return None
    for_good = sagemaker.refusals.of(operation, key, request) if stack == STACK_TAG else None
    return for_good or _refusal_of_start(sagemaker, key, request["EndpointConfigName"])


def _refusal_of_start(sagemaker: SageMaker, key: str, config: str) -> ApiError | None:
    now, faults = sagemaker.kernel.now, sagemaker.faults
    if sagemaker.lingering.get(key, now) > now:
        return EXISTS.error(noun="endpoint", arn=ACCOUNT.arn(Kind.ENDPOINT, key))
    if sagemaker.config_seen_from.get(config, now) > now:
        arn = ACCOUNT.arn(Kind.CONFIG, config)
        return MISSING.error(noun="endpoint configuration", arn=arn)
    if sagemaker.create_limit and not sagemaker.create_limit(now):
        return THROTTLED.error()
    if faults.refuses("quota exceeded"):
        return QUOTA.error(instance_type="ml.m5.large", limit=8, used=8, delta=1)
    return None


class _Listing:
    """A paginator: each page is a call."""

    def __init__(self, page: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        self._page = page

    def paginate(self, **request: Any) -> Iterator[dict[str, Any]]:
        while True:
            answer = self._page(request)
            yield answer
            if "NextToken" not in answer:
                return
            request["NextToken"] = answer["NextToken"]


def _named(arn: str) -> str:
    return arn.rsplit("/", 1)[-1]
