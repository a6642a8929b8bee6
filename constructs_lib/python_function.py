"""The construct that makes every function, with its role, its log group and its code from S3."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cdktf import TerraformResource
from cdktf_cdktf_provider_aws.cloudwatch_log_group import CloudwatchLogGroup
from cdktf_cdktf_provider_aws.lambda_alias import LambdaAlias
from cdktf_cdktf_provider_aws.lambda_function import (
    LambdaFunction,
    LambdaFunctionEnvironment,
    LambdaFunctionSnapStart,
)
from constructs import Construct

from constructs_lib.artifacts import Artifacts
from constructs_lib.config.function_environment import all_variables
from constructs_lib.deployment import Deployment, addressed
from constructs_lib.kms import with_key
from constructs_lib.policy import Statement, trust_document
from constructs_lib.role import own_role
from lambdas.core.settings import Settings

RUNTIME = "python3.13"


@dataclass(frozen=True, slots=True)
class Sizing:
    """`reserved_concurrency` is kept for the function, and the most that may run at once. Without
    it, the function shares what the account has left."""

    timeout_seconds: int
    memory_mb: int = 256
    reserved_concurrency: int | None = None


@dataclass(frozen=True, slots=True)
class Package:
    """The code of a function: a handler in a zip with layers, or an image."""

    handler: str | None = None
    bucket: str | None = None
    key: str | None = None
    hash: str | None = None
    layers: Sequence[str] = ()
    image_uri: str | None = None

    def properties(self) -> dict[str, Any]:
        """The properties of the Terraform resource."""
        if self.image_uri:
            return {"package_type": "Image", "image_uri": self.image_uri}
        return {
            "handler": self.handler,
            "runtime": RUNTIME,
            "s3_bucket": self.bucket,
            "s3_key": self.key,
            "source_code_hash": self.hash,
            "layers": list(self.layers),
        }


class PythonFunction(Construct):
    """The function `{prefix}-{name}`. It runs `lambdas.handlers.{name}.handler`, or its own
    `package` with further environment `variables`. With `versioned`, each deploy publishes a
    version. With `snap_start` it also publishes versions, and instances start from a snapshot."""

    def __init__(  # noqa: PLR0913  # keyword-only: a function has this many settings
        self,
        scope: Construct,
        name: str,
        *,
        at: Deployment,
        artifacts: Artifacts,
        settings: Settings,
        sizing: Sizing,
        statements: Sequence[Statement],
        log_retention_days: int,
        package: Package | None = None,
        variables: Mapping[str, str] | None = None,
        versioned: bool = False,
        snap_start: bool = False,
    ) -> None:
        super().__init__(scope, name)
        self.name = at.name(name)
        self.timeout_seconds = sizing.timeout_seconds
        logs = addressed(
            CloudwatchLogGroup(
                self,
                "logs",
                name=f"/aws/lambda/{self.name}",
                retention_in_days=log_retention_days,
                kms_key_id=at.key_arn,
            ),
            name,
        )
        write_logs = Statement(("logs:CreateLogStream", "logs:PutLogEvents"), (f"{logs.arn}:*",))
        self.policy: TerraformResource
        role, self.policy = own_role(
            self,
            at,
            thing=name,
            logical_id=name,
            trust=trust_document("lambda.amazonaws.com"),
            statements=[write_logs, *with_key(at, statements)],
        )
        package = package or Package(
            handler=f"lambdas.handlers.{name}.handler",
            bucket=artifacts.bucket,
            key=artifacts.code_key,
            hash=artifacts.code_hash,
            layers=[artifacts.layer_arn],
        )
        self.resource = addressed(
            LambdaFunction(
                self,
                "function",
                function_name=self.name,
                architectures=[artifacts.architecture],
                role=role.arn,
                timeout=sizing.timeout_seconds,
                memory_size=sizing.memory_mb,
                reserved_concurrent_executions=sizing.reserved_concurrency,
                publish=versioned or snap_start or None,
                snap_start=LambdaFunctionSnapStart(apply_on="PublishedVersions")
                if snap_start
                else None,
                **package.properties(),
                environment=LambdaFunctionEnvironment(
                    variables=all_variables(at.prefix, settings, variables)
                ),
                depends_on=[self.policy, logs],
            ),
            name,
        )
        self.arn = self.resource.arn
        self.invoke_arn = self.resource.invoke_arn

    def invoke(self) -> list[Statement]:
        return [Statement(("lambda:InvokeFunction",), (self.arn,))]


@dataclass(frozen=True, slots=True)
class InvokedFunction:
    """What calls a function names: the function itself, or an alias of its newest version."""

    function: PythonFunction
    alias: LambdaAlias | None = None

    @property
    def arn(self) -> str:
        return self.alias.arn if self.alias else self.function.arn

    @property
    def invoke_arn(self) -> str:
        return self.alias.invoke_arn if self.alias else self.function.invoke_arn

    @property
    def qualifier(self) -> str | None:
        return self.alias.name if self.alias else None

    def invoke(self) -> Statement:
        return Statement(("lambda:InvokeFunction",), (self.arn,))
