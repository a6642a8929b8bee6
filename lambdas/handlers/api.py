"""The REST API of the meter: routing, and errors into answers."""

from __future__ import annotations

import importlib
import json
import pkgutil
from collections.abc import Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError

from lambdas.core.errors import MeterError
from lambdas.core.routes import ROUTES, route
from lambdas.handlers import request_checks, routes
from lambdas.handlers.bodies import with_text_body, without_coding
from lambdas.handlers.callers import caller_of
from lambdas.handlers.error_answers import answer_to
from lambdas.handlers.headers import answered_with
from lambdas.handlers.operations import Operation
from lambdas.handlers.refusals import (
    JSON,
    InternalError,
    InvalidRequest,
    MethodNotAllowed,
    RouteNotFound,
)
from lambdas.handlers.request_context import headers_of_answers, rates, utc_now
from lambdas.handlers.request_rate import within_rate

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

_log = Logger()
_app = APIGatewayRestResolver(enable_validation=True)
OPENAPI_PATH = "/openapi.json"


def _found() -> Iterator[Operation]:
    """The operations of all modules in the package `routes`; a new module needs no line here."""
    for module in pkgutil.iter_modules(routes.__path__, f"{routes.__name__}."):
        found = importlib.import_module(module.name)
        _app.include_router(found.router)
        yield from found.OPERATIONS


_ITSELF = Operation(route("GET", OPENAPI_PATH), "This API", {})
OPERATIONS: tuple[Operation, ...] = tuple(
    sorted(_found(), key=lambda operation: ROUTES.index(operation.route))
)


def handler(event: dict[str, Any], context: LambdaContext) -> Mapping[str, Any]:
    """Answer one request; every error is a JSON answer, never an exception."""
    request_id = event["requestContext"].get("requestId") or context.aws_request_id
    try:
        who = caller_of(event)
        if who:
            within_rate(rates(), who.identity, utc_now())
        event = with_text_body(without_coding(event))
        reply = _app.resolve(request_checks.checked(event, _operation(event)), context)
    except MeterError as refused:
        reply = answer_to(refused, request_id, changes=False)
    _log.info(
        "answered",
        method=event.get("httpMethod"),
        path=event.get("path"),
        status=reply["statusCode"],
        request_id=request_id,
    )
    return answered_with(reply, headers_of_answers())


def _operation(event: Mapping[str, Any]) -> Operation:
    """The operation of the request. Raises RouteNotFound and MethodNotAllowed."""
    path = event["path"].rstrip("/")
    methods = {
        each.route.method: each for each in (*OPERATIONS, _ITSELF) if each.route.path == path
    }
    if not methods:
        raise RouteNotFound(path)
    if event["httpMethod"] not in methods:
        raise MethodNotAllowed(path, event["httpMethod"], tuple(methods))
    return methods[event["httpMethod"]]


@_app.get(OPENAPI_PATH, include_in_schema=False)
def _openapi() -> Response[str]:
    context = _app.current_event.raw_event["requestContext"]
    path = str(context.get("path", ""))  # as the caller sees it, with the stage
    server = path.removesuffix(OPENAPI_PATH) if path.endswith(OPENAPI_PATH) else ""
    return Response(200, "application/json", _document(server))


@cache
def _document(server: str) -> str:
    # The models of OpenAPI take longer to import than a route takes to answer.
    from lambdas.handlers import openapi  # noqa: PLC0415

    return json.dumps(openapi.document(OPERATIONS, server))


def _request_id() -> str:
    return str(_app.current_event.raw_event["requestContext"].get("requestId", ""))


@_app.exception_handler(MeterError)
def _meter_error(error: MeterError) -> Response[str]:
    _log.info("refused", error=str(error), request_id=_request_id())
    return _refused(error)


@_app.exception_handler(RequestValidationError)
def _invalid(error: RequestValidationError) -> Response[str]:
    faults = "; ".join(f"{_path(fault['loc'])}: {fault['msg']}" for fault in error.errors())
    return _refused(InvalidRequest(faults))


@_app.exception_handler(Exception)
def _bug(error: Exception) -> Response[str]:
    _log.exception("a bug", exc_info=error, request_id=_request_id())
    return _refused(InternalError())


def _refused(error: MeterError) -> Response[str]:
    changes = _app.current_event.http_method != "GET"
    reply = answer_to(error, _request_id(), changes=changes)
    return Response(reply["statusCode"], JSON, reply["body"], headers=reply["headers"])


def _path(location: tuple[str | int, ...]) -> str:
    """`('body', 'Schedules', 0, 'name')` as `Schedules[0].name`."""
    words = [part for part in location if part not in ("body", "query")]
    text = "".join(f"[{word}]" if isinstance(word, int) else f".{word}" for word in words)
    return text.lstrip(".") or "body"
