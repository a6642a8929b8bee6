"""The routes of the models: `POST /{api_resource_name}`, answered by a function or by SageMaker
itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from constructs_lib.config.document import DeployConfig


@dataclass(frozen=True, slots=True)
class _ModelRoute:
    """A `public` route needs no token. API Gateway waits `seconds` for its answer."""

    path: str
    public: bool
    seconds: int

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
                seconds=integration.seconds,
                endpoint_name=config.endpoint_name(entry),
            )
