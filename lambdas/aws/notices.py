"""Notices to people over SNS: implements `ports.Notices`."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from lambdas.aws.errors import named
from lambdas.core.errors import AwsRefused

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient

_log = logging.getLogger(__name__)
_SUBJECT_LENGTH = 100


class SnsNotices:
    """Publishes to the alarm topic."""

    def __init__(self, client: SNSClient, topic_arn: str) -> None:
        self._client = client
        self._topic_arn = topic_arn

    def tell(self, subject: str, text: str) -> None:
        try:
            with named():
                self._client.publish(
                    TopicArn=self._topic_arn, Subject=subject[:_SUBJECT_LENGTH], Message=text
                )
        except AwsRefused:
            _log.warning("nobody could be told: %s", subject, exc_info=True)
