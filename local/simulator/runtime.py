"""Chooses the variant that answers an invocation: by weight as SageMaker, but not at random."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from local.simulator.account import Account, Shelf
from local.simulator.errors import (
    NO_SUCH_VARIANT,
    NOT_ASYNCHRONOUS,
    NOT_SERVING,
    ONLY_ASYNCHRONOUS,
)
from local.simulator.lifecycle import Deployment, Endpoint, Json

_Variant = tuple[str, str]
"""An endpoint config and the name of one of its variants."""
ASYNC_SETTINGS = "AsyncInferenceConfig"


class Runtime:
    """Distributes the invocations of an endpoint by the weights of its variants."""

    def __init__(self, account: Account, endpoints: Shelf[Endpoint]) -> None:
        self._account = account
        self._endpoints = endpoints
        self._credits: dict[str, dict[_Variant, float]] = {}

    def route(self, endpoint_name: str, variant_name: str | None, now: datetime) -> str:
        """The name of the variant that answers. Only this operation compares names with case."""
        account = self._account.account_id
        if ASYNC_SETTINGS in self._serving(endpoint_name).settings:
            raise ONLY_ASYNCHRONOUS.error(name=endpoint_name)
        weights = _weights(self._endpoints.get(endpoint_name).shares(now))
        if variant_name is None:
            return self._in_turn(endpoint_name, weights)
        if variant_name not in {name for _, name in weights}:
            raise NO_SUCH_VARIANT.error(variant=variant_name, name=endpoint_name, account=account)
        return variant_name

    def asynchronous(self, endpoint_name: str) -> Json:
        """The AsyncInferenceConfig of the endpoint."""
        settings: Json | None = self._serving(endpoint_name).settings.get(ASYNC_SETTINGS)
        if settings is None:
            raise NOT_ASYNCHRONOUS.error(name=endpoint_name)
        return settings

    def _serving(self, endpoint_name: str) -> Deployment:
        endpoint = self._endpoints.get(endpoint_name) if endpoint_name in self._endpoints else None
        serving = endpoint.answering if endpoint and endpoint.name == endpoint_name else None
        if serving is None:
            raise NOT_SERVING.error(name=endpoint_name, account=self._account.account_id)
        return serving

    def _in_turn(self, endpoint_name: str, weights: dict[_Variant, float]) -> str:
        before = self._credits.get(endpoint_name, {})
        earned = {name: before.get(name, 0.0) + weight for name, weight in weights.items()}
        chosen = max(earned, key=lambda variant: earned[variant])
        earned[chosen] -= sum(weights.values())
        self._credits[endpoint_name] = earned
        return chosen[1]


def _weights(shares: Sequence[tuple[Deployment, float]]) -> dict[_Variant, float]:
    """The share of the invocations that each variant of each deployment answers."""
    found: dict[_Variant, float] = {}
    for deployment, share in shares:
        whole = sum(variant.weight for variant in deployment.variants) or 1.0
        for variant in deployment.variants if share else ():
            which = (deployment.config_name, variant.name)
            found[which] = found.get(which, 0.0) + share * variant.weight / whole
    return found
