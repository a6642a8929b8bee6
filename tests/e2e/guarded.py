"""The stack as honest and hostile callers see it, and every secret that was made or sent."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx

from lambdas.aws.attribute_values import encode
from lambdas.core.tokens import new_secret
from tests.e2e.calls import FLAN
from tests.e2e.checkout import Checkout

GROUPS = {"readers": "read", "flan-team": f"read:{FLAN} renew:{FLAN} invoke:{FLAN}"}
PASSWORD = "Correct-Horse-7-Battery"
Sent = list[tuple[str, bytes]]
"""Headers, as raw bytes."""


@dataclass
class Guarded:
    """The stack with both kinds of callers, and every secret that was made or sent."""

    checkout: Checkout
    pool: str
    client: str
    secrets: set[str] = field(default_factory=set)
    revoked: str = ""
    revoked_at: float = 0.0

    def keep(self, secret: str) -> str:
        self.secrets.add(secret)
        return secret

    def token(self, scopes: str, *, days: int | None = 1) -> str:
        """A new token as the command line makes them; already expired if `days` is negative."""
        return self.keep(self.checkout.new_token(scopes, days=days))

    def item(self, **values: Any) -> str:
        """An item in the auth table as people write it by hand; returns its pass code."""
        secret = self.keep(new_secret())
        item = encode({"token": secret, **values})
        table = self.checkout.stack["auth_table"]
        self.checkout.client("dynamodb").put_item(TableName=table, Item=item)
        return secret

    def signed_in(self, *groups: str, client: str = "", pool: str = "") -> dict[str, str]:
        """The tokens of a new user who was invited and has set a password."""
        cognito, pool = self.checkout.client("cognito-idp"), pool or self.pool
        client, name = client or self.client, f"user-{time.time_ns()}"
        cognito.admin_create_user(
            UserPoolId=pool,
            Username=name,
            TemporaryPassword=f"{PASSWORD}-1",
            MessageAction="SUPPRESS",
        )
        for group in groups:
            cognito.admin_add_user_to_group(UserPoolId=pool, Username=name, GroupName=group)
        begun = cognito.initiate_auth(
            ClientId=client,
            AuthFlow="USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": name, "PASSWORD": f"{PASSWORD}-1"},
        )
        assert begun["ChallengeName"] == "NEW_PASSWORD_REQUIRED"
        done = cognito.respond_to_auth_challenge(
            ClientId=client,
            ChallengeName="NEW_PASSWORD_REQUIRED",
            Session=begun["Session"],
            ChallengeResponses={"USERNAME": name, "NEW_PASSWORD": PASSWORD},
        )["AuthenticationResult"]
        kinds = ("AccessToken", "IdToken", "RefreshToken")
        return {kind: self.keep(done[kind]) for kind in kinds}

    def ask(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, **more: Any
    ) -> httpx.Response:
        with self.checkout.api("") as api:
            return api.request(method, path, headers=headers, **more)

    def try_out(self, method: str, path: str, sent: Sent) -> tuple[int, dict[str, Any]]:
        """Status and JSON of the answer to headers that HTTP clients refuse to send."""
        address = urlsplit(self.checkout.stack["api_url"])
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
        connection.putrequest(method, address.path + path)
        for name, value in sent:
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        document: dict[str, Any] = json.loads(answer.read())
        connection.close()
        return answer.status, document

    def with_token(self, token: str, method: str, path: str, **more: Any) -> httpx.Response:
        return self.ask(method, path, {"Authorization": token}, **more)
