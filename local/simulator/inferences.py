"""Asynchronous inferences: accepted immediately, run in the background, results stored in S3.

The messages follow
https://docs.aws.amazon.com/sagemaker/latest/dg/async-inference-check-predictions.html. The model is
the echo model, as for synchronous invocations.
"""

from __future__ import annotations

import json
import logging
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from local.key import Key
from local.simulator.clients import client
from local.simulator.lifecycle import Json

AT_ONCE = 16
SECONDS = 0.2
"""How long an inference takes."""
FAILED_REASON = "The model returned an error while processing the request."

log = logging.getLogger(__name__)


class Places(Protocol):
    """Storage for inputs and results, and notifications. Errors are botocore's."""

    def read(self, s3_uri: str) -> bytes: ...

    def write(self, s3_uri: str, content: bytes, content_type: str) -> None: ...

    def publish(self, topic_arn: str, message: str) -> None: ...


@dataclass(frozen=True)
class Inference:
    """An accepted inference. If `payload` is None, it is read from `input_location`."""

    id: str
    endpoint: str
    settings: Json
    content_type: str
    payload: bytes | None
    input_location: str | None
    fails: bool
    received: datetime

    @property
    def _output(self) -> Json:
        output: Json = self.settings["OutputConfig"]
        return output

    @property
    def output_location(self) -> str:
        return f"{self._output['S3OutputPath'].rstrip('/')}/{self.id}.out"

    @property
    def failure_location(self) -> str | None:
        path = self._output.get("S3FailurePath")
        return f"{path.rstrip('/')}/{self.id}-error.out" if path else None

    def topic(self, kind: str) -> str | None:
        """The ARN of SuccessTopic or ErrorTopic, if there is one."""
        arn: str | None = self._output.get("NotificationConfig", {}).get(kind)
        return arn


class Inferences:
    """Runs the accepted inferences. If one fails to finish, that is logged and it is dropped."""

    def __init__(self, places: Places, region: str) -> None:
        self._places = places
        self._region = region
        self._workers = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="inference")
        self._ended = threading.Event()

    def take(self, inference: Inference) -> None:
        self._workers.submit(self._do, inference)

    def close(self) -> None:
        """Drop the inferences that have not begun."""
        self._ended.set()
        self._workers.shutdown(wait=False, cancel_futures=True)

    def _do(self, inference: Inference) -> None:
        self._ended.wait(SECONDS)
        try:
            reason = FAILED_REASON if inference.fails else self._infer(inference)
            self._notify(inference, reason)
        except (BotoCoreError, ClientError) as error:
            log.warning("inference %s failed: %s", inference.id, error)

    def _infer(self, inference: Inference) -> str | None:
        """Write the echo. Returns the reason if that fails."""
        try:
            payload = inference.payload
            if payload is None:
                payload = self._places.read(inference.input_location or "")
            self._places.write(inference.output_location, payload, inference.content_type)
        except ClientError as error:
            return f"Received client error: {error}"
        return None

    def _notify(self, inference: Inference, reason: str | None) -> None:
        if reason and inference.failure_location:
            self._places.write(inference.failure_location, reason.encode(), "text/plain")
        topic = inference.topic("ErrorTopic" if reason else "SuccessTopic")
        if topic:
            self._places.publish(topic, json.dumps(self._notification(inference, reason)))

    def _notification(self, inference: Inference, reason: str | None) -> Json:
        outcome: Json = (
            {"invocationStatus": "Failed", "failureReason": reason}
            if reason
            else {
                "invocationStatus": "Completed",
                "responseParameters": {
                    "contentType": inference.content_type,
                    "outputLocation": inference.output_location,
                },
            }
        )
        if reason and inference.failure_location:
            outcome["responseParameters"] = {"outputLocation": inference.failure_location}
        return {
            "awsRegion": self._region,
            "eventTime": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "receivedTime": inference.received.isoformat(timespec="milliseconds"),
            "requestParameters": {
                "endpointName": inference.endpoint,
                "contentType": inference.content_type,
                "inputLocation": inference.input_location,
            },
            "inferenceId": inference.id,
            "eventVersion": "1.0",
            "eventSource": "aws:sagemaker",
            "eventName": "InferenceResult",
            **outcome,
        }


def new_id() -> str:
    return str(uuid.uuid4())


class AwsPlaces:
    """S3 and SNS at `endpoint_url`."""

    def __init__(self, endpoint_url: str, region: str, key: Key) -> None:
        self._s3: Any = client("s3", endpoint_url, region, key)
        self._sns: Any = client("sns", endpoint_url, region, key)

    def read(self, s3_uri: str) -> bytes:
        bucket, key = _bucket_and_key(s3_uri)
        content: bytes = self._s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        return content

    def write(self, s3_uri: str, content: bytes, content_type: str) -> None:
        bucket, key = _bucket_and_key(s3_uri)
        self._s3.put_object(Bucket=bucket, Key=key, Body=content, ContentType=content_type)

    def publish(self, topic_arn: str, message: str) -> None:
        self._sns.publish(TopicArn=topic_arn, Message=message)


def _bucket_and_key(s3_uri: str) -> tuple[str, str]:
    parts = urlsplit(s3_uri)
    return parts.netloc, parts.path.lstrip("/")
