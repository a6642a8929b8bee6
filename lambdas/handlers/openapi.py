"""The answer of GET /openapi.json: the document of Powertools, completed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayRestResolver
from aws_lambda_powertools.event_handler.openapi.models import APIKey, APIKeyIn, Server, Tag

from lambdas.core.routes import paths
from lambdas.handlers import documents
from lambdas.handlers.operations import FUNCTIONS, Documented, Operation
from lambdas.handlers.request_context import MAX_KEY_LENGTH

TITLE = "SageMaker Endpoint Manager"
_DESCRIPTION = """\
A parking meter on each SageMaker endpoint: it runs while its lease is paid up or one of its \
schedules is open, and is deleted otherwise.

Every refusal is `{"error", "code", "requestId"}`; a method that a path does not have is answered \
with 405 and `Allow`. A header `Idempotency-Key` makes the retry of a renewal safe."""
_TAGS = {
    "Meters": "Read, renew, add and stop.",
    "Schedules": "Windows that keep an endpoint running without a lease.",
    "Updates": "Another config or other weights for an endpoint that runs.",
    "History": "Every start and stop with its reason.",
    "The meter itself": "Whether the machinery works.",
}
_TOKEN = "token"  # noqa: S105 (the scheme's name)
_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same key with the same body within 24 hours gets the same answer and has "
    "no second effect. Keys of different tokens are different.",
    "schema": {"type": "string", "minLength": 1, "maxLength": MAX_KEY_LENGTH},
    "example": "7c0e2f9a-renewal-of-monday",
}
# Powertools documents its own answer to a wrong request; ours is a 400 with an Error.
_NOT_OURS = ("HTTPValidationError", "ResponseValidationError", "ValidationError")


def document(operations: Sequence[Operation], server: str) -> dict[str, Any]:
    """The OpenAPI document. `server` is where the paths begin, such as `/prod`."""
    described: dict[str, Any] = json.loads(
        _described(operations).get_openapi_json_schema(
            title=TITLE,
            version="1",
            description=_DESCRIPTION,
            tags=[Tag(name=name, description=text) for name, text in _TAGS.items()],
            servers=[Server(url=server or "/", description="The stage of this deployment")],
            security_schemes={_TOKEN: _scheme()},
            security=[{_TOKEN: []}],
        )
    )
    for operation in operations:
        route = operation.route
        _complete(described["paths"][route.path][route.method.lower()], operation)
    by_path = described["paths"]
    described["paths"] = {path: by_path[path] for path in paths() if path in by_path}
    schemas = described["components"]["schemas"]
    for name in _NOT_OURS:
        schemas.pop(name, None)
    return {
        **_untitled(described),
        "info": described["info"],
        "components": {
            **described["components"],
            "schemas": {name: {**_untitled(s), "title": name} for name, s in schemas.items()},
        },
    }


def _described(operations: Iterable[Operation]) -> APIGatewayRestResolver:
    """The routes with all that the document says of them. They answer nothing here: what answers is
    registered without it, and so starts faster."""
    app = APIGatewayRestResolver(enable_validation=True)
    for operation in operations:
        method, path = operation.route.method, operation.route.path
        responses: Any = {
            status: _response(each) for status, each in operation.every_answer().items()
        }
        register = app.route(
            path,
            method,
            summary=operation.summary,
            description=operation.description or operation.summary,
            operation_id=f"{method.lower()}-{path.strip('/')}",
            tags=[operation.tag],
            responses=responses,
        )
        register(FUNCTIONS[operation.route])
    return app


def _response(answer: Documented) -> dict[str, Any]:
    """In the form of Powertools."""
    content = {"application/json": {"model": getattr(documents, answer.model)}}
    headers = {"headers": answer.headers} if answer.headers else {}
    return {"description": answer.description, "content": content, **headers}


def _scheme() -> APIKey:
    return APIKey.model_validate(
        {
            "in": APIKeyIn.header,
            "name": "Authorization",
            "description": "A token, or a JWT of the user pool where there is one; "
            "'Bearer ' may stand before it.",
        }
    )


def _complete(described: dict[str, Any], operation: Operation) -> None:
    """Add to one operation what Powertools cannot express."""
    known = {str(status) for status in operation.every_answer()}
    described["responses"] = {
        status: response
        for status, response in sorted(described["responses"].items())
        if status in known
    }
    scope = operation.route.scope
    if scope is None:
        described["security"] = []
    else:
        described["description"] += (
            f"\n\nNeeds the scope `{scope}`, for all endpoints or for the one at hand."
        )
        if operation.scopes_told:
            described["description"] += f" {operation.scopes_told}"
    if operation.keyed:
        described["parameters"] = [*described.get("parameters", []), _IDEMPOTENCY_KEY]


def _untitled(value: Any) -> Any:
    """The value without the titles that pydantic makes from field names, such as `Endpointname`."""
    if isinstance(value, list):
        return [_untitled(each) for each in value]
    if isinstance(value, dict):
        return {
            name: _untitled(each)
            for name, each in value.items()
            if name != "title" or not isinstance(each, str)
        }
    return value
