"""What a caller is told when SageMaker refuses to call a model: our JSON, with a code.

SageMaker's status chooses a template (VTL). Where its message decides further, a branch of the
template overrides the status: once, which is all that API Gateway allows.
"""

from __future__ import annotations

from dataclasses import dataclass

from constructs_lib.canonical import canonical
from lambdas.core.errors import EndpointStopped

STOPPED_RETRY_SECONDS = 60
"""A constant: API Gateway knows nothing of leases and schedules."""
_BUSY_RETRY_SECONDS = 5

# Every media type counts as binary here, and of binary bodies CONVERT_TO_TEXT makes Base64. A body
# that is text all the same is read as well: no Base64 begins with a brace.
_READ = """\
#set($text = $input.body)
#if(!$text.startsWith("{"))
#set($text = $util.base64Decode($text))
#end
#set($refusal = $util.parseJson($text))
#set($said = "$!{refusal.Message}$!{refusal.message}")
"""
_READ_OF_MODEL = """\
#set($said = "$!{refusal.OriginalStatusCode}: $!{refusal.OriginalMessage}")
"""
# Escaped for JavaScript, quotes are not right for JSON: `.'` is one with its backslash.
_SAID = """$util.escapeJavaScript($said).replaceAll(".'", "'")"""
_SAID_MARK, _REQUEST_ID = "{said}", "$context.requestId"
_DENIED = """$said.contains("is not authorized to perform")"""
_THROTTLED = """$said.contains("Rate exceeded")"""


@dataclass(frozen=True, slots=True)
class Told:
    """An answer of ours. In the sentence, `{said}` stands for SageMaker's message and `{name}`
    for the endpoint."""

    status: int
    code: str
    sentence: str
    retry_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """What is `told` where SageMaker's status matches `when` (None: any other), unless one of
    the conditions on its message `$said` holds."""

    when: str | None
    told: Told
    unless: tuple[tuple[str, Told], ...] = ()
    reading: str = ""

    @property
    def status(self) -> int:
        return self.told.status


_STOPPED = Told(
    503,
    "EndpointStopped",
    str(EndpointStopped("{name}", STOPPED_RETRY_SECONDS)),
    STOPPED_RETRY_SECONDS,
)
_TOO_MANY = Told(
    429, "TooManyRequests", "SageMaker takes no more calls just now; wait a moment and retry.", 1
)
REFUSALS = (
    # An endpoint that is absent or being created; nothing else is called by its name here.
    Refusal(
        when="400",
        told=Told(400, "InvalidInvocation", "SageMaker refused the call: {said}"),
        unless=(
            ('$said.startsWith("Endpoint {name} ") && $said.contains("not found")', _STOPPED),
            (_THROTTLED, _TOO_MANY),
        ),
        reading=_READ,
    ),
    Refusal(
        when="413",
        told=Told(413, "BodyTooLarge", "SageMaker takes bodies of at most 6,291,456 bytes."),
    ),
    Refusal(
        when="424",
        told=Told(424, "ModelError", "The model failed with status {said}"),
        reading=_READ + _READ_OF_MODEL,
    ),
    Refusal(
        # 403: the role may call what carries our tag, which an endpoint that is gone does not.
        when="403|429",
        told=Told(
            503,
            "ModelNotReady",
            "The model is being loaded; call again soon.",
            _BUSY_RETRY_SECONDS,
        ),
        unless=((_DENIED, _STOPPED), (_THROTTLED, _TOO_MANY)),
        reading=_READ,
    ),
    Refusal(
        when=None,
        told=Told(502, "AwsRefused", "SageMaker failed to call the model; another try may work."),
    ),
)


def template(refusal: Refusal, endpoint_name: str) -> str:
    """The VTL of a refusal for the route of an endpoint."""
    lines = [refusal.reading]
    for index, (condition, told) in enumerate(refusal.unless):
        lines.append(f"#{'elseif' if index else 'if'}({condition})\n")
        lines.append(f"#set($context.responseOverride.status = {told.status})\n")
        lines.append(_answer(told))
    lines.append("#else\n" if refusal.unless else "")
    lines.append(_answer(refusal.told))
    lines.append("#end\n" if refusal.unless else "")
    return "".join(lines).replace("{name}", endpoint_name)


def _answer(told: Told) -> str:
    body = canonical({"error": told.sentence, "code": told.code, "requestId": _REQUEST_ID})
    lines = body.replace(_SAID_MARK, _SAID) + "\n"
    if told.retry_seconds is None:
        return lines
    override = f'#set($context.responseOverride.header.Retry-After = "{told.retry_seconds}")\n'
    return override + lines
