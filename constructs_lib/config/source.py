"""The fields that say where a model comes from and which containers SageMaker runs.

Limits: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModel.html
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from constructs_lib.config.base import Model
from constructs_lib.config.text import Image, ModelData, ModelPackageArn, RoleArn, Text

SOURCES = ("model_id", "model_package_arn", "image", "containers")
MAX_ENVIRONMENT_BYTES = 32 * 1024

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


class Container(Model):
    """One step of an inference pipeline: what the one before answers is what it is asked."""

    image: Image
    model_data_url: ModelData | None = None
    environment: Environment = {}


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


class ModelSource(Surroundings):
    """A model: exactly one of SOURCES. `model_version` and `accept_eula` go with `model_id`,
    `model_data_url` and `environment` with `image`."""

    model_id: Annotated[str, StringConstraints(min_length=1)] | None = None
    model_version: _ModelVersion | None = None
    accept_eula: bool = False
    model_package_arn: ModelPackageArn | None = None
    image: Image | None = None
    model_data_url: ModelData | None = None
    environment: Environment = {}
    containers: Annotated[list[Container], Field(min_length=2, max_length=15)] | None = None
