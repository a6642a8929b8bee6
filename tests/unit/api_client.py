"""Calls the API as API Gateway does: event in, answer out."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

from openapi_schema_validator import OAS31Validator

from lambdas.handlers import api
from tests.world import World

ALL_SCOPES = "read renew add manage invoke"
API = json.loads(api._document("/prod"))


def require_documented(method: str, path: str, status: int, document: object) -> None:
    """Fail if /openapi.json does not document this answer. Every answer is checked."""
    operation = API["paths"].get(path, {}).get(method.lower())
    if operation is None:
        assert status in {200, 400, 404, 405, 429}
        return
    schema = operation["responses"][str(status)]["content"]["application/json"]["schema"]
    OAS31Validator({**schema, "components": API["components"]}).validate(document)


class FakeRates:
    """A fake of the rate counters: `wait` is the seconds it answers, or the error it raises."""

    def __init__(self) -> None:
        self.wait: int | Exception | None = None
        self.identities: list[str] = []

    def wait_seconds(self, identity: str, now: object) -> int | None:
        self.identities.append(identity)
        if isinstance(self.wait, Exception):
            raise self.wait
        return self.wait


class Client:
    """Calls the handler as API Gateway does."""

    def __init__(self, world: World) -> None:
        self.world = world

    def __call__(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        query: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
        scopes: str = ALL_SCOPES,
        identity: str = "a1",
        sent: dict[str, Any] | None = None,
    ) -> SimpleNamespace:
        event = {
            "httpMethod": method,
            "path": path,
            "resource": path,
            "headers": {"Content-Type": "application/json", **(headers or {})},
            "multiValueHeaders": {},
            "queryStringParameters": query,
            "multiValueQueryStringParameters": {k: [v] for k, v in (query or {}).items()},
            "body": body if isinstance(body, str) or body is None else json.dumps(body),
            "isBase64Encoded": False,
            "requestContext": {
                "requestId": "r-1",
                "path": f"/prod{path}",
                "stage": "prod",
                "authorizer": {"principal": "ann", "scopes": scopes, "identity": identity},
            },
        }
        event = {**event, **(sent or {})}
        reply = api.handler(event, SimpleNamespace(aws_request_id="a-1"))  # type: ignore[arg-type]
        self.world.settle()
        headers_sent = {**reply.get("headers", {})}
        for name, values in (reply.get("multiValueHeaders") or {}).items():
            headers_sent[name] = values[0]
        document = json.loads(reply["body"]) if reply.get("body") else None
        require_documented(method, path, reply["statusCode"], document)
        return SimpleNamespace(
            status=reply["statusCode"], document=document, headers=headers_sent, text=reply["body"]
        )
