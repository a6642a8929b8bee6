"""The fields that say where a model comes from and which containers SageMaker runs.

Limits: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModel.html
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from constructs_lib.config.base import Model, as_pydantic_error
from constructs_lib.config.text import (
    AnyImage,
    LambdaArn,
    ModelData,
    ModelPackageArn,
    ResourceName,
    RoleArn,
    S3Place,
    Text,
)
from lambdas.core.errors import InvalidField

SOURCES = ("model_id", "model_package_arn", "image", "containers")
MAX_ENVIRONMENT_BYTES = 32 * 1024
MULTI_MODEL = "MultiModel"
PRIVATE_REGISTRY = "Vpc"

_VariableName = Annotated[
    str,
    Text(
        r"[a-zA-Z_][a-zA-Z0-9_]*",
        "is no name of a variable: letters, digits and '_', not beginning with a digit",
        1024,
    ),
]
_VariableValue = Annotated[str, StringConstraints(max_length=1024)]
Environment = Annotated[dict[_VariableName, _VariableValue], Field(max_length=100)]
_ModelVersion = Annotated[
    str, Text(r"[0-9]{1,4}(\.[0-9]{1,4}){2}", "must be a version such as '1.2.0'")
]
_SecurityGroup = Annotated[
    str, Text(r"sg-[0-9a-z]{1,29}", "must be a security group such as 'sg-0123456789abcdef0'")
]
_Subnet = Annotated[
    str, Text(r"subnet-[0-9a-z]{1,25}", "must be a subnet such as 'subnet-0123456789abcdef0'")
]


class ModelDataSource(Model):
    """Model data that `model_data_url` cannot express: one file that is not an archive, or data
    whose licence has to be accepted."""

    s3_uri: S3Place
    s3_data_type: Literal["S3Object", "S3Prefix"]
    compression_type: Literal["Gzip", "None"]
    accept_eula: bool = False

    @model_validator(mode="after")
    def _fits_together(self) -> ModelDataSource:
        prefix = self.s3_data_type == "S3Prefix"
        if prefix and not self.s3_uri.endswith("/"):
            raise as_pydantic_error(InvalidField("s3_uri", "must end with '/': it is a prefix"))
        if prefix and self.compression_type == "Gzip":
            sentence = "must be 'None': only an 'S3Object' can be an archive"
            raise as_pydantic_error(InvalidField("compression_type", sentence))
        return self


class ImageConfig(Model):
    """Where the image is: in ECR (`Platform`), or in a registry that the model's `vpc` reaches
    (`Vpc`). The function hands out user and password of that registry."""

    repository_access_mode: Literal["Platform", "Vpc"]
    repository_credentials_provider_arn: LambdaArn | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> ImageConfig:
        if self.repository_credentials_provider_arn and self.repository_access_mode != "Vpc":
            sentence = "is for `repository_access_mode` 'Vpc': ECR asks for no password"
            raise as_pydantic_error(InvalidField("repository_credentials_provider_arn", sentence))
        return self


class ContainerFields(Model):
    """How a container runs its image, besides the image itself."""

    image_config: ImageConfig | None = None
    model_data_url: ModelData | None = None
    model_data_source: ModelDataSource | None = None
    environment: Environment = {}
    mode: Literal["SingleModel", "MultiModel"] | None = None
    model_cache_setting: Literal["Enabled", "Disabled"] | None = None


class Container(ContainerFields):
    """One step of an inference pipeline: what the one before answers is what it is asked."""

    image: AnyImage
    container_hostname: ResourceName | None = None


class Vpc(Model):
    """The VPC from which the containers reach out, and the security groups they are in there."""

    security_group_ids: Annotated[list[_SecurityGroup], Field(min_length=1, max_length=5)]
    subnet_ids: Annotated[list[_Subnet], Field(min_length=1, max_length=16)]


class Surroundings(Model):
    """What a model runs under: an entry says it for all of its variants, and each may differ.

    Without `execution_role_arn` the model gets a role of its own that may read just what it is
    made of. `network_isolation` is on for a model package unless it is said.
    """

    execution_role_arn: RoleArn | None = None
    vpc: Vpc | None = None
    network_isolation: bool | None = None


class ModelSource(Surroundings, ContainerFields):
    """A model: exactly one of SOURCES, but `image` may stand beside `model_id`. Then it and the
    other fields of a container take the place of what is locked."""

    model_id: Annotated[str, StringConstraints(min_length=1)] | None = None
    model_version: _ModelVersion | None = None
    accept_eula: bool = False
    model_package_arn: ModelPackageArn | None = None
    inference_specification_name: ResourceName | None = None
    image: AnyImage | None = None
    containers: Annotated[list[Container], Field(min_length=2, max_length=15)] | None = None
    inference_execution_mode: Literal["Serial", "Direct"] | None = None
