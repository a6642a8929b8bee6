"""The error for an injected code, with SageMaker's own message if it is known."""

from __future__ import annotations

from local.simulator.errors import (
    MODEL_TIMEOUT,
    NO_DEREGISTRATION,
    QUOTA,
    STATUS_BY_CODE,
    THROTTLED,
    ApiError,
)
from local.simulator.world import World


def injected_error(code: str, operation: str, request: object, world: World) -> ApiError:
    """The error of a call of `operation` that fails with `code` and has no effect."""
    named = request if isinstance(request, dict) else {}
    if code == THROTTLED.code:
        return THROTTLED.error()
    if code == QUOTA.code:
        instance_type, count = world.instance_type(str(named.get("EndpointConfigName", "")))
        return QUOTA.error(instance_type=instance_type, limit=0, used=0, delta=count)
    if code == NO_DEREGISTRATION.code and operation == "DeleteEndpoint":
        return NO_DEREGISTRATION.error()
    if code == MODEL_TIMEOUT.code:
        return _model_error(str(named.get("EndpointName", "")), world)
    status = STATUS_BY_CODE.get(code, 400)
    return ApiError(code, f"{operation} failed with an injected {code}.", status)


def _model_error(name: str, world: World) -> ApiError:
    account = world.account
    error = MODEL_TIMEOUT.error(region=account.region, name=name, account=account.account_id)
    fields = {
        "OriginalStatusCode": 0,
        "OriginalMessage": "Your invocation timed out while waiting for a response from container "
        "primary. Review the latency metrics for each container in Amazon CloudWatch, resolve "
        "the issue, and try again.",
        "LogStreamArn": f"arn:aws:logs:{account.region}:{account.account_id}:"
        f"log-group:/aws/sagemaker/Endpoints/{name}",
    }
    return ApiError(error.code, error.message, error.http_status, fields)
