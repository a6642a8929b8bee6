"""A bucket of the stack: private, encrypted, TLS only, and with an optional expiry."""

from __future__ import annotations

from cdktf_cdktf_provider_aws.s3_bucket import S3Bucket
from cdktf_cdktf_provider_aws.s3_bucket_lifecycle_configuration import (
    S3BucketLifecycleConfiguration,
    S3BucketLifecycleConfigurationRule,
    S3BucketLifecycleConfigurationRuleAbortIncompleteMultipartUpload,
    S3BucketLifecycleConfigurationRuleExpiration,
    S3BucketLifecycleConfigurationRuleFilter,
)
from cdktf_cdktf_provider_aws.s3_bucket_policy import S3BucketPolicy
from cdktf_cdktf_provider_aws.s3_bucket_public_access_block import S3BucketPublicAccessBlock
from cdktf_cdktf_provider_aws.s3_bucket_server_side_encryption_configuration import (
    S3BucketServerSideEncryptionConfigurationA,
    S3BucketServerSideEncryptionConfigurationRuleA,
    S3BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultA,
)
from constructs import Construct

from constructs_lib.deployment import Deployment, addressed
from constructs_lib.policy import bucket_document

_DefaultEncryption = (
    S3BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultA
)


class PrivateBucket(Construct):
    """`{prefix}-{region}-{account}-{suffix}`. Objects expire after `kept_days`, if it is given."""

    def __init__(
        self,
        scope: Construct,
        at: Deployment,
        suffix: str,
        *,
        kept_days: int | None,
        protected: bool,
    ) -> None:
        super().__init__(scope, f"{suffix}-bucket")
        self._id = suffix
        self.name = at.bucket_name(suffix)
        self.arn = f"arn:{at.partition}:s3:::{self.name}"
        self.resource = addressed(
            S3Bucket(self, "bucket", bucket=self.name, force_destroy=not protected), suffix
        )
        self._block_public_access()
        self._encrypt(at.key_arn)
        if kept_days:
            self._expire(kept_days)

    def _block_public_access(self) -> None:
        private = addressed(
            S3BucketPublicAccessBlock(
                self,
                "private",
                bucket=self.resource.id,
                block_public_acls=True,
                block_public_policy=True,
                ignore_public_acls=True,
                restrict_public_buckets=True,
            ),
            self._id,
        )
        addressed(
            S3BucketPolicy(
                self,
                "tls",
                bucket=self.resource.id,
                policy=bucket_document(self.resource.arn),
                depends_on=[private],  # S3 refuses two such changes of a bucket at the same time
            ),
            self._id,
        )

    def _encrypt(self, key_arn: str | None) -> None:
        addressed(
            S3BucketServerSideEncryptionConfigurationA(
                self,
                "encrypted",
                bucket=self.resource.id,
                rule=[
                    S3BucketServerSideEncryptionConfigurationRuleA(
                        apply_server_side_encryption_by_default=_DefaultEncryption(
                            sse_algorithm="aws:kms" if key_arn else "AES256",
                            kms_master_key_id=key_arn,
                        ),
                        bucket_key_enabled=True if key_arn else None,
                    )
                ],
            ),
            self._id,
        )

    def _expire(self, days: int) -> None:
        addressed(
            S3BucketLifecycleConfiguration(
                self,
                "expiry",
                bucket=self.resource.id,
                rule=[
                    S3BucketLifecycleConfigurationRule(
                        id="expire",
                        status="Enabled",
                        filter=[S3BucketLifecycleConfigurationRuleFilter(prefix="")],
                        expiration=[S3BucketLifecycleConfigurationRuleExpiration(days=days)],
                        abort_incomplete_multipart_upload=[
                            S3BucketLifecycleConfigurationRuleAbortIncompleteMultipartUpload(
                                days_after_initiation=1
                            )
                        ],
                    )
                ],
            ),
            self._id,
        )
