"""API Gateway straight to SageMaker Runtime: what is sent, and what comes back.

Bodies pass as they are, in both directions: the API takes every media type as binary
(`BINARY_MEDIA_TYPES`), and neither a request nor a good answer meets a template. What SageMaker
refuses becomes our `{"error", "code", "requestId"}` by the templates of `direct_refusals`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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

BINARY_MEDIA_TYPES = ["*/*"]  # why all: docs/decisions/0060-every-body-is-binary.md
TIMEOUT_MILLISECONDS = 29_000  # API Gateway's longest, unless AWS has raised it for the account
_ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
_REQUEST_HEADERS = ("Accept", "Content-Type", _ATTRIBUTES, "X-Amzn-SageMaker-Target-Variant")
# As SageMaker writes them.
_ANSWER_HEADERS = ("Content-Type", _ATTRIBUTES, "x-Amzn-Invoked-Production-Variant")
_JSON = "application/json"


class DirectIntegrations(Construct):
    """The methods of direct routes, and the role in which API Gateway calls their endpoints."""

    def __init__(
        self,
        scope: Construct,
        at: Deployment,
        parts: ApiParts,
        routes: Sequence[DirectRoute],
        always: Mapping[str, str],
    ) -> None:
        """`always` are headers of every answer."""
        super().__init__(scope, "direct")
        self._at = at
        self._parts = parts
        self._always = {name: f"'{value}'" for name, value in always.items()}
        names = [route.endpoint_name for route in routes]
        self.allowed: TerraformResource
        self._role, self.allowed = own_role(
            self,
            name=at.name("endpoint-caller"),
            logical_id="endpoint_caller",
            trust=trust_document("apigateway.amazonaws.com"),
            statements=SageMakerAccess(at).invoke(names),
        )

    def add(self, route: DirectRoute, authorizer_id: str | None) -> None:
        method = self._parts.method(
            route,
            "POST",
            authorizer_id,
            request_parameters={
                f"method.request.header.{name}": False for name in _REQUEST_HEADERS
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
                for name in _REQUEST_HEADERS
            },
            passthrough_behavior="WHEN_NO_TEMPLATES",
            timeout_milliseconds=TIMEOUT_MILLISECONDS,
        )
        headers = {name: f"integration.response.header.{name}" for name in _ANSWER_HEADERS}
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
        """One status, with the headers of every answer."""
        headers = {**self._always, **headers}
        # Those of CORS are declared in any case: whether they are sent, `headers` alone says.
        declared = {**answer_headers("*"), **headers}
        logical_id = f"{route.id}-{status}"
        self._parts.answer(logical_id, integration, status, headers, declared, **properties)
