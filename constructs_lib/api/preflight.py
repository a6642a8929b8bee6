"""CORS preflight requests: `OPTIONS` on every path, which browsers send before a page may call
the API."""

from __future__ import annotations

from cdktf_cdktf_provider_aws.api_gateway_integration import ApiGatewayIntegration
from cdktf_cdktf_provider_aws.api_gateway_method import ApiGatewayMethod

from constructs_lib.api.parts import ApiParts
from lambdas.core.answer_headers import answer_headers
from lambdas.core.invocation import REQUEST_HEADERS
from lambdas.core.routes import ROUTES

_MAX_AGE_SECONDS = 3600
_METHODS = tuple(sorted({route.method for route in ROUTES}))
_HEADERS = sorted({"Authorization", "Idempotency-Key", *REQUEST_HEADERS.values()})


class Preflights:
    """API Gateway answers preflights itself, without a token: browsers send none with them."""

    def __init__(self, parts: ApiParts, cors_origin: str) -> None:
        self._parts = parts
        self._headers = {
            **answer_headers(cors_origin),
            "Access-Control-Allow-Headers": ", ".join(_HEADERS),
            "Access-Control-Allow-Methods": ", ".join(_METHODS),
            "Access-Control-Max-Age": str(_MAX_AGE_SECONDS),
        }

    def answer(self, route_id: str, resource_id: str) -> None:
        logical_id = f"{route_id}_options"
        method = self._parts.make(
            ApiGatewayMethod,
            logical_id,
            resource_id=resource_id,
            http_method="OPTIONS",
            authorization="NONE",
        )
        integration = self._parts.make(
            ApiGatewayIntegration,
            logical_id,
            resource_id=method.resource_id,
            http_method=method.http_method,
            type="MOCK",
            request_templates={"application/json": '{"statusCode": 200}'},
            # Every media type counts as binary, and without this the template would be ignored.
            content_handling="CONVERT_TO_TEXT",
        )
        headers = {name: f"'{value}'" for name, value in self._headers.items()}
        self._parts.answer(logical_id, integration, 200, headers)
