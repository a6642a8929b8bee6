"""Authentication and authorization in the synthesized stack."""

from __future__ import annotations

import json
from typing import Any

import pytest

from constructs_lib.config.auth import MAX_AUTHORIZER_BYTES
from constructs_lib.config.file import parse
from constructs_lib.config.problems import InvalidConfig
from lambdas.core.authorizer_policy import GuardedRoutes
from lambdas.core.routes import is_public, paths
from lambdas.core.scopes import Scopes
from lambdas.core.user_pool import UserPool
from tests.synth.conftest import Synthesize
from tests.synth.synthesis import FLAN, Stack, config_with

ARN = "arn:aws:cognito-idp:us-east-1:123456789012:userpool/us-east-1_AbCdEf"
GROUPS = {"admins": "read renew manage invoke", "team.b": "read:demo-FlanT5-Endpoint"}
DIRECT = {"type": "api", "properties": {"api_resource_name": "flan"}}


def cognito(**more: Any) -> dict[str, Any]:
    return config_with(FLAN, auth={"type": "cognito", "groups": GROUPS, **more})


def authorizer_environment(stack: Stack) -> dict[str, str]:
    found: dict[str, str] = stack.one("aws_lambda_function", "authorizer")["environment"][
        "variables"
    ]
    return found


def test_authorizer_knows_every_route_that_needs_a_token(stack: Stack) -> None:
    resources, methods = stack.all("aws_api_gateway_resource"), stack.all("aws_api_gateway_method")
    ids = {m["resource_id"] for m in methods.values() if m["authorization"] == "CUSTOM"}
    guarded = {
        resource["path_part"]
        for name, resource in resources.items()
        if f"${{aws_api_gateway_resource.{name}.id}}" in ids
    }
    known = set(GuardedRoutes.parse(authorizer_environment(stack)["ROUTES"]).endpoints)
    assert guarded <= known
    assert {path.strip("/") for path in paths() if not is_public(path)} <= guarded


def test_every_path_of_the_list_of_routes_is_in_the_api(stack: Stack) -> None:
    parts = {part["path_part"] for part in stack.all("aws_api_gateway_resource").values()}
    assert {path.strip("/") for path in paths()} <= parts


def test_route_without_a_function_is_open_to_those_who_may_invoke_its_endpoint(
    stack_of: Synthesize,
) -> None:
    stack = stack_of(config_with({**FLAN, "integration": DIRECT}))
    routes = GuardedRoutes.parse(authorizer_environment(stack)["ROUTES"])
    assert "flan" in routes.open_to(Scopes.parse("invoke:demo-flant5-endpoint"))
    assert "flan" not in routes.open_to(Scopes.parse("read renew manage invoke:other"))
    assert "endpoint-expiry" in routes.open_to(Scopes.parse("read:other"))
    assert routes.open_to(Scopes.parse("invoke")) == ["*"], "routes that are deployed later too"


def test_paths_below_a_route_are_open_where_its_function_takes_them(stack_of: Synthesize) -> None:
    properties = {"api_resource_name": "web", "lambda_src": "functions/passthrough", "proxy": True}
    integration = {"type": "lambda", "properties": properties}
    stack = stack_of(config_with({**FLAN, "integration": integration}))
    routes = GuardedRoutes.parse(authorizer_environment(stack)["ROUTES"])
    assert {"web", "web/*"} <= set(routes.open_to(Scopes.parse("read:other")))


def test_new_user_pool_lets_nobody_sign_up_and_asks_for_strong_passwords(
    stack_of: Synthesize,
) -> None:
    stack = stack_of(cognito())
    pool = stack.one("aws_cognito_user_pool", "users")
    assert pool["admin_create_user_config"]["allow_admin_create_user_only"]
    policy = pool["password_policy"]
    assert policy["minimum_length"] >= 14
    assert all(
        policy[f"require_{kind}"] for kind in ("lowercase", "uppercase", "numbers", "symbols")
    )
    assert pool["deletion_protection"] == "ACTIVE"
    groups = stack.all("aws_cognito_user_group").values()
    assert {group["name"] for group in groups} == set(GROUPS)
    client = stack.one("aws_cognito_user_pool_client", "users")
    assert not client["generate_secret"]
    settings = UserPool.parse(authorizer_environment(stack)["USER_POOL"])
    assert settings.arn == "${aws_cognito_user_pool.users.arn}"
    assert settings.client_id == "${aws_cognito_user_pool_client.users.id}"
    assert settings.groups == GROUPS
    outputs = stack.document["output"]
    assert outputs["user_pool_client_id"]["value"] == settings.client_id
    assert outputs["user_pool_id"]["value"] == "${aws_cognito_user_pool.users.id}"


