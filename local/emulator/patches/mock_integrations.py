"""A MOCK integration has no HTTP method.

MiniStack returns POST if none was given, so Terraform would replace the integration each time.
"""

from importlib import import_module
from typing import Any

apigateway: Any = import_module("ministack.services.apigateway_v1")


def apply() -> None:
    """Store MOCK integrations without a method."""
    put = apigateway._put_integration

    def put_without_method(api_id: str, resource_id: str, http_method: str, data: Any) -> Any:
        definition = {"httpMethod": None, **data} if data.get("type") == "MOCK" else data
        return put(api_id, resource_id, http_method, definition)

    apigateway._put_integration = put_without_method
