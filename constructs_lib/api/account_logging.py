"""The role under which API Gateway writes logs. There is one per account and region."""

from __future__ import annotations

from cdktf_cdktf_provider_aws.api_gateway_account import ApiGatewayAccount
from cdktf_cdktf_provider_aws.iam_role import IamRole
from cdktf_cdktf_provider_aws.iam_role_policy_attachment import IamRolePolicyAttachment
from constructs import Construct

from constructs_lib.deployment import Deployment, addressed
from constructs_lib.policy import trust_document
from constructs_lib.role import role_properties


class AccountLogging(Construct):
    """Sets that role. Only for accounts that have none: an existing role would be replaced."""

    def __init__(self, scope: Construct, at: Deployment) -> None:
        super().__init__(scope, "account-logging")
        role = addressed(
            IamRole(
                self,
                "logs-role",
                **role_properties(
                    at, "api-gateway-logs", trust_document("apigateway.amazonaws.com")
                ),
            ),
            "api_gateway_logs",
        )
        attached = addressed(
            IamRolePolicyAttachment(
                self,
                "logs-policy",
                role=role.name,
                policy_arn=(
                    f"arn:{at.partition}:iam::aws:policy/service-role/"
                    "AmazonAPIGatewayPushToCloudWatchLogs"
                ),
            ),
            "api_gateway_logs",
        )
        self.resource = addressed(
            ApiGatewayAccount(self, "account", cloudwatch_role_arn=role.arn, depends_on=[attached]),
            "api_gateway",
        )
