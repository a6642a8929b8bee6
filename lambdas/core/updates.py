"""The use cases that change a running endpoint: another config, other weights.

They record the request. The reconciler carries it out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from lambdas.core.errors import InvalidField, NotInService, UnknownEndpointConfig
from lambdas.core.idempotency import Answer, Request, answered, keyed_with, operation_of
from lambdas.core.json_form import MAX_FLOAT, Each, Fields, Number, Text, refuse
from lambdas.core.names import sagemaker_name
from lambdas.core.rollout import UpdatePolicy, Variant
from lambdas.core.spec import Spec
from lambdas.core.state import (
    Observed,
    Override,
    Record,
    Reweighing,
    State,
    Status,
    changed_by_hand,
)
from lambdas.core.strangers import not_ours
from lambdas.core.use_cases import UseCases
from lambdas.core.wanted_config import chosen_config, declaration

WEIGHTS = "DesiredWeightsAndCapacities"
_CONCURRENCY = Number(1, 200)
DESIRED = Each(
    Fields(
        {
            "VariantName": Text(1, 63),
            "DesiredWeight": Number(0, MAX_FLOAT, whole=False),
            "DesiredInstanceCount": Number(0),
            "ServerlessUpdateConfig": Fields(
                {"MaxConcurrency": _CONCURRENCY, "ProvisionedConcurrency": _CONCURRENCY}
            ),
        },
        frozenset({"VariantName"}),
    ),
    1,
)
"""https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DesiredWeightAndCapacity.html"""


class UpdateUseCases(UseCases):
    """The methods raise UnknownEndpoint, InvalidField, UnknownEndpointConfig, NotInService,
    NotOurs, Draining and Busy; see `errors`."""

    __slots__ = ()

    def update(
        self,
        name: str,
        config_name: str,
        options: Mapping[str, Any],
        now: datetime,
        request: Request,
    ) -> Answer:
        """Run another config, now and after each start, until a deploy changes the entry. A stopped
        endpoint gets it at its next start."""
        self.refuse_while_draining(now)
        sagemaker_name(config_name, "EndpointConfigName")

        def update(record: Record, spec: Spec, state: State) -> Answer:
            variants = self.endpoints.config_variants(config_name)
            if variants is None:
                raise UnknownEndpointConfig(config_name)
            UpdatePolicy.parse(options, variants, self._served(spec, options))
            override = Override(config_name, options, declaration(spec))
            told = ("update asked", f"to run {config_name}, by hand")
            return self._record_change(record, spec, state, override, told, now, request)

        return self.until_written(name, now, request, update)

    def reweigh(
        self, name: str, desired: Sequence[Mapping[str, Any]], now: datetime, request: Request
    ) -> Answer:
        """Change the weights or capacities of variants of the running endpoint. They last until it
        is updated or stopped: the next start uses those of its config."""
        self.refuse_while_draining(now)

        def reweigh(record: Record, spec: Spec, state: State) -> Answer:
            refuse(DESIRED.problems(desired, WEIGHTS))
            live = self._in_service(spec, state)
            refuse(_misfits(desired, live.variants))
            assert live.created_at is not None, "SageMaker tells of every endpoint since when it is"
            changes = ", ".join(_described(each) for each in desired)
            told = ("weights asked", f"other weights or capacities, by hand: {changes}")
            reweighing = Reweighing(desired, live.created_at)
            return self._record_change(record, spec, state, reweighing, told, now, request)

        return self.until_written(name, now, request, reweigh)

    def _served(self, spec: Spec, options: Mapping[str, Any]) -> Sequence[Variant] | None:
        """The variants that the endpoint serves. None if the options do not depend on them."""
        if options.get("RetainAllVariantProperties") is not True:
            return None
        live = self.endpoints.describe(spec.name)
        return (live.variants if live else ()) or None

    def _in_service(self, spec: Spec, state: State) -> Observed:
        live = self.endpoints.describe(spec.name)
        if live is None:
            raise NotInService(spec.name, Status.ABSENT)
        if live.created_at != state.owned_since:
            live = replace(live, owner=self.endpoints.owner(live.arn))
        if not live.ours:
            raise not_ours(spec.name, live, chosen_config(spec, state))
        if live.status is not Status.IN_SERVICE:
            raise NotInService(spec.name, live.status)
        return live

    def _record_change(
        self,
        record: Record,
        spec: Spec,
        state: State,
        change: Override | Reweighing,
        told: tuple[str, str],
        now: datetime,
        request: Request,
    ) -> Answer:
        """Record the change. `told` is for the history."""
        changed = changed_by_hand(state, change)
        operation = operation_of(spec, changed, request, now, 202)
        keyed = keyed_with(record, request, operation)
        self.store.change_running(record.key, change, now, keyed, changed)
        self.note(record.key, now, *told, request)
        self.look_at(record.key, changed)
        return answered(record, operation)


def _misfits(
    desired: Sequence[Mapping[str, Any]], served: Sequence[Variant]
) -> Iterator[InvalidField]:
    """All that does not fit the served variants."""
    by_name = {variant.name: variant for variant in served}
    seen: set[str] = set()
    for index, each in enumerate(desired):
        path, name = f"{WEIGHTS}[{index}]", each["VariantName"]
        variant = by_name.get(name)
        if variant is None:
            known = ", ".join(by_name)
            sentence = f"the endpoint serves no variant '{name}'; it serves {known}"
            yield InvalidField(f"{path}.VariantName", sentence)
            continue
        if name in seen:
            yield InvalidField(f"{path}.VariantName", f"'{name}' stands here twice")
        seen.add(name)
        if len(each) == 1:
            yield InvalidField(path, "says nothing to change: give it a DesiredWeight, say")
        if variant.serverless and "DesiredInstanceCount" in each:
            yield InvalidField(
                f"{path}.DesiredInstanceCount", f"variant '{name}' is serverless: it counts none"
            )
        if not variant.serverless and "ServerlessUpdateConfig" in each:
            yield InvalidField(
                f"{path}.ServerlessUpdateConfig", f"variant '{name}' is not serverless"
            )


def _described(each: Mapping[str, Any]) -> str:
    changes = {key: value for key, value in each.items() if key != "VariantName"}
    words = {"DesiredWeight": "weight", "DesiredInstanceCount": "instances"}
    parts = [f"{words.get(key, key)} {value}" for key, value in changes.items()]
    return f"{each['VariantName']} {' and '.join(parts)}"
