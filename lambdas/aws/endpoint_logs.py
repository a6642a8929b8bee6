"""The logs of endpoints, which SageMaker would keep for ever, and without a key of the user."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from lambdas.aws import clients
from lambdas.aws.errors import named
from lambdas.core.errors import AwsRefused
from lambdas.core.settings import ENDPOINT_LOGS

_log = logging.getLogger(__name__)
_MISSING = "ResourceNotFoundException"


class EndpointLogs:
    """`days` is how long events are kept. `key_arn` is the KMS key that encrypts them, empty for
    none."""

    def __init__(
        self, days: int, key_arn: str = "", logs: Callable[[], Any] = clients.logs
    ) -> None:
        self._days = days
        self._key_arn = key_arn
        self._logs = logs

    def keep(self, name: str) -> bool:
        """Give the endpoint's log group its retention and its key, and make the group if SageMaker
        has not yet. Returns whether that is done. Never fails: the next look tries again."""
        group = f"{ENDPOINT_LOGS}/{name}"
        try:
            try:
                self._keep(group)
            except AwsRefused as error:
                if error.code != _MISSING:
                    raise
                with named():
                    self._logs().create_log_group(logGroupName=group)
                self._keep(group)
        except AwsRefused as error:
            _log.warning("%s does not get its retention and key: %s", group, error.code)
            return False
        return True

    def _keep(self, group: str) -> None:
        with named():
            self._logs().put_retention_policy(logGroupName=group, retentionInDays=self._days)
            if self._key_arn:  # with the key that it has already, nothing changes
                self._logs().associate_kms_key(logGroupName=group, kmsKeyId=self._key_arn)
