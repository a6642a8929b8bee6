"""`roles` and `tags` of the config: what an organization asks of all that is made."""

from __future__ import annotations

import json
from typing import Any

import pytest

from constructs_lib.config.file import parse
from constructs_lib.config.problems import InvalidConfig
from constructs_lib.deployment import Deployment
from tests.synth.conftest import Synthesize
from tests.synth.entries import OWN
from tests.synth.synthesis import FLAN, Stack, config_with

ACCOUNT, ELSEWHERE = "123456789012", "111111111111"
BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/limits/all-roles"
ROLES = {"permissions_boundary": BOUNDARY, "path": "/team/search/", "name_prefix": "search-"}
TAGS = {"team": "search", "cost-centre": "4711"}
START = "search-demo-us-east-1-"
WARM = {"api_resource_name": "warm", "lambda_src": "functions/flan", "keep_warm": {}}
CALLED = {**FLAN, "name": "Warm", "integration": {"type": "lambda", "properties": WARM}}
DIRECT = {
    **FLAN,
    "name": "Direct",
    "integration": {"type": "api", "properties": {"api_resource_name": "direct"}},
}


def every_role(**fields: Any) -> dict[str, Any]:
    """A config whose stack has each kind of role."""
    return config_with(CALLED, DIRECT, OWN, api_gateway_account_role=True, **fields)


def roles_of(stack: Stack) -> dict[str, dict[str, Any]]:
    return dict(stack.all("aws_iam_role"))


def test_every_role_has_the_boundary_the_path_and_the_prefix(stack_of: Synthesize) -> None:
    made = roles_of(stack_of(every_role(roles=ROLES)))
    for kind in ("api", "scheduler", "keep_warm", "async", "endpoint_caller", "api_gateway_logs"):
        assert kind in made
    for role in made.values():
        assert role["permissions_boundary"] == BOUNDARY
        assert role["path"] == "/team/search/"
        assert role["name"].startswith(START)
        assert len(role["name"]) <= 64


def test_without_the_field_a_role_says_nothing_of_it(stack_of: Synthesize) -> None:
    for role in roles_of(stack_of(every_role())).values():
        assert not {"permissions_boundary", "path"} & set(role)
        assert role["name"].startswith("demo-us-east-1-")


@pytest.mark.parametrize("field", ["path", "name_prefix"])
def test_a_role_at_another_place_has_another_name_and_so_has_what_cannot_move_to_it(
    stack_of: Synthesize, field: str
) -> None:
    before, after = stack_of(every_role()), stack_of(every_role(roles={field: ROLES[field]}))
    for kind in ("aws_iam_role", "aws_sagemaker_model", "aws_sagemaker_endpoint_configuration"):
        names = [{each["name"] for each in stack.all(kind).values()} for stack in (before, after)]
        assert names[0].isdisjoint(names[1])
        assert len(names[0]) == len(names[1])


def test_a_boundary_moves_no_model(stack_of: Synthesize) -> None:
    before = stack_of(every_role())
    after = stack_of(every_role(roles={"permissions_boundary": BOUNDARY}))
    assert set(before.all("aws_sagemaker_model")) == set(after.all("aws_sagemaker_model"))


def test_a_model_with_a_role_of_the_users_stays_where_it_is(stack_of: Synthesize) -> None:
    own = {**OWN, "execution_role_arn": f"arn:aws:iam::{ACCOUNT}:role/theirs"}
    before, after = stack_of(config_with(own)), stack_of(config_with(own, roles=ROLES))
    assert before.all("aws_sagemaker_model") == after.all("aws_sagemaker_model")


def test_all_names_fit_what_policies_know_of_them() -> None:
    longest = "x" * (55 - len("p" * 30 + "-ap-southeast-2-"))
    assert not problems(roles={"name_prefix": longest}, **LONG)
    at = Deployment(
        "p" * 30,
        "ap-southeast-2",
        "tag",
        ACCOUNT,
        "aws",
        "amazonaws.com",
        role_path="/a/",
        role_prefix=longest,
    )
    names = {at.role_name(thing) for thing in ("api", "a" * 60 + "1", "a" * 60 + "2")}
    assert max(len(name) for name in names) == 64
    start = at.roles_arn.rpartition("/")[2].removesuffix("*")
    assert all(name.startswith(start) for name in names)
    assert len(names) == 3


def test_the_path_that_is_the_default_may_be_given() -> None:
    config = parse({**config_with(), "roles": {"path": "/"}})
    assert config.roles == parse(config_with()).roles


LONG = {"project_prefix": "p" * 30, "region_name": "ap-southeast-2"}


