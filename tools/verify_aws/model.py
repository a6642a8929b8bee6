"""A model that answers what it was asked, and a serverless endpoint that serves it."""

from __future__ import annotations

import io
import tarfile
from typing import Any

from constructs_lib.policy import Statement
from tools.verify_aws import kinds
from tools.verify_aws.bench import Bench

_CREATION_SECONDS = 15 * 60.0
_IMAGE_ACCOUNT = "763104351884"
"""AWS's own, in most regions: https://github.com/aws/deep-learning-containers (available_images)"""
_IMAGE = "pytorch-inference:2.5.1-cpu-py311-ubuntu22.04-sagemaker"
_MEGABYTES = 3072
"""The most that new accounts may use."""
_CODE = """\
def model_fn(model_dir):
    return "echo"


def input_fn(body, content_type):
    return body


def predict_fn(body, model):
    return body


def output_fn(body, accept):
    return body
"""
_PULLS = ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")


class Echo:
    """The one model of a run. What exists already is not made again."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._aws = bench.aws
        self._sagemaker = bench.aws.client("sagemaker")

    def arn(self) -> str:
        """The ARN of the model."""
        bench, aws = self._bench, self._aws
        image = bench.image or self._public_image()
        bucket = bench.make(kinds.BUCKET, "model", self._create_bucket)
        registry, _, rest = image.partition("/")
        owner, _, _, region = registry.split(".")[:4]
        pulled = f"arn:{aws.partition}:ecr:{region}:{owner}:repository/{rest.partition(':')[0]}"
        role = bench.role(
            "model",
            "sagemaker.amazonaws.com",
            [
                Statement(("s3:GetObject",), (f"arn:{aws.partition}:s3:::{bucket}/*",)),
                Statement(("s3:ListBucket",), (f"arn:{aws.partition}:s3:::{bucket}",)),
                Statement(_PULLS, (pulled,)),
                Statement(
                    ("ecr:GetAuthorizationToken",),
                    ("*",),
                    reason="a token is for no repository; IAM knows no narrower resource for it",
                ),
            ],
        )
        container = {
            "Image": image,
            "ModelDataUrl": f"s3://{bucket}/model.tar.gz",
            "Environment": {
                "SAGEMAKER_PROGRAM": "inference.py",
                "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
            },
        }
        arn: str = bench.make(
            kinds.MODEL,
            "model",
            lambda name: self._sagemaker.create_model(
                ModelName=name, PrimaryContainer=container, ExecutionRoleArn=role
            )["ModelArn"],
        )
        return arn

    def config(self) -> str:
        """The name of the endpoint config."""
        self.arn()

        def create(name: str) -> str:
            serverless = {"MemorySizeInMB": _MEGABYTES, "MaxConcurrency": 1}
            variant = {"VariantName": "All", "ModelName": name, "ServerlessConfig": serverless}
            self._sagemaker.create_endpoint_config(
                EndpointConfigName=name, ProductionVariants=[variant]
            )
            return name

        return self._bench.make(kinds.CONFIG, "model", create)

    def begin(self, what: str, *tags: Any) -> str:
        """The name of an endpoint whose creation has begun."""
        config = self.config()

        def create(name: str) -> str:
            self._sagemaker.create_endpoint(
                EndpointName=name, EndpointConfigName=config, Tags=list(tags)
            )
            return name

        return self._bench.make(kinds.ENDPOINT, what, create)

    def serving(self, *tags: Any) -> str:
        """The name of the endpoint, once it serves. Raises NotInTime and RuntimeError."""
        endpoint = self.begin("Model", *tags)

        def served() -> str | None:
            seen = self._sagemaker.describe_endpoint(EndpointName=endpoint)
            if seen["EndpointStatus"] == "Failed":
                raise RuntimeError(f"the endpoint failed: {seen.get('FailureReason')}")
            return endpoint if seen["EndpointStatus"] == "InService" else None

        return self._aws.until(f"the creation of {endpoint}", served, _CREATION_SECONDS)

    def _public_image(self) -> str:
        suffix = self._sagemaker.meta.endpoint_url.partition(f".{self._aws.region}.")[2]
        registry = f"{_IMAGE_ACCOUNT}.dkr.ecr.{self._aws.region}.{suffix or 'amazonaws.com'}"
        return f"{registry}/{_IMAGE}"

    def _create_bucket(self, name: str) -> str:
        store, region = self._aws.client("s3"), self._aws.region
        elsewhere = {"CreateBucketConfiguration": {"LocationConstraint": region}}
        store.create_bucket(Bucket=name, **(elsewhere if region != "us-east-1" else {}))
        store.put_object(Bucket=name, Key="model.tar.gz", Body=_artifact())
        return name


def _artifact() -> bytes:
    packed, code = io.BytesIO(), _CODE.encode()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        entry = tarfile.TarInfo("code/inference.py")
        entry.size = len(code)
        archive.addfile(entry, io.BytesIO(code))
    return packed.getvalue()
