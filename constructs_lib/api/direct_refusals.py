"""The errors of direct routes: SageMaker's errors as our JSON, with a code.

SageMaker's status chooses a template (VTL). If the message matters too, a branch of the template
overrides the status. API Gateway allows only one override for each response.
"""

from __future__ import annotations

from dataclasses import dataclass

from constructs_lib.canonical import canonical
from lambdas.core.errors import EndpointStopped
from lambdas.core.invocation import ACCOUNT_NUMBER

BINARY_MEDIA_TYPES = ["*/*"]  # docs/decisions/0060-every-body-is-binary.md says why
STOPPED_RETRY_SECONDS = 60
"""A constant, because API Gateway knows neither leases nor schedules."""
_BUSY_RETRY_SECONDS = 5

# Every media type counts as binary here, and CONVERT_TO_TEXT turns binary bodies into Base64. The
# template also accepts plain text: Base64 never begins with a brace.
_READ = """\
#set($text = $input.body)
#if(!$text.startsWith("{"))
#set($text = $util.base64Decode($text))
#end
#set($refusal = $util.parseJson($text))
#set($said = "$!{refusal.Message}$!{refusal.message}")
"""
_WITHOUT_ACCOUNT = f"""\
#set($said = $said.replaceAll("{ACCOUNT_NUMBER}", "..."))
"""
_READ_OF_MODEL = """\
#set($said = "$!{refusal.OriginalStatusCode}: $!{refusal.OriginalMessage}")
"""
# escapeJavaScript writes \' for a single quote, which JSON does not allow: drop the backslash.
_SAID = """$util.escapeJavaScript($said).replaceAll(".'", "'")"""
_SAID_MARK, _REQUEST_ID = "{said}", "$context.requestId"
_DENIED = """$said.contains("is not authorized to perform")"""
_THROTTLED = """$said.contains("Rate exceeded")"""


@dataclass(frozen=True, slots=True)
class ErrorResponse:
    """An error response of ours. In the sentence, `{said}` stands for SageMaker's message and
    `{name}` for the endpoint."""

    status: int
    code: str
    sentence: str
    retry_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """The response to each SageMaker status that matches `when` (None: any other status).

    `unless` lists conditions on SageMaker's message `$said`, each with the response that it gets
    instead. `reading` is the VTL that reads the message.
    """

    when: str | None
    response: ErrorResponse
    unless: tuple[tuple[str, ErrorResponse], ...] = ()
    reading: str = ""

    @property
    def status(self) -> int:
        return self.response.status


# SageMaker knows no endpoint that is being created. IAM denies the call of an endpoint that is
# gone, and of one that is not this stack's: neither has its tag. One that is gone may start soon.
_NOT_SERVED = ErrorResponse(
    503,
    "EndpointStopped",
    "'{name}' does not serve now: it is stopped, being started, or not this stack's. "
    "GET /endpoint-expiry?EndpointName={name} tells. If its Wanted is running, call again after "
    f"Retry-After. If it is stopped: {EndpointStopped('{name}', 0).advice} If it is not this "
    "stack's, that POST says what would help.",
    STOPPED_RETRY_SECONDS,
)
_TOO_MANY = ErrorResponse(
    429, "TooManyRequests", "SageMaker takes no more calls just now; wait a moment and retry.", 1
)
REFUSALS = (
    # "not found" means that the endpoint does not exist or is being created.
    Refusal(
        when="400",
        response=ErrorResponse(400, "InvalidInvocation", "SageMaker refused the call: {said}"),
        unless=(
            ('$said.startsWith("Endpoint {name} ") && $said.contains("not found")', _NOT_SERVED),
            (_THROTTLED, _TOO_MANY),
        ),
        reading=_READ + _WITHOUT_ACCOUNT,
    ),
    Refusal(
        when="413",
        response=ErrorResponse(
            413, "BodyTooLarge", "SageMaker takes bodies of at most 6,291,456 bytes."
        ),
    ),
    Refusal(
        when="424",
        response=ErrorResponse(424, "ModelError", "The model failed with status {said}"),
        reading=_READ + _READ_OF_MODEL,
    ),
    Refusal(
        # 403: the role may only call endpoints with our tag, and a deleted endpoint has no tag.
        when="403|429",
        response=ErrorResponse(
            503,
            "ModelNotReady",
            "The model is being loaded; call again soon.",
            _BUSY_RETRY_SECONDS,
        ),
        unless=((_DENIED, _NOT_SERVED), (_THROTTLED, _TOO_MANY)),
        reading=_READ,
    ),
    Refusal(
        when=None,
        response=ErrorResponse(
            502, "AwsRefused", "SageMaker failed to call the model; another try may work."
        ),
    ),
)


def template(refusal: Refusal, endpoint_name: str) -> str:
    """The VTL of a refusal, for the route of one endpoint."""
    lines = [refusal.reading]
    for index, (condition, response) in enumerate(refusal.unless):
        lines.append(f"#{'elseif' if index else 'if'}({condition})\n")
        lines.append(f"#set($context.responseOverride.status = {response.status})\n")
        lines.append(_answer(response))
    lines.append("#else\n" if refusal.unless else "")
    lines.append(_answer(refusal.response))
    lines.append("#end\n" if refusal.unless else "")
    return "".join(lines).replace("{name}", endpoint_name)


def _answer(response: ErrorResponse) -> str:
    body = canonical({"error": response.sentence, "code": response.code, "requestId": _REQUEST_ID})
    lines = body.replace(_SAID_MARK, _SAID) + "\n"
    if response.retry_seconds is None:
        return lines
    override = f'#set($context.responseOverride.header.Retry-After = "{response.retry_seconds}")\n'
    return override + lines
