"""The permissions that SageMaker needs to host a model.

Sources: https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-roles.html (CreateModel), and
https://docs.aws.amazon.com/sagemaker/latest/dg/async-inference-create-endpoint-prerequisites.html
"""

from __future__ import annotations

from collections.abc import Iterator

from constructs_lib.async_store import AsyncPaths
from constructs_lib.config.async_inference import AsyncInference
from constructs_lib.config.source import PRIVATE_REGISTRY, Vpc
from constructs_lib.config.variants import CoreDumpConfig, DataCapture
from constructs_lib.deployment import Deployment
from constructs_lib.hosting import Container, HostedVariant, Hosting
from constructs_lib.kms import may_use, with_key
from constructs_lib.policy import Statement, literal
from lambdas.core.settings import ENDPOINT_LOGS

_WRITE_ENCRYPTED = ("kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey")


def execution_statements(
    at: Deployment,
    variant: HostedVariant,
    hosting: Hosting,
    paths: AsyncPaths | None,
    *,
    any_name: bool,
) -> list[Statement]:
    """The least privilege to host this variant in the endpoint config `hosting`. `any_name`:
    endpoints that do not have our prefix may be moved to it too. IAM cannot say which, because
    SageMaker compares their names without case and IAM compares log groups with it."""
    model, core_dump = variant.model, variant.core_dump_config
    return [
        *(statement for c in model.containers for statement in _container(at, c)),
        *_telemetry(at, "*" if any_name else f"{at.prefix}-*"),
        *(_network(at, model.vpc) if model.vpc else ()),
        *(_written(at, hosting.data_capture) if hosting.data_capture else ()),
        *(_written(at, core_dump) if core_dump else ()),
        *(_async(at, paths, hosting.async_inference) if paths and hosting.async_inference else ()),
    ]


def is_prefix(artifact: str) -> bool:
    """Whether the artifact is a folder of files instead of one archive."""
    return artifact.endswith("/")


def _container(at: Deployment, container: Container) -> Iterator[Statement]:
    """Access to its artifact and its image. SageMaker itself fetches those of a model package."""
    data = container.data_source.s3_uri if container.data_source else container.artifact
    if data:
        bucket, key = _bucket_and_key(data)
        yield _objects(at, data, "s3:GetObject", whole=not is_prefix(key))
        yield _listing(at, bucket, key)
    registry = container.image_config
    if registry and registry.repository_credentials_provider_arn:
        yield Statement(("lambda:InvokeFunction",), (registry.repository_credentials_provider_arn,))
    if container.image and not (registry and registry.repository_access_mode == PRIVATE_REGISTRY):
        yield Statement(
            (
                "ecr:BatchCheckLayerAvailability",
                "ecr:BatchGetImage",
                "ecr:GetDownloadUrlForLayer",
            ),
            (at.repository_arn(container.image),),
        )
        yield Statement(
            ("ecr:GetAuthorizationToken",),
            ("*",),
            reason="a registry login names no repository; the pull itself is limited above",
        )


def _telemetry(at: Deployment, endpoints: str) -> Iterator[Statement]:
    yield Statement(
        (
            "logs:CreateLogGroup",
            "logs:CreateLogStream",
            "logs:DescribeLogStreams",
            "logs:PutLogEvents",
        ),
        (at.arn("logs", f"log-group:{ENDPOINT_LOGS}/{endpoints}"),),
    )
    yield Statement(
        ("cloudwatch:PutMetricData",),
        ("*",),
        {"StringLike": {"cloudwatch:namespace": ["AWS/SageMaker", "/aws/sagemaker/*"]}},
        reason="metrics have no ARN; the condition limits the namespace",
    )


def _network(at: Deployment, vpc: Vpc) -> Iterator[Statement]:
    """Network interfaces, only in the subnets and security groups of the model."""
    subnets = tuple(at.arn("ec2", f"subnet/{subnet}") for subnet in vpc.subnet_ids)
    groups = tuple(at.arn("ec2", f"security-group/{group}") for group in vpc.security_group_ids)
    interfaces = at.arn("ec2", "network-interface/*")
    yield Statement(("ec2:CreateNetworkInterface",), (*subnets, *groups))
    yield Statement(
        (
            "ec2:CreateNetworkInterface",
            "ec2:CreateNetworkInterfacePermission",
            "ec2:DeleteNetworkInterface",
        ),
        (interfaces,),
        {"ArnEquals": {"ec2:Subnet": list(subnets)}},
    )
    yield Statement(
        (
            "ec2:DeleteNetworkInterfacePermission",
            "ec2:DescribeDhcpOptions",
            "ec2:DescribeNetworkInterfaces",
            "ec2:DescribeSecurityGroups",
            "ec2:DescribeSubnets",
            "ec2:DescribeVpcs",
        ),
        ("*",),
        reason="a permission has no ARN, nor has what only describes",
    )


def _written(at: Deployment, capture: DataCapture | CoreDumpConfig) -> Iterator[Statement]:
    yield _objects(at, capture.destination_s3_uri, "s3:PutObject")
    if capture.kms_key_id:
        yield may_use(at, capture.kms_key_id, _WRITE_ENCRYPTED)


def _async(at: Deployment, paths: AsyncPaths, settings: AsyncInference) -> list[Statement]:
    places = (paths.input_path, paths.output_path, paths.failure_path)
    statements = [
        _objects(at, paths.input_path, "s3:GetObject"),
        *(_objects(at, each, "s3:AbortMultipartUpload", "s3:PutObject") for each in places[1:]),
        *(_listing(at, *_bucket_and_key(each)) for each in places),
        Statement(("sns:Publish",), (paths.success_topic_arn, paths.error_topic_arn)),
    ]
    if settings.kms_key_id:
        statements.append(may_use(at, settings.kms_key_id, _WRITE_ENCRYPTED))
    return statements if settings.names_all_places() else with_key(at, statements)


def _objects(at: Deployment, place: str, *actions: str, whole: bool = False) -> Statement:
    """Allows `actions` on the object at `place` if it is a `whole` key, else on all below it."""
    bucket, key = _bucket_and_key(place)
    named = literal(key)
    folder = f"{named.rstrip('/')}/*" if named.strip("/") else "*"
    return Statement(actions, (f"arn:{at.partition}:s3:::{bucket}/{named if whole else folder}",))


def _listing(at: Deployment, bucket: str, key: str) -> Statement:
    return Statement(
        ("s3:ListBucket",),
        (f"arn:{at.partition}:s3:::{bucket}",),
        {"StringLike": {"s3:prefix": f"{literal(key)}*"}},
    )


def _bucket_and_key(place: str) -> tuple[str, str]:
    bucket, _, key = place.removeprefix("s3://").partition("/")
    return bucket, key
