"""Models and endpoint configs: immutable records. Describe returns them as they were created."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from local.simulator.account import Account, Kind, Shelf
from local.simulator.call import Call, epoch
from local.simulator.errors import (
    CONTAINER_NEEDS_IMAGE,
    DUPLICATE_VARIANTS,
    EULA,
    NO_ASYNCHRONOUS_SERVERLESS,
    NO_SCALE_TO_ZERO,
    ONE_ASYNCHRONOUS_VARIANT,
    ONE_CONTAINER_FIELD,
    SCALING_NEEDS_COMPONENTS,
    VARIANT_NEEDS_CAPACITY,
)
from local.simulator.lifecycle import Deployment, Json, Variant

GATED_BUCKETS = "s3://jumpstart-private-cache-"
REGIONS_WITHOUT_SCALE_TO_ZERO = frozenset({"eu-west-3"})
SETTINGS_OF_A_CONFIG = ("AsyncInferenceConfig", "DataCaptureConfig", "ExplainerConfig")
ECHOED_IN_SUMMARIES = ("ManagedInstanceScaling", "RoutingConfig")


@dataclass(frozen=True)
class Record:
    """A model or an endpoint config: the request that created it, with SageMaker's defaults."""

    name: str
    body: Json
    created_at: datetime


class Catalog:
    """The models and endpoint configs of one account."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self.models: Shelf[Record] = Shelf(account, Kind.MODEL)
        self.configs: Shelf[Record] = Shelf(account, Kind.CONFIG)

    def create_model(self, call: Call) -> Json:
        body = _without_tags(call.request)
        name = body["ModelName"]
        self.models.refuse_if_present(name)
        _check_containers(body)
        for container in _containers(body):
            container.setdefault("Mode", "SingleModel")
        body.setdefault("EnableNetworkIsolation", False)
        self.models.put(name, Record(name, body, call.now))
        return {"ModelArn": self.models.arn(name)}

    def describe_model(self, call: Call) -> Json:
        return self._described(self.models, call.request["ModelName"], "ModelArn")

    def delete_model(self, call: Call) -> Json:
        self.models.remove(call.request["ModelName"])
        return {}

    def create_config(self, call: Call) -> Json:
        body = _without_tags(call.request)
        name = body["EndpointConfigName"]
        self.configs.refuse_if_present(name)
        variants = list(_variants(body))
        names = Counter(variant["VariantName"] for variant in variants)
        repeated = [name for name, count in names.items() if count > 1]
        if repeated:
            raise DUPLICATE_VARIANTS.error(names=", ".join(repeated))
        if "AsyncInferenceConfig" in body:
            _check_asynchronous(body["ProductionVariants"])
        for variant in variants:
            self._check_variant(variant)
            variant.setdefault("InitialVariantWeight", 1.0)
        body.setdefault("EnableNetworkIsolation", False)
        self.configs.put(name, Record(name, body, call.now))
        return {"EndpointConfigArn": self.configs.arn(name)}

    def describe_config(self, call: Call) -> Json:
        return self._described(
            self.configs, call.request["EndpointConfigName"], "EndpointConfigArn"
        )

    def delete_config(self, call: Call) -> Json:
        """Delete a config, even if it is in use: SageMaker does not check that."""
        self.configs.remove(call.request["EndpointConfigName"])
        return {}

    def deployment(self, config_name: str) -> Deployment:
        """The deployment that the config describes now. Raises if it or a model is missing."""
        body = self.configs.get(config_name).body
        return Deployment(
            config_name=body["EndpointConfigName"],
            variants=tuple(self._variant(v) for v in body["ProductionVariants"]),
            shadows=tuple(self._variant(v) for v in body.get("ShadowProductionVariants", ())),
            settings={key: body[key] for key in SETTINGS_OF_A_CONFIG if key in body},
        )

    def _variant(self, variant: Json) -> Variant:
        image = None
        if "ModelName" in variant:
            model = self.models.get(variant["ModelName"])
            image = next((c["Image"] for c in _containers(model.body) if "Image" in c), None)
        serverless = variant.get("ServerlessConfig")
        return Variant(
            name=variant["VariantName"],
            weight=float(variant["InitialVariantWeight"]),
            instance_count=None if serverless else variant.get("InitialInstanceCount", 1),
            instance_type=variant.get("InstanceType"),
            image=image,
            serverless=serverless,
            extra={key: variant[key] for key in ECHOED_IN_SUMMARIES if key in variant},
        )

    def _check_variant(self, variant: Json) -> None:
        if "ModelName" in variant:
            self.models.get(variant["ModelName"])
        if ("InstanceType" in variant) == ("ServerlessConfig" in variant):
            raise VARIANT_NEEDS_CAPACITY.error(name=variant["VariantName"])
        scaling = variant.get("ManagedInstanceScaling", {})
        if scaling.get("Status") == "ENABLED" and scaling.get("MinInstanceCount") == 0:
            if "ModelName" in variant:
                raise SCALING_NEEDS_COMPONENTS.error()
            if self._account.region in REGIONS_WITHOUT_SCALE_TO_ZERO:
                raise NO_SCALE_TO_ZERO.error()

    def _described(self, shelf: Shelf[Record], name: str, arn_key: str) -> Json:
        record = shelf.get(name)
        return {
            **copy.deepcopy(record.body),
            arn_key: shelf.arn(record.name),
            "CreationTime": epoch(record.created_at),
        }


def _check_asynchronous(variants: list[Json]) -> None:
    """Raises unless this is one variant on instances: an asynchronous endpoint takes no more."""
    if len(variants) > 1:
        raise ONE_ASYNCHRONOUS_VARIANT.error(count=len(variants))
    if "ServerlessConfig" in variants[0]:
        raise NO_ASYNCHRONOUS_SERVERLESS.error()


def _without_tags(request: Json) -> Json:
    return {key: copy.deepcopy(value) for key, value in request.items() if key != "Tags"}


def _variants(body: Json) -> Iterator[Json]:
    yield from body["ProductionVariants"]
    yield from body.get("ShadowProductionVariants", ())


def _containers(body: Json) -> Iterator[Json]:
    if "PrimaryContainer" in body:
        yield body["PrimaryContainer"]
    yield from body.get("Containers", ())


def _check_containers(body: Json) -> None:
    if ("PrimaryContainer" in body) == bool(body.get("Containers")):
        raise ONE_CONTAINER_FIELD.error()
    for container in _containers(body):
        if "Image" not in container and "ModelPackageName" not in container:
            raise CONTAINER_NEEDS_IMAGE.error()
        source = container.get("ModelDataSource", {}).get("S3DataSource", {})
        accepted = source.get("ModelAccessConfig", {}).get("AcceptEula") is True
        uri = source.get("S3Uri") or container.get("ModelDataUrl", "")
        if uri.startswith(GATED_BUCKETS) and not accepted:
            raise EULA.error(uri=uri)
