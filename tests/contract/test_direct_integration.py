"""API Gateway calls SageMaker Runtime directly, with the deployed templates: the emulator in front
of a simulator, over real HTTP."""

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Barrier
from typing import Any

import httpx
import pytest

from constructs_lib.api.direct_refusals import REFUSALS, template
from lambdas.core.invocation import ANSWER_HEADERS, REQUEST_HEADERS
from tests.contract.emulator_process import REGION, Emulator, running_emulator
from tests.contract.model_requests import FORM, FORM_TYPE, WRONG_VALUES
from tests.contract.simulated import Simulated, simulated

ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
SERVICE = f"arn:aws:apigateway:{REGION}:runtime.sagemaker"
SOME_BYTES = random.Random(60).randbytes(100_000)  # noqa: S311  # no secret
ROLE = "arn:aws:iam::000000000000:role/caller"


@dataclass(frozen=True)
class Route:
    """A deployed route that calls an endpoint."""

    url: str
    host: str
    sagemaker: Simulated

    def post(self, body: bytes, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        own = {"Host": self.host}
        return httpx.post(self.url, content=body, headers=own | named, timeout=60)

    def fails_with(self, failure: str) -> None:
        self.sagemaker.fault("InvokeEndpoint", failure)


@pytest.fixture(scope="module")
def emulators(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Emulator, Simulated]]:
    with (
        simulated() as sagemaker,
        running_emulator(
            tmp_path_factory.mktemp("emulator"),
            AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME=sagemaker.server.url,
        ) as emulator,
    ):
        sagemaker.has_endpoint("model")
        yield emulator, sagemaker


@pytest.fixture(scope="module")
def route(emulators: tuple[Emulator, Simulated]) -> Route:
    return deployed(*emulators, "model")


def deployed(
    emulator: Emulator, sagemaker: Simulated, endpoint: str, milliseconds: int = 29_000, **more: Any
) -> Route:
    """Deploy a route as the stack does."""
    apis = emulator.client("apigateway")
    api = apis.create_rest_api(name="any", binaryMediaTypes=["*/*"])["id"]
    root = apis.get_resources(restApiId=api)["items"][0]["id"]
    method = {"restApiId": api, "resourceId": root, "httpMethod": "POST"}
    apis.put_method(**method, authorizationType="NONE")
    integration = {
        "type": "AWS",
        "integrationHttpMethod": "POST",
        "uri": f"{SERVICE}:path/endpoints/{endpoint}/invocations",
        "credentials": ROLE,
        "requestParameters": {
            f"integration.request.header.{name}": f"method.request.header.{name}"
            for name in REQUEST_HEADERS.values()
        },
        "passthroughBehavior": "WHEN_NO_TEMPLATES",
        "timeoutInMillis": milliseconds,
    }
    apis.put_integration(**method, **(integration | more))
    answer = "method.response.header."
    apis.put_integration_response(
        **method,
        statusCode="200",
        selectionPattern=r"2\d{2}",
        responseParameters={
            answer + name: f"integration.response.header.{name}" for name in ANSWER_HEADERS.values()
        },
    )
    for refusal in REFUSALS:
        apis.put_integration_response(
            **method,
            statusCode=str(refusal.status),
            **({"selectionPattern": refusal.when} if refusal.when else {}),
            responseParameters={f"{answer}Content-Type": "'application/json'"},
            responseTemplates={"application/json": template(refusal, endpoint)},
            contentHandling="CONVERT_TO_TEXT",
        )
    templates = {"application/json": '{"code":"FromTheApi","requestId":"$context.requestId"}'}
    for kind in ("INTEGRATION_TIMEOUT", "DEFAULT_5XX"):
        apis.put_gateway_response(restApiId=api, responseType=kind, responseTemplates=templates)
    apis.create_deployment(restApiId=api, stageName="prod")
    return Route(f"{emulator.url}/prod", f"{api}.execute-api.localhost", sagemaker)


@pytest.mark.parametrize("content_type", ["application/octet-stream", "image/png", "text/csv"])
@pytest.mark.parametrize("accept", ["*/*", "image/png", "application/json;q=1, */*"])
def test_bytes_pass_unchanged_in_both_directions(
    route: Route, content_type: str, accept: str
) -> None:
    body = SOME_BYTES + b"\xff$input.body#end\r\n\x00"

    answer = route.post(body, Content_Type=content_type, Accept=accept)

    assert answer.status_code == 200
    assert answer.content == body
    assert answer.headers["content-type"] == content_type


def test_a_body_that_looks_like_a_template_passes_unchanged(route: Route) -> None:
    body = rb"""#set($x = 1)$input.body ${context.requestId} \" \\ ' "q" """

    assert route.post(body, Content_Type="application/json").content == body


def test_an_empty_body_passes_unchanged(route: Route) -> None:
    answer = route.post(b"", Content_Type="text/csv")

    assert (answer.status_code, answer.content) == (200, b"")


