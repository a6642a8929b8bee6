from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest

from lambdas.aws.attribute_values import decode
from lambdas.aws.items import spec_of
from lambdas.aws.state_store import DUE_INDEX
from lambdas.core import settings
from lambdas.core.name_patterns import MAX_PATTERNS
from lambdas.core.schedule import Schedule
from lambdas.core.spec import Origin
from lambdas.handlers import sweep
from tests.synth.conftest import Synthesize
from tests.synth.synthesis import EXAMPLES, FLAN, Stack, config_with

WORKDAYS = {
    "name": "workdays",
    "start_time": "22:00",
    "stop_time": "06:00",
    "days": ["mon", "tue"],
    "timezone": "Australia/Melbourne",
    "except_dates": ["26/01/2027"],
}
RUNNING = ("aws_lambda_function", "aws_dynamodb_table", "aws_sqs_queue", "aws_iam_role_policy")


def item(stack: Stack, endpoint: str) -> dict[str, Any]:
    return decode(json.loads(stack.one("aws_dynamodb_table_item", endpoint)["item"]))


def test_the_aws_provider_is_limited_to_the_tested_versions(stack: Stack) -> None:
    assert stack.document["terraform"]["required_providers"]["aws"] == {
        "source": "hashicorp/aws",
        "version": "~> 5.100.0",
    }


def test_each_prefix_and_region_has_a_local_state_outside_the_synth_output(
    stack: Stack, stack_of: Synthesize
) -> None:
    def path(of: Stack) -> str:
        found: str = of.document["terraform"]["backend"]["local"]["path"]
        return found

    folder = "../../../.terraform-state"
    assert path(stack) == f"{folder}/demo/us-east-1/endpoint-manager.tfstate"
    other = stack_of(config_with(FLAN, project_prefix="other"))
    assert path(other) == f"{folder}/other/us-east-1/endpoint-manager.tfstate"


def test_state_in_a_bucket_has_a_lock_file(stack_of: Synthesize) -> None:
    backend = {"type": "s3", "bucket": "our-states", "key": "meter.tfstate"}
    stack = stack_of(config_with(FLAN, backend=backend))
    assert stack.document["terraform"]["backend"]["s3"] == {
        "bucket": "our-states",
        "encrypt": True,
        "key": "meter.tfstate",
        "region": "us-east-1",
        "use_lockfile": True,
    }


def test_the_invocation_that_drains_keeps_its_address_and_its_function(stack: Stack) -> None:
    """If either changes, Terraform replaces the invocation, and that stops every endpoint."""
    sync = stack.one("aws_lambda_invocation", "sync")
    assert sync["function_name"] == "demo-sweep"
    assert sync["lifecycle_scope"] == "CRUD"
    assert "qualifier" not in sync
    assert "triggers" not in sync


@pytest.mark.parametrize(
    ("policy", "count"),
    [
        ({}, 4),
        ({"TerminationWaitInSeconds": 300}, 5),
        ({"MaximumExecutionTimeoutInSeconds": 600}, 5),
        ({"MaximumExecutionTimeoutInSeconds": 28_800}, 52),
    ],
    ids=str,
)
def test_a_deploy_has_enough_chained_waits_for_the_longest_update(
    stack_of: Synthesize, policy: dict[str, Any], count: int
) -> None:
    routing = {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}
    blue_green = {"TrafficRoutingConfiguration": routing, **policy}
    update = {"DeploymentConfig": {"BlueGreenUpdatePolicy": blue_green}}
    stack = stack_of(config_with({**FLAN, "name": "Short"}, {**FLAN, "update": update}))
    chain = waits(stack)
    assert len(chain) == count
    for former, later in itertools.pairwise(["sync", *chain, "verdict"]):
        depends = stack.one("aws_lambda_invocation", later)["depends_on"]
        assert depends == [f"aws_lambda_invocation.{former}"]


def waits(stack: Stack) -> list[str]:
    """The invocations that wait, in their order."""
    named = [step for step in stack.all("aws_lambda_invocation") if step.startswith("wait")]
    return sorted(named, key=lambda step: int(step.partition("_")[2] or 1))


