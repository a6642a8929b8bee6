"""Integrations of type `lambda`: what may be configured, what is bundled, what is deployed."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import main
from constructs_lib.bundle import locked_requirements
from constructs_lib.config.called import called_models
from constructs_lib.config.file import notes, parse
from constructs_lib.config.problems import InvalidConfig
from constructs_lib.integration_packages import integration_packages, notes_on_requirements
from lambdas.core.called_models import CalledModel, CalledModels
from lambdas.core.settings import METRICS_NAMESPACE, WARM_UP, CallsSettings
from tests.synth.synthesis import FLAN, Stack, config_with

Synthesize = Callable[[dict[str, Any]], Stack]
TZDATA = next(
    line
    for line in locked_requirements(main.PROJECT / "Pipfile.lock").splitlines()
    if line.startswith("tzdata==")
)
WHERE = "jumpstart_models[0].integration.properties"


def calling(**properties: Any) -> dict[str, Any]:
    """A config whose one entry is called through a function."""
    chosen = {"api_resource_name": "flan", "lambda_src": "functions/flan", **properties}
    chosen = {name: value for name, value in chosen.items() if value is not None}
    return config_with({**FLAN, "integration": {"type": "lambda", "properties": chosen}})


def project_with(folder: Path, files: Mapping[str, str]) -> Path:
    for name, text in {"lambdas/__init__.py": "", "lambdas/core/a.py": "", **files}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def packaged(project: Path, **properties: Any) -> list[str]:
    """The names of the files in the package of the entry."""
    document = calling(lambda_src="mine", **properties)
    config = parse({**document, "lambda": {"layer_platform": "host"}})
    archive = integration_packages(config, project, main.CACHE)["FlanT5"]
    return zipfile.ZipFile(archive.path).namelist()


def problems_of(call: Callable[[], object]) -> list[str]:
    with pytest.raises(InvalidConfig) as refused:
        call()
    return [str(problem) for problem in refused.value.problems]


def test_the_package_of_a_function_holds_its_folder_and_the_lambdas_package(tmp_path: Path) -> None:
    files = {"mine/index.py": "handler = print\n", "mine/bin/x.py": "", "mine/.git/x": ""}
    other = {"functions/falcon/index.py": "", "mine/__pycache__/x.pyc": ""}
    names = packaged(project_with(tmp_path, files | other))
    assert names == ["bin/x.py", "index.py", "lambdas/__init__.py", "lambdas/core/a.py"]


def test_requirements_of_a_function_are_bundled(tmp_path: Path) -> None:
    files = {"mine/index.py": "handler = print\n", "mine/requirements.txt": TZDATA}
    names = packaged(project_with(tmp_path, files))
    assert "tzdata/zoneinfo/Australia/Melbourne" in names
    assert "index.py" in names


def test_requirements_without_hashes_are_noted(tmp_path: Path) -> None:
    project = project_with(tmp_path, {"mine/requirements.txt": "tzdata==2025.2\n"})
    (note,) = notes_on_requirements(parse(calling(lambda_src="mine")), project)
    assert "mine/requirements.txt has no hashes" in note
    (project / "mine/requirements.txt").write_text(TZDATA)
    assert not list(notes_on_requirements(parse(calling(lambda_src="mine")), project))


@pytest.mark.parametrize(
    ("files", "properties", "problem"),
    [
        ({}, {}, "lambda_src: there is no folder 'mine' in the project"),
        (
            {"mine/other.py": ""},
            {},
            (
                "handler: 'index.handler' is to be `handler` in mine/index.py, and there is "
                "no such file"
            ),
        ),
        (
            {"mine/index.py": "def handle(): ...\n"},
            {},
            "handler: mine/index.py defines no `handler`",
        ),
        (
            {"mine/app/main.py": "def serve(): ...\n"},
            {"handler": "app.main.handler"},
            "handler: mine/app/main.py defines no `handler`",
        ),
        (
            {"mine/index.py": "handler = (\n"},
            {},
            "handler: mine/index.py is no Python: '(' was never closed (<unknown>, line 1)",
        ),
        (
            {"mine/index.py": "handler = 1\n", "mine/lambdas/a.py": ""},
            {},
            ("lambda_src: holds a `lambdas` of its own, where that of the project goes; rename it"),
        ),
        (
            {"mine/index.py": "handler = 1\n", "mine/requirements.txt": "a==1\n-r other.txt\n"},
            {},
            (
                "lambda_src: mine/requirements.txt, line 2: what other files name is not "
                "bundled; name the packages here"
            ),
        ),
    ],
)
def test_a_folder_that_holds_no_valid_function_is_reported(
    tmp_path: Path, files: dict[str, str], properties: dict[str, Any], problem: str
) -> None:
    project = project_with(tmp_path, files)
    assert problems_of(lambda: packaged(project, **properties)) == [f"{WHERE}.{problem}"]


def test_the_error_for_requirements_that_cannot_be_installed_quotes_the_installer(
    tmp_path: Path,
) -> None:
    wrong = re.sub("sha256:.{5}", "sha256:00000", TZDATA)
    files = {"mine/index.py": "handler = 1\n", "mine/requirements.txt": wrong}
    (problem,) = problems_of(lambda: packaged(project_with(tmp_path, files)))
    assert problem.startswith(f"{WHERE}.lambda_src: mine/requirements.txt cannot be installed for")
    assert "tzdata" in problem


@pytest.mark.parametrize(
    ("properties", "problem"),
    [
        (
            {"lambda_src": "../mine"},
            "lambda_src: must be a folder of the project, such as functions/falcon",
        ),
        (
            {"image_uri": "123456789012.dkr.ecr.us-east-1.amazonaws.com/mine:1"},
            "lambda_src: has no meaning with `image_uri`: the image brings it along",
        ),
        (
            {"provisioned_concurrency": 1, "keep_warm": {}},
            (
                "keep_warm: has no use where `provisioned_concurrency` keeps the function ready; "
                "remove one"
            ),
        ),
        (
            {"provisioned_concurrency": 3, "reserved_concurrency": 2},
            (
                "provisioned_concurrency: must be at most 2 (reserved_concurrency), which is all "
                "that may run at once"
            ),
        ),
        ({"timeout_seconds": 301}, "timeout_seconds: must be at most 300, not 301"),
        (
            {"environment": {"AWS_REGION": "x"}},
            "environment.AWS_REGION: is set by Lambda or this product; rename it",
        ),
        (
            {"environment": {"ENDPOINT_NAME": "x"}},
            "environment.ENDPOINT_NAME: is set by Lambda or this product; rename it",
        ),
        (
            {"environment": {"A-B": "x"}},
            (
                "environment.A-B: is no name of a variable of a function: two or more letters, "
                "digits and '_', beginning with a letter, not 'A-B'"
            ),
        ),
        ({"handler": "index"}, "handler: must be a module and a name in it"),
        ({"image_uri": "docker.io/mine", "lambda_src": None}, "image_uri: must be an image in ECR"),
        ({"layers": ["mine"]}, "layers[0]: must be the ARN of a version of a layer"),
    ],
)
def test_invalid_and_contradictory_settings_are_reported(
    properties: dict[str, Any], problem: str
) -> None:
    (found,) = problems_of(lambda: parse(calling(**properties)))
    assert found.startswith(f"{WHERE}.{problem}")


def test_each_variable_that_cannot_be_is_named_at_once() -> None:
    names = ("X", "AWS_REGION", "1A", "_A")
    found = problems_of(lambda: parse(calling(environment=dict.fromkeys(names, "x"))))
    assert [each.partition(":")[0] for each in found] == [
        f"{WHERE}.environment.{name}" for name in sorted(names)
    ]


def test_function_settings_without_a_function_are_refused() -> None:
    properties = {"api_resource_name": "flan", "memory_mb": 128}
    entry = {**FLAN, "integration": {"type": "api", "properties": properties}}
    (found,) = problems_of(lambda: parse(config_with(entry)))
    assert found.startswith(f"{WHERE}.memory_mb: has no meaning where `type` is 'api'")


@pytest.mark.parametrize(("given", "waits"), [(None, None), (20, None), (30, 30), (300, 300)])
def test_api_gateway_and_both_functions_wait_as_long_as_an_answer_may_take(
    stack_of: Synthesize, given: int | None, waits: int | None
) -> None:
    stack = stack_of(calling(proxy=True, **({"timeout_seconds": given} if given else {})))
    for route in ("model_flan", "model_flan_below"):
        integration = stack.one("aws_api_gateway_integration", route)
        assert integration.get("timeout_milliseconds") == (waits and waits * 1000)
    assert stack.one("aws_lambda_function", "model-FlanT5")["timeout"] == (given or 29)
    assert stack.one("aws_lambda_function", "calls")["timeout"] == (waits or 29)
    (model,) = called(stack).values()
    assert model.seconds == (waits or 29)


def test_a_slow_model_takes_no_time_from_the_others(stack_of: Synthesize) -> None:
    slow = calling(timeout_seconds=120)["jumpstart_models"][0]
    properties = {"api_resource_name": "quick", "lambda_src": "functions/flan"}
    quick = {**FLAN, "name": "Quick", "integration": {"type": "lambda", "properties": properties}}
    stack = stack_of(config_with(slow, quick))
    assert {path: model.seconds for path, model in called(stack).items()} == {
        "flan": 120,
        "quick": 29,
    }
    assert "timeout_milliseconds" not in stack.one("aws_api_gateway_integration", "model_quick")
    assert stack.one("aws_lambda_function", "calls")["timeout"] == 120


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (29, []),
        (60, ["at least 60,000"]),
        (61, ["at least 61,000", "gives a model 60 s for each call"]),
    ],
)
@pytest.mark.parametrize("kind", ["lambda", "api"])
def test_a_timeout_that_needs_a_quota_is_noted(seconds: int, told: list[str], kind: str) -> None:
    properties: dict[str, Any] = {"api_resource_name": "flan", "timeout_seconds": seconds}
    if kind == "lambda":
        properties["lambda_src"] = "functions/flan"
    integration = {"type": kind, "properties": properties}
    entry = {**FLAN, "schedule": {}, "integration": integration}
    found = list(notes(parse(config_with(entry)), datetime(2026, 1, 1, tzinfo=UTC)))
    assert len(found) == len(told)
    for note, part in zip(found, told, strict=True):
        assert part in note


def test_a_function_has_the_settings_of_its_entry(stack_of: Synthesize) -> None:
    arn = "arn:aws:lambda:us-east-1:123456789012:layer:mine:3"
    stack = stack_of(
        calling(layers=[arn], memory_mb=1024, timeout_seconds=20, environment={"TONE": "kind"})
    )
    found = stack.one("aws_lambda_function", "model-FlanT5")
    assert found["function_name"] == "demo-model-FlanT5"
    assert (found["memory_size"], found["timeout"]) == (1024, 20)
    assert found["layers"] == ["${aws_lambda_layer_version.dependencies.arn}", arn]
    variables = found["environment"]["variables"]
    assert (variables["TONE"], variables["ANSWER_WITHIN_SECONDS"]) == ("kind", "17")


def test_a_function_may_be_an_image(stack_of: Synthesize) -> None:
    uri = "123456789012.dkr.ecr.us-east-1.amazonaws.com/mine:1"
    stack = stack_of(calling(image_uri=uri, lambda_src=None))
    found = stack.one("aws_lambda_function", "model-FlanT5")
    assert (found["package_type"], found["image_uri"]) == ("Image", uri)
    assert not {"handler", "runtime", "layers", "s3_key"} & set(found)


def test_a_function_may_call_only_its_own_endpoint(stack_of: Synthesize) -> None:
    statements = stack_of(calling()).statements("model-FlanT5")
    (invoke,) = [s for s in statements if "sagemaker:InvokeEndpoint" in s["Action"]]
    names = {resource.rpartition(":")[2] for resource in invoke["Resource"]}
    assert names == {
        "endpoint/demo-FlanT5-Endpoint",
        "endpoint/demo-flant5-endpoint",
        "inference-component/*",
    }
    assert invoke["Condition"] == {
        "StringEquals": {
            "aws:ResourceTag/endpoint-meter:stack": ["demo-us-east-1", "demo-us-east-1/adopted"]
        }
    }


@pytest.mark.parametrize("function", ["model-FlanT5", "calls"])
def test_provisioned_instances_are_behind_an_alias_of_the_newest_version(
    stack_of: Synthesize, function: str
) -> None:
    stack = stack_of(calling(provisioned_concurrency=2))
    assert stack.one("aws_lambda_function", function)["publish"] is True
    alias = stack.one("aws_lambda_alias", function)
    assert alias["function_version"] == f"${{aws_lambda_function.{function}.version}}"
    ready = stack.one("aws_lambda_provisioned_concurrency_config", function)
    assert ready["qualifier"] == f"${{aws_lambda_alias.{function}.name}}"
    assert ready["provisioned_concurrent_executions"] == 2


def test_a_schedule_keeps_a_function_warm_and_the_one_before_it(stack_of: Synthesize) -> None:
    stack = stack_of(calling(keep_warm={"minutes": 4}))
    for function in ("model-FlanT5", "calls"):
        schedule = stack.one("aws_scheduler_schedule", function)
        assert schedule["schedule_expression"] == "rate(4 minutes)"
        assert json.loads(schedule["target"]["input"]) == WARM_UP
    invoked = {arn for each in stack.statements("keep_warm") for arn in each["Resource"]}
    assert invoked == {
        "${aws_lambda_function.calls.arn}",
        "${aws_lambda_function.model-FlanT5.arn}",
    }
    assert "publish" not in stack.one("aws_lambda_function", "model-FlanT5")


def test_a_route_leads_to_its_function_through_calls(stack_of: Synthesize) -> None:
    stack = stack_of(calling())
    assert stack.one("aws_api_gateway_method", "model_flan")["http_method"] == "ANY"
    integration = stack.one("aws_api_gateway_integration", "model_flan")
    assert integration["type"] == "AWS_PROXY"
    assert integration["uri"] == "${aws_lambda_function.calls.invoke_arn}"
    assert called(stack) == {"flan": CalledModel("FlanT5")}
    assert invoked(stack) == ["${aws_lambda_function.model-FlanT5.arn}"]
    permission = stack.one("aws_lambda_permission", "calls")
    assert permission["function_name"] == "${aws_lambda_function.calls.function_name}"
    assert "aws_lambda_permission.calls" in stack.upstream("aws_api_gateway_deployment.api")


def test_a_route_with_provisioned_instances_leads_to_their_alias(stack_of: Synthesize) -> None:
    stack = stack_of(calling(provisioned_concurrency=2))
    integration = stack.one("aws_api_gateway_integration", "model_flan")
    assert integration["uri"] == "${aws_lambda_alias.calls.invoke_arn}"
    permission = stack.one("aws_lambda_permission", "calls")
    assert permission["qualifier"] == "${aws_lambda_alias.calls.name}"
    assert invoked(stack) == ["${aws_lambda_alias.model-FlanT5.arn}"]
    (model,) = called(stack).values()
    assert model.alias == stack.one("aws_lambda_alias", "model-FlanT5")["name"]


def test_without_functions_of_entries_there_is_none_before_them(stack_of: Synthesize) -> None:
    stack = stack_of(config_with(FLAN))
    assert "calls" not in stack.all("aws_lambda_function")


def test_a_called_model_has_the_names_of_its_entry(stack_of: Synthesize) -> None:
    models = CalledModels.parse(settings_of_calls(stack_of(calling())).models)
    model = models.routes["flan"]
    assert models.endpoint_name(model) == "demo-FlanT5-Endpoint"
    assert models.function_name(model) == "demo-model-FlanT5"
    assert models.function_name(replace(model, alias="live")) == "demo-model-FlanT5:live"


def settings_of_calls(stack: Stack) -> CallsSettings:
    variables = stack.one("aws_lambda_function", "calls")["environment"]["variables"]
    return CallsSettings.from_environment(variables)


def called(stack: Stack) -> Mapping[str, CalledModel]:
    """The models behind the function `calls`, by route."""
    return CalledModels.parse(settings_of_calls(stack).models).routes


def invoked(stack: Stack) -> list[str]:
    """The functions that `calls` may invoke."""
    (statement,) = [
        each for each in stack.statements("calls") if "lambda:InvokeFunction" in each["Action"]
    ]
    resources: list[str] = statement["Resource"]
    return resources


def test_a_proxy_integration_gets_every_path_below_its_route(stack_of: Synthesize) -> None:
    stack = stack_of(calling(proxy=True))
    below = stack.one("aws_api_gateway_resource", "model_flan_below")
    assert below["path_part"] == "{proxy+}"
    assert below["parent_id"] == "${aws_api_gateway_method.model_flan.resource_id}"
    for route in ("model_flan", "model_flan_below"):
        method = stack.one("aws_api_gateway_method", route)
        assert (method["http_method"], method["authorization"]) == ("ANY", "CUSTOM")
        uri = stack.one("aws_api_gateway_integration", route)["uri"]
        assert uri == "${aws_lambda_function.calls.invoke_arn}"


def waking(integration: dict[str, Any] | None, **wake: int) -> dict[str, Any]:
    entry = {**FLAN, "wake_on_request": {"minutes": 10, **wake}}
    return config_with({**entry, "integration": integration} if integration else entry)


LAMBDA = {
    "type": "lambda",
    "properties": {"api_resource_name": "a", "lambda_src": "functions/flan"},
}


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        (waking(None), "needs an `integration` of type 'lambda'"),
        (
            waking({"type": "api", "properties": {"api_resource_name": "flan"}}),
            "needs an `integration` of type 'lambda'",
        ),
        (waking({**LAMBDA, "public": True}), "goes with no `public` integration"),
    ],
)
def test_waking_needs_a_function_and_a_token(document: dict[str, Any], problem: str) -> None:
    (found,) = problems_of(lambda: parse(document))
    assert found.startswith(f"jumpstart_models[0].wake_on_request: {problem}")


def test_minutes_of_waking_over_the_maximum_lease_are_refused() -> None:
    document = {**waking(LAMBDA, minutes=61), "max_lease_minutes": 60}
    (found,) = problems_of(lambda: parse(document))
    expected = "jumpstart_models[0].wake_on_request.minutes: must be at most 60 (max_lease_minutes)"
    assert found == expected


def test_a_lease_that_calls_extend_lasts_two_minutes_at_least() -> None:
    (found,) = problems_of(lambda: parse(waking(LAMBDA, minutes=1, extend=True)))
    assert found.startswith("jumpstart_models[0].wake_on_request.minutes: must be at least 2")
    parse(waking(LAMBDA, minutes=2, extend=True))
    parse(waking(LAMBDA, minutes=1))


def test_the_role_of_a_models_function_reaches_its_endpoint_and_nothing_else(
    stack_of: Synthesize,
) -> None:
    logs = {"logs:CreateLogStream", "logs:PutLogEvents"}
    for document in (calling(), waking(LAMBDA)):
        statements = stack_of(document).statements("model-FlanT5")
        actions = {action for statement in statements for action in statement["Action"]}
        assert actions == {"sagemaker:InvokeEndpoint"} | logs


def test_calls_may_write_only_where_it_wakes(stack_of: Synthesize) -> None:
    arn = "${aws_dynamodb_table.state.arn}"
    wakes = {"dynamodb:PutItem", "sqs:SendMessage"}
    for document, keys, actions in (
        (calling(), [], set()),
        (waking(LAMBDA), ["ENDPOINT#demo-flant5-endpoint"], wakes),
    ):
        statements = stack_of(document).statements("calls")
        allowed = {action for statement in statements for action in statement["Action"]}
        assert allowed & wakes == actions
        written = [
            each["Condition"]["ForAllValues:StringEquals"]["dynamodb:LeadingKeys"]
            for each in statements
            if arn in each["Resource"] and "dynamodb:UpdateItem" in each["Action"]
        ]
        assert written == ([keys] if keys else [])


def test_calls_knows_how_each_endpoint_is_woken(stack_of: Synthesize) -> None:
    stack = stack_of(waking(LAMBDA, wakes_per_token_an_hour=3))
    (model,) = called(stack).values()
    assert (model.wake_minutes, model.wakes_per_token_an_hour, model.extends) == (10, 3, False)
    (model,) = called(stack_of(waking(LAMBDA, extend=True))).values()
    assert model.extends


def many(count: int) -> dict[str, Any]:
    def entry(number: int) -> dict[str, Any]:
        properties = {"api_resource_name": f"a{number}", "lambda_src": "functions/flan"}
        wake = {"minutes": 1_440, "wakes_per_token_an_hour": 1_000, "extend": True}
        integration = {"type": "lambda", "properties": properties}
        return {**FLAN, "name": f"A{number}", "integration": integration, "wake_on_request": wake}

    return config_with(*map(entry, range(count)))


def test_more_routes_than_fit_the_environment_of_the_function_calls_are_refused() -> None:
    most = next(count for count in range(60, 100) if not _fits(count + 1))
    config = parse(many(most))
    longest = "p" * 30
    queue = f"https://sqs.ap-southeast-1.amazonaws.com.cn/123456789012/{longest}-starts"
    settings = CallsSettings(
        state_table=f"{longest}-state",
        history_table=f"{longest}-history",
        history_days=3_650,
        starts_queue_url=queue,
        work_queue_url=queue,
        token_requests_per_minute=1_000_000,
        cors_origin="",
        models=str(called_models(config)),
    )
    others = {
        "POWERTOOLS_METRICS_NAMESPACE": METRICS_NAMESPACE,
        "POWERTOOLS_SERVICE_NAME": longest,
        "PYTHONTZPATH": "",
    }
    assert len(json.dumps(settings.to_environment() | others)) < 4_096

    with pytest.raises(InvalidConfig, match=r"jumpstart_models: the routes of type 'lambda' take"):
        parse(many(most + 1))


def _fits(count: int) -> bool:
    try:
        parse(many(count))
    except InvalidConfig:
        return False
    return True
