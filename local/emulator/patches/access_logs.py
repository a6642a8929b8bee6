"""API Gateway writes the access log of a stage in the deployed format.

MiniStack stores a stage's `accessLogSettings` but ignores them.
https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-logging.html
"""

import re
import time
from collections.abc import Mapping
from contextvars import ContextVar
from importlib import import_module
from typing import Any

apigateway: Any = import_module("ministack.services.apigateway_v1")
cloudwatch_logs: Any = import_module("ministack.services.cloudwatch_logs")

_VARIABLE = re.compile(r"\$context\.([A-Za-z]+(?:\.[A-Za-z]+)*)")
_ABSENT = "-"
_principal: ContextVar[str] = ContextVar("principal")


def apply() -> None:
    """Write a line after each request, including those that API Gateway refuses itself."""
    execute = apigateway._execute_in_scope
    authorize = apigateway._authorize_request_v1

    async def authorize_and_note(*args: Any, **options: Any) -> Any:
        refused, context = await authorize(*args, **options)
        _principal.set((context or {}).get("principalId", _ABSENT))
        return refused, context

    async def execute_and_log(request: Any, *args: Any) -> Any:
        began = time.time()
        _principal.set(_ABSENT)
        answer = await execute(request, *args)
        stage = request["stage"]
        settings = (stage or {}).get("accessLogSettings") or {}
        if not settings.get("destinationArn"):
            return answer
        refusal = ""
        if isinstance(answer, apigateway._GatewayError):
            refusal = answer.response_type
            answer = apigateway._gateway_error_response(answer, request)
        ended = time.time()
        values = {
            "authorizer.principalId": _principal.get(),
            "error.responseType": refusal or _ABSENT,
            "httpMethod": args[2],
            "identity.sourceIp": _source_ip(request["headers"]),
            "requestId": request["request_id"],
            "requestTimeEpoch": str(round(began * 1000)),
            "resourcePath": request["resource_path"] or _ABSENT,
            "responseLatency": str(round((ended - began) * 1000)),
            "status": str(answer[0]),
        }
        _write(settings["destinationArn"], request["api_id"], _line(settings["format"], values))
        return answer

    apigateway._authorize_request_v1 = authorize_and_note
    apigateway._execute_in_scope = execute_and_log


def _line(form: str, values: Mapping[str, str]) -> str:
    return _VARIABLE.sub(lambda variable: values.get(variable.group(1), _ABSENT), form)


def _source_ip(headers: Mapping[str, Any]) -> str:
    sent = apigateway._header_ci(headers, "x-forwarded-for") or "127.0.0.1"
    return str(sent).split(",")[0].strip()


def _write(group_arn: str, stream: str, line: str) -> None:
    """Write to a log group. If the group does not exist the line is lost, as on AWS."""
    group = group_arn.partition(":log-group:")[2].removesuffix(":*")
    there = {"logGroupName": group, "logStreamName": stream}
    cloudwatch_logs._create_log_stream(there)
    event = {"timestamp": int(time.time() * 1000), "message": line}
    cloudwatch_logs._put_log_events({**there, "logEvents": [event]})
