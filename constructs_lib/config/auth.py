"""The field `auth`: who may sign in, in addition to the owners of tokens."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from constructs_lib.config.base import Model, by_core
from constructs_lib.config.problems import Problem
from constructs_lib.config.text import Text
from lambdas.core.scopes import Scopes

MAX_AUTHORIZER_BYTES = 3_000
"""All environment variables of a function may take 4 KB. The rest is for the fixed ones.
https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""

GroupName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.@+-]{1,128}$")]
PoolArn = Annotated[
    str,
    Text(
        r"arn:aws[a-z-]*:cognito-idp:[a-z0-9-]+:[0-9]{12}:userpool/[a-z0-9-]+_[A-Za-z0-9]+",
        "must be the ARN of a user pool, such as "
        "'arn:aws:cognito-idp:us-east-1:123456789012:userpool/us-east-1_AbCdEf'",
    ),
]
ScopesText = Annotated[str, by_core(Scopes.parse)]


class CognitoAuth(Model):
    """Users of a Cognito user pool, a new one or the one at `user_pool_arn`. `groups` leads from
    each group of the pool to the scopes of its members."""

    type: Literal["cognito"]
    groups: Annotated[dict[GroupName, ScopesText], Field(min_length=1, max_length=25)]
    user_pool_arn: PoolArn | None = None


def auth_problems(document: Mapping[str, Any]) -> Iterator[Problem]:
    """Conflicts between `auth` and the rest of a config, which may have other problems too."""
    auth, region = document.get("auth"), document.get("region_name")
    arn = auth.get("user_pool_arn") if isinstance(auth, dict) else None
    if isinstance(arn, str) and arn.count(":") == 5 and arn.split(":")[3] != region:
        yield Problem(
            "auth.user_pool_arn",
            f"must be a pool of region_name, '{region}', where it gets an app client",
        )
    size = _bytes_for_the_authorizer(document)
    if size > MAX_AUTHORIZER_BYTES:
        yield Problem(
            "jumpstart_models",
            f"the routes and endpoint names, with the groups of `auth`, take {size} bytes of the "
            f"authorizer's environment, which has room for {MAX_AUTHORIZER_BYTES}: shorten names, "
            "or put some entries into a stack of their own",
        )


def _bytes_for_the_authorizer(document: Mapping[str, Any]) -> int:
    entries, auth = document.get("jumpstart_models"), document.get("auth")
    size = len(json.dumps(auth.get("groups"))) if isinstance(auth, dict) else 0
    for entry in entries if isinstance(entries, list) else ():
        match entry:
            case {"name": str(name), "integration": {"properties": dict(properties)}}:
                route = str(properties.get("api_resource_name"))
                endpoint = f"{document.get('project_prefix')}-{name}-Endpoint"
                below = {f"{route}/*": ""} if properties.get("proxy") else {}
                size += len(json.dumps({route: endpoint, **below}))
            case _:
                pass
    return size