def test_custom_attributes_and_the_variant_come_back(route: Route) -> None:
    answer = route.post(b"{}", **{ATTRIBUTES: 'trace=1; it\'s "quoted" $x'})

    assert answer.headers[ATTRIBUTES] == 'trace=1; it\'s "quoted" $x'
    assert answer.headers["x-amzn-invoked-production-variant"] == "AllTraffic"
    assert ATTRIBUTES.lower() not in route.post(b"{}").headers


def test_only_headers_that_are_mapped_are_sent(
    emulators: tuple[Emulator, Simulated],
) -> None:
    route = deployed(*emulators, "model", requestParameters={})

    answer = route.post(b"{}", X_Amzn_SageMaker_Target_Variant="no-such-variant")

    assert answer.status_code == 200


@pytest.mark.parametrize(("header", "value"), WRONG_VALUES.items())
def test_headers_reach_sagemaker_and_its_reason_the_caller(
    route: Route, header: str, value: str
) -> None:
    answer = route.post(b"{}", **{header: value})

    assert (answer.status_code, answer.json()["code"]) == (400, "InvalidInvocation")
    assert f"'{value}'" in answer.json()["error"]


def test_unknown_variant_is_named_and_the_account_is_not(route: Route) -> None:
    answer = route.post(b"{}", X_Amzn_SageMaker_Target_Variant="Third")

    assert answer.json()["error"] == (
        "SageMaker refused the call: Variant Third of endpoint model of account ... not found."
    )


def test_session_begins_and_ends(route: Route) -> None:
    begun = route.post(b"", X_Amzn_SageMaker_Session_Id="NEW_SESSION")
    session = begun.headers["X-Amzn-SageMaker-New-Session-Id"].partition(";")[0]
    ended = route.post(b'{"requestType": "CLOSE"}', X_Amzn_SageMaker_Session_Id=session)

    assert ended.headers["X-Amzn-SageMaker-Closed-Session-Id"] == session


def test_form_of_several_parts_passes_unchanged(route: Route) -> None:
    answer = route.post(FORM, Content_Type=FORM_TYPE)

    assert (answer.content, answer.headers["content-type"]) == (FORM, FORM_TYPE)


@pytest.mark.parametrize(
    ("failure", "status", "code", "wait"),
    [
        ("ModelError", 424, "ModelError", None),
        ("ModelNotReadyException", 503, "ModelNotReady", "5"),
        ("ThrottlingException", 429, "TooManyRequests", "1"),
        ("InternalFailure", 502, "AwsRefused", None),
        ("ServiceUnavailable", 502, "AwsRefused", None),
        ("InternalDependencyException", 502, "AwsRefused", None),
        ("ValidationError", 400, "InvalidInvocation", None),
    ],
)
def test_refusals_of_sagemaker_become_our_json_errors(
    route: Route, failure: str, status: int, code: str, wait: str | None
) -> None:
    route.fails_with(failure)

    answer = route.post(b"{}")

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers.get("retry-after") == wait
    error = answer.json()
    assert error["code"] == code
    assert error["requestId"] == answer.headers["x-amzn-requestid"]


def test_the_error_contains_the_message_and_status_of_the_model(route: Route) -> None:
    route.fails_with("ModelError")

    sentence = route.post(b"{}").json()["error"]

    assert sentence.startswith("The model failed with status 0: Your invocation timed out")


def test_an_absent_endpoint_is_a_503(
    emulators: tuple[Emulator, Simulated],
) -> None:
    answer = deployed(*emulators, "absent").post(b"{}")

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "60")
    assert answer.json()["code"] == "EndpointStopped"


def test_a_body_that_is_too_long_for_sagemaker_is_a_413(route: Route) -> None:
    answer = route.post(b"x" * 6_291_457)

    assert (answer.status_code, answer.json()["code"]) == (413, "BodyTooLarge")


def test_a_model_that_does_not_answer_in_time_is_a_504_from_the_gateway_response(
    emulators: tuple[Emulator, Simulated],
) -> None:
    route = deployed(*emulators, "model", milliseconds=200)
    route.fails_with("TimeoutAfter")

    answer = route.post(b"{}")

    assert (answer.status_code, answer.json()["code"]) == (504, "FromTheApi")


@pytest.mark.parametrize(
    "wrong",
    [
        {"credentials": ""},
        {"requestTemplates": {"application/json": "$input.json('$')"}},
        {"requestParameters": {"integration.request.path.x": "method.request.path.x"}},
    ],
)
def test_an_invalid_integration_is_a_500(
    emulators: tuple[Emulator, Simulated], wrong: dict[str, Any]
) -> None:
    answer = deployed(*emulators, "model", **wrong).post(b"{}")

    assert (answer.status_code, answer.json()["code"]) == (500, "FromTheApi")


def test_concurrent_calls_of_models_do_not_wait_for_each_other(
    emulators: tuple[Emulator, Simulated], route: Route, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulator = route.sagemaker.simulator
    all_here, invoke = Barrier(40), simulator.invoke

    def invoke_together(*call: Any) -> str:
        all_here.wait(29)
        return invoke(*call)

    monkeypatch.setattr(simulator, "invoke", invoke_together)

    with ThreadPoolExecutor(40) as callers:
        answers = callers.map(lambda _: route.post(b"{}").status_code, range(40))

    assert set(answers) == {200}
