"""An integration of API Gateway with an AWS service: it maps requests and responses as defined.


https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-payload-encodings-workflow.html
https://docs.aws.amazon.com/apigateway/latest/developerguide/request-response-data-mappings.html
"""

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from local.emulator.velocity import render

JSON = "application/json"
Definition = Mapping[str, Any]
"""An Integration or IntegrationResponse, as in the answer of GetIntegration."""


class NotConfiguredError(Exception):
    """The definition is incomplete, or needs a feature that is not implemented here."""


@dataclass(frozen=True)
class Message:
    """A request or a response. Header names are compared without case."""

    headers: Mapping[str, str]
    body: bytes

    def header(self, name: str) -> str | None:
        found = (v for n, v in self.headers.items() if n.lower() == name.lower())
        return next(found, None)


@dataclass(frozen=True)
class Answer:
    """The response to the caller."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def request_of(integration: Definition, request: Message, binary_types: Sequence[str]) -> Message:
    """The request to the service. Raises NotConfiguredError."""
    if integration.get("requestTemplates"):
        raise NotConfiguredError("request templates are not implemented here")
    content_type = request.header("Content-Type") or JSON
    body = _converted(
        request.body,
        binary=_is_binary(content_type, binary_types),
        handling=integration.get("contentHandling"),
    )
    headers = {"Content-Type": JSON}
    headers |= _mapped(integration, "integration.request", "method.request", request)
    return Message(headers, body)


def answer_of(
    integration: Definition,
    status: int,
    answer: Message,
    accept: str | None,
    binary_types: Sequence[str],
    request_id: str,
) -> Answer:
    """The caller's response, from the service's. Raises NotConfiguredError and TemplateError."""
    chosen = _response_for(status, integration)
    first_accepted = (accept or "*/*").partition(",")[0]
    body = _converted(
        answer.body,
        binary=_is_binary(first_accepted, binary_types),
        handling=chosen.get("contentHandling"),
    )
    headers = {"Content-Type": JSON}
    headers |= _mapped(chosen, "method.response", "integration.response", answer)
    own_status = int(chosen["statusCode"])
    template = (chosen.get("responseTemplates") or {}).get(JSON)
    if template is None:
        return Answer(own_status, headers, body)
    rendered = render(template, body.decode(errors="replace"), request_id)
    return Answer(rendered.status or own_status, headers | rendered.headers, rendered.body.encode())


def _response_for(status: int, integration: Definition) -> Definition:
    """The integration response whose pattern matches the whole status, else the one without a
    pattern."""
    responses: list[Definition] = list((integration.get("integrationResponses") or {}).values())
    for response in responses:
        pattern = response.get("selectionPattern")
        if pattern and re.fullmatch(pattern, str(status)):
            return response
    for response in responses:
        if not response.get("selectionPattern"):
            return response
    raise NotConfiguredError(f"no integration response for {status}")


def _mapped(definition: Definition, to: str, source: str, message: Message) -> dict[str, str]:
    """The headers that `definition` sets. A mapped header that is absent is left out."""
    parameters = definition.get("requestParameters") or definition.get("responseParameters") or {}
    headers = {}
    for target, expression in parameters.items():
        if not target.startswith(f"{to}.header."):
            raise NotConfiguredError(f"{target} is not a header")
        name = target.removeprefix(f"{to}.header.")
        if len(expression) > 1 and expression[0] == expression[-1] == "'":
            headers[name] = expression[1:-1]
        elif expression.startswith(f"{source}.header."):
            value = message.header(expression.removeprefix(f"{source}.header."))
            if value is not None:
                headers[name] = value
        else:
            raise NotConfiguredError(f"{expression} is neither a literal nor a header")
    return headers


def _is_binary(media_type: str, binary_types: Sequence[str]) -> bool:
    return "*/*" in binary_types or media_type.partition(";")[0].strip().lower() in binary_types


def _converted(body: bytes, *, binary: bool, handling: str | None) -> bytes:
    """A body, converted as in AWS's tables. AWS also corrupts text that is not UTF-8."""
    if binary:
        return base64.b64encode(body) if handling == "CONVERT_TO_TEXT" else body
    if handling == "CONVERT_TO_BINARY":
        return base64.b64decode(body)
    return body.decode(errors="replace").encode()
