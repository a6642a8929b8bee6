"""If a function behind a REST API raises an error, the answer is as on AWS: 502 without details.

MiniStack answers with the error's message and ignores the API's own gateway responses. AWS answers
`Internal server error` through the gateway response DEFAULT_5XX, with status 502 unless that
response sets another.
"""

from importlib import import_module
from typing import Any

BAD_GATEWAY = 502

apigateway: Any = import_module("ministack.services.apigateway_v1")


def apply() -> None:
    """Answer for a failed function through the API's own gateway response."""
    render = apigateway._gateway_error_response
    shape = apigateway._lambda_proxy_response
    invoke = apigateway._invoke_lambda_proxy_v1

    class FunctionError(Exception):
        """Ends the proxy integration before MiniStack writes the answer itself."""

    def raise_on_failure(result: Any) -> Any:
        response, error = shape(result)
        if error:
            raise FunctionError
        return response, None

    async def invoke_quietly(*args: Any, **options: Any) -> Any:
        try:
            return await invoke(*args, **options)
        except FunctionError:
            error = apigateway._gw_error("DEFAULT_5XX", "Internal server error")
            error.function_failed = True
            return error

    def render_as_bad_gateway(error: Any, request: dict[str, Any]) -> Any:
        status, headers, body = render(error, request)
        if getattr(error, "function_failed", False) and not _status_is_set(request):
            status = BAD_GATEWAY
        return status, headers, body

    apigateway._lambda_proxy_response = raise_on_failure
    apigateway._invoke_lambda_proxy_v1 = invoke_quietly
    apigateway._gateway_error_response = render_as_bad_gateway


def _status_is_set(request: dict[str, Any]) -> bool:
    """Tell whether the API's own DEFAULT_5XX, as deployed to the stage, names a status."""
    api, deployment = request["api_id"], request["stage"].get("deploymentId")
    deployed = apigateway._deployed_gateway_responses.get(api, {}).get(deployment) or {}
    return bool((deployed.get("DEFAULT_5XX") or {}).get("statusCode"))
