"""Headers of every answer of the API: of functions, of API Gateway itself and of SageMaker behind
it."""

from __future__ import annotations

from collections.abc import Mapping

from lambdas.core.invocation import ANSWER_HEADERS

SECURITY: Mapping[str, str] = {
    "Cache-Control": "no-store",
    "Strict-Transport-Security": "max-age=31536000",
    "X-Content-Type-Options": "nosniff",
}
# Headers that scripts of a web page may read. Browsers hide all others from them.
_EXPOSED = sorted({"Retry-After", "X-Next", *ANSWER_HEADERS.values()})


def answer_headers(cors_origin: str) -> Mapping[str, str]:
    """`cors_origin` is the web origin that may call the API: `*` for all, empty for none."""
    if not cors_origin:
        return SECURITY
    return {
        **SECURITY,
        "Access-Control-Allow-Origin": cors_origin,
        "Access-Control-Expose-Headers": ", ".join(_EXPOSED),
    }
