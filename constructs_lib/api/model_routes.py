"""The routes of the models: `POST /{api_resource_name}`, answered by a function or by SageMaker
itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cdktf_cdktf_provider_aws.lambda_alias import LambdaAlias

from constructs_lib.config.document import DeployConfig
from constructs_lib.python_function import PythonFunction


@dataclass(frozen=True, slots=True)
class _ModelRoute:
    """A `public` route needs no token."""

    path: str
    public: bool

    @property
    def id(self) -> str:
        """Part of Terraform addresses, which allow no dot. It is unique for each path."""
        return "model_" + self.path.replace("_", "__").replace(".", "_dot_")


@dataclass(frozen=True, slots=True)
class Below:
    """All paths below a route."""

    id: str
    path: str = "{proxy+}"


@dataclass(frozen=True, slots=True)
class LambdaRoute(_ModelRoute):
    """Hands the request to the function `calls` (AWS_PROXY), which hands it to that of the entry.
    With `proxy` it also hands on every path below its own."""

    proxy: bool = False

    @property
    def below(self) -> Below:
        return Below(f"{self.id}_below")


@dataclass(frozen=True, slots=True)
class CallsTarget:
    """The function `calls`, or its alias with provisioned concurrency."""

    function: PythonFunction
    alias: LambdaAlias | None

    @property
    def invoke_arn(self) -> str:
        return self.alias.invoke_arn if self.alias else self.function.invoke_arn

    @property
    def qualifier(self) -> str | None:
        return self.alias.name if self.alias else None


@dataclass(frozen=True, slots=True)
class DirectRoute(_ModelRoute):
    """Hands the request to SageMaker Runtime, without a function in between."""

    endpoint_name: str


ModelRoute = LambdaRoute | DirectRoute


def direct_routes(config: DeployConfig) -> Iterator[DirectRoute]:
    """The routes of all entries with `"type": "api"`."""
    for entry in config.jumpstart_models:
        integration = entry.integration
        if integration is not None and integration.type == "api":
            yield DirectRoute(
                path=integration.properties.api_resource_name,
                public=integration.public,
                endpoint_name=config.endpoint_name(entry),
            )
