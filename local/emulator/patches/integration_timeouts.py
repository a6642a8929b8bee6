"""API Gateway waits for a function as long as the integration says, 29 s by default.

MiniStack waits until the function ends. On AWS the caller then gets INTEGRATION_TIMEOUT, and the
function goes on.
"""

import asyncio
from importlib import import_module
from typing import Any

apigateway: Any = import_module("ministack.services.apigateway_v1")


def apply() -> None:
    """End the wait for a function. Apply it after other patches of the proxy integration."""
    invoke = apigateway._invoke_lambda_proxy_v1
    late: set[asyncio.Task[Any]] = set()  # the event loop alone would not keep them

    async def invoke_in_time(integration: Any, *args: Any, **options: Any) -> Any:
        running = asyncio.ensure_future(invoke(integration, *args, **options))
        seconds = int(integration["timeoutInMillis"]) / 1000
        done, _ = await asyncio.wait({running}, timeout=seconds)
        if done:
            return running.result()
        late.add(running)
        running.add_done_callback(late.discard)
        return apigateway._gw_error("INTEGRATION_TIMEOUT", "Endpoint request timed out")

    apigateway._invoke_lambda_proxy_v1 = invoke_in_time
