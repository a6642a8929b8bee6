"""SageMaker's headers on a model's route, in both directions: for both integrations."""

from __future__ import annotations

import httpx

from tests.contract.model_requests import FORM, FORM_TYPE, WRONG_VALUES

SESSION = "X-Amzn-SageMaker-Session-Id"


def require_sagemakers_headers_pass(api: httpx.Client, path: str) -> None:
    """Each header reaches SageMaker, its reasons and sessions come back, and so does a form."""
    for header, value in WRONG_VALUES.items():
        refused = api.post(path, content=b"{}", headers={header: value})
        assert (refused.status_code, refused.json()["code"]) == (400, "InvalidInvocation"), header
        assert f"'{value}'" in refused.json()["error"]
    variant = {"X-Amzn-SageMaker-Target-Variant": "Third"}
    assert "Variant Third of" in api.post(path, content=b"{}", headers=variant).json()["error"]

    begun = api.post(path, content=b"{}", headers={SESSION: "NEW_SESSION"}).raise_for_status()
    session = begun.headers["X-Amzn-SageMaker-New-Session-Id"].partition(";")[0]
    closing = api.post(path, content=b'{"requestType": "CLOSE"}', headers={SESSION: session})
    assert closing.headers["X-Amzn-SageMaker-Closed-Session-Id"] == session

    form = api.post(path, content=FORM, headers={"Content-Type": FORM_TYPE}).raise_for_status()
    assert (form.content, form.headers["Content-Type"]) == (FORM, FORM_TYPE)