def test_existing_user_pool_gets_an_app_client_and_nothing_else(stack_of: Synthesize) -> None:
    stack = stack_of(cognito(user_pool_arn=ARN))
    assert not stack.all("aws_cognito_user_pool")
    assert not stack.all("aws_cognito_user_group")
    client = stack.one("aws_cognito_user_pool_client", "users")
    assert client["user_pool_id"] == "us-east-1_AbCdEf"
    assert UserPool.parse(authorizer_environment(stack)["USER_POOL"]).issuer.endswith(
        "/us-east-1_AbCdEf"
    )


def test_without_auth_there_is_no_user_pool(stack: Stack) -> None:
    assert not stack.all("aws_cognito_user_pool")
    assert authorizer_environment(stack)["USER_POOL"] == ""
    assert "user_pool_id" not in stack.document["output"]


@pytest.mark.parametrize(
    ("auth", "problem"),
    [
        ({"type": "cognito"}, "auth.groups: is required"),
        ({"type": "cognito", "groups": {}}, "auth.groups: "),
        ({"type": "ldap", "groups": GROUPS}, "auth.type: "),
        ({"type": "cognito", "groups": {"a": "read write"}}, "auth.groups.a: 'write' is no scope"),
        ({"type": "cognito", "groups": {"a": "read:x:y"}}, "auth.groups.a"),
        ({"type": "cognito", "groups": {"a": ""}}, "auth.groups.a: give 1 to 50"),
        ({"type": "cognito", "groups": {"a b": "read"}}, "auth.groups.a b"),
        ({"type": "cognito", "groups": GROUPS, "user_pool_arn": "us-east-1_x"}, "must be the ARN"),
        (
            {
                "type": "cognito",
                "groups": GROUPS,
                "user_pool_arn": ARN.replace("east-1:", "east-2:"),
            },
            "auth.user_pool_arn: must be a pool of region_name, 'us-east-1'",
        ),
        ({"type": "cognito", "groups": GROUPS, "group": {}}, "auth.group: "),
    ],
)
def test_wrong_auth_is_refused_with_the_field(auth: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        parse(config_with(FLAN, auth=auth))
    (found,) = caught.value.problems
    assert problem in str(found)


def test_more_routes_than_fit_the_environment_of_the_authorizer_are_refused() -> None:
    def entry(number: int) -> dict[str, Any]:
        integration = {"type": "api", "properties": {"api_resource_name": f"model-{number}"}}
        return {**FLAN, "name": f"Model{number}", "integration": integration}

    parse(config_with(*(entry(number) for number in range(40))))
    with pytest.raises(InvalidConfig) as caught:
        parse(config_with(*(entry(number) for number in range(100))))
    (found,) = caught.value.problems
    assert str(found).startswith("jumpstart_models: the routes and endpoint names")
    assert f"room for {MAX_AUTHORIZER_BYTES}" in str(found)


def test_environment_of_the_authorizer_stays_below_the_limit_of_lambda(
    stack_of: Synthesize,
) -> None:
    groups = {f"group-{number}": "read renew manage invoke" for number in range(25)}
    entries = [
        {
            **FLAN,
            "name": f"Model{number}",
            "integration": {"type": "api", "properties": {"api_resource_name": f"model-{number}"}},
        }
        for number in range(39)
    ]
    auth = {"type": "cognito", "groups": groups, "user_pool_arn": ARN}
    stack = stack_of(config_with(*entries, auth=auth, ddb_auth_table_name="t" * 255))
    variables = json.loads(json.dumps(authorizer_environment(stack)))
    assert sum(len(name) + len(value) for name, value in variables.items()) < 4_096
