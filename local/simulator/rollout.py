"""The new deployment that an update makes from the current one."""

from __future__ import annotations

from dataclasses import replace

from local.simulator.errors import VARIANTS_ABSENT, VARIANTS_CHANGED
from local.simulator.lifecycle import Deployment, Json, Variant


def retaining(serving: Deployment, target: Deployment, request: Json, arn: str) -> Deployment:
    """The target with the current weights and counts, except for excluded properties."""
    excluded = {
        item["VariantPropertyType"] for item in request.get("ExcludeRetainedVariantProperties", ())
    }
    current = {variant.name: variant for variant in serving.variants}
    if set(current) != {variant.name for variant in target.variants}:
        raise VARIANTS_CHANGED.error(arn=arn, config=target.config_name)

    def kept(variant: Variant) -> Variant:
        old = current[variant.name]
        if "DesiredWeight" not in excluded:
            variant = replace(variant, weight=old.weight)
        both_counted = None not in (old.instance_count, variant.instance_count)
        if "DesiredInstanceCount" not in excluded and both_counted:
            variant = replace(variant, instance_count=old.instance_count)
        return variant

    settings = dict(target.settings)
    if "DataCaptureConfig" not in excluded and "DataCaptureConfig" in serving.settings:
        settings["DataCaptureConfig"] = serving.settings["DataCaptureConfig"]
    return replace(target, variants=tuple(map(kept, target.variants)), settings=settings)


def reweighted(serving: Deployment, desired: list[Json]) -> Deployment:
    """The deployment with the weights and counts of UpdateEndpointWeightsAndCapacities."""
    wishes = {wish["VariantName"]: wish for wish in desired}
    absent = sorted(set(wishes) - {variant.name for variant in serving.variants})
    if absent:
        raise VARIANTS_ABSENT.error(names=", ".join(absent), config=serving.config_name)

    def wished(variant: Variant) -> Variant:
        wish = wishes.get(variant.name, {})
        serverless = wish.get("ServerlessUpdateConfig")
        return replace(
            variant,
            weight=float(wish.get("DesiredWeight", variant.weight)),
            instance_count=wish.get("DesiredInstanceCount", variant.instance_count),
            serverless={**(variant.serverless or {}), **serverless}
            if serverless
            else variant.serverless,
        )

    return replace(serving, variants=tuple(map(wished, serving.variants)))
