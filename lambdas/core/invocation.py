"""Calls of models, and how they fail.

InvocationFailed
├── NotServed            SageMaker serves no endpoint of that name now
├── InvalidInvocation    SageMaker refused the request
├── ModelFailed          the model answered with an error
├── CallTooLarge         it does not fit into a call of a function
├── FunctionFailed       the function that calls the model failed
├── ModelNotReady        the model is still loading, or is full
├── TooManyInvocations   SageMaker throttles the caller
└── ModelTimedOut        there was no answer in time; the model may still be working
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from lambdas.core.errors import MeterError

MAX_BODY_BYTES = 6_291_456
"""The limit for a request and for an answer:
https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""
ACCOUNT_NUMBER = "(?<=account )[0-9]{12}|(?<=:)[0-9]{12}(?=:)"
"""Stands in SageMaker's messages, by itself or in ARNs, and is not for callers. A name may have as
many digits in a row."""
MAX_BYTES_THROUGH_FUNCTIONS = 4_500_000
"""A body that a function always gets: in Base64, and with the rest of its event, it must fit into
6 MB. With few headers, that leaves room for some 200,000 bytes more."""
MOST_FOR_A_MODEL = (
    f"Through a function bodies of up to {MAX_BYTES_THROUGH_FUNCTIONS:,} bytes always reach a "
    "model; how much more depends on the headers. "
    f"On a route of type api {MAX_BODY_BYTES:,} bytes do."
)
MAX_HEADER_LENGTH = 1024
_ACCOUNT = re.compile(ACCOUNT_NUMBER)
_OWN = "X-Amzn-SageMaker-"
REQUEST_HEADERS: Mapping[str, str] = {
    "content_type": "Content-Type",
    "accept": "Accept",
    "custom_attributes": f"{_OWN}Custom-Attributes",
    "target_variant": f"{_OWN}Target-Variant",
    "target_model": f"{_OWN}Target-Model",
    "target_container_hostname": f"{_OWN}Target-Container-Hostname",
    "inference_component_name": f"{_OWN}Inference-Component",
    "inference_id": f"{_OWN}Inference-Id",
    "enable_explanations": f"{_OWN}Enable-Explanations",
    "session_id": f"{_OWN}Session-Id",
}
"""The headers that a model gets: SageMaker's names, by the fields of Invocation.

SageMaker has one more, Prefix-Aware-Id. It is too new: the botocore of Lambda's own runtimes may
not know it, and would refuse the call."""
ANSWER_HEADERS: Mapping[str, str] = {
    "content_type": "Content-Type",
    "custom_attributes": f"{_OWN}Custom-Attributes",
    "variant": "x-Amzn-Invoked-Production-Variant",
    "new_session_id": f"{_OWN}New-Session-Id",
    "closed_session_id": f"{_OWN}Closed-Session-Id",
}
"""The headers that a caller gets, by the fields of ModelAnswer."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """A request to a model: its body and its REQUEST_HEADERS. None: no such header."""

    body: bytes
    content_type: str | None = None
    accept: str | None = None
    custom_attributes: str | None = None
    target_variant: str | None = None
    target_model: str | None = None
    target_container_hostname: str | None = None
    inference_component_name: str | None = None
    inference_id: str | None = None
    enable_explanations: str | None = None
    session_id: str | None = None


@dataclass(frozen=True, slots=True)
class ModelAnswer:
    """The answer of a model, and the variant that gave it. `new_session_id` and
    `closed_session_id` are those of a session that it began or ended."""

    body: bytes
    content_type: str
    custom_attributes: str | None = None
    variant: str | None = None
    new_session_id: str | None = None
    closed_session_id: str | None = None


class Models(Protocol):
    """SageMaker's runtime."""

    def invoke(self, endpoint_name: str, invocation: Invocation) -> ModelAnswer:
        """Raises InvocationFailed, or AwsRefused for all other errors."""
        ...


class InvocationFailed(MeterError):
    """A model could not be called. `str()` is a sentence for the caller."""


class NotServed(InvocationFailed):
    """For the function before those that call models: it finds out why, and answers that
    instead."""

    def __init__(self) -> None:
        super().__init__("SageMaker does not serve this endpoint now.")


class InvalidInvocation(InvocationFailed):
    """`said` is SageMaker's own reason."""

    advice = "$said"

    def __init__(self, said: str) -> None:
        said = _ACCOUNT.sub("...", said)[:1000] or "look at its headers and its size"
        super().__init__("SageMaker refused the call:", said=said)


class ModelFailed(InvocationFailed):
    """`original_status` is the status of the model's answer, 0 if it did not answer."""

    advice = "$said"

    def __init__(self, original_status: int, original_message: str) -> None:
        said = original_message[:1000] or "its container's log may have more"
        super().__init__(f"The model failed with status {original_status}:", said=said)


class CallTooLarge(InvocationFailed):
    advice = MOST_FOR_A_MODEL

    def __init__(self) -> None:
        super().__init__("The body is too large.")


class FunctionFailed(InvocationFailed):
    advice = "Its log has the reason, for whoever runs the stack."

    def __init__(self) -> None:
        super().__init__("The function that calls this model failed.")


class ModelNotReady(InvocationFailed):
    advice = "Call again after Retry-After."

    def __init__(self) -> None:
        super().__init__("The model is not ready for requests just now.")


class TooManyInvocations(InvocationFailed):
    advice = "Call again after Retry-After."

    def __init__(self) -> None:
        super().__init__("SageMaker takes no more requests just now.")


class ModelTimedOut(InvocationFailed):
    advice = (
        "Ask for less at once, or call it with POST /startexecution if it takes asynchronous calls "
        "(AsyncApi)."
    )

    def __init__(self) -> None:
        super().__init__("The model did not answer in time.")
