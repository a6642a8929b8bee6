"""SageMaker's routes: they map requests to the simulator, and its results to responses."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta

from local.simulator import autoscaling
from local.simulator.callers import Callers
from local.simulator.errors import NOT_ALLOWED, SIGNATURE_CODES, UNKNOWN_CALLER, ApiError
from local.simulator.reply import JSON, Incoming, Reply, json_reply
from local.simulator.requests import check_headers_of_invocation
from local.simulator.service import Simulator

JSON_1_1 = "application/x-amz-json-1.1"
LARGEST_PAYLOAD = 6_291_456
LARGEST_INLINE_PAYLOAD = 128_000
LONGEST_ATTRIBUTES = 1024
SAGEMAKER, AUTOSCALING = "SageMaker", "AnyScaleFrontendService"
FORBIDDEN = frozenset({NOT_ALLOWED.code, UNKNOWN_CALLER.code, *SIGNATURE_CODES.values()})
"""The runtime's REST API answers 403 for these; the control plane's JSON 1.1 answers 400."""
ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
NEW_SESSION = "NEW_SESSION"
CLOSE = b'{"requestType": "CLOSE"}'
SESSION_LASTS = timedelta(minutes=20)


def control_plane(simulator: Simulator, request: Incoming, callers: Callers) -> Reply:
    service, _, operation = request.headers.get("X-Amz-Target", "").partition(".")
    own = AUTOSCALING if operation in autoscaling.OPERATIONS else SAGEMAKER
    operation = operation if service == own else ""
    note = ""
    try:
        session = callers.session(request)
        body = _parsed(request.body or b"{}")
        if isinstance(body, dict):
            named = (body.get(key) for key in ("EndpointName", "EndpointConfigName", "ResourceId"))
            note = str(next(filter(None, named), ""))
        result = simulator.call(operation, body, session)
    except ApiError as error:
        content = {"__type": error.code, "message": error.message, **error.fields}
        return json_reply(error.http_status, content, JSON_1_1, f"{note} {error.code}".strip())
    return json_reply(200, result, JSON_1_1, note)


def _parsed(body: bytes) -> object:
    try:
        parsed: object = json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ApiError("SerializationException", "The request body is not JSON.") from error
    return parsed


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def invocation(simulator: Simulator, request: Incoming, callers: Callers) -> Reply:
    """The echo model: the response is the request body, byte for byte.

    It keeps no state, but begins and ends sessions as the containers do that SageMaker documents:
    https://docs.aws.amazon.com/sagemaker/latest/dg/stateful-sessions.html
    """
    attributes = request.headers.get(ATTRIBUTES)
    content_type = request.headers.get("Content-Type", "application/octet-stream")
    try:
        session = callers.session(request)
        _check_payload(request.body)
        check_headers_of_invocation(request.headers)
        variant = simulator.invoke(
            request.endpoint,
            request.headers.get("X-Amzn-SageMaker-Target-Variant"),
            session,
        )
    except ApiError as error:
        return _refused(error)
    headers = {"x-Amzn-Invoked-Production-Variant": variant, **_session(request)}
    if attributes is not None:
        headers[ATTRIBUTES] = attributes
    return Reply(200, request.body, content_type, headers, variant)


def _session(request: Incoming) -> dict[str, str]:
    """The headers of a response that begins or ends a session."""
    session = request.headers.get("X-Amzn-SageMaker-Session-Id")
    if session == NEW_SESSION:
        ends = datetime.now(UTC) + SESSION_LASTS
        return {"X-Amzn-SageMaker-New-Session-Id": f"{uuid.uuid4()}; Expires={ends:%FT%TZ}"}
    if session and request.body == CLOSE:
        return {"X-Amzn-SageMaker-Closed-Session-Id": session}
    return {}


def asynchronous_invocation(simulator: Simulator, request: Incoming, callers: Callers) -> Reply:
    """Accept an inference. The response says where its result will be."""
    location = request.headers.get("X-Amzn-SageMaker-InputLocation")
    content_type = request.headers.get("Content-Type", "application/octet-stream")
    payload = None if location else request.body
    try:
        session = callers.session(request)
        _check_header("Content-Type", content_type, LONGEST_ATTRIBUTES)
        _check_input(payload, location)
        taken = simulator.invoke_later(request.endpoint, content_type, payload, location, session)
    except ApiError as error:
        return _refused(error)
    headers = {"X-Amzn-SageMaker-OutputLocation": taken.output_location}
    if taken.failure_location:
        headers["X-Amzn-SageMaker-FailureLocation"] = taken.failure_location
    return Reply(202, json.dumps({"InferenceId": taken.id}).encode(), JSON, headers, taken.id)


def _check_input(payload: bytes | None, location: str | None) -> None:
    if payload is not None and not 0 < len(payload) <= LARGEST_INLINE_PAYLOAD:
        message = f"Give InputLocation, or a body of 1 to {LARGEST_INLINE_PAYLOAD} bytes."
        raise ApiError("ValidationError", message)
    if location and not (location.startswith("s3://") and location.isprintable()):
        raise ApiError("ValidationError", "InputLocation must be an S3 URI.")


def _refused(error: ApiError) -> Reply:
    body = json.dumps({"Message": error.message, **error.fields}).encode()
    headers = {} if error.code.isdecimal() else {"x-amzn-ErrorType": error.code}
    status = 403 if error.code in FORBIDDEN else error.http_status
    return Reply(status, body, JSON, headers, error.code)


def _check_payload(body: bytes) -> None:
    """Raises the runtime's error for a payload that is too long. It has no error code."""
    if len(body) > LARGEST_PAYLOAD:
        raise ApiError("413", f"HTTP content length exceeded {LARGEST_PAYLOAD} bytes.", 413)


def _check_header(name: str, value: str, longest: int) -> None:
    """Raises ValidationError for values that cannot be sent back as headers."""
    if len(value) > longest or not (value.isascii() and value.isprintable()):
        message = f"{name} must be at most {longest} printable ASCII characters."
        raise ApiError("ValidationError", message)
