"""The REST API: the routes of the api function and of the models, behind the authorizer.

The api function answers 405 for unknown methods, so each of its routes is one ANY method.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cdktf import TerraformResource, TerraformResourceLifecycle
from cdktf_cdktf_provider_aws.api_gateway_authorizer import ApiGatewayAuthorizer
from cdktf_cdktf_provider_aws.api_gateway_deployment import ApiGatewayDeployment
from cdktf_cdktf_provider_aws.api_gateway_gateway_response import ApiGatewayGatewayResponse
from cdktf_cdktf_provider_aws.api_gateway_method_settings import (
    ApiGatewayMethodSettings,
    ApiGatewayMethodSettingsSettings,
)
from cdktf_cdktf_provider_aws.api_gateway_rest_api import (
    ApiGatewayRestApi,
    ApiGatewayRestApiEndpointConfiguration,
)
from cdktf_cdktf_provider_aws.api_gateway_stage import (
    ApiGatewayStage,
    ApiGatewayStageAccessLogSettings,
)
from cdktf_cdktf_provider_aws.cloudwatch_log_group import CloudwatchLogGroup
from cdktf_cdktf_provider_aws.cloudwatch_log_metric_filter import (
    CloudwatchLogMetricFilter,
    CloudwatchLogMetricFilterMetricTransformation,
)
from cdktf_cdktf_provider_aws.lambda_permission import LambdaPermission
from constructs import Construct

from constructs_lib.api.account_logging import AccountLogging
from constructs_lib.api.direct_integration import DirectIntegrations
from constructs_lib.api.direct_refusals import BINARY_MEDIA_TYPES
from constructs_lib.api.model_routes import DirectRoute, LambdaRoute, ModelRoute
from constructs_lib.api.parts import ApiParts
from constructs_lib.api.preflight import Preflights
from constructs_lib.api.refusals import REFUSALS, RETRY_AFTER_SECONDS
from constructs_lib.canonical import canonical
from constructs_lib.config.document import Throttle
from constructs_lib.deployment import API_FAILURES_METRIC, Deployment, addressed
from constructs_lib.python_function import InvokedFunction
from lambdas.core.answer_headers import answer_headers
from lambdas.core.routes import is_public, paths

STAGE = "prod"
_AUTHORIZER_CACHE_SECONDS = 60
_HEADER = "gatewayresponse.header."


@dataclass(frozen=True, slots=True)
class _MeterPath:
    """A path from the list of routes, as a part of the API."""

    path: str

    @property
    def id(self) -> str:
        return self.path.replace("-", "_").replace(".", "_")


# No headers or messages, so that the log holds no tokens: an error's message may quote the
# Authorization header, but its type does not.
_ACCESS_LOG = {
    "requestId": "$context.requestId",
    "time": "$context.requestTimeEpoch",
    "method": "$context.httpMethod",
    "path": "$context.resourcePath",
    "status": "$context.status",
    "error": "$context.error.responseType",
    "latency_ms": "$context.responseLatency",
    "principal": "$context.authorizer.principalId",
    "ip": "$context.identity.sourceIp",
}


class RestApi(Construct):
    def __init__(  # noqa: PLR0913  # keyword-only: an API has this many settings
        self,
        scope: Construct,
        at: Deployment,
        *,
        function: InvokedFunction,
        authorizer: InvokedFunction,
        models: Sequence[ModelRoute],
        calls: InvokedFunction | None,
        throttle: Throttle,
        cors_origin: str,
        log_retention_days: int,
        own_account_role: bool,
    ) -> None:
        super().__init__(scope, "api")
        self.api = addressed(
            ApiGatewayRestApi(
                self,
                "rest",
                name=at.name("api"),
                description="Parking meters for SageMaker endpoints",
                endpoint_configuration=ApiGatewayRestApiEndpointConfiguration(types=["REGIONAL"]),
                binary_media_types=BINARY_MEDIA_TYPES,
            ),
            "api",
        )
        self._parts = ApiParts(self, self.api)
        authorizer_id, may_authorize = self._authorize_with(authorizer)
        for path in paths():
            route = _MeterPath(path.strip("/"))
            method = self._parts.method(route, "ANY", None if is_public(path) else authorizer_id)
            self._parts.hand_to(function.invoke_arn, route, method)
        allowed = [
            self._allow("api", function, f"{self.api.execution_arn}/{STAGE}/*/*"),
            *self._models(at, models, calls, authorizer_id, cors_origin),
            # An alias of a running API must be callable before the deployment that names it.
            *([may_authorize] if authorizer.alias else ()),
        ]
        if cors_origin:
            preflights = Preflights(self._parts, cors_origin)
            for route_id, resource_id in tuple(self._parts.paths.items()):
                preflights.answer(route_id, resource_id)
        self._refuse_in_json(answer_headers(cors_origin))
        deployment = self._deploy(allowed)
        role = [AccountLogging(self, at).resource] if own_account_role else []
        self.stage = self._stage(at, deployment, log_retention_days, role)
        addressed(
            ApiGatewayMethodSettings(
                self,
                "throttle",
                rest_api_id=self.api.id,
                stage_name=self.stage.stage_name,
                method_path="*/*",
                settings=ApiGatewayMethodSettingsSettings(
                    metrics_enabled=True,
                    throttling_rate_limit=throttle.rate_per_second,
                    throttling_burst_limit=throttle.burst,
                ),
            ),
            "api",
        )
        self.url = self.stage.invoke_url

    def _authorize_with(self, function: InvokedFunction) -> tuple[str, LambdaPermission]:
        """The id of the authorizer, and the permission to call it."""
        authorizer = self._parts.make(
            ApiGatewayAuthorizer,
            "token",
            name="token",
            type="REQUEST",
            identity_source="method.request.header.Authorization",
            authorizer_uri=function.invoke_arn,
            authorizer_result_ttl_in_seconds=_AUTHORIZER_CACHE_SECONDS,
        )
        source = f"{self.api.execution_arn}/authorizers/{authorizer.id}"
        return authorizer.id, self._allow("authorizer", function, source)

    def _allow(self, name: str, function: InvokedFunction, source_arn: str) -> LambdaPermission:
        qualifier = function.qualifier
        return addressed(
            LambdaPermission(
                self,
                f"{name}-permission",
                # Unlike that of the function itself: Terraform makes the new one before it removes
                # the old one.
                statement_id=f"api-gateway-{qualifier}" if qualifier else "api-gateway",
                action="lambda:InvokeFunction",
                function_name=function.function.resource.function_name,
                qualifier=qualifier,
                principal="apigateway.amazonaws.com",
                source_arn=source_arn,
            ),
            name,
        )

    def _models(
        self,
        at: Deployment,
        routes: Sequence[ModelRoute],
        calls: InvokedFunction | None,
        authorizer_id: str,
        cors_origin: str,
    ) -> list[TerraformResource]:
        """Make the routes of the models. Returns the permissions that must exist before the API is
        deployed; without them callers would get errors."""
        allowed: list[TerraformResource] = []
        if calls:
            for route in routes:
                if isinstance(route, LambdaRoute):
                    self._lambda_route(route, calls, None if route.public else authorizer_id)
            source = f"{self.api.execution_arn}/{STAGE}/*/*"
            allowed.append(self._allow("calls", calls, source))
        direct = [route for route in routes if isinstance(route, DirectRoute)]
        if direct:
            integrations = DirectIntegrations(self, at, self._parts, answer_headers(cors_origin))
            for route in direct:
                integrations.add(route, None if route.public else authorizer_id)
            allowed.append(integrations.allowed)
        return allowed

    def _lambda_route(
        self, route: LambdaRoute, calls: InvokedFunction, authorizer_id: str | None
    ) -> None:
        """Make a route to a function. With `proxy` the route has all paths below it, too.

        The method is ANY, because the function itself refuses unknown methods. A direct route is
        POST: docs/decisions/0065-methods-of-model-routes.md.
        """
        method = self._parts.method(route, "ANY", authorizer_id)
        self._parts.hand_to(calls.invoke_arn, route, method, route.seconds)
        if route.proxy:
            inner = self._parts.method(route.below, "ANY", authorizer_id, method.resource_id)
            self._parts.hand_to(calls.invoke_arn, route.below, inner, route.seconds)

    def _refuse_in_json(self, headers: Mapping[str, str]) -> None:
        for response_type, (status, sentence, code) in REFUSALS.items():
            body = {"error": sentence, "code": code, "requestId": "$context.requestId"}
            retry_seconds = RETRY_AFTER_SECONDS.get(response_type)
            retry_header = {"Retry-After": str(retry_seconds)} if retry_seconds else {}
            self._parts.make(
                ApiGatewayGatewayResponse,
                response_type.lower(),
                response_type=response_type,
                status_code=str(status) if status else None,
                response_templates={"application/json": canonical(body)},
                response_parameters={
                    _HEADER + name: f"'{value}'"
                    for name, value in {**headers, **retry_header}.items()
                },
            )

    def _deploy(self, allowed: Sequence[TerraformResource]) -> ApiGatewayDeployment:
        return addressed(
            ApiGatewayDeployment(
                self,
                "deployment",
                rest_api_id=self.api.id,
                triggers={"parts": self._parts.fingerprint},
                lifecycle=TerraformResourceLifecycle(create_before_destroy=True),
                depends_on=allowed,
            ),
            "api",
        )

    def _count_failures(self, at: Deployment, logs: CloudwatchLogGroup) -> None:
        """A metric of what no caller can help: the gateway counts 503 as well, which is the answer
        of each stopped endpoint."""
        addressed(
            CloudwatchLogMetricFilter(
                self,
                "failures",
                name=API_FAILURES_METRIC,
                log_group_name=logs.name,
                pattern="{ ($.status = 500) || ($.status = 502) || ($.status = 504) }",
                metric_transformation=CloudwatchLogMetricFilterMetricTransformation(
                    namespace=at.metrics_namespace, name=API_FAILURES_METRIC, value="1"
                ),
            ),
            "api_failures",
        )

    def _stage(
        self,
        at: Deployment,
        deployment: ApiGatewayDeployment,
        log_retention_days: int,
        first: Sequence[TerraformResource],
    ) -> ApiGatewayStage:
        logs = addressed(
            CloudwatchLogGroup(
                self,
                "access-logs",
                name=f"/aws/apigateway/{at.name('api')}",
                retention_in_days=log_retention_days,
                kms_key_id=at.key_arn,
            ),
            "access",
        )
        self._count_failures(at, logs)
        return addressed(
            ApiGatewayStage(
                self,
                "stage",
                rest_api_id=self.api.id,
                deployment_id=deployment.id,
                stage_name=STAGE,
                access_log_settings=ApiGatewayStageAccessLogSettings(
                    destination_arn=logs.arn, format=canonical(_ACCESS_LOG)
                ),
                depends_on=first,
            ),
            "api",
        )
