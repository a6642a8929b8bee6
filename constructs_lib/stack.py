"""The stack: provider, backend, wiring and outputs. Every resource is made by a construct."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cdktf import (
    LocalBackend,
    S3Backend,
    S3BackendAssumeRoleConfig,
    TerraformOutput,
    TerraformResource,
    TerraformStack,
)
from cdktf_cdktf_provider_aws.data_aws_caller_identity import DataAwsCallerIdentity
from cdktf_cdktf_provider_aws.data_aws_partition import DataAwsPartition
from cdktf_cdktf_provider_aws.provider import (
    AwsProvider,
    AwsProviderAssumeRole,
    AwsProviderDefaultTags,
)
from constructs import Construct

from constructs_lib.alarms import Alarms
from constructs_lib.api.model_routes import direct_routes
from constructs_lib.api.rest_api import RestApi
from constructs_lib.artifacts import Artifacts
from constructs_lib.async_api import AsyncApi
from constructs_lib.async_store import AsyncStore
from constructs_lib.bundle import Archive
from constructs_lib.config.document import TO_THE_PROJECT, DeployConfig
from constructs_lib.config.document import LocalBackend as LocalState
from constructs_lib.config.provider import ProviderSettings
from constructs_lib.dashboard import Dashboard
from constructs_lib.deployment import Deployment, addressed
from constructs_lib.hosted_model import HostedModel
from constructs_lib.hosting import Hosting
from constructs_lib.integrations import Integrations
from constructs_lib.meter_functions import MeterFunctions
from constructs_lib.provider_lock import PROVIDER_SOURCE, PROVIDER_VERSIONS
from constructs_lib.specs import DeclaredEndpoint, Specs
from constructs_lib.tables import DUE_INDEX
from constructs_lib.triggers import EndpointEvents, HintConsumers, Scheduler
from lambdas.core.settings import STACK_TAG_KEY
from lambdas.core.spec import Origin, OutsideUpdates, Spec

STACK_NAME = "endpoint-manager"
TERRAFORM_VERSIONS = ">= 1.5.0"
TERRAFORM_VERSIONS_WITH_LOCK_FILE = ">= 1.10.0"


class EndpointManagerStack(TerraformStack):
    def __init__(
        self,
        scope: Construct,
        config: DeployConfig,
        models: Sequence[Sequence[Hosting]],
        *,
        code: Archive,
        layer: Archive,
        packages: Mapping[str, Archive],
    ) -> None:
        super().__init__(scope, STACK_NAME)
        self._config = config
        self._provider()
        self._backend()
        at = self._deployment()
        store = self._async_store(at)
        endpoints = self._endpoints(at, models, store)
        artifacts = Artifacts(
            self, at, code=code, layer=layer, architecture=config.lambda_.architecture
        )
        functions = MeterFunctions(self, at, config, artifacts)
        integrations = Integrations(
            self, at, config, artifacts=artifacts, packages=packages, meter=functions
        )
        calls = [integrations.calls.function] if integrations.calls else []
        of_meter = [*functions.all, *calls]
        every_function = [*of_meter, *integrations.functions]
        Scheduler(self, at, tick=functions.tick, sweep=functions.sweep)
        HintConsumers(
            self,
            queues=functions.queues,
            function=functions.reconciler,
            concurrency=config.reconciler_concurrency,
        )
        EndpointEvents(self, at, queue=functions.work)
        api = RestApi(
            self,
            at,
            function=functions.invoked_api,
            authorizer=functions.invoked_authorizer,
            models=[*integrations.routes, *direct_routes(config)],
            calls=integrations.calls,
            throttle=config.throttle,
            cors_origin=config.cors_origin or "",
            log_retention_days=config.log_retention_days,
            own_account_role=config.api_gateway_account_role,
        )
        AsyncApi(self, at, invoker=functions.invoker)
        alarms = Alarms(
            self,
            at,
            queues=functions.queues,
            functions=every_function,
            of_meter=of_meter,
            emails=config.alarm_emails,
            late_minutes=config.late_minutes,
            reports_unmanaged=config.unmanaged_endpoints == "report",
        )
        dashboard = Dashboard(
            self,
            at,
            alarms=alarms.alarm_names,
            functions=every_function,
            queues=functions.queues,
            tables={functions.state.name: [DUE_INDEX], functions.history.name: []},
            api_name=at.name("api"),
        )
        Specs(
            self,
            table=functions.state,
            sweep=functions.sweep,
            endpoints=endpoints,
            readers=_resources(functions, integrations),
            prepared=_resources(self),
            protected=config.stack_tag if config.deletion_protection else None,
        )
        self._outputs(
            {
                "api_url": api.url,
                "state_table_name": functions.state.name,
                "auth_table_name": config.ddb_auth_table_name,
                "endpoint_names": [endpoint.spec.name for endpoint in endpoints],
                "queue_url": functions.work.url,
                "dashboard_name": dashboard.name,
                **(store.outputs() if store else {}),
                **(functions.users.outputs if functions.users else {}),
            }
        )

    def _provider(self) -> None:
        config, given = self._config, self._config.provider or ProviderSettings()
        role, tags = given.assume_role_arn, {**config.tags, STACK_TAG_KEY: config.stack_tag}
        AwsProvider(
            self,
            "aws",
            region=config.region_name,
            profile=given.profile,
            assume_role=[AwsProviderAssumeRole(role_arn=role)] if role else None,
            allowed_account_ids=given.allowed_account_ids,
            default_tags=[AwsProviderDefaultTags(tags=tags)],
        )
        # The bindings were generated from provider 6.25 and require it. 5.100 knows every attribute
        # that is used here, and is what all tests run on.
        required = {"source": PROVIDER_SOURCE, "version": PROVIDER_VERSIONS}
        self.add_override("terraform.required_providers.aws", required)
        self.add_override("terraform.required_version", TERRAFORM_VERSIONS)

    def _backend(self) -> None:
        """State in S3 is read and written by whoever deploys the stack."""
        backend, given = self._config.backend, self._config.provider or ProviderSettings()
        if isinstance(backend, LocalState):
            LocalBackend(self, path=f"{TO_THE_PROJECT}{self._config.state_file}")
            return
        S3Backend(
            self,
            bucket=backend.bucket,
            key=backend.key,
            region=backend.region or self._config.region_name,
            kms_key_id=backend.kms_key_id,
            encrypt=True,
            profile=given.profile,
            assume_role=S3BackendAssumeRoleConfig(role_arn=given.assume_role_arn)
            if given.assume_role_arn
            else None,
            allowed_account_ids=given.allowed_account_ids,
        )
        # Neither the bindings nor older Terraform versions know this setting.
        self.add_override("terraform.backend.s3.use_lockfile", value=True)
        self.add_override("terraform.required_version", TERRAFORM_VERSIONS_WITH_LOCK_FILE)

    def _deployment(self) -> Deployment:
        account = addressed(DataAwsCallerIdentity(self, "account"), "current")
        partition = addressed(DataAwsPartition(self, "partition"), "current")
        roles = self._config.roles
        return Deployment(
            prefix=self._config.project_prefix,
            region=self._config.region_name,
            stack_tag=self._config.stack_tag,
            account_id=account.account_id,
            partition=partition.partition,
            dns_suffix=partition.dns_suffix,
            key_arn=self._config.kms_key_arn,
            former_key_arns=tuple(self._config.former_kms_key_arns),
            tags=self._config.tags,
            role_boundary=roles.permissions_boundary,
            role_path=roles.path,
            role_prefix=roles.name_prefix or "",
        )

    def _async_store(self, at: Deployment) -> AsyncStore | None:
        """One store for all asynchronous endpoints whose config does not name all places."""
        all_settings = [entry.async_settings() for entry in self._config.jumpstart_models]
        if all(settings is None or settings.names_all_places() for settings in all_settings):
            return None
        return AsyncStore(self, at, protected=self._config.deletion_protection)

    def _endpoints(
        self, at: Deployment, models: Sequence[Sequence[Hosting]], store: AsyncStore | None
    ) -> list[DeclaredEndpoint]:
        declared = []
        for entry, choices in zip(self._config.jumpstart_models, models, strict=True):
            hosted, *fallbacks = [
                HostedModel(
                    self,
                    at,
                    name=entry.name,
                    hosting=hosting,
                    any_name=self._config.meters_any_name,
                    async_store=store,
                )
                for hosting in choices
            ]
            spec = Spec(
                name=self._config.endpoint_name(entry),
                endpoint_config_name=hosted.config_name,
                fallback_configs=tuple(fallback.config_name for fallback in fallbacks),
                scaling=entry.scaling(self._config.endpoint_name(entry)),
                tags=self._config.tags_of(entry),
                update=entry.update,
                outside_updates=OutsideUpdates(entry.outside_updates),
                async_api=entry.async_mode,
                origin=Origin.CONFIG,
                schedules=entry.schedules(),
                initial_provision_minutes=entry.initial_provision_minutes,
                max_lease_minutes=self._config.max_lease_minutes,
            )
            declared.append(DeclaredEndpoint(spec, hosted, fallbacks))
        return declared

    def _outputs(self, values: dict[str, object]) -> None:
        for name, value in values.items():
            TerraformOutput(self, name, value=value)


def _resources(*parts: Construct) -> list[TerraformResource]:
    found = (element for part in parts for element in part.node.find_all())
    return [element for element in found if isinstance(element, TerraformResource)]
