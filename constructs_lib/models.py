"""What an endpoint runs: a model, its execution role and an endpoint config.

All of it is immutable, so its content's hash is part of each name and each Terraform address: a
change is a create beside the old and a destroy of the old, never a replacement. Everything here
is created before and destroyed after what refers to it (`create_before_destroy`), so the old
config is there until the running endpoint has moved.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from cdktf import TerraformResourceLifecycle
from cdktf_cdktf_provider_aws.iam_role import IamRole
from cdktf_cdktf_provider_aws.iam_role_policy import IamRolePolicy
from cdktf_cdktf_provider_aws.sagemaker_endpoint_configuration import (
    SagemakerEndpointConfiguration,
    SagemakerEndpointConfigurationProductionVariants,
)
from cdktf_cdktf_provider_aws.sagemaker_model import (
    SagemakerModel,
    SagemakerModelPrimaryContainer,
    SagemakerModelPrimaryContainerModelDataSource,
    SagemakerModelPrimaryContainerModelDataSourceS3DataSource,
    SagemakerModelPrimaryContainerModelDataSourceS3DataSourceModelAccessConfig,
)
from constructs import Construct

from constructs_lib.canonical import digest
from constructs_lib.deployment import Deployment, addressed
from constructs_lib.lock import LockedModel
from constructs_lib.model_access import execution_statements, is_prefix
from constructs_lib.policy import policy_document, trust_document

# What CloudWatch charts call it; an update that keeps a variant's weight goes by this name.
VARIANT = "AllTraffic"
_HASH_DIGITS = 8  # as long as "Endpoint": where the endpoint's name fits, the config's does
# Raise it when these resources change in a way that the hashed description does not show.
_RECIPE = 1


@dataclass(frozen=True, slots=True)
class Hosting:
    """A locked model, and the machines it runs on."""

    model: LockedModel
    instance_type: str
    instance_count: int = 1

    def digest(self) -> str:
        """Eight hex digits that change whenever what runs changes."""
        whole = asdict(self)
        # left out where unset, so that a new optional field changes no hash
        whole["model"] = {key: value for key, value in whole["model"].items() if value is not None}
        return digest([_RECIPE, VARIANT, whole])[:_HASH_DIGITS]


class HostedModel(Construct):
    """`{prefix}-{name}-{hash}`: role, model and endpoint config of one entry."""

    def __init__(self, scope: Construct, at: Deployment, name: str, hosting: Hosting) -> None:
        super().__init__(scope, f"{name}-{hosting.digest()}")
        self.config_name = at.name(f"{name}-{hosting.digest()}")
        first = "" if name[0].isalpha() else "_"
        self._address = f"{first}{name}_{hosting.digest()}"
        self._keep = TerraformResourceLifecycle(create_before_destroy=True)
        role = addressed(
            IamRole(
                self,
                "role",
                name=self.config_name,
                assume_role_policy=trust_document("sagemaker.amazonaws.com"),
                lifecycle=self._keep,
            ),
            self._address,
        )
        policy = addressed(
            IamRolePolicy(
                self,
                "policy",
                name="own",
                role=role.name,
                policy=policy_document(execution_statements(at, hosting.model)),
                lifecycle=self._keep,
            ),
            self._address,
        )
        model = self._model(hosting.model, role, policy)
        self.resource = self._endpoint_config(hosting, model)

    def _model(self, locked: LockedModel, role: IamRole, policy: IamRolePolicy) -> SagemakerModel:
        return addressed(
            SagemakerModel(
                self,
                "model",
                name=self.config_name,
                execution_role_arn=role.arn,
                enable_network_isolation=locked.network_isolation,
                primary_container=_container(locked),
                depends_on=[policy],
                lifecycle=self._keep,
            ),
            self._address,
        )

    def _endpoint_config(
        self, hosting: Hosting, model: SagemakerModel
    ) -> SagemakerEndpointConfiguration:
        locked = hosting.model
        return addressed(
            SagemakerEndpointConfiguration(
                self,
                "config",
                name=self.config_name,
                production_variants=[
                    SagemakerEndpointConfigurationProductionVariants(
                        variant_name=VARIANT,
                        model_name=model.name,
                        instance_type=hosting.instance_type,
                        initial_instance_count=hosting.instance_count,
                        initial_variant_weight=1,
                        volume_size_in_gb=locked.volume_size_gb,
                        inference_ami_version=locked.inference_ami_version,
                        model_data_download_timeout_in_seconds=(
                            locked.model_data_download_timeout_seconds
                        ),
                        container_startup_health_check_timeout_in_seconds=(
                            locked.container_startup_timeout_seconds
                        ),
                    )
                ],
                lifecycle=self._keep,
            ),
            self._address,
        )


def _container(locked: LockedModel) -> SagemakerModelPrimaryContainer:
    if locked.model_package:
        return SagemakerModelPrimaryContainer(model_package_name=locked.model_package)
    # ModelAccessConfig exists on a data source only, so what needs it can be no plain URL
    as_source = locked.artifact and (is_prefix(locked.artifact) or locked.accept_eula)
    return SagemakerModelPrimaryContainer(
        image=locked.image,
        environment=dict(locked.environment),
        model_data_source=_data_source(locked) if as_source else None,
        model_data_url=None if as_source else locked.artifact,
    )


def _data_source(locked: LockedModel) -> SagemakerModelPrimaryContainerModelDataSource:
    assert locked.artifact
    prefix = is_prefix(locked.artifact)
    access = SagemakerModelPrimaryContainerModelDataSourceS3DataSourceModelAccessConfig
    return SagemakerModelPrimaryContainerModelDataSource(
        s3_data_source=[
            SagemakerModelPrimaryContainerModelDataSourceS3DataSource(
                s3_uri=locked.artifact,
                s3_data_type="S3Prefix" if prefix else "S3Object",
                compression_type="None" if prefix else "Gzip",
                model_access_config=access(accept_eula=True) if locked.accept_eula else None,
            )
        ]
    )
