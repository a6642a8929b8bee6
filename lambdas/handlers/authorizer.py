"""Request authorizer of the REST API: a token becomes a principal with scopes.

The policy covers the whole API, so that API Gateway may cache it for every method; each Lambda
checks the scopes in the context.
https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-lambda-authorizer-output.html
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from functools import cache
from typing import Any

from lambdas.aws import clients
from lambdas.aws.tokens import DynamoTokens, Principal
from lambdas.core.settings import AuthorizerSettings
from lambdas.handlers.headers import values_of

_log = logging.getLogger(__name__)
_log.setLevel(logging.INFO)


@cache
def _tokens() -> DynamoTokens:
    settings = AuthorizerSettings.from_environment(os.environ)
    return DynamoTokens(clients.dynamodb(), settings.auth_table)


def handler(event: Mapping[str, Any], _context: object) -> Mapping[str, Any]:
    """Allow the whole stage to the holder of a known token, deny it to everybody else."""
    token = _sent_token(event)
    principal = _tokens().find(token) if token else None
    _log.info("%s %s", "allowed" if principal else "denied", principal.name if principal else "")
    return _policy(event["methodArn"], principal)


def _sent_token(event: Mapping[str, Any]) -> str | None:
    """The Authorization header; None where it is missing, blank or sent more than once."""
    values = values_of(event, "authorization")
    return values[0] if len(values) == 1 and values[0].strip() else None


def _policy(method_arn: str, principal: Principal | None) -> Mapping[str, Any]:
    api, stage = method_arn.split("/")[:2]
    answer: dict[str, Any] = {
        "principalId": principal.name if principal else "unknown",
        "policyDocument": {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Action": "execute-api:Invoke",
                    "Effect": "Allow" if principal else "Deny",
                    "Resource": f"{api}/{stage}/*",
                }
            ],
        },
    }
    if principal:
        answer["context"] = {
            "principal": principal.name,
            "scopes": principal.scopes,
            "identity": principal.identity,
        }
    return answer