def test_sync_depends_on_every_resource_that_a_drain_needs(stack: Stack) -> None:
    before = stack.upstream("aws_lambda_invocation.sync")
    after_sync = {f"aws_lambda_invocation.{step}" for step in ("sync", *waits(stack), "verdict")}
    everything = {
        f"{kind}.{logical_id}"
        for kind, resources in stack.document["resource"].items()
        for logical_id in resources
        if kind != "terraform_data"
    }
    assert everything - after_sync == before


def test_old_configs_are_deleted_only_after_the_verdict(stack: Stack) -> None:
    before = stack.upstream("terraform_data.settled")
    asked = {f"aws_lambda_invocation.{step}" for step in ("sync", *waits(stack), "verdict")}
    assert asked < before
    assert {f"aws_sagemaker_endpoint_configuration.{x}" for x in configs(stack)} < before
    for kind in ("aws_sagemaker_endpoint_configuration", "aws_sagemaker_model", "aws_iam_role"):
        for address in configs(stack):
            kept = stack.one(kind, address)["lifecycle"]
            assert kept == {"create_before_destroy": True}


def test_items_of_withdrawn_entries_are_deleted_before_sync(stack: Stack) -> None:
    """Terraform deletes dependencies of sync before it updates sync, unless they have
    create_before_destroy."""
    for found in stack.all("aws_dynamodb_table_item").values():
        assert "lifecycle" not in found


def test_a_spec_is_written_after_all_functions_that_read_it_have_the_new_code(
    stack_of: Synthesize,
) -> None:
    """Callers of a function with provisioned instances reach it through its alias."""
    called = {"api_resource_name": "flan", "lambda_src": "functions/flan"}
    properties = {**called, "handler": "index.handler", "provisioned_concurrency": 1}
    integration = {"type": "lambda", "properties": properties}
    stack = stack_of(config_with({**FLAN, "integration": integration}))
    code = {
        f"{kind}.{logical_id}"
        for kind in ("aws_lambda_function", "aws_lambda_alias")
        for logical_id in stack.all(kind)
    }
    assert {"aws_lambda_function.reconciler", "aws_lambda_alias.model-FlanT5"} < code
    assert code < stack.upstream("aws_dynamodb_table_item.demo-FlanT5-Endpoint")


def configs(stack: Stack) -> set[str]:
    return set(stack.all("aws_sagemaker_endpoint_configuration"))


def test_a_protected_stack_refuses_its_destroy_before_anything_else(stack: Stack) -> None:
    protected = stack.one("terraform_data", "protected")
    (refusal,) = protected["provisioner"]
    assert refusal["local-exec"]["when"] == "destroy"
    assert refusal["local-exec"]["command"].endswith("exit 1")
    assert protected["depends_on"] == ["terraform_data.settled"]


def test_a_protected_stack_remembers_which_one_it_is(stack: Stack) -> None:
    """Terraform has to keep what it remembers, or the plan of another stack would overwrite it."""
    remembered = stack.one("terraform_data", "stack")
    assert remembered["input"] == {"tag": "demo-us-east-1"}
    assert remembered["lifecycle"] == {"ignore_changes": ["input"]}


def test_a_stack_without_protection_can_be_destroyed(stack_of: Synthesize) -> None:
    stack = stack_of(config_with(FLAN, deletion_protection=False))
    assert set(stack.all("terraform_data")) == {"settled"}
    assert not stack.one("aws_dynamodb_table", "state")["deletion_protection_enabled"]


def test_an_unsettled_endpoint_fails_every_apply_but_no_plan(stack: Stack) -> None:
    """Every plan would read a data source. A resource that could not be created is tried again by
    each apply only."""
    verdict = stack.one("aws_lambda_invocation", "verdict")
    assert verdict["lifecycle_scope"] == "CREATE_ONLY"
    assert json.loads(verdict["input"])["action"] == "settle"
    assert "lifecycle" not in verdict, "create_before_destroy would pass on to items and sync"
    assert set(stack.document["data"]) == {"aws_caller_identity", "aws_partition"}


