"""The fields `integration` and `wake_on_request`: how the API reaches a model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, model_validator

from constructs_lib.config.base import Model, as_pydantic_error, by_core
from constructs_lib.config.text import FunctionImage, ProjectFolder, Text
from lambdas.core.called_models import API_GATEWAY_SECONDS
from lambdas.core.errors import InvalidField
from lambdas.core.json_form import MAX_INTEGER
from lambdas.core.settings import IntegrationSettings
from lambdas.core.spec import MAX_MINUTES

MOST_SECONDS = 300
"""What AWS raises the timeout of integrations to, for regional APIs:
https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-execution-service-limits-table.html"""
SAGEMAKER_SECONDS = 60
"""How long SageMaker gives a model for one call:
https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html"""
SPARE_SECONDS = 3
"""Part of a function's timeout: time left to answer that the model did not respond."""
_OF_LAMBDA = (
    "lambda_src",
    "handler",
    "image_uri",
    "layers",
    "proxy",
    "memory_mb",
    "environment",
    "provisioned_concurrency",
    "reserved_concurrency",
    "keep_warm",
)
_OF_ZIP = ("lambda_src", "handler", "layers")
# Lambda reserves these: https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
_RESERVED_VARIABLES = ("AWS_", "LAMBDA_", "POWERTOOLS_", "_")
_OUR_VARIABLES = {"PYTHONTZPATH", *(field.name.upper() for field in fields(IntegrationSettings))}


def _refuse_reserved(name: str, field: str) -> None:
    if name.startswith(_RESERVED_VARIABLES) or name in _OUR_VARIABLES:
        raise InvalidField(field, "is set by Lambda or this product; rename it")


_VariableName = Annotated[
    str,
    Text(
        r"[a-zA-Z][a-zA-Z0-9_]+",
        "is no name of a variable of a function: two or more letters, digits and '_', beginning "
        "with a letter",
    ),
    by_core(_refuse_reserved),
]


class KeepWarm(Model):
    """Calls the function now and then, so that one instance of it stays ready."""

    minutes: Annotated[int, Field(ge=1, le=60)] = 5


LayerArn = Annotated[
    str,
    StringConstraints(
        pattern=r"^arn:[a-z-]+:lambda:[a-z0-9-]+:[0-9]{12}:layer:[a-zA-Z0-9_-]{1,140}:[0-9]+$"
    ),
]


class IntegrationProperties(Model):
    """`api_resource_name` is the route under which the model is called, `timeout_seconds` how long
    an answer may take. All the rest is for type `lambda`: which code answers, and on what it
    runs."""

    api_resource_name: Annotated[
        str, StringConstraints(pattern=r"^\.*[a-zA-Z0-9_-][a-zA-Z0-9._-]*$", max_length=64)
    ]
    lambda_src: ProjectFolder | None = None
    handler: Annotated[
        str, StringConstraints(pattern=r"^[a-zA-Z_]\w*([./][a-zA-Z_]\w*)*\.[a-zA-Z_]\w*$")
    ] = "index.handler"
    image_uri: FunctionImage | None = None
    layers: Annotated[list[LayerArn], Field(max_length=4)] = []
    proxy: bool = False
    memory_mb: Annotated[int, Field(ge=128, le=10_240)] = 512
    timeout_seconds: Annotated[int, Field(ge=5, le=MOST_SECONDS)] = API_GATEWAY_SECONDS
    environment: dict[_VariableName, str] = {}
    provisioned_concurrency: Annotated[int, Field(ge=1, le=MAX_INTEGER)] | None = None
    reserved_concurrency: Annotated[int, Field(ge=1, le=MAX_INTEGER)] | None = None
    keep_warm: KeepWarm | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> IntegrationProperties:
        for field, sentence in self._contradictions():
            raise as_pydantic_error(InvalidField(field, sentence))
        return self

    def _contradictions(self) -> Iterator[tuple[str, str]]:
        if self.image_uri:
            for field in self._given_fields(_OF_ZIP):
                yield field, "has no meaning with `image_uri`: the image brings it along"
        if self.provisioned_concurrency and self.keep_warm:
            yield (
                "keep_warm",
                "has no use where `provisioned_concurrency` keeps the function ready; remove one",
            )
        most = self.reserved_concurrency
        if most and self.provisioned_concurrency and self.provisioned_concurrency > most:
            yield (
                "provisioned_concurrency",
                f"must be at most {most} (reserved_concurrency), which is all that may run at once",
            )
        source = PurePosixPath(self.lambda_src or ".")
        if source.is_absolute() or ".." in source.parts:
            yield (
                "lambda_src",
                "must be a folder of the project, such as functions/falcon",
            )

    def _given_fields(self, fields: tuple[str, ...]) -> list[str]:
        return [field for field in fields if field in self.model_fields_set]

    def given_of_lambda(self) -> list[str]:
        """The given fields that only apply to type `lambda`."""
        return self._given_fields(_OF_LAMBDA)


class Integration(Model):
    """How the API reaches the model: through a Lambda of the entry's own, or directly. A `public`
    route asks for no token."""

    type: Literal["lambda", "api"]
    properties: IntegrationProperties
    public: bool = False

    @model_validator(mode="after")
    def _fits_its_type(self) -> Integration:
        has_code = self.properties.lambda_src or self.properties.image_uri
        if self.type == "lambda" and not has_code:
            raise _invalid(
                "lambda_src",
                "is required where `type` is 'lambda': the folder of the handler, such as "
                "'functions/falcon'; or give an `image_uri`",
            )
        for field in self.properties.given_of_lambda() if self.type == "api" else ():
            raise _invalid(
                field, "has no meaning where `type` is 'api'; remove it or choose type 'lambda'"
            )
        return self

    @property
    def seconds(self) -> int:
        """How long API Gateway waits for an answer. A function that may take less answers that
        itself."""
        given = self.properties.timeout_seconds
        return given if self.type == "api" else max(given, API_GATEWAY_SECONDS)


class WakeOnRequest(Model):
    """A call of the model while it is stopped starts it for `minutes`. With `extend`, each later
    call moves the end of its lease to so many minutes from then, if that is later."""

    minutes: Annotated[int, Field(ge=1, le=MAX_MINUTES)]
    wakes_per_token_an_hour: Annotated[int, Field(ge=1, le=1_000)] = 10
    extend: bool = False


def _invalid(field: str, sentence: str) -> Any:
    return as_pydantic_error(InvalidField(f"properties.{field}", sentence))
