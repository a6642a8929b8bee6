"""What a summary of a plan warns of, and how it is written. tests/synth/test_plan_summary.py has
plans that the real Terraform made."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.plan_summary import summary
from tools.plan_text import COMMENT, UNKNOWN, Part, Summary, cut

SPEC = json.dumps(
    {
        "name": {"S": "demo-A-Endpoint"},
        "endpoint_config_name": {"S": "demo-A-1234"},
        "fallback_configs": {"S": "[]"},
        "scaling": {"S": "[]"},
        "schedules": {"S": "[]"},
        "initial_provision_minutes": {"N": "0"},
        "max_lease_minutes": {"N": "60"},
        "async_api": {"S": ""},
        "outside_updates": {"S": "revert"},
        "update": {"S": "{}"},
        "tags": {"S": "{}"},
    }
)


def change(address: str, *actions: str, **sides: Any) -> dict[str, Any]:
    kind, name = address.split(".")
    both = {"before": sides.get("before", {}), "after": sides.get("after", {})}
    return {
        "address": address,
        "mode": "managed",
        "type": kind,
        "name": name,
        "change": {"actions": list(actions), "after_unknown": {}, **both},
    }


def dangers(*changes: dict[str, Any], **plan: Any) -> list[str]:
    found = summary({"resource_changes": list(changes), **plan})
    return [line for part in found.parts if part.dangerous for line in part.lines]


def test_a_plan_without_changes_says_so() -> None:
    (only,) = summary({"resource_changes": [change("aws_sqs_queue.work", "no-op")]}).parts
    assert only.heading == "No resource changes"


def test_a_table_or_user_pool_that_loses_its_protection_is_dangerous() -> None:
    table = change(
        "aws_dynamodb_table.state",
        "update",
        before={"name": "demo-state", "deletion_protection_enabled": True},
        after={"name": "demo-state", "deletion_protection_enabled": False},
    )
    pool = change(
        "aws_cognito_user_pool.users",
        "update",
        before={"name": "demo-users", "deletion_protection": "ACTIVE"},
        after={"name": "demo-users", "deletion_protection": "INACTIVE"},
    )
    assert dangers(table, pool) == [
        "the table demo-state loses its deletion protection",
        "the user pool demo-users loses its deletion protection",
    ]


def test_a_table_that_gains_protection_is_not_dangerous() -> None:
    before, after = ({"deletion_protection_enabled": on} for on in (False, True))
    assert dangers(change("aws_dynamodb_table.state", "update", before=before, after=after)) == []


def test_a_bucket_that_is_destroyed_is_dangerous() -> None:
    bucket = change("aws_s3_bucket.results", "delete", before={"bucket": "b"}, after=None)
    assert dangers(bucket) == ["the bucket b is destroyed: what it holds is lost"]


def test_a_replaced_api_is_dangerous_and_a_replaced_deployment_of_it_is_not() -> None:
    api = change("aws_api_gateway_rest_api.api", "delete", "create")
    deployment = change("aws_api_gateway_deployment.api", "create", "delete")
    (danger,) = dangers(api, deployment)
    assert "its address changes" in danger


APIS = "arn:aws:apigateway:us-east-1"
DIRECT = {
    "uri": f"{APIS}:runtime.sagemaker:path/endpoints/demo-A-Endpoint/invocations",
    "timeout_milliseconds": 29_000,
}
TO_FUNCTION = {
    "uri": f"{APIS}:lambda:path/2015-03-31/functions/arn:aws:lambda:us-east-1:1:function:f"
    "/invocations",
}


def test_a_route_that_is_made_anew_is_dangerous_since_what_is_removed_is_the_new_one() -> None:
    new, changed, replaced = (
        change("aws_api_gateway_integration.model_flan", *actions, before=DIRECT, after=DIRECT)
        for actions in (["create"], ["update"], ["create", "delete"])
    )
    assert dangers(new, changed) == []
    (danger,) = dangers(replaced)
    assert danger.startswith("the route flan stops answering")
    assert "Take its `integration` out of the config, deploy, put it back" in danger


@pytest.mark.parametrize(("before", "after"), [(DIRECT, TO_FUNCTION), (TO_FUNCTION, DIRECT)])
def test_a_direct_route_that_becomes_one_to_a_function_or_was_one_is_dangerous(
    before: dict[str, Any], after: dict[str, Any]
) -> None:
    integration = "aws_api_gateway_integration.model_flan"
    (danger,) = dangers(change(integration, "create", "delete", before=before, after=after))
    assert danger.startswith("the route flan stops answering")


def test_nothing_is_advised_for_a_replaced_route_to_a_function_of_the_meter() -> None:
    integration = "aws_api_gateway_integration.endpoint_expiry_get"
    sides = {"before": TO_FUNCTION, "after": TO_FUNCTION}
    assert dangers(change(integration, "create", "delete", **sides)) == []


def test_a_replaced_api_is_told_once_and_not_for_each_of_its_routes() -> None:
    routes = [
        change(f"aws_api_gateway_integration.{name}", "create", "delete", before=DIRECT, after=None)
        for name in ("model_flan", "model_falcon")
    ]
    (danger,) = dangers(*routes, change("aws_api_gateway_rest_api.api", "delete", "create"))
    assert "its address changes" in danger


SPEC_OF_A = {"item": SPEC}
MODELS = '["demo-*-Endpoint","demo-model-*",{"a":["A","",%s]}]'


def called(models: str) -> dict[str, Any]:
    return {"environment": [{"variables": {"MODELS": models}}]}


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("false,0,0", "false,30,10", ["wake on request: none -> for 30 minutes, 10 times an hour"]),
        ("false,0,0", "true,0,0", ["public: none -> yes, no token is needed"]),
        (
            "false,30,10",
            "false,30,10,true",
            ["wake on request: for 30 minutes, "],
        ),
        ("false,0,0", "false,0,0,false,120", ["answer within: none -> 120 s"]),
        ("false,0,0", "false,0,0", []),
    ],
)
def test_what_changes_for_callers_of_a_model_is_told(
    before: str, after: str, told: list[str]
) -> None:
    sides = {"before": called(MODELS % before), "after": called(MODELS % after)}
    lines = lines_of(change("aws_lambda_function.calls", "update", **sides))
    assert len(lines) == len(told)
    for line, start in zip(lines, told, strict=True):
        assert line.startswith(start)


def test_a_model_that_is_called_straight_is_told_too() -> None:
    assert lines_of(*direct_route()) == [
        "route: none -> /a straight to SageMaker",
        "public: none -> yes, no token is needed",
    ]


def test_a_time_to_answer_that_is_known_after_the_apply_is_told_as_unknown() -> None:
    route = direct_route()
    sides = route[0]["change"]
    sides["before"] = {**DIRECT, "timeout_milliseconds": 60_000}
    sides["after_unknown"] = {"timeout_milliseconds": True}
    assert f"answer within: 60 s -> {UNKNOWN}" in lines_of(*route)


def direct_route() -> list[dict[str, Any]]:
    """The resources of a public route, which is made."""
    parts: dict[str, dict[str, Any]] = {
        "integration": DIRECT,
        "resource": {"path_part": "a"},
        "method": {"authorization": "NONE"},
    }
    return [
        change(f"aws_api_gateway_{kind}.model_a", "create", before=None, after={**after})
        for kind, after in parts.items()
    ]


def lines_of(*changes: dict[str, Any]) -> list[str]:
    """What is told of the endpoint, whose spec stays as it is."""
    item = change(
        "aws_dynamodb_table_item.demo-A-Endpoint", "no-op", before=SPEC_OF_A, after=SPEC_OF_A
    )
    parts = summary({"resource_changes": [item, *changes]}).parts
    return [line for part in parts if part.heading.startswith("demo-A-") for line in part.lines]


def test_asynchronous_calls_are_told_in_the_words_of_the_config() -> None:
    after = {"item": SPEC.replace('"async_api": {"S": ""}', '"async_api": {"S": "direct"}')}
    item = change(
        "aws_dynamodb_table_item.demo-A-Endpoint", "update", before=SPEC_OF_A, after=after
    )
    (part, *_) = summary({"resource_changes": [item]}).parts
    assert part.lines == ["calls without waiting: none -> async_api_results inline"]


def test_a_sync_that_is_updated_is_not_dangerous_and_one_that_is_destroyed_is() -> None:
    assert dangers(change("aws_lambda_invocation.sync", "update")) == []
    (danger,) = dangers(change("aws_lambda_invocation.sync", "delete"))
    assert danger.startswith("the sync is replaced or destroyed")


def test_a_plan_that_failed_without_a_failed_check_is_told_to_be_a_part() -> None:
    (danger,) = dangers(errored=True)
    assert danger.startswith("Terraform could not finish this plan")


def test_a_spec_that_is_only_known_during_the_apply_is_not_taken_for_a_removed_entry() -> None:
    item = change(
        "aws_dynamodb_table_item.demo-A-Endpoint", "update", before={"item": SPEC}, after={}
    )
    item["change"]["after_unknown"] = {"item": True}
    (only,) = summary({"resource_changes": [item]}).parts
    assert only.heading == "Endpoints of which Terraform knows more during the apply"
    assert only.lines == ["demo-A-Endpoint"]
    assert not only.dangerous


def test_what_others_wrote_does_not_end_the_fence_of_markdown() -> None:
    told = Summary("plan", [Part("heading", ["tag a: none -> ```", "@everybody"])]).markdown()
    assert told.endswith("\n````text\ntag a: none -> ```\n@everybody\n````")


def test_markdown_fits_into_a_comment_and_says_that_it_is_not_all() -> None:
    parts = [Part(f"endpoint {number}", ["x" * 150] * 20) for number in range(100)]
    told = Summary("plan", parts).markdown()
    assert len(told) < COMMENT + 100
    assert told.endswith("**This is not all.** The rest is in the plan.")


@pytest.mark.parametrize("character", ["\0", "\x1b", "\r", "\x9b", "\u202e", "\u2029"], ids=ascii)
def test_a_character_that_steers_the_terminal_is_written_out(character: str) -> None:
    evil = f"a{character}[2Jb"
    found = Summary(evil, [Part(evil, [evil])])
    for told in (found.text(), found.markdown()):
        assert character not in told
        assert told.count(f"a\\u{ord(character):04x}[2Jb") == 3


def test_a_part_with_many_lines_is_cut_in_markdown_and_not_in_text() -> None:
    found = Summary("plan", [Part("heading", [f"line {number}" for number in range(60)])])
    assert "… and 10 lines more" in found.markdown()
    assert "line 59" not in found.markdown()
    assert "line 59" in found.text()


def test_a_value_becomes_one_line_of_a_length_that_can_be_read() -> None:
    assert cut("two\nlines") == "two lines"
    assert cut("x" * 500).endswith("… (500 characters)")


# --- plans of any form ------------------------------------------------------------------------

NAME = "demo-A-Endpoint"
VARIANT = {
    "variant_name": "AllTraffic",
    "model_name": "demo-A",
    "instance_type": "ml.m5.large",
    "initial_instance_count": 1,
    "initial_variant_weight": 1,
}
CONTAINER = {
    "image": "own:1",
    "environment": {"KEY": "secret"},
    "model_data_source": [{"s3_data_source": [{"s3_uri": "s3://b/a/"}]}],
}


def endpoint(item: str = SPEC, **container: Any) -> list[dict[str, Any]]:
    """The resources of an endpoint, which change from nothing to this."""
    config = {"name": "demo-A-1234", "production_variants": [{**VARIANT}]}
    model = {"name": "demo-A", "primary_container": [{**copy.deepcopy(CONTAINER), **container}]}
    return [
        change(f"aws_dynamodb_table_item.{NAME}", "create", before=None, after={"item": item}),
        change("aws_sagemaker_endpoint_configuration.A", "create", before=None, after={**config}),
        change("aws_sagemaker_model.A", "create", before=None, after=model),
    ]


def lines(found: Summary, beginning: str) -> list[str]:
    return [line for p in found.parts if p.heading.startswith(beginning) for line in p.lines]


@pytest.mark.parametrize(
    "attribute",
    [name for name in json.loads(SPEC) if name not in {"name", "endpoint_config_name"}],
)
def test_an_item_that_an_earlier_release_wrote_is_told_with_the_defaults_of_what_it_lacks(
    attribute: str,
) -> None:
    earlier = json.loads(SPEC)
    del earlier[attribute]
    changes = endpoint()
    changes[0]["change"]["before"] = {"item": json.dumps(earlier)}
    found = summary({"resource_changes": changes})
    assert not lines(found, "Endpoints of which")
    old = {} if attribute != "max_lease_minutes" else {"longest lease: 43200 minutes -> 60 minutes"}
    assert {*lines(found, NAME)} >= {*old}
    assert not any("outside" in line for line in lines(found, NAME))


def test_variables_that_are_known_after_the_apply_are_not_told_as_removed() -> None:
    changes = endpoint(environment=None)
    for each in changes:
        each["change"]["before"] = copy.deepcopy(each["change"]["after"])
    changes[2]["change"]["before"]["primary_container"][0]["environment"] = {"KEY": "secret"}
    changes[2]["change"]["after_unknown"] = {"primary_container": [{"environment": True}]}
    assert lines(summary({"resource_changes": changes}), NAME) == [
        "variables are known after the apply"
    ]


@pytest.mark.parametrize(
    "item", ["", "null", "[]", "{", '{"schedules": 1}', '{"tags": {"S": "7,"}}']
)
def test_a_spec_that_cannot_be_read_is_named_and_its_end_is_dangerous(item: str) -> None:
    (told,) = lines(summary({"resource_changes": endpoint(item)}), "Endpoints of which only")
    assert told.startswith(f"{NAME}: ")
    gone = change(f"aws_dynamodb_table_item.{NAME}", "delete", before={"item": item}, after=None)
    assert dangers(gone) == [f"{NAME} is stopped: its entry is removed"]


def places(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all values in a document."""
    below = (
        document.items()
        if isinstance(document, dict)
        else enumerate(document)
        if isinstance(document, list)
        else ()
    )
    return [path, *(found for key, value in below for found in places(value, (*path, key)))]


