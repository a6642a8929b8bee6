"""SageMaker: implements `ports.Endpoints` and `ports.Adopter`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from lambdas.aws.autoscaler import Autoscaler
from lambdas.aws.endpoint_logs import EndpointLogs
from lambdas.aws.errors import named
from lambdas.aws.items import status_of
from lambdas.core.errors import AwsRefused, Gone
from lambdas.core.ports import NO_CONFIG, Listed
from lambdas.core.rollout import Variant
from lambdas.core.settings import IGNORE_TAG_KEY, STACK_TAG_KEY, adopted_tag
from lambdas.core.spec import Scaling
from lambdas.core.state import Observed, Owner

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_sagemaker.type_defs import DescribeEndpointConfigOutputTypeDef

_MOST_OF_A_PAGE = 100
"""Without it, a page has 10:
https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ListEndpoints.html"""


class SageMakerEndpoints:
    """`once` must be a client that does not retry. `stack_tag` is the value of our tag on every
    endpoint that we create. `logs` are given to functions that look after them."""

    def __init__(
        self,
        client: SageMakerClient,
        once: SageMakerClient,
        stack_tag: str,
        autoscaler: Autoscaler | None = None,
        logs: EndpointLogs | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        self._tags = tags or {}
        self._logs = logs
        self._autoscaler = autoscaler or Autoscaler(client)
        self._client = client
        self._once = once
        self._stack_tag = stack_tag

    def describe(self, name: str) -> Observed | None:
        try:
            with named():
                seen = self._client.describe_endpoint(EndpointName=name)
        except Gone:
            return None
        return Observed(
            status=status_of(seen["EndpointStatus"]),
            config_name=seen.get("EndpointConfigName"),
            failure_reason=seen.get("FailureReason", ""),
            created_at=_utc_milliseconds(seen["CreationTime"]),
            modified_at=_utc_milliseconds(seen["LastModifiedTime"]),
            arn=seen["EndpointArn"],
            variants=tuple(
                Variant(
                    variant["VariantName"],
                    variant.get("DesiredInstanceCount"),
                    variant.get("DesiredWeight"),
                )
                for variant in seen.get("ProductionVariants", ())
            ),
            last_deployment=seen.get("LastDeploymentConfig"),
        )

    def owner(self, arn: str) -> Owner:
        try:
            with named():
                pages = self._client.get_paginator("list_tags").paginate(ResourceArn=arn)
                tags = [tag for page in pages for tag in page["Tags"]]
        except Gone:
            return Owner.NOBODY
        values = {tag["Key"]: tag["Value"] for tag in tags}
        if IGNORE_TAG_KEY in values:
            return Owner.IGNORED
        match values.get(STACK_TAG_KEY):
            case None:
                return Owner.NOBODY
            case self._stack_tag:
                return Owner.US
            case stack if stack == adopted_tag(self._stack_tag):
                return Owner.ADOPTED
            case _:
                return Owner.ANOTHER_STACK

    def config_owner(self, config_name: str) -> Owner:
        seen = self._config(config_name)
        return Owner.NOBODY if seen is None else self.owner(seen["EndpointConfigArn"])

    def config_variants(self, config_name: str) -> Sequence[Variant] | None:
        seen = self._config(config_name)
        if seen is None:
            return None
        return [
            Variant(variant["VariantName"], variant.get("InitialInstanceCount"))
            for variant in seen["ProductionVariants"]
        ]

    def _config(self, config_name: str) -> DescribeEndpointConfigOutputTypeDef | None:
        """The endpoint config. None if it does not exist."""
        try:
            with named():
                return self._client.describe_endpoint_config(EndpointConfigName=config_name)
        except AwsRefused as error:
            if error.message.startswith(NO_CONFIG):
                return None
            raise

    def create(self, name: str, config_name: str, tags: Mapping[str, str]) -> None:
        every = {**self._tags, **tags, STACK_TAG_KEY: self._stack_tag}
        with named():
            self._once.create_endpoint(
                EndpointName=name,
                EndpointConfigName=config_name,
                Tags=[{"Key": key, "Value": value} for key, value in every.items()],
            )

    def delete(self, name: str) -> None:
        with named():
            self._once.delete_endpoint(EndpointName=name)

    def update(self, name: str, config_name: str, options: Mapping[str, Any]) -> None:
        with named():
            self._once.update_endpoint(EndpointName=name, EndpointConfigName=config_name, **options)

    def reweigh(self, name: str, desired: Sequence[Mapping[str, Any]]) -> None:
        with named():
            self._once.update_endpoint_weights_and_capacities(
                EndpointName=name, DesiredWeightsAndCapacities=cast("Any", desired)
            )

    def adopt(self, arn: str) -> None:
        """Tag a live endpoint as adopted. Only the adopter's role may do this. The value differs
        from that of endpoints that we created: only those are deleted as orphans."""
        tag = {"Key": STACK_TAG_KEY, "Value": adopted_tag(self._stack_tag)}
        with named():
            self._once.add_tags(ResourceArn=arn, Tags=[cast("Any", tag)])

    def release(self, arn: str) -> None:
        """Remove that tag. If the tag or the endpoint is gone already, IAM may deny the call: the
        next look shows that nothing is left to do."""
        try:
            with named():
                self._once.delete_tags(ResourceArn=arn, TagKeys=[STACK_TAG_KEY])
        except Gone:
            return

    def scale(self, name: str, scaling: Sequence[Scaling]) -> None:
        self._autoscaler.replace(name, scaling)

    def forget_scaling(self, name: str) -> None:
        self._autoscaler.forget(name)

    def keep_logs(self, name: str) -> bool:
        return self._logs is None or self._logs.keep(name)

    def list(self) -> Iterator[Listed]:
        pages = self._client.get_paginator("list_endpoints").paginate(
            PaginationConfig={"PageSize": _MOST_OF_A_PAGE}
        )
        with named():
            for page in pages:
                for seen in page["Endpoints"]:
                    yield Listed(
                        seen["EndpointName"],
                        status_of(seen["EndpointStatus"]),
                        seen["EndpointArn"],
                        _utc_milliseconds(seen["LastModifiedTime"]),
                        _utc_milliseconds(seen["CreationTime"]),
                    )


class AdopterFunction:
    """Calls the adopter function. Only its role may tag endpoints that are not ours."""

    def __init__(self, client: LambdaClient, function: str) -> None:
        self._client = client
        self._function = function

    def adopt(self, arn: str) -> None:
        self._call(arn, release=False)

    def release(self, arn: str) -> None:
        self._call(arn, release=True)

    def _call(self, arn: str, *, release: bool) -> None:
        event = json.dumps({"arn": arn, "release": release}).encode()
        with named():
            answer = self._client.invoke(FunctionName=self._function, Payload=event)
        if answer.get("FunctionError"):
            told = json.loads(answer["Payload"].read()).get("errorMessage", "")
            code, _, message = told.partition(": ")  # of an AwsRefused
            raise AwsRefused(code, message or f"the tag of {arn} could not be changed")


def _utc_milliseconds(instant: datetime) -> datetime:
    """Round down to milliseconds, as SageMaker counts: finer digits are artefacts of floats."""
    utc = instant.astimezone(UTC)
    return utc.replace(microsecond=utc.microsecond // 1000 * 1000)
