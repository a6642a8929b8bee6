"""How the API reaches a model: what a user may write under `integration`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import StringConstraints, model_validator

from constructs_lib.config_model import Model, as_pydantic_error
from lambdas.core.errors import InvalidField


class IntegrationProperties(Model):
    """`api_resource_name` is the route under which the model is called."""

    api_resource_name: Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9._-]{1,64}$")]
    lambda_src: Annotated[str, StringConstraints(min_length=1)] | None = None


class Integration(Model):
    """How the API reaches the model: through a Lambda of the entry's own, or directly. A `public`
    route asks for no token."""

    type: Literal["lambda", "api"]
    properties: IntegrationProperties
    public: bool = False

    @model_validator(mode="after")
    def _fits_its_type(self) -> Integration:
        named = self.properties.lambda_src is not None
        if (self.type == "lambda") is named:
            return self
        sentence = (
            "is required where `type` is 'lambda': the folder of the handler, such as "
            "'lambdas/falcon'"
            if self.type == "lambda"
            else "has no meaning where `type` is 'api'; remove it or choose type 'lambda'"
        )
        raise as_pydantic_error(InvalidField("properties.lambda_src", sentence))