@given(st.data())
def test_a_summary_is_made_of_whatever_stands_in_a_plan(data: st.DataObject) -> None:
    changes = endpoint() + endpoint()
    for each in changes[3:]:
        sides = each["change"]
        sides["before"], sides["after"] = sides["after"], copy.deepcopy(sides["after"])
    protected = {"name": "t", "deletion_protection_enabled": True}
    route = {"before": called(MODELS % "false,30,10"), "after": called(MODELS % "true,0,0")}
    changes += direct_route()
    changes += [change("aws_lambda_function.calls", "update", **route)]
    changes.append(
        change("aws_dynamodb_table.t", "delete", "create", before=protected, after={**protected})
    )
    plan: dict[str, Any] = {
        "resource_changes": changes,
        "configuration": {"provider_config": {"aws": {"expressions": {"default_tags": [{}]}}}},
        "prior_state": {"values": {"root_module": {"resources": []}}},
        "checks": [{"status": "fail", "instances": [{"problems": [{"message": "no"}]}]}],
        "errored": True,
    }
    odd: st.SearchStrategy[Any] = st.sampled_from(
        [None, UNKNOWN, True, 7, [], {}, [None], [[]], {"a": None}, [UNKNOWN]]
    )
    for _ in range(data.draw(st.integers(1, 4))):
        target = data.draw(st.sampled_from(changes))["change"]
        side = data.draw(st.sampled_from(["before", "after", "after_unknown"]))
        path = data.draw(st.sampled_from(places(target[side])))
        way, last = (side, *path)[:-1], (side, *path)[-1]
        parent: Any = target
        for key in way:
            parent = parent[key]
        if isinstance(parent, dict) and data.draw(st.booleans()):
            parent.pop(last, None)
            if parent is target:
                parent[last] = None
        else:
            parent[last] = copy.deepcopy(data.draw(odd))
    for part in data.draw(st.sets(st.sampled_from(sorted({*plan} - {"resource_changes"})))):
        plan[part] = None
    found = summary(plan)
    assert found.text()
    assert found.markdown()
