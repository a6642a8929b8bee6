"""Sends endpoint state changes to an EventBridge bus, from a separate thread."""

from __future__ import annotations

import json
import logging
import queue
import threading
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef

    from local.simulator.fleet import StatusChange
    from local.simulator.lifecycle import Json

MOST_WAITING = 10_000
MOST_PER_CALL = 10
"""The limit of PutEvents."""

log = logging.getLogger(__name__)


class EventPublisher:
    """Never blocks its callers. Events that do not fit in the queue or cannot be sent are logged
    and dropped."""

    def __init__(self, client: EventBridgeClient) -> None:
        self._client = client
        self._waiting: queue.Queue[PutEventsRequestEntryTypeDef | None] = queue.Queue(MOST_WAITING)
        self._thread = threading.Thread(target=self._run, name="events", daemon=True)
        self._thread.start()

    def publish(self, change: StatusChange, detail: Json) -> None:
        entry: PutEventsRequestEntryTypeDef = {
            "Source": "aws.sagemaker",
            "DetailType": "SageMaker Endpoint State Change",
            "Time": change.at,
            "Resources": [detail["EndpointArn"]],
            "Detail": json.dumps(detail),
        }
        try:
            self._waiting.put_nowait(entry)
        except queue.Full:
            log.warning("event of %s dropped: the queue is full", change.endpoint.name)

    def close(self, timeout_seconds: float = 1.0) -> None:
        """Send the waiting events, as far as the time allows."""
        try:
            self._waiting.put(None, timeout=timeout_seconds)
        except queue.Full:
            return
        self._thread.join(timeout_seconds)

    def _run(self) -> None:
        closing = False
        while not closing:
            batch = [self._waiting.get()]
            while len(batch) < MOST_PER_CALL and not self._waiting.empty():
                batch.append(self._waiting.get())
            closing = None in batch
            entries = [entry for entry in batch if entry is not None]
            if entries:
                self._put(entries)

    def _put(self, entries: list[PutEventsRequestEntryTypeDef]) -> None:
        try:
            answer = self._client.put_events(Entries=entries)
        except (BotoCoreError, ClientError) as error:
            log.warning("%d events lost: %s", len(entries), error)
            return
        for result in answer.get("Entries", []):
            if "ErrorCode" in result:
                log.warning(
                    "event refused: %s: %s", result["ErrorCode"], result.get("ErrorMessage", "")
                )
