"""The simulator's own routes: faults, recorded calls, health. They are not signed.

A page in a browser can send a POST without asking first, but not with JSON as its media type. So
what changes something takes nothing else.
"""

from __future__ import annotations

import json
from http import HTTPStatus

from local.serving.errors import RefusedError
from local.simulator.faults import FaultRefusedError
from local.simulator.reply import JSON, Incoming, Reply, json_reply
from local.simulator.service import Simulator


def health(simulator: Simulator, _request: Incoming) -> Reply:
    return json_reply(200, simulator.health())


def faults(simulator: Simulator, _request: Incoming) -> Reply:
    return json_reply(200, {"faults": simulator.faults()})


def post_fault(simulator: Simulator, request: Incoming) -> Reply:
    try:
        return json_reply(200, simulator.post_fault(_parsed(request)))
    except FaultRefusedError as refusal:
        return json_reply(400, {"error": str(refusal)})


def clear_faults(simulator: Simulator, _request: Incoming) -> Reply:
    simulator.clear_faults()
    return json_reply(200, {})


def calls(simulator: Simulator, _request: Incoming) -> Reply:
    return json_reply(200, simulator.calls())


def forget_calls(simulator: Simulator, _request: Incoming) -> Reply:
    simulator.forget_calls()
    return json_reply(200, {})


def _parsed(request: Incoming) -> object:
    """The JSON body. Raises RefusedError for another media type or malformed JSON."""
    media_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if media_type != JSON:
        raise RefusedError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"Send JSON, with the header Content-Type: {JSON}."
        )
    try:
        parsed: object = json.loads(request.body)
    except (ValueError, RecursionError):
        raise RefusedError(HTTPStatus.BAD_REQUEST, "The body must be a JSON object.") from None
    return parsed
