"""The two SQS queues: implements `ports.Hints`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from lambdas.aws.errors import named
from lambdas.core.errors import Unavailable
from lambdas.core.hints import Hint

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

_BATCH = 10
_MAX_DELAY_SECONDS = 900
_TRIES = 3


class SqsHints:
    """Starts have their own queue: many of them must not delay the stops. The delay is computed
    when a message is sent, which may be seconds after the decision."""

    def __init__(
        self,
        client: SQSClient,
        starts_url: str,
        work_url: str,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._client = client
        self._clock = clock
        self._starts_url = starts_url
        self._work_url = work_url

    def send(self, hints: Iterable[Hint]) -> None:
        every = list(hints)
        self._send_all(self._work_url, [hint for hint in every if not hint.start])
        self._send_all(self._starts_url, [hint for hint in every if hint.start])

    def _send_all(self, url: str, hints: list[Hint]) -> None:
        rest = iter(hints)
        while batch := list(islice(rest, _BATCH)):
            now = self._clock()
            entries: list[Any] = [
                {
                    "Id": str(index),
                    "MessageBody": hint.to_body(),
                    "DelaySeconds": min(hint.delay_seconds(now), _MAX_DELAY_SECONDS),
                }
                for index, hint in enumerate(batch)
            ]
            self._send_batch(url, entries)

    def _send_batch(self, url: str, entries: list[Any]) -> None:
        """SQS may accept some messages of a batch and refuse others: send those again."""
        for _ in range(_TRIES):
            with named():
                answer = self._client.send_message_batch(QueueUrl=url, Entries=entries)
            failed = {failure["Id"] for failure in answer.get("Failed", [])}
            entries = [entry for entry in entries if entry["Id"] in failed]
            if not entries:
                return
        raise Unavailable("BatchEntriesFailed", f"{len(entries)} hints were not taken by {url}")
