"""Where asynchronous endpoints read and write, and the topics that they speak to, where the
config names none."""

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
    """Where one asynchronous endpoint reads and writes, and whom it tells."""

    input_path: str
    output_path: str
    failure_path: str
    success_topic_arn: str
    error_topic_arn: str


class AsyncStore(Construct):
    """The bucket `…-data`, private and encrypted, from which everything goes after KEPT_DAYS, and
    the topics `{prefix}-async-success` and `{prefix}-async-error`."""

    def __init__(self, scope: Construct, at: Deployment, *, protected: bool) -> None:
        super().__init__(scope, "async-store")
        bucket = PrivateBucket(self, at, "data", kept_days=KEPT_DAYS, protected=protected)
        self.bucket_name = bucket.resource.bucket
        self.success_topic_arn = self._topic(at, "success").arn
        self.error_topic_arn = self._topic(at, "error").arn

    def outputs(self) -> dict[str, object]:
        """What people need in order to find results, by the name of the stack's output."""
        return {
            "async_bucket_name": self.bucket_name,
            "async_success_topic_arn": self.success_topic_arn,
            "async_error_topic_arn": self.error_topic_arn,
        }

    def _topic(self, at: Deployment, outcome: str) -> SnsTopic:
        name = f"async-{outcome}"
        arn = at.arn("sns", at.name(name))
        # the model's role publishes, and the AWS-managed key lets any role of the account
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


def async_paths(name: str, said: AsyncInference, store: AsyncStore | None) -> AsyncPaths:
    """What the config says about the entry `name`, and for the rest its own folder of the store.
    There is a store wherever something is left unsaid."""
    bucket = store.bucket_name if store else ""
    return AsyncPaths(
        input_path=said.input_path or f"s3://{bucket}/{name}/input",
        output_path=said.output_path or f"s3://{bucket}/{name}/output",
        failure_path=said.failure_path or f"s3://{bucket}/{name}/failure",
        success_topic_arn=said.success_topic_arn or (store.success_topic_arn if store else ""),
        error_topic_arn=said.error_topic_arn or (store.error_topic_arn if store else ""),
    )
