"""The resources of the REST API that a deployment (a snapshot of the API) contains."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol, TypeVar

from cdktf import TerraformResource
from cdktf_cdktf_provider_aws.api_gateway_integration import ApiGatewayIntegration
from cdktf_cdktf_provider_aws.api_gateway_integration_response import (
    ApiGatewayIntegrationResponse,
)
from cdktf_cdktf_provider_aws.api_gateway_method import ApiGatewayMethod
from cdktf_cdktf_provider_aws.api_gateway_method_response import ApiGatewayMethodResponse
from cdktf_cdktf_provider_aws.api_gateway_resource import ApiGatewayResource
from cdktf_cdktf_provider_aws.api_gateway_rest_api import ApiGatewayRestApi
from constructs import Construct

from constructs_lib.deployment import addressed
from constructs_lib.literal_text import Expression
from lambdas.core.called_models import API_GATEWAY_SECONDS

Part = TypeVar("Part", bound=TerraformResource)


class Path(Protocol):
    """The path of a route. `id` is part of Terraform addresses."""

    @property
    def path(self) -> str: ...
    @property
    def id(self) -> str: ...


class ApiParts:
    """Makes the parts, and a fingerprint that changes when any of them changes.

    A deployment is a snapshot, so a change of any part needs a new deployment. `fingerprint` lets
    Terraform hash every attribute that was set on any part, including the ids of other parts. It
    does not hash whole resources: the provider reads some unset attributes back as empty, and
    that would count as a change.
    """

    def __init__(self, scope: Construct, api: ApiGatewayRestApi) -> None:
        self._scope = scope
        self._api_id, self._root_id = api.id, api.root_resource_id
        self._set: list[str] = []
        self._types: dict[str, str] = {}
        self.paths: dict[str, str] = {}
        """The id of each path's resource, by the id of its route."""

    def make(self, kind: Callable[..., Part], logical_id: str, **properties: object) -> Part:
        construct_id = f"{kind.__name__}-{logical_id}"
        part = addressed(
            kind(self._scope, construct_id, rest_api_id=self._api_id, **properties), logical_id
        )
        address = f"{self._type_of(part)}.{logical_id}"
        self._set += [
            f"{address}.{name}" for name, value in properties.items() if value is not None
        ]
        return part

    def method(
        self,
        route: Path,
        http_method: str,
        authorizer_id: str | None,
        parent_id: str | None = None,
        **properties: object,
    ) -> ApiGatewayMethod:
        """A method on a path of its own. Without an authorizer it needs no token."""
        resource = self.make(
            ApiGatewayResource,
            route.id,
            parent_id=parent_id or self._root_id,
            path_part=route.path,
        )
        resource_id = self.paths[route.id] = resource.id
        return self.make(
            ApiGatewayMethod,
            route.id,
            resource_id=resource_id,
            http_method=http_method,
            authorization="CUSTOM" if authorizer_id else "NONE",
            authorizer_id=authorizer_id,
            **properties,
        )

    def answer(
        self,
        logical_id: str,
        integration: ApiGatewayIntegration,
        status: int,
        headers: Mapping[str, str],
        declared: Iterable[str] | None = None,
        **properties: object,
    ) -> None:
        """Declare a response status. The method names its headers (or those in `declared`), and the
        integration says where each value comes from."""
        prefix = "method.response.header."
        names = headers if declared is None else declared
        method = {
            "resource_id": integration.resource_id,
            "http_method": integration.http_method,
        }
        response = self.make(
            ApiGatewayMethodResponse,
            logical_id,
            **method,
            status_code=str(status),
            response_parameters={prefix + name: False for name in names},
        )
        self.make(
            ApiGatewayIntegrationResponse,
            logical_id,
            **method,
            status_code=response.status_code,
            response_parameters={prefix + name: source for name, source in headers.items()},
            **properties,
        )

    def hand_to(
        self,
        invoke_arn: str,
        route: Path,
        method: ApiGatewayMethod,
        seconds: int = API_GATEWAY_SECONDS,
    ) -> None:
        """Let a function, or an alias of one, answer the method within so many seconds."""
        self.make(
            ApiGatewayIntegration,
            route.id,
            resource_id=method.resource_id,
            http_method=method.http_method,
            type="AWS_PROXY",
            integration_http_method="POST",
            uri=invoke_arn,
            timeout_milliseconds=seconds * 1000 if seconds != API_GATEWAY_SECONDS else None,
        )

    def _type_of(self, part: TerraformResource) -> str:
        """Asked once for each class: every question to cdktf goes through a pipe to Node."""
        kind = type(part).__name__
        if kind not in self._types:
            self._types[kind] = part.terraform_resource_type
        return self._types[kind]

    @property
    def fingerprint(self) -> Expression:
        """An expression that lets Terraform hash everything that was made so far."""
        parts = ", ".join(f'"{attribute}" = {attribute}' for attribute in self._set)
        return Expression(f"${{sha256(jsonencode({{{parts}}}))}}")
