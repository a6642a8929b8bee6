"""The REST API of the meter: routing, and errors into answers."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError
from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.core.errors import MeterError
from lambdas.handlers.problems import problem, problem_of
from lambdas.handlers.requests import ScopeMissing, refuse_raw
from lambdas.handlers.routes import events, expiry, health, schedule

_log = Logger()
_app = APIGatewayRestResolver(enable_validation=True)
for _route in (expiry, schedule, events, health):
    _app.include_router(_route.router)
OPENAPI_PATH = "/openapi.json"

ALLOWED: Mapping[str, str] = {
    expiry.PATH: "GET, POST, DELETE",
    schedule.PATH: "GET, PUT, DELETE",
    events.PATH: "GET",
    health.PATH: "GET",
    OPENAPI_PATH: "GET",
}


def handler(event: dict[str, Any], context: LambdaContext) -> Mapping[str, Any]:
    """Answer one request; every error is a JSON answer, never an exception."""
    request_id = event["requestContext"].get("requestId") or context.aws_request_id
    answer = refuse_raw(event, request_id)
    if answer is None:
        reply = _app.resolve(event, context)
    else:
        reply = {
            "statusCode": answer.status_code,
            "body": answer.body,
            "headers": {"Content-Type": "application/json"},
        }
    _log.info(
        "answered",
        method=event.get("httpMethod"),
        path=event.get("path"),
        status=reply["statusCode"],
        request_id=request_id,
    )
    return reply


@_app.get(OPENAPI_PATH, include_in_schema=False)
def _openapi() -> Response[str]:
    return Response(200, "application/json", _schema())


@cache
def _schema() -> str:
    return _app.get_openapi_json_schema(
        title="SageMaker Endpoint Manager",
        version="1",
        description="A parking meter on each SageMaker endpoint.",
    )


def _request_id() -> str:
    return str(_app.current_event.raw_event["requestContext"].get("requestId", ""))


@_app.exception_handler(MeterError)
def _meter_error(error: MeterError) -> Response[str]:
    if isinstance(error, ScopeMissing):
        return problem(HTTPStatus.FORBIDDEN, "ScopeMissing", str(error), _request_id())
    _log.info("refused", error=str(error))
    return problem_of(error, _request_id())


@_app.exception_handler(RequestValidationError)
def _invalid(error: RequestValidationError) -> Response[str]:
    faults = "; ".join(f"{_path(fault['loc'])}: {fault['msg']}" for fault in error.errors())
    return problem(HTTPStatus.BAD_REQUEST, "InvalidRequest", faults, _request_id())


@_app.exception_handler(Exception)
def _bug(error: Exception) -> Response[str]:
    _log.exception("a bug", exc_info=error)
    return problem(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "InternalError",
        "The meter failed to handle this request; its log has the reason.",
        _request_id(),
    )


@_app.not_found
def _not_found(_error: Exception) -> Response[str]:
    event = _app.current_event
    allowed = ALLOWED.get(event.path.rstrip("/"))
    if allowed:
        return problem(
            HTTPStatus.METHOD_NOT_ALLOWED,
            "MethodNotAllowed",
            f"{event.path} takes {allowed}.",
            _request_id(),
            {"Allow": allowed},
        )
    return problem(
        HTTPStatus.NOT_FOUND, "RouteNotFound", f"There is no {event.path} here.", _request_id()
    )


def _path(location: tuple[str | int, ...]) -> str:
    """`('body', 'Schedules', 0, 'name')` as `Schedules[0].name`."""
    words = [part for part in location if part not in ("body", "query")]
    text = "".join(f"[{word}]" if isinstance(word, int) else f".{word}" for word in words)
    return text.lstrip(".") or "body"
