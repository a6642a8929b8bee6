"""Mapping templates of API Gateway (Velocity).

The variables that templates may use:
https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-mapping-template-reference.html
Only the variables of our own templates are implemented. Anything else raises TemplateError, so that
nothing renders differently from AWS.
"""

import base64
import json
import re
from dataclasses import dataclass
from typing import Any

import airspeed

# Velocity allows hyphens in names, but airspeed's #set does not:
# $context.responseOverride.header.Retry-After
airspeed.SetDirective.PLACE = re.compile(
    r"\s*\$([_a-zA-Z][a-zA-Z0-9_-]*(?:\.[_a-zA-Z][a-zA-Z0-9_-]*)*)"
)

_ESCAPES = {"'": "\\'", '"': '\\"', "\\": "\\\\", "/": "\\/"}
_CONTROLS = {"\b": "\\b", "\n": "\\n", "\t": "\\t", "\f": "\\f", "\r": "\\r"}


class TemplateError(Exception):
    """A template cannot be rendered."""


@dataclass(frozen=True)
class Rendered:
    """A body, and the status and headers that the template overrides."""

    body: str
    status: int | None
    headers: dict[str, str]


class _Known:
    """A variable of API Gateway. Attributes that no template here needs are not implemented."""

    def __getattr__(self, name: str) -> object:
        raise NotImplementedError(name)


@dataclass(frozen=True)
class _Input(_Known):
    """`$input`."""

    body: str


class _Util(_Known):
    """`$util`."""

    def escapeJavaScript(self, text: str) -> str:  # noqa: N802  # its name there
        """Escape as Java's StringEscapeUtils: quotes, backslashes, slashes, all but ASCII."""
        return "".join(_escaped(character) for character in text)

    def base64Decode(self, text: str) -> str:  # noqa: N802  # its name there
        return base64.b64decode(text).decode(errors="replace")

    def parseJson(self, text: str) -> Any:  # noqa: N802  # its name there
        return json.loads(text)


def render(template: str, body: str, request_id: str) -> Rendered:
    """Render the template of an integration response. Raises TemplateError."""
    override: dict[str, Any] = {"header": {}}
    context = {"requestId": request_id, "responseOverride": override}
    names = {"input": _Input(body), "util": _Util(), "context": context}
    try:
        text = airspeed.Template(template).merge(names)
    except (airspeed.TemplateError, ValueError) as error:
        raise TemplateError(str(error)) from error
    return Rendered(text, override.get("status"), override["header"])


def _escaped(character: str) -> str:
    known = _ESCAPES.get(character) or _CONTROLS.get(character)
    if known:
        return known
    if " " <= character <= "~":
        return character
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i : i + 2].hex().upper()}" for i in range(0, len(units), 2))
