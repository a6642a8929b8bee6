"""Lambda takes events of 6 MB. MiniStack takes any.

A body grows by a third in an event, because it is in Base64 there. API Gateway answers 413 then, by
its gateway response for requests that are too large, and so does Lambda itself:
https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
"""

import json
from importlib import import_module
from typing import Any

MOST_BYTES = 6_291_556
_ERROR = "RequestEntityTooLargeException"
_MESSAGE = f"Request must be smaller than {MOST_BYTES} bytes for the InvokeFunction operation"

apigateway: Any = import_module("ministack.services.apigateway_v1")
lambda_svc: Any = import_module("ministack.services.lambda_svc")


class EventTooLargeError(Exception):
    """Ends the integration before the function is called."""


def apply() -> None:
    """Measure events before functions get them."""
    build = apigateway._build_lambda_event_v1
    integrate = apigateway._invoke_lambda_proxy_v1
    invoke = lambda_svc._invoke

    def build_measured(*args: Any, **options: Any) -> Any:
        event = build(*args, **options)
        if is_too_large(event):
            raise EventTooLargeError
        return event

    async def integrate_measured(*args: Any, **options: Any) -> Any:
        try:
            return await integrate(*args, **options)
        except EventTooLargeError:
            return apigateway._gw_error("REQUEST_TOO_LARGE", "Request Too Long")

    async def invoke_measured(name: str, event: Any, *args: Any, **options: Any) -> Any:
        if is_too_large(event):
            return lambda_svc.error_response_json(_ERROR, _MESSAGE, 413)
        return await invoke(name, event, *args, **options)

    apigateway._build_lambda_event_v1 = build_measured
    apigateway._invoke_lambda_proxy_v1 = integrate_measured
    lambda_svc._invoke = invoke_measured


def is_too_large(event: Any) -> bool:
    """Whether an event is longer than Lambda allows, in the compact form of API Gateway."""
    text = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
    return len(text.encode("utf-8", "surrogatepass")) > MOST_BYTES
