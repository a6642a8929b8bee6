"""Request authorizer of the REST API: a token becomes a principal with scopes."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from lambdas.aws import clients
from lambdas.aws.tokens import DynamoTokens
from lambdas.core.authorizer_policy import GuardedRoutes, policy_for, policy_for_nobody
from lambdas.core.errors import Denied
from lambdas.core.settings import AuthorizerSettings
from lambdas.core.tokens import Principal
from lambdas.core.user_pool import UserPool, is_jwt
from lambdas.handlers.at_import import prepare
from lambdas.handlers.headers import values_of

if TYPE_CHECKING:
    from lambdas.aws.user_pool import CognitoUsers

_log = logging.getLogger(__name__)
_log.setLevel(logging.INFO)


@cache
def _settings() -> AuthorizerSettings:
    return AuthorizerSettings.from_environment(os.environ)


@cache
def _tokens() -> DynamoTokens:
    environment = _settings()
    hasty = clients.dynamodb_hasty() if environment.notes_use else None
    return DynamoTokens(clients.dynamodb(), environment.auth_table, hasty)


@cache
def _users() -> CognitoUsers | None:
    if not _settings().user_pool:
        return None
    # JWTs need cryptography: only stacks with a user pool import it.
    from lambdas.aws.user_pool import CognitoUsers, PoolKeys, fetch_keys  # noqa: PLC0415

    pool = UserPool.parse(_settings().user_pool)
    url = f"{clients.user_pool_url(pool.host)}/{pool.id}/.well-known/jwks.json"
    return CognitoUsers(pool, PoolKeys(lambda: fetch_keys(url)))


@cache
def _routes() -> GuardedRoutes:
    return GuardedRoutes.parse(_settings().routes)


def handler(event: Mapping[str, Any], _context: object) -> Mapping[str, Any]:
    """Answer with a policy: for a known token what its scopes cover, for all others nothing."""
    try:
        principal = _principal(event, datetime.now(UTC))
    except Denied as reason:
        _log.info("denied: %s", reason)
        return policy_for_nobody(event["methodArn"])
    _log.info("allowed %s", principal.name)
    return policy_for(principal, event["methodArn"], _routes())


def _principal(event: Mapping[str, Any], now: datetime) -> Principal:
    values = values_of(event, "authorization")
    if len(values) != 1:
        raise Denied(f"{len(values)} tokens")
    users = _users()
    if users and is_jwt(values[0]):
        return users.holder(values[0], now)
    return _tokens().holder(values[0], now)


prepare(_tokens, _users, _routes)
