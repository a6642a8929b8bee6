"""The policy that the authorizer hands to API Gateway."""

from __future__ import annotations

from lambdas.core.authorizer_policy import GuardedRoutes, policy_for, policy_for_nobody
from lambdas.core.scopes import Scopes
from lambdas.core.tokens import Principal

ARN = "arn:aws:execute-api:eu-west-1:123456789012:abc/prod/POST/flan"
STAGE = "arn:aws:execute-api:eu-west-1:123456789012:abc/prod"
ROUTES = GuardedRoutes({"flan": "demo-Flan", "bert": "demo-Bert", "endpoint-expiry": ""})


def test_routes_come_back_from_the_shortest_text_which_is_the_same_for_the_same_routes() -> None:
    text = str(ROUTES)

    assert text == '{"bert":"demo-Bert","endpoint-expiry":"","flan":"demo-Flan"}'
    assert GuardedRoutes.parse(text) == ROUTES


def test_policy_allows_what_the_caller_may_call_and_tells_who_calls() -> None:
    ann = Principal("ann", Scopes.stored("invoke:demo-flan"), "1")

    assert policy_for(ann, ARN, ROUTES) == {
        "principalId": "ann",
        "policyDocument": {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Action": "execute-api:Invoke",
                    "Effect": "Allow",
                    "Resource": [f"{STAGE}/*/flan", f"{STAGE}/*/endpoint-expiry"],
                }
            ],
        },
        "context": {"principal": "ann", "scopes": "invoke:demo-flan", "identity": "1"},
    }


def test_policy_for_nobody_denies_every_route() -> None:
    assert policy_for_nobody(ARN) == {
        "principalId": "unknown",
        "policyDocument": {
            "Version": "2012-10-17",
            "Statement": [
                {"Action": "execute-api:Invoke", "Effect": "Deny", "Resource": [f"{STAGE}/*"]}
            ],
        },
    }
