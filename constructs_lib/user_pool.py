"""The Cognito user pool of people who may call the API: one that the stack makes, or an existing
one."""

from __future__ import annotations

from cdktf_cdktf_provider_aws.cognito_user_group import CognitoUserGroup
from cdktf_cdktf_provider_aws.cognito_user_pool import (
    CognitoUserPool,
    CognitoUserPoolAccountRecoverySetting,
    CognitoUserPoolAccountRecoverySettingRecoveryMechanism,
    CognitoUserPoolAdminCreateUserConfig,
    CognitoUserPoolPasswordPolicy,
)
from cdktf_cdktf_provider_aws.cognito_user_pool_client import CognitoUserPoolClient
from constructs import Construct

from constructs_lib.config.auth import CognitoAuth
from constructs_lib.deployment import Deployment, addressed
from lambdas.core import user_pool


class UserPool(Construct):
    """An existing pool only gets an app client. Its groups and users belong to its owner and are
    not changed."""

    def __init__(
        self, scope: Construct, at: Deployment, auth: CognitoAuth, *, protected: bool
    ) -> None:
        super().__init__(scope, "users")
        if auth.user_pool_arn:
            arn, pool_id = auth.user_pool_arn, auth.user_pool_arn.rpartition("/")[2]
        else:
            pool = self._pool(at, protected=protected)
            arn, pool_id = pool.arn, pool.id
            for group in auth.groups:
                self._group(pool_id, group)
        client = self._client(at, pool_id)
        self.settings = user_pool.UserPool(arn, client.id, auth.groups)
        self.outputs = {"user_pool_id": pool_id, "user_pool_client_id": client.id}

    def _pool(self, at: Deployment, *, protected: bool) -> CognitoUserPool:
        """Administrators invite the users. Nobody can sign up without an invitation."""
        return addressed(
            CognitoUserPool(
                self,
                "pool",
                name=at.name("users"),
                deletion_protection="ACTIVE" if protected else "INACTIVE",
                admin_create_user_config=CognitoUserPoolAdminCreateUserConfig(
                    allow_admin_create_user_only=True
                ),
                password_policy=CognitoUserPoolPasswordPolicy(
                    minimum_length=14,
                    require_lowercase=True,
                    require_uppercase=True,
                    require_numbers=True,
                    require_symbols=True,
                    temporary_password_validity_days=3,
                ),
                account_recovery_setting=CognitoUserPoolAccountRecoverySetting(
                    recovery_mechanism=[
                        CognitoUserPoolAccountRecoverySettingRecoveryMechanism(
                            name="admin_only", priority=1
                        )
                    ]
                ),
            ),
            "users",
        )

    def _group(self, pool_id: str, name: str) -> None:
        """A name that is not a valid Terraform address becomes hexadecimal in the address."""
        group = CognitoUserGroup(self, f"group-{name}", name=name, user_pool_id=pool_id)
        addressed(group, f"group_{name.encode().hex()}" if not name.isidentifier() else name)

    def _client(self, at: Deployment, pool_id: str) -> CognitoUserPoolClient:
        """The app client that people sign in with. It has no secret, because it runs on their own
        devices, not on a server."""
        return addressed(
            CognitoUserPoolClient(
                self,
                "client",
                name=at.name("api"),
                user_pool_id=pool_id,
                generate_secret=False,
                explicit_auth_flows=[
                    "ALLOW_REFRESH_TOKEN_AUTH",
                    "ALLOW_USER_PASSWORD_AUTH",
                    "ALLOW_USER_SRP_AUTH",
                ],
                prevent_user_existence_errors="ENABLED",
                enable_token_revocation=True,
                # The default units are hours, hours and days.
                access_token_validity=1,
                id_token_validity=1,
                refresh_token_validity=1,
            ),
            "users",
        )
