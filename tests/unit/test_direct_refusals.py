"""The answers that the deployed templates make from refusals of SageMaker, as in API Gateway."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from constructs_lib.api.direct_refusals import REFUSALS, template
from lambdas.core.invocation import ACCOUNT_NUMBER
from local.emulator.velocity import Rendered, TemplateError, render

NAME = "demo-FlanT5-Endpoint"
BY_STATUS = {refusal.when: refusal for refusal in REFUSALS}
MESSAGES = st.text() | st.sampled_from(
    ["it's", '"quoted"', r"back\slash", r"\'", "$context.requestId", "#set($x = 1)", "${a}#end"]
)

DENIED = (
    "User: arn:aws:sts::1:assumed-role/r/s is not authorized to perform: sagemaker:InvokeEndpoint"
)


def answer_to(
    status: str | None, response: dict[str, Any], *, as_text: bool = False, name: str = NAME
) -> Rendered:
    """The answer that our API gives to a response of SageMaker, whose body is in Base64."""
    body = json.dumps(response)
    coded = body if as_text else base64.b64encode(body.encode()).decode()
    return render(template(BY_STATUS[status], name), coded, "r-1")


def code(rendered: Rendered) -> str:
    document = json.loads(rendered.body)
    assert document.keys() == {"error", "code", "requestId"}
    assert document["requestId"] == "r-1"
    found: str = document["code"]
    return found


@pytest.mark.parametrize("as_text", [False, True])
def test_an_endpoint_that_is_absent_is_a_503_that_says_how_to_start_it(*, as_text: bool) -> None:
    response = {"Message": f"Endpoint {NAME} of account 123456789012 not found."}
    answer = answer_to("400", response, as_text=as_text)
    assert (answer.status, code(answer)) == (503, "EndpointStopped")
    assert answer.headers == {"Retry-After": "60"}
    sentence = json.loads(answer.body)["error"]
    assert f'POST /endpoint-expiry {{"EndpointName": "{NAME}", "minutes": 60}}' in sentence


def test_twelve_digits_in_a_name_are_no_account() -> None:
    name = "demo-202611210455-Endpoint"
    absent = {"Message": f"Endpoint {name} of account 123456789012 not found."}
    assert code(answer_to("400", absent, name=name)) == "EndpointStopped"
    said = f"Variant 'b' not found in {name} of account 123456789012."
    sentence = json.loads(answer_to("400", {"Message": said}, name=name).body)["error"]
    assert sentence.endswith(f"Variant 'b' not found in {name} of account ....")


def test_what_may_be_starting_is_not_said_to_be_stopped() -> None:
    """SageMaker says the same of both, and IAM too."""
    creating = answer_to("400", {"Message": f"Endpoint {NAME} of account 1 not found."})
    absent = answer_to("403|429", {"Message": DENIED})
    assert creating == absent
    sentence = json.loads(creating.body)["error"]
    assert sentence.startswith(f"'{NAME}' does not serve now: it is stopped, being started, or ")
    told = f"GET /endpoint-expiry?EndpointName={NAME} tells. If its Wanted is running, call again"
    assert told in sentence


@pytest.mark.parametrize(
    ("status", "message", "expected"),
    [
        ("400", "Rate exceeded", (429, "TooManyRequests", {"Retry-After": "1"})),
        ("400", "Variant b of endpoint x not found.", (None, "InvalidInvocation", {})),
        ("413", "too long", (None, "BodyTooLarge", {})),
        ("403|429", "Rate exceeded", (429, "TooManyRequests", {"Retry-After": "1"})),
        ("403|429", "The model is not ready.", (None, "ModelNotReady", {"Retry-After": "5"})),
        ("403|429", DENIED, (503, "EndpointStopped", {"Retry-After": "60"})),
        (None, "whatever", (None, "AwsRefused", {})),
    ],
)
def test_a_refusal_has_a_status_and_a_code(
    status: str | None, message: str, expected: tuple[int | None, str, dict[str, str]]
) -> None:
    for key in ("Message", "message"):
        answer = answer_to(status, {key: message})
        assert (answer.status, code(answer), answer.headers) == expected


@settings(deadline=None)  # however busy the machine is
@given(message=MESSAGES)
def test_any_message_of_a_model_arrives_as_it_is(message: str) -> None:
    response = {"Message": "m", "OriginalStatusCode": 500, "OriginalMessage": message}
    answer = answer_to("424", response)
    sentence = json.loads(answer.body)["error"]
    assert sentence == f"The model failed with status 500: {message}"
    assert (answer.status, code(answer)) == (None, "ModelError")


@settings(deadline=None)  # however busy the machine is
@given(message=MESSAGES)
@example(message="of account 123456789012.")
@example(message="arn:aws:sagemaker:us-east-1:123456789012:endpoint/a-123456789012")
def test_any_message_of_sagemaker_arrives_as_it_is_without_its_account(message: str) -> None:
    sentence = json.loads(answer_to("400", {"Message": f"No: {message}"}).body)["error"]
    shown = re.sub(ACCOUNT_NUMBER, "...", message)
    assert sentence == f"SageMaker refused the call: No: {shown}"


def test_template_syntax_that_the_renderer_does_not_know_is_an_error() -> None:
    for unknown in ("$input.json('$')", "$util.urlEncode('x')", "#set(", "$util.parseJson('{')"):
        with pytest.raises(TemplateError):
            render(unknown, "{}", "r-1")
