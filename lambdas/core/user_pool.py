"""The Cognito user pool of people who may sign in, and the scopes of its groups.

The claims of a Cognito token:
https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-the-access-token.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import reduce
from typing import Any, Self

from lambdas.core.errors import Denied
from lambdas.core.scopes import Scopes
from lambdas.core.tokens import Principal, bare, identity_of

MAX_JWT_BYTES = 8192
DNS_SUFFIXES = {
    "aws-cn": "amazonaws.com.cn",
    "aws-iso": "c2s.ic.gov",
    "aws-iso-b": "sc2s.sgov.gov",
    "aws-iso-e": "cloud.adc-e.uk",
    "aws-iso-f": "csp.hci.ic.gov",
    "aws-eusc": "amazonaws.eu",
}
"""The domains of the partitions that have another one than amazonaws.com. A test compares them with
botocore's data."""
_CLIENT_CLAIMS = {"access": "client_id", "id": "aud"}


@dataclass(frozen=True, slots=True)
class UserPool:
    """`client_id` is the app client for which a token must be issued. `groups` maps the name of a
    group to its scopes."""

    arn: str
    client_id: str
    groups: Mapping[str, str]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the text that `str()` wrote."""
        return cls(**json.loads(text))

    def __str__(self) -> str:
        return json.dumps(asdict(self), separators=(",", ":"), sort_keys=True)

    @property
    def region(self) -> str:
        return self.arn.split(":")[3]

    @property
    def id(self) -> str:
        return self.arn.rpartition("/")[2]

    @property
    def issuer(self) -> str:
        return f"https://{self.host}/{self.id}"

    @property
    def host(self) -> str:
        """The host of the region's user pools."""
        partition = self.arn.split(":")[1]
        return f"cognito-idp.{self.region}.{DNS_SUFFIXES.get(partition, 'amazonaws.com')}"

    def principal_of(self, claims: Mapping[str, Any]) -> Principal:
        """The user of a token. The caller has checked its signature, issuer and times. Raises
        Denied if the token is of another kind or app, or if no group of the user has scopes."""
        kind = claims.get("token_use")
        if kind not in _CLIENT_CLAIMS or claims.get(_CLIENT_CLAIMS[kind]) != self.client_id:
            raise Denied("a token of another app client")
        subject = claims["sub"]
        name = claims.get("username") or claims.get("cognito:username") or subject
        scopes = self._scopes_of(claims.get("cognito:groups"))
        if not scopes.granted:
            raise Denied("a user of no group that has scopes")
        return Principal(f"cognito:{name}", scopes, identity_of(f"{self.issuer} {subject}"))

    def _scopes_of(self, groups: object) -> Scopes:
        """The scopes of all these groups together."""
        named = groups if isinstance(groups, list) else []
        known = [Scopes.stored(self.groups[name]) for name in named if name in self.groups]
        return reduce(Scopes.__or__, known, Scopes())


def is_jwt(sent: str) -> bool:
    """Whether it looks like a signed token: three parts, of which the first is a JSON object."""
    token = bare(sent)
    return token.startswith("eyJ") and token.count(".") == 2 and len(token) <= MAX_JWT_BYTES