@pytest.mark.parametrize(
    ("change", "asked"),
    [
        ({"inference_instance_type": "ml.g5.24xlarge"}, True),
        ({"instance_type_fallbacks": ["ml.g5.24xlarge"]}, True),
        ({"schedule": [WORKDAYS]}, False),
        ({"tags": {"team": "nlp"}}, False),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else str(value),
)
def test_a_deploy_asks_for_a_new_verdict_only_if_configs_change(
    stack_of: Synthesize, change: dict[str, Any], asked: bool
) -> None:
    def question(model: dict[str, Any]) -> str:
        found: str = stack_of(config_with(model)).one("aws_lambda_invocation", "verdict")["input"]
        return found

    assert (question({**FLAN}) != question({**FLAN, **change})) is asked


def test_the_manifest_names_the_same_configs_as_the_items(stack: Stack) -> None:
    for step in ("sync", *waits(stack)):
        event = json.loads(stack.one("aws_lambda_invocation", step)["input"])
        assert event["action"] == step.partition("_")[0]
        for endpoint, config in event["manifest"].items():
            address = config.removeprefix("demo-").replace("-", "_")
            reference = f"${{aws_sagemaker_endpoint_configuration.{address}.name}}"
            assert item(stack, endpoint)["endpoint_config_name"] == reference
            declared = stack.one("aws_sagemaker_endpoint_configuration", address)
            assert declared["name"] == config


def test_functions_can_read_the_spec_item(stack_of: Synthesize) -> None:
    stack = stack_of(config_with({**FLAN, "schedule": [WORKDAYS]}, max_lease_minutes=600))
    found = item(stack, "demo-FlanT5-Endpoint")
    spec = spec_of(found)
    assert found["pk"] == f"ENDPOINT#{spec.key}"
    assert spec.name == "demo-FlanT5-Endpoint"
    assert spec.origin is Origin.CONFIG
    assert spec.schedules == (Schedule.parse(WORKDAYS),)
    assert spec.initial_provision_minutes == 0
    assert spec.max_lease_minutes == 600


def test_the_initial_lease_is_in_the_item(stack: Stack) -> None:
    assert spec_of(item(stack, "demo-Falcon40B-Endpoint")).initial_provision_minutes == 90


@pytest.mark.parametrize(
    "change",
    [
        {"schedule": {"initial_provision_minutes": 5}},
        {"schedule": [WORKDAYS]},
        {"inference_instance_type": "ml.g5.24xlarge"},
        {"model_id": "huggingface-llm-falcon-40b-instruct-bf16"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_changed_entry_changes_its_hash_and_calls_sync(
    stack_of: Synthesize, change: dict[str, Any]
) -> None:
    def hash_and_event(model: dict[str, Any]) -> tuple[str, str]:
        stack = stack_of(config_with(model))
        sync: str = stack.one("aws_lambda_invocation", "sync")["input"]
        return item(stack, "demo-FlanT5-Endpoint")["spec_hash"], sync

    before, after = hash_and_event({**FLAN}), hash_and_event({**FLAN, **change})
    assert before[0] != after[0]
    assert before[1] != after[1]


def test_another_instance_type_makes_another_config(stack_of: Synthesize) -> None:
    before = stack_of(config_with(FLAN))
    after = stack_of(config_with({**FLAN, "inference_instance_type": "ml.g5.24xlarge"}))
    assert configs(before).isdisjoint(configs(after))


def test_a_changed_schedule_does_not_change_the_endpoint_config(stack_of: Synthesize) -> None:
    assert configs(stack_of(config_with(FLAN))) == configs(
        stack_of(config_with({**FLAN, "schedule": [WORKDAYS]}))
    )


def test_a_config_without_entries_makes_a_stack(stack_of: Synthesize) -> None:
    stack = stack_of(config_with())
    assert json.loads(stack.one("aws_lambda_invocation", "sync")["input"])["manifest"] == {}


@pytest.mark.parametrize("table", ["state", "history", "auth"])
def test_tables_are_protected_encrypted_and_restorable(stack: Stack, table: str) -> None:
    found = stack.one("aws_dynamodb_table", table)
    assert found["deletion_protection_enabled"] is True
    assert found["server_side_encryption"] == {"enabled": True}
    assert found["point_in_time_recovery"] == {"enabled": True}


def test_the_due_index_has_the_keys_that_the_tick_queries(stack: Stack) -> None:
    (index,) = stack.one("aws_dynamodb_table", "state")["global_secondary_index"]
    assert index["name"] == DUE_INDEX
    assert (index["hash_key"], index["range_key"]) == ("due_shard", "next_due")
    assert index["non_key_attributes"] == ["claimed_until", "next_step"]


def test_only_history_items_expire(stack: Stack) -> None:
    assert stack.one("aws_dynamodb_table", "history")["ttl"]["attribute_name"] == "ttl"
    assert "ttl" not in stack.one("aws_dynamodb_table", "state")


def test_an_auth_table_that_exists_already_is_only_read(stack_of: Synthesize) -> None:
    stack = stack_of(config_with(FLAN, create_auth_table=False, ddb_auth_table_name="tokens"))
    assert set(stack.all("aws_dynamodb_table")) == {"state", "history"}
    (reads,) = [s for s in stack.statements("authorizer") if "dynamodb:BatchGetItem" in s["Action"]]
    assert reads["Action"] == ["dynamodb:BatchGetItem"]
    assert reads["Resource"][0].endswith(":table/tokens")


@pytest.mark.parametrize(
    ("function", "of"),
    [
        ("authorizer", settings.AuthorizerSettings),
        ("api", settings.ApiSettings),
        ("tick", settings.TickSettings),
        ("reconciler", settings.ReconcilerSettings),
        ("sweep", settings.SweepSettings),
        ("adopter", settings.AdopterSettings),
    ],
)
def test_a_function_has_the_settings_that_its_handler_reads(
    stack: Stack, function: str, of: type[settings.Settings]
) -> None:
    found = stack.one("aws_lambda_function", function)
    variables = found["environment"]["variables"]
    assert of.from_environment(variables).to_environment().items() <= variables.items()
    assert variables["PYTHONTZPATH"] == ""
    assert found["handler"] == f"lambdas.handlers.{function}.handler"
    assert found["architectures"] == ["arm64"]
    assert found["runtime"] == "python3.13"


def test_the_longest_lists_of_names_fit_into_the_environment_of_a_function(
    stack_of: Synthesize,
) -> None:
    """The limit is 4 KB. A value that Terraform fills in counts as 100 characters."""
    longest = [f"{number:02}".ljust(63, "x") for number in range(MAX_PATTERNS)]
    lists = {"adoptable": longest, "addable_configs": longest}
    origin = f"https://{'x' * 100}.example.com"
    config = config_with(FLAN, cors_origin=origin, **lists)
    stack = stack_of({**config, "project_prefix": "p" * 30})
    for function in stack.all("aws_lambda_function").values():
        variables = function["environment"]["variables"]
        filled = {key: re.sub(r"\$\{[^}]*}", "x" * 100, text) for key, text in variables.items()}
        assert sum(len(key) + len(text) for key, text in filled.items()) <= 4_096


def test_each_function_has_its_own_role_and_a_log_with_retention(stack: Stack) -> None:
    roles = [function["role"] for function in stack.all("aws_lambda_function").values()]
    assert len(set(roles)) == len(roles) == 8
    for function in stack.all("aws_lambda_function"):
        assert stack.one("aws_cloudwatch_log_group", function)["retention_in_days"] == 30


def test_code_of_all_functions_comes_from_a_bucket(stack: Stack) -> None:
    for name, function in stack.all("aws_lambda_function").items():
        archive = name if name.startswith("model-") else "lambdas"
        assert "filename" not in function
        assert function["s3_key"] == f"${{aws_s3_object.{archive}.key}}"


def test_visibility_timeout_is_six_times_the_timeout_of_the_function(stack: Stack) -> None:
    timeout = stack.one("aws_lambda_function", "reconciler")["timeout"]
    for queue in ("starts", "work"):
        found = stack.one("aws_sqs_queue", queue)
        assert found["visibility_timeout_seconds"] == 6 * timeout
        redrive = json.loads(stack.one("aws_sqs_queue_redrive_policy", queue)["redrive_policy"])
        assert redrive["deadLetterTargetArn"] == f"${{aws_sqs_queue.{queue}_dead.arn}}"


def test_failed_messages_of_a_batch_are_reported_individually(stack: Stack) -> None:
    for queue in ("starts", "work"):
        found = stack.one("aws_lambda_event_source_mapping", queue)
        assert found["function_response_types"] == ["ReportBatchItemFailures"]
        assert found["scaling_config"] == {"maximum_concurrency": 4}


def test_a_missing_heartbeat_is_an_alarm(stack: Stack) -> None:
    heartbeat = stack.one("aws_cloudwatch_metric_alarm", "no_heartbeat")
    assert heartbeat["treat_missing_data"] == "breaching"
    assert heartbeat["namespace"] == settings.METRICS_NAMESPACE
    variables = stack.one("aws_lambda_function", "reconciler")["environment"]["variables"]
    assert heartbeat["dimensions"] == {"service": variables["POWERTOOLS_SERVICE_NAME"]}


def test_there_are_exactly_these_alarms(stack: Stack) -> None:
    expected = {"no_heartbeat", "no_sweep", "late", "orphans", "restored_table"}
    expected |= {"gave_up", "failures", "throttled", "starts_dead", "work_dead"}
    expected |= {"api_failures", "long_chains"}
    functions = stack.all("aws_lambda_function")
    expected |= {f"{function.replace('-', '_')}_errors" for function in functions}
    meter = {function for function in functions if not function.startswith("model-")}
    expected |= {f"{function}_throttles" for function in meter}
    assert set(stack.all("aws_cloudwatch_metric_alarm")) == expected


def reserved(stack: Stack) -> dict[str, int]:
    functions = stack.all("aws_lambda_function").items()
    return {
        name: function["reserved_concurrent_executions"]
        for name, function in functions
        if "reserved_concurrent_executions" in function
    }


def test_nothing_is_reserved_unless_the_config_says_so(stack: Stack) -> None:
    assert reserved(stack) == {}


def test_reserved_concurrency_is_for_what_starts_and_stops_endpoints_and_never_for_callers(
    stack_of: Synthesize,
) -> None:
    stack = stack_of(config_with(FLAN, reserved_concurrency=True, reconciler_concurrency=7))
    mappings = stack.all("aws_lambda_event_source_mapping").values()
    consumers = sum(each["scaling_config"]["maximum_concurrency"] for each in mappings)
    assert consumers == 14
    assert reserved(stack) == {"tick": 2, "sweep": 5, "reconciler": consumers}


def test_a_function_of_a_model_is_capped_where_its_integration_says_so(
    stack_of: Synthesize,
) -> None:
    stack = stack_of(json.loads((EXAMPLES[0].parent / "fastapi.json").read_text()))
    assert reserved(stack) == {"model-Falcon40B": 20}


@pytest.mark.parametrize(("policy", "watched"), [("report", True), ("meter", False)])
def test_unmanaged_endpoints_are_an_alarm_where_they_are_reported(
    stack_of: Synthesize, policy: str, watched: bool
) -> None:
    stack = stack_of(config_with(FLAN, unmanaged_endpoints=policy, adoptable=["*"]))
    assert ("unmanaged" in stack.all("aws_cloudwatch_metric_alarm")) is watched


def test_alarms_on_metrics_of_the_sweep_have_the_period_of_its_schedule(stack: Stack) -> None:
    apart = stack.one("aws_scheduler_schedule", "sweep")["schedule_expression"]
    assert apart == "rate(15 minutes)"
    for name in ("late", "orphans", "restored_table"):
        alarm = stack.one("aws_cloudwatch_metric_alarm", name)
        assert (alarm["period"], alarm["statistic"]) == (15 * 60, "Maximum")
        assert alarm["treat_missing_data"] == "ignore", (
            "between two sweeps the alarm keeps its state"
        )
    silence = stack.one("aws_cloudwatch_metric_alarm", "no_sweep")
    assert (silence["period"], silence["evaluation_periods"]) == (15 * 60, 2)
    assert silence["treat_missing_data"] == "breaching"


def test_throttling_is_an_alarm_only_if_it_lasts_longer_than_a_crowd_needs(stack: Stack) -> None:
    alarm = stack.one("aws_cloudwatch_metric_alarm", "throttled")
    assert (alarm["metric_name"], alarm["statistic"]) == ("Throttled", "Sum")
    assert alarm["period"] * alarm["evaluation_periods"] == 20 * 60
    crowd_of_2000_seconds = 2000 / 5
    assert alarm["period"] * (alarm["evaluation_periods"] - 1) > crowd_of_2000_seconds
    assert alarm["threshold"] > 0, "single throttles are normal"


def test_alarms_watch_metrics_that_the_functions_publish(stack: Stack) -> None:
    handlers = Path(sweep.__file__).parent
    code = "".join(path.read_text() for path in handlers.glob("*.py"))
    published = set(re.findall(r'count\(\s*"(\w+)"', code)) | {settings.HEARTBEAT_METRIC}
    own = [
        alarm
        for alarm in stack.all("aws_cloudwatch_metric_alarm").values()
        if alarm["namespace"] == settings.METRICS_NAMESPACE
    ]
    assert {alarm["metric_name"] for alarm in own} <= published
    assert all(alarm["dimensions"] == {"service": "demo"} for alarm in own)


def test_every_alarm_notifies_the_topic_and_is_on_the_dashboard(stack: Stack) -> None:
    dashboard = stack.one("aws_cloudwatch_dashboard", "endpoints")
    (listed,) = [
        widget["properties"]["alarms"]
        for widget in json.loads(dashboard["dashboard_body"])["widgets"]
        if widget["type"] == "alarm"
    ]
    alarms = stack.all("aws_cloudwatch_metric_alarm").values()
    for alarm in alarms:
        assert alarm["alarm_actions"] == ["${aws_sns_topic.alarms.arn}"]
    names = {alarm["alarm_name"] for alarm in alarms}
    assert {arn.rpartition(":alarm:")[2] for arn in listed} == names


def test_widgets_of_the_dashboard_do_not_overlap(stack: Stack) -> None:
    body = json.loads(stack.one("aws_cloudwatch_dashboard", "endpoints")["dashboard_body"])
    taken = [
        (x, y)
        for widget in body["widgets"]
        for x in range(widget["x"], widget["x"] + widget["width"])
        for y in range(widget["y"], widget["y"] + widget["height"])
    ]
    assert len(taken) == len(set(taken))
    assert max(x for x, _ in taken) < 24


def test_a_lock_file_in_s3_needs_a_newer_terraform(stack: Stack, stack_of: Synthesize) -> None:
    backend = {"type": "s3", "bucket": "our-states", "key": "meter.tfstate"}
    remote = stack_of(config_with(FLAN, backend=backend)).document["terraform"]
    assert remote["backend"]["s3"]["use_lockfile"] is True
    assert remote["required_version"] == ">= 1.10.0"
    assert stack.document["terraform"]["required_version"] == ">= 1.5.0"


def test_alarms_reach_the_addresses_of_the_config(stack_of: Synthesize) -> None:
    stack = stack_of(config_with(FLAN, alarm_emails=["ops@example.org"]))
    (subscription,) = stack.all("aws_sns_topic_subscription").values()
    assert subscription["endpoint"] == "ops@example.org"


def test_the_outputs_are_exactly_these(stack: Stack) -> None:
    outputs = {name: output["value"] for name, output in stack.document["output"].items()}
    assert outputs == {
        "api_url": "${aws_api_gateway_stage.api.invoke_url}",
        "auth_table_name": "auth",
        "dashboard_name": "demo-endpoints",
        "endpoint_names": ["demo-Falcon40B-Endpoint", "demo-FlanT5-Endpoint"],
        "queue_url": "${aws_sqs_queue.work.url}",
        "state_table_name": "demo-state",
    }


def test_only_health_and_openapi_need_no_token(stack: Stack) -> None:
    methods = stack.all("aws_api_gateway_method")
    public = {name for name, method in methods.items() if method["authorization"] == "NONE"}
    assert public == {"health", "openapi_json"}
    for name in methods.keys() - public:
        assert methods[name]["authorization"] == "CUSTOM"
        assert methods[name]["authorizer_id"] == "${aws_api_gateway_authorizer.token.id}"


def test_refusals_of_the_gateway_are_json_with_a_code(stack: Stack) -> None:
    for response in stack.all("aws_api_gateway_gateway_response").values():
        body = json.loads(response["response_templates"]["application/json"])
        assert set(body) == {"error", "code", "requestId"}


def test_the_logging_role_of_the_account_is_set_only_on_request(
    stack: Stack, stack_of: Synthesize
) -> None:
    assert not stack.all("aws_api_gateway_account")
    asked = stack_of(config_with(FLAN, api_gateway_account_role=True))
    assert "aws_api_gateway_account.api_gateway" in asked.upstream("aws_api_gateway_stage.api")


def test_a_model_is_hosted_as_locked(stack: Stack) -> None:
    (address,) = [name for name in configs(stack) if name.startswith("Falcon40B")]
    model = stack.one("aws_sagemaker_model", address)
    assert model["enable_network_isolation"] is True
    container = model["primary_container"]
    (source,) = container["model_data_source"]["s3_data_source"]
    assert source["s3_uri"].endswith("/inference-prepack/v1.0.1/")
    (variant,) = stack.one("aws_sagemaker_endpoint_configuration", address)["production_variants"]
    assert variant["instance_type"] == "ml.g5.12xlarge"
    assert "volume_size_in_gb" not in variant  # the type has a local disk


def test_refusals_of_the_gateway_claim_nothing_unknown_and_only_throttling_has_retry_after(
    stack: Stack,
) -> None:
    responses = stack.all("aws_api_gateway_gateway_response")
    for name in ("integration_timeout", "default_5xx"):
        assert "may or may not" in responses[name]["response_templates"]["application/json"]
    wait = "gatewayresponse.header.Retry-After"
    waits = {name: each["response_parameters"].get(wait) for name, each in responses.items()}
    assert waits.pop("throttled") == "'1'"
    assert not any(waits.values())


def test_a_body_that_is_too_large_is_not_told_a_limit_that_is_none(stack: Stack) -> None:
    """A larger body than that one passes if the headers leave room for it."""
    too_large = stack.one("aws_api_gateway_gateway_response", "request_too_large")
    assert "4,500,000 bytes always" in too_large["response_templates"]["application/json"]


def test_a_route_that_is_not_there_may_have_another_method(stack: Stack) -> None:
    # https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html
    # It answers both alike, and a route of type api has POST alone.
    missing = stack.one("aws_api_gateway_gateway_response", "missing_authentication_token")
    assert missing["status_code"] == "404"
    assert "not with this method" in missing["response_templates"]["application/json"]


def test_failures_of_the_api_are_counted_from_its_access_log(stack: Stack) -> None:
    counted = stack.one("aws_cloudwatch_log_metric_filter", "api_failures")
    alarm = stack.one("aws_cloudwatch_metric_alarm", "api_failures")
    (transformed,) = [counted["metric_transformation"]]
    assert (alarm["namespace"], alarm["metric_name"]) == (
        transformed["namespace"],
        transformed["name"],
    )
    stage = stack.one("aws_api_gateway_stage", "api")
    assert json.loads(stage["access_log_settings"]["format"])["status"] == "$context.status"
    assert all(f"$.status = {status}" in counted["pattern"] for status in (500, 502, 504))
    assert "503" not in counted["pattern"], "a stopped endpoint is no failure"


def test_the_dashboard_shows_throttles_of_the_index_too(stack: Stack) -> None:
    body = json.loads(stack.one("aws_cloudwatch_dashboard", "endpoints")["dashboard_body"])
    (graph,) = [w for w in body["widgets"] if w["properties"]["title"] == "Throttled tables"]
    of_index = [m for m in graph["properties"]["metrics"] if "GlobalSecondaryIndexName" in m]
    assert {(m[1], m[-1]) for m in of_index} == {
        ("ReadThrottleEvents", "due"),
        ("WriteThrottleEvents", "due"),
    }
