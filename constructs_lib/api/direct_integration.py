"""Routes from API Gateway directly to SageMaker Runtime, without a function in between.

Request and response bodies pass unchanged: the API treats every media type as binary
(`BINARY_MEDIA_TYPES`), and no template touches a request or a successful response. The templates
of `direct_refusals` turn SageMaker's errors into our `{"error", "code", "requestId"}`.
"""

from __future__ import annotations

from collections.abc import Mapping

from cdktf import TerraformResource
from cdktf_cdktf_provider_aws.api_gateway_integration import ApiGatewayIntegration
from constructs import Construct

from constructs_lib.api.direct_refusals import REFUSALS, template
from constructs_lib.api.model_routes import DirectRoute
from constructs_lib.api.parts import ApiParts
from constructs_lib.deployment import Deployment
from constructs_lib.policy import trust_document
from constructs_lib.role import own_role
from constructs_lib.sagemaker_access import SageMakerAccess
from lambdas.core.answer_headers import answer_headers
from lambdas.core.invocation import ANSWER_HEADERS, REQUEST_HEADERS

_JSON = "application/json"


class DirectIntegrations(Construct):
    """The methods of direct routes, and the role under which API Gateway calls their endpoints."""

    def __init__(
        self,
        scope: Construct,
        at: Deployment,
        parts: ApiParts,
        always: Mapping[str, str],
    ) -> None:
        """`always` are the headers that every response carries."""
        super().__init__(scope, "direct")
        self._at = at
        self._parts = parts
        self._always = {name: f"'{value}'" for name, value in always.items()}
        self.allowed: TerraformResource
        self._role, self.allowed = own_role(
            self,
            at,
            thing="endpoint-caller",
            logical_id="endpoint_caller",
            trust=trust_document("apigateway.amazonaws.com"),
            statements=SageMakerAccess(at).invoke_declared(components=True),
        )

    def add(self, route: DirectRoute, authorizer_id: str | None) -> None:
        method = self._parts.method(
            route,
            "POST",
            authorizer_id,
            request_parameters={
                f"method.request.header.{name}": False for name in REQUEST_HEADERS.values()
            },
        )
        path = f"endpoints/{route.endpoint_name}/invocations"
        integration = self._parts.make(
            ApiGatewayIntegration,
            route.id,
            resource_id=method.resource_id,
            http_method=method.http_method,
            type="AWS",
            integration_http_method="POST",
            uri=f"arn:{self._at.partition}:apigateway:{self._at.region}"
            f":runtime.sagemaker:path/{path}",
            credentials=self._role.arn,
            request_parameters={
                f"integration.request.header.{name}": f"method.request.header.{name}"
                for name in REQUEST_HEADERS.values()
            },
            passthrough_behavior="WHEN_NO_TEMPLATES",
            timeout_milliseconds=route.seconds * 1000,
        )
        headers = {name: f"integration.response.header.{name}" for name in ANSWER_HEADERS.values()}
        self._answer(route, integration, 200, headers, selection_pattern=r"2\d{2}")
        for refusal in REFUSALS:
            self._answer(
                route,
                integration,
                refusal.status,
                {"Content-Type": f"'{_JSON}'"},
                selection_pattern=refusal.when,
                response_templates={_JSON: template(refusal, route.endpoint_name)},
                content_handling="CONVERT_TO_TEXT",
            )

    def _answer(
        self,
        route: DirectRoute,
        integration: ApiGatewayIntegration,
        status: int,
        headers: dict[str, str],
        **properties: object,
    ) -> None:
        """One response status, with the headers that every response carries."""
        headers = {**self._always, **headers}
        # The CORS headers are always declared. `headers` decides whether they are sent.
        declared = {**answer_headers("*"), **headers}
        logical_id = f"{route.id}-{status}"
        self._parts.answer(logical_id, integration, status, headers, declared, **properties)
