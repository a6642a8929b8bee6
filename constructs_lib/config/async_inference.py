"""The field `async` of an entry: where requests and results are stored, and who is notified.

Limits: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_AsyncInferenceConfig.html
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from constructs_lib.config.base import Model
from constructs_lib.config.text import KmsKey, S3Folder, TopicArn


class AsyncInference(Model):
    """What is not said is made: a bucket of the stack for input and results, and its two topics.

    The model's own role may read requests below `input_path` and nowhere else.
    """

    input_path: S3Folder | None = None
    output_path: S3Folder | None = None
    failure_path: S3Folder | None = None
    success_topic_arn: TopicArn | None = None
    error_topic_arn: TopicArn | None = None
    max_concurrent_invocations_per_instance: Annotated[int, Field(ge=1, le=1_000)] | None = None
    include_inference_response_in: (
        Annotated[
            list[Literal["SUCCESS_NOTIFICATION_TOPIC", "ERROR_NOTIFICATION_TOPIC"]],
            Field(min_length=1, max_length=2),
        ]
        | None
    ) = None
    kms_key_id: KmsKey | None = None

    def names_all_places(self) -> bool:
        """Whether the config names all folders and topics, so that the stack need not make any."""
        return None not in (
            self.input_path,
            self.output_path,
            self.failure_path,
            self.success_topic_arn,
            self.error_topic_arn,
        )
