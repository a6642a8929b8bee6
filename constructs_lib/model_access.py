"""What SageMaker may read and write while it hosts a model."""

from __future__ import annotations

from constructs_lib.deployment import Deployment
from constructs_lib.lock import LockedModel
from constructs_lib.policy import Statement


def execution_statements(at: Deployment, model: LockedModel) -> list[Statement]:
    """What SageMaker needs to host exactly this model. Source of the list:
    https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-roles.html (CreateModel)."""
    return [
        *(_artifact(at, model.artifact) if model.artifact else ()),
        *(_image(at, model.image) if model.image else ()),
        Statement(
            (
                "logs:CreateLogGroup",
                "logs:CreateLogStream",
                "logs:DescribeLogStreams",
                "logs:PutLogEvents",
            ),
            (at.arn("logs", f"log-group:/aws/sagemaker/Endpoints/{at.prefix}-*"),),
        ),
        Statement(
            ("cloudwatch:PutMetricData",),
            ("*",),
            {"StringLike": {"cloudwatch:namespace": ["AWS/SageMaker", "/aws/sagemaker/*"]}},
            reason="metrics have no ARN; the condition limits the namespace",
        ),
    ]


def _artifact(at: Deployment, artifact: str) -> list[Statement]:
    bucket, _, key = artifact.removeprefix("s3://").partition("/")
    return [
        Statement(
            ("s3:GetObject",),
            (f"arn:{at.partition}:s3:::{bucket}/{key}{'*' if is_prefix(key) else ''}",),
        ),
        Statement(
            ("s3:ListBucket",),
            (f"arn:{at.partition}:s3:::{bucket}",),
            {"StringLike": {"s3:prefix": f"{key}*"}},
        ),
    ]


def _image(at: Deployment, image: str) -> list[Statement]:
    account, region, repository = _image_parts(image)
    return [
        Statement(
            (
                "ecr:BatchCheckLayerAvailability",
                "ecr:BatchGetImage",
                "ecr:GetDownloadUrlForLayer",
            ),
            (f"arn:{at.partition}:ecr:{region}:{account}:repository/{repository}",),
        ),
        Statement(
            ("ecr:GetAuthorizationToken",),
            ("*",),
            reason="a registry login names no repository; the pull itself is limited above",
        ),
    ]


def is_prefix(artifact: str) -> bool:
    """Whether the artifact is a folder of files, not one archive."""
    return artifact.endswith("/")


def _image_parts(image: str) -> tuple[str, str, str]:
    """Account, region and repository of `{account}.dkr.ecr.{region}.amazonaws.com/{repo}:{tag}`."""
    registry, _, path = image.partition("/")
    account, _, _, region, *_ = registry.split(".")
    return account, region, path.partition("@")[0].rpartition(":")[0] or path
