"""The model of one variant, and the role under which SageMaker hosts it."""

from __future__ import annotations

from typing import Any

from cdktf_cdktf_provider_aws.sagemaker_model import (
    SagemakerModel,
    SagemakerModelContainer,
    SagemakerModelContainerModelDataSource,
    SagemakerModelContainerModelDataSourceS3DataSource,
    SagemakerModelContainerModelDataSourceS3DataSourceModelAccessConfig,
    SagemakerModelPrimaryContainer,
    SagemakerModelPrimaryContainerModelDataSource,
    SagemakerModelPrimaryContainerModelDataSourceS3DataSource,
    SagemakerModelPrimaryContainerModelDataSourceS3DataSourceModelAccessConfig,
    SagemakerModelVpcConfig,
)
from constructs import Construct

from constructs_lib.deployment import addressed
from constructs_lib.hosting import Container, HostedSource
from constructs_lib.model_access import is_prefix
from constructs_lib.policy import Statement, trust_document
from constructs_lib.role import KEEP, own_role


class VariantModel(Construct):
    """`role_name` is that of its role, if it gets its own one."""

    def __init__(  # keyword-only, except the scope
        self,
        scope: Construct,
        *,
        name: str,
        role_name: str,
        address: str,
        source: HostedSource,
        statements: list[Statement],
    ) -> None:
        super().__init__(scope, name)
        policy = None
        role_arn = source.execution_role_arn
        if role_arn is None:
            role, policy = own_role(
                self,
                name=role_name,
                logical_id=address,
                trust=trust_document("sagemaker.amazonaws.com"),
                statements=statements,
            )
            role_arn = role.arn
        first, *others = source.containers
        self.resource = addressed(
            SagemakerModel(
                self,
                "model",
                name=name,
                execution_role_arn=role_arn,
                enable_network_isolation=source.network_isolation,
                primary_container=None if others else _primary(first),
                container=[_step(n, c) for n, c in enumerate(source.containers, start=1)]
                if others
                else None,
                vpc_config=SagemakerModelVpcConfig(
                    security_group_ids=source.vpc.security_group_ids, subnets=source.vpc.subnet_ids
                )
                if source.vpc
                else None,
                depends_on=[policy] if policy else None,
                lifecycle=KEEP,
            ),
            address,
        )


def _primary(container: Container) -> SagemakerModelPrimaryContainer:
    if container.model_package_arn:
        return SagemakerModelPrimaryContainer(model_package_name=container.model_package_arn)
    source = _s3_source(
        container,
        SagemakerModelPrimaryContainerModelDataSourceS3DataSource,
        SagemakerModelPrimaryContainerModelDataSourceS3DataSourceModelAccessConfig,
    )
    return SagemakerModelPrimaryContainer(
        image=container.image,
        environment=dict(container.environment or {}),
        model_data_url=None if source else container.artifact,
        model_data_source=SagemakerModelPrimaryContainerModelDataSource(s3_data_source=[source])
        if source
        else None,
    )


def _step(number: int, container: Container) -> SagemakerModelContainer:
    source = _s3_source(
        container,
        SagemakerModelContainerModelDataSourceS3DataSource,
        SagemakerModelContainerModelDataSourceS3DataSourceModelAccessConfig,
    )
    return SagemakerModelContainer(
        # without a name SageMaker would choose one, and Terraform would see a change
        container_hostname=f"container-{number}",
        image=container.image,
        environment=dict(container.environment or {}),
        model_data_url=None if source else container.artifact,
        model_data_source=SagemakerModelContainerModelDataSource(s3_data_source=[source])
        if source
        else None,
    )


def _s3_source(container: Container, source: type[Any], access: type[Any]) -> Any:
    """The data source for a folder, or for an archive with a licence: a plain URL has no field to
    accept the licence."""
    artifact = container.artifact
    if not artifact or not (is_prefix(artifact) or container.accept_eula):
        return None
    return source(
        s3_uri=artifact,
        s3_data_type="S3Prefix" if is_prefix(artifact) else "S3Object",
        compression_type="None" if is_prefix(artifact) else "Gzip",
        model_access_config=access(accept_eula=True) if container.accept_eula else None,
    )