def problems(**fields: Any) -> list[str]:
    try:
        parse({**config_with(), **fields})
    except InvalidConfig as invalid:
        return [str(problem) for problem in invalid.problems]
    return []


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"roles": {"permissions_boundary": "limit"}}, "must be the ARN of a policy such as"),
        ({"roles": {"path": "team"}}, "roles.path: must be a path such as '/team/'"),
        ({"roles": {"path": "//"}}, "roles.path: must be a path such as '/team/'"),
        ({"roles": {"path": "/a*/"}}, "roles.path: must be a path such as '/team/'"),
        ({"roles": {"path": "/aws-service-role/x/"}}, "none that AWS keeps for itself"),
        ({"roles": {"path": f"/{'a' * 511}/"}}, "roles.path: has 513 characters"),
        ({"roles": {"name_prefix": "a/"}}, "roles.name_prefix: must be the beginning of a name"),
        (
            {"roles": {"name_prefix": "x" * 12}, **LONG},
            "begin with the 58 characters",
        ),
        (
            {"roles": ROLES, "provider": {"allowed_account_ids": [ELSEWHERE]}},
            f"roles.permissions_boundary: is a policy of the account {ACCOUNT}, which is not in",
        ),
        (
            {"roles": ROLES, "provider": {"assume_role_arn": f"arn:aws:iam::{ELSEWHERE}:role/r"}},
            f"of the account {ACCOUNT}, and provider.assume_role_arn is a role of {ELSEWHERE}: a",
        ),
        (
            {"roles": ROLES, "region_name": "cn-north-1"},
            "roles.permissions_boundary: is of aws, and cn-north-1 (region_name) is in aws-cn: a",
        ),
        (
            {
                "roles": {"permissions_boundary": "arn:aws-cn:iam::aws:policy/PowerUserAccess"},
                "region_name": "us-gov-west-1",
            },
            "roles.permissions_boundary: is of aws-cn, and us-gov-west-1 (region_name) is in",
        ),
        ({"roles": {"boundary": BOUNDARY}}, "roles.boundary: unknown key"),
        (
            {"tags": {"Endpoint-Meter:Stack": "x"}},
            "tags: 'Endpoint-Meter:Stack' is this product's own tag",
        ),
        ({"tags": {"endpoint-meter:ignore": "x"}}, "tags: 'endpoint-meter:ignore' keeps"),
        ({"tags": {"aws:x": "x"}}, "tags: 'aws:x': keys that begin with 'aws:' belong to AWS"),
        ({"tags": {"team": "a;b"}}, "tags.team: 'a;b': a value is letters"),
        ({"tags": {"team": "a", "Team": "b"}}, "tags: 'team' and 'Team' differ in nothing but"),
        (
            {"tags": {"Team": "a"}, "jumpstart_models": [{**FLAN, "tags": {"team": "b"}}]},
            "jumpstart_models[0].tags: 'Team' and 'team' differ in nothing but case",
        ),
        (
            {"jumpstart_models": [{**FLAN, "tags": {"Team": "a", "team": "b"}}]},
            "jumpstart_models[0].tags: 'Team' and 'team' differ in nothing but case",
        ),
        ({"tags": {f"k{n}": "" for n in range(50)}}, "tags: has 50 entries, and at most 49 go in"),
        ({"tags": {f"k{n}": "v" * 250 for n in range(10)}}, "tags: take 2,6"),
        (
            {
                "tags": {f"s{n}": "" for n in range(25)},
                "jumpstart_models": [{**FLAN, "tags": {f"e{n}": "" for n in range(25)}}],
            },
            "jumpstart_models[0].tags: make 50 tags with those of the config, and at most 49 go",
        ),
    ],
)
def test_what_aws_or_the_meter_does_not_take_is_refused(fields: dict[str, Any], told: str) -> None:
    assert any(told in problem for problem in problems(**fields)), problems(**fields)


def test_a_boundary_of_aws_or_of_an_allowed_account_is_taken() -> None:
    allowed = {"allowed_account_ids": [ACCOUNT]}
    of_aws = {"permissions_boundary": "arn:aws:iam::aws:policy/PowerUserAccess"}
    assumed = {"assume_role_arn": f"arn:aws:iam::{ACCOUNT}:role/deploys"}
    for roles in (ROLES, of_aws):
        for provider in (allowed, assumed, {**allowed, **assumed}):
            assert not problems(roles=roles, provider=provider)


def test_an_entry_may_give_a_tag_of_the_stack_another_value() -> None:
    entry = {**FLAN, "tags": {"team": "b"}}
    assert not problems(tags={"team": "a"}, jumpstart_models=[entry])


def test_tags_are_on_all_that_terraform_makes_and_cannot_replace_that_of_the_stack(
    stack_of: Synthesize,
) -> None:
    stack = stack_of(config_with(FLAN, tags=TAGS))
    ours = {"endpoint-meter:stack": "demo-us-east-1"}
    (provider,) = stack.document["provider"]["aws"]
    assert provider["default_tags"] == [{"tags": {**TAGS, **ours}}]
    for name, upload in stack.all("aws_s3_object").items():
        assert upload["override_provider"] == {"default_tags": {"tags": {}}}
        assert upload["tags"] == ours, f"{name}: an object in S3 takes ten tags"


def test_endpoints_get_the_tags_of_the_stack_beneath_their_own(stack_of: Synthesize) -> None:
    stack = stack_of(config_with({**FLAN, "tags": {"team": "flan"}}, tags=TAGS))
    (item,) = (
        json.loads(body["item"])
        for body in stack.all("aws_dynamodb_table_item").values()
        if "SPEC#" in body["item"]
    )
    assert json.loads(item["tags"]["S"]) == {**TAGS, "team": "flan"}
    variables = stack.one("aws_lambda_function", "reconciler")["environment"]["variables"]
    assert json.loads(variables["TAGS"]) == TAGS


def test_without_tags_nothing_is_said_of_them(stack: Stack) -> None:
    variables = stack.one("aws_lambda_function", "reconciler")["environment"]["variables"]
    assert "TAGS" not in variables
    assert not [each for each in stack.all("aws_s3_object").values() if "override_provider" in each]
