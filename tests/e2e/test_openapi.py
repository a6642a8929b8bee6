"""Valid and invalid requests generated from /openapi.json: every answer is documented there, and
none is a server error."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from requests import Session
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from lambdas.handlers.api import OPERATIONS
from tests.e2e.calls import FALCON, FLAN, stop
from tests.e2e.checkout import Checkout

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
]
EXAMPLES = 40
KINDS = [
    (operation.route.method, operation.route.path, mode)
    for operation in OPERATIONS
    for mode in GenerationMode
    # a request without any input cannot be invalid
    if mode is GenerationMode.POSITIVE or operation.query or operation.route.takes_body
]


@pytest.fixture(scope="module")
def described(checkout: Checkout) -> BaseSchema:
    with checkout.api("") as api:
        document = api.get("/openapi.json").raise_for_status().json()
    return schemathesis.openapi.from_dict(document)


@pytest.fixture(scope="module")
def session(checkout: Checkout) -> Iterator[Session]:
    """A session with all scopes; the endpoints are stopped afterwards."""
    with Session() as session:
        session.headers["Authorization"] = checkout.stack["admin_token"]
        yield session
    for name in (FALCON, FLAN):
        stop(checkout, name)


@pytest.mark.parametrize(("method", "path", "mode"), KINDS)
def test_every_answer_is_documented_in_openapi(
    checkout: Checkout,
    described: BaseSchema,
    session: Session,
    method: str,
    path: str,
    mode: GenerationMode,
) -> None:
    operation = described[path][method]
    base_url = checkout.stack["api_url"]
    seen = set()

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode), name=st.sampled_from([FALCON, None]))
    def check_answer(case: Case[Any], name: str | None) -> None:
        if name:  # generated names would never match an endpoint
            name_an_existing_endpoint(case, name)
        answer = case.call(base_url=base_url, session=session)
        seen.add(answer.status_code)
        # a stopped model is a 503, which is no server error here
        stopped = answer.status_code == 503 and answer.json()["code"] == "EndpointStopped"
        checks = [check for check in CHECKS if not (stopped and check is not_a_server_error)]
        case.validate_response(answer, checks=checks)

    check_answer()
    assert seen


def name_an_existing_endpoint(case: Case[Any], name: str) -> None:
    """Put the name of an existing endpoint into the request."""
    for where in (case.query, case.body):
        if isinstance(where, dict) and isinstance(where.get("EndpointName"), str):
            where["EndpointName"] = name
