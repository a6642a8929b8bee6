"""The headers of every answer."""

from __future__ import annotations

from lambdas.core.answer_headers import answer_headers

EVERYWHERE = {
    "Cache-Control": "no-store",
    "Strict-Transport-Security": "max-age=31536000",
    "X-Content-Type-Options": "nosniff",
}


def test_no_answer_is_cached_guessed_at_or_read_without_tls() -> None:
    assert answer_headers("") == EVERYWHERE


def test_web_pages_of_the_origin_may_read_what_tells_when_and_from_whom_the_answer_is() -> None:
    assert answer_headers("https://example.com") == {
        **EVERYWHERE,
        "Access-Control-Allow-Origin": "https://example.com",
        "Access-Control-Expose-Headers": "Content-Type, Retry-After, "
        "X-Amzn-SageMaker-Closed-Session-Id, X-Amzn-SageMaker-Custom-Attributes, "
        "X-Amzn-SageMaker-New-Session-Id, X-Next, x-Amzn-Invoked-Production-Variant",
    }
