"""The model of one variant, and the role under which SageMaker hosts it."""

from __future__ import annotations

from typing import Any

from cdktf_cdktf_provider_aws.sagemaker_model import (
    SagemakerModel,
    SagemakerModelContainer,
    SagemakerModelContainerImageConfig,
    SagemakerModelContainerImageConfigRepositoryAuthConfig,
    SagemakerModelContainerModelDataSource,
    SagemakerModelContainerModelDataSourceS3DataSource,
    SagemakerModelContainerModelDataSourceS3DataSourceModelAccessConfig,
    SagemakerModelContainerMultiModelConfig,
    SagemakerModelInferenceExecutionConfig,
    SagemakerModelPrimaryContainer,
    SagemakerModelPrimaryContainerImageConfig,
    SagemakerModelPrimaryContainerImageConfigRepositoryAuthConfig,
    SagemakerModelPrimaryContainerModelDataSource,
    SagemakerModelPrimaryContainerModelDataSourceS3DataSource,
    SagemakerModelPrimaryContainerModelDataSourceS3DataSourceModelAccessConfig,
    SagemakerModelPrimaryContainerMultiModelConfig,
    SagemakerModelVpcConfig,
)
from constructs import Construct

from constructs_lib.config.source import MULTI_MODEL
from constructs_lib.deployment import Deployment, addressed
from constructs_lib.hosting import Container, HostedSource
from constructs_lib.model_access import is_prefix
from constructs_lib.policy import Statement, trust_document
from constructs_lib.role import KEEP, own_role


class VariantModel(Construct):
    """A model, with a role of its own unless the source names one. `role_of` is what that role is
    for, by name."""

    def __init__(  # keyword-only, except the scope
        self,
        scope: Construct,
        at: Deployment,
        *,
        name: str,
        role_of: str,
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
                at,
                thing=role_of,
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
                inference_execution_config=SagemakerModelInferenceExecutionConfig(
                    mode=source.execution_mode
                )
                if source.execution_mode
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
        return SagemakerModelPrimaryContainer(
            model_package_name=container.model_package_arn,
            inference_specification_name=container.inference_specification_name,
        )
    return SagemakerModelPrimaryContainer(
        **_common(
            container,
            data=SagemakerModelPrimaryContainerModelDataSource,
            s3=SagemakerModelPrimaryContainerModelDataSourceS3DataSource,
            access=SagemakerModelPrimaryContainerModelDataSourceS3DataSourceModelAccessConfig,
            image=SagemakerModelPrimaryContainerImageConfig,
            auth=SagemakerModelPrimaryContainerImageConfigRepositoryAuthConfig,
            multi_model=SagemakerModelPrimaryContainerMultiModelConfig,
        )
    )


def _step(number: int, container: Container) -> SagemakerModelContainer:
    return SagemakerModelContainer(
        # without a name SageMaker would choose one, and Terraform would see a change
        container_hostname=container.hostname or f"container-{number}",
        **_common(
            container,
            data=SagemakerModelContainerModelDataSource,
            s3=SagemakerModelContainerModelDataSourceS3DataSource,
            access=SagemakerModelContainerModelDataSourceS3DataSourceModelAccessConfig,
            image=SagemakerModelContainerImageConfig,
            auth=SagemakerModelContainerImageConfigRepositoryAuthConfig,
            multi_model=SagemakerModelContainerMultiModelConfig,
        ),
    )


def _common(  # keyword-only, except the container
    container: Container,
    *,
    data: type[Any],
    s3: type[Any],
    access: type[Any],
    image: type[Any],
    auth: type[Any],
    multi_model: type[Any],
) -> dict[str, Any]:
    """The properties that the classes of primary containers and of steps share. The other
    arguments are the classes of what is in them."""
    source = _s3_source(container, s3, access)
    registry, cache = container.image_config, container.model_cache_setting
    credentials = registry and registry.repository_credentials_provider_arn
    return {
        "image": container.image,
        "image_config": image(
            repository_access_mode=registry.repository_access_mode,
            repository_auth_config=auth(repository_credentials_provider_arn=credentials)
            if credentials
            else None,
        )
        if registry
        else None,
        "environment": dict(container.environment or {}),
        "model_data_url": None if source else container.artifact,
        "model_data_source": data(s3_data_source=[source]) if source else None,
        "mode": container.mode,
        "multi_model_config": multi_model(model_cache_setting=cache) if cache else None,
    }


def _s3_source(container: Container, source: type[Any], access: type[Any]) -> Any:
    """The data source that the config spells out, or that of a folder, or of an archive with a
    licence: a plain URL has no field to accept the licence. A multi-model container takes the
    folder of its models as a plain URL."""
    given, artifact = container.data_source, container.artifact
    if given:
        return source(
            s3_uri=given.s3_uri,
            s3_data_type=given.s3_data_type,
            compression_type=given.compression_type,
            model_access_config=access(accept_eula=True) if given.accept_eula else None,
        )
    if not artifact or container.mode == MULTI_MODEL:
        return None
    if not (is_prefix(artifact) or container.accept_eula):
        return None
    return source(
        s3_uri=artifact,
        s3_data_type="S3Prefix" if is_prefix(artifact) else "S3Object",
        compression_type="None" if is_prefix(artifact) else "Gzip",
        model_access_config=access(accept_eula=True) if container.accept_eula else None,
    )
