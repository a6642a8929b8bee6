"""The bucket and the topics that asynchronous endpoints use if the config names none."""

from __future__ import annotations

from dataclasses import dataclass

from cdktf_cdktf_provider_aws.sns_topic import SnsTopic
from constructs import Construct

from constructs_lib.config.async_inference import AsyncInference
from constructs_lib.deployment import Deployment, addressed
from constructs_lib.policy import nobody_without_tls, resource_document
from constructs_lib.private_bucket import PrivateBucket

KEPT_DAYS = 30


@dataclass(frozen=True, slots=True)
class AsyncPaths:
    """The S3 folders and SNS topics of one asynchronous endpoint."""

    input_path: str
    output_path: str
    failure_path: str
    success_topic_arn: str
    error_topic_arn: str


class AsyncStore(Construct):
    """The bucket `…-data`, and the topics `{prefix}-async-success` and `{prefix}-async-error`. The
    bucket is private and encrypted, and objects are deleted after KEPT_DAYS."""

    def __init__(self, scope: Construct, at: Deployment, *, protected: bool) -> None:
        super().__init__(scope, "async-store")
        bucket = PrivateBucket(self, at, "data", kept_days=KEPT_DAYS, protected=protected)
        self.bucket_name = bucket.resource.bucket
        self.success_topic_arn = self._topic(at, "success").arn
        self.error_topic_arn = self._topic(at, "error").arn

    def outputs(self) -> dict[str, object]:
        """The stack outputs that people need to find results."""
        return {
            "async_bucket_name": self.bucket_name,
            "async_success_topic_arn": self.success_topic_arn,
            "async_error_topic_arn": self.error_topic_arn,
        }

    def _topic(self, at: Deployment, outcome: str) -> SnsTopic:
        name = f"async-{outcome}"
        arn = at.arn("sns", at.name(name))
        # the model's role publishes; the AWS-managed key allows that to any role of the account
        return addressed(
            SnsTopic(
                self,
                outcome,
                name=at.name(name),
                kms_master_key_id=at.key_arn or "alias/aws/sns",
                policy=resource_document(nobody_without_tls("sns:Publish", arn)),
            ),
            name.replace("-", "_"),
        )


def async_paths(name: str, settings: AsyncInference, store: AsyncStore | None) -> AsyncPaths:
    """The places that the config names for the entry `name`. The others are in its own folder of
    the store. `store` is None only if the config names all of them."""
    bucket = store.bucket_name if store else ""
    return AsyncPaths(
        input_path=settings.input_path or f"s3://{bucket}/{name}/input",
        output_path=settings.output_path or f"s3://{bucket}/{name}/output",
        failure_path=settings.failure_path or f"s3://{bucket}/{name}/failure",
        success_topic_arn=settings.success_topic_arn or (store.success_topic_arn if store else ""),
        error_topic_arn=settings.error_topic_arn or (store.error_topic_arn if store else ""),
    )
