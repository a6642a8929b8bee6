"""API Gateway calls SageMaker Runtime.

MiniStack answers 504 for AWS integrations with it. Here the integration runs as it is deployed,
under its role, against the simulator. MiniStack still does everything before it (authorizer,
throttling, validation) and the gateway responses.
"""

import asyncio
import http.client
import os
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import Any
from urllib.parse import quote, urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from local.emulator.patches.role_sessions import credentials_of
from local.emulator.service_integration import (
    Definition,
    Message,
    NotConfiguredError,
    answer_of,
    request_of,
)
from local.emulator.velocity import TemplateError

SERVICE = "runtime.sagemaker"
MOST_AT_A_TIME = 256

apigateway: Any = import_module("ministack.services.apigateway_v1")


def apply() -> None:
    """Run integrations with SageMaker Runtime; leave the others to MiniStack."""
    invoke = apigateway._invoke_lambda_custom_v1
    # Calls of models take long, and asyncio's default pool has few threads.
    threads = ThreadPoolExecutor(MOST_AT_A_TIME, thread_name_prefix="model")

    async def invoke_models_too(integration: Any, *args: Any, **options: Any) -> Any:
        target = apigateway._parse_service_integration_uri(integration.get("uri", ""))
        if target is None or target[1:3] != (SERVICE, "path"):
            return await invoke(integration, *args, **options)
        region, _, _, path = target
        headers, body = args[6], args[7]
        request = Message({name: _one(value) for name, value in headers.items()}, body or b"")
        binary_types = options.get("binary_media_types") or []
        loop = asyncio.get_running_loop()
        try:
            sent = request_of(integration, request, binary_types)
            call = (integration, region, path, sent)
            status, answer = await loop.run_in_executor(threads, _call, *call)
            request_id = str(uuid.uuid4())
            reply = answer_of(
                integration, status, answer, request.header("Accept"), binary_types, request_id
            )
        except TimeoutError:
            return apigateway._gw_error("INTEGRATION_TIMEOUT", "Endpoint request timed out")
        except (OSError, http.client.HTTPException):
            return apigateway._gw_error("INTEGRATION_FAILURE", "Internal server error")
        except (NotConfiguredError, TemplateError) as error:
            print(f"integration with {path}: {error}", file=sys.stderr)
            return apigateway._gw_error("API_CONFIGURATION_ERROR", "Internal server error")
        return reply.status, {**reply.headers, "x-amzn-requestid": request_id}, reply.body

    apigateway._invoke_lambda_custom_v1 = invoke_models_too


def _call(integration: Definition, region: str, path: str, request: Message) -> tuple[int, Message]:
    """Raises TimeoutError after the integration's timeout."""
    base = os.environ["AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME"]
    seconds = int(integration["timeoutInMillis"]) / 1000
    url = f"{base}/{quote(path)}"
    signed = AWSRequest(integration["httpMethod"], url, dict(request.headers), request.body)
    SigV4Auth(_credentials(integration, region), "sagemaker", region).add_auth(signed)
    address = urlsplit(base)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=seconds)
    try:
        connection.request(
            integration["httpMethod"], f"/{quote(path)}", request.body, dict(signed.headers)
        )
        answer = connection.getresponse()
        return answer.status, Message(dict(answer.getheaders()), answer.read())
    finally:
        connection.close()


def _credentials(integration: Definition, region: str) -> Credentials:
    """The credentials of the integration's role."""
    role = integration.get("credentials")
    if not role:
        raise NotConfiguredError("an integration with AWS needs the credentials of a role")
    return credentials_of(role, region, "BackplaneAssumeRoleSession")  # as in CloudTrail


def _one(value: Any) -> str:
    return value if isinstance(value, str) else str(value[-1])
