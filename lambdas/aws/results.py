"""Answers that are too large for Step Functions: stored in S3, read through links."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lambdas.aws.errors import named
from lambdas.core.executions import RESULTS_PREFIX

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

LINK_SECONDS = 900


class S3Results:
    """One object per execution, with its name."""

    def __init__(self, client: S3Client, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def keep(self, execution: str, content: bytes, content_type: str) -> None:
        """Write an answer. Repeating it does no harm."""
        with named():
            self._client.put_object(
                Bucket=self._bucket,
                Key=RESULTS_PREFIX + execution,
                Body=content,
                ContentType=content_type,
            )

    def link(self, execution: str) -> str:
        """A link with which anybody can read the answer for LINK_SECONDS. It is computed here,
        without a call to AWS, and does not check that the answer exists."""
        return self._client.generate_presigned_url(
            "get_object",
            Params={"Bucket": self._bucket, "Key": RESULTS_PREFIX + execution},
            ExpiresIn=LINK_SECONDS,
        )
