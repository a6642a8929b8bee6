"""The bucket with the code and the layer of every function.

Functions get their code from S3 instead of a local file, so that the provider creates them in
parallel instead of one after another.
"""

from __future__ import annotations

from cdktf import AssetType, TerraformAsset, TerraformResourceLifecycle
from cdktf_cdktf_provider_aws.lambda_layer_version import LambdaLayerVersion
from cdktf_cdktf_provider_aws.s3_object import S3Object
from constructs import Construct

from constructs_lib.bundle import PYTHON_VERSION, Archive
from constructs_lib.config.document import Architecture
from constructs_lib.deployment import Deployment, addressed
from constructs_lib.private_bucket import PrivateBucket
from lambdas.core.settings import STACK_TAG_KEY


class Artifacts(Construct):
    def __init__(
        self,
        scope: Construct,
        at: Deployment,
        *,
        code: Archive,
        layer: Archive,
        architecture: Architecture,
    ) -> None:
        super().__init__(scope, "artifacts")
        self.architecture = architecture
        self._at = at
        # it holds only copies of local files, so it needs no protection
        self._bucket = PrivateBucket(self, at, "code", kept_days=None, protected=False)
        code_object = self.upload("lambdas", code)
        layer_object = self.upload("layer", layer)
        version = addressed(
            LambdaLayerVersion(
                self,
                "dependencies",
                layer_name=at.name("dependencies"),
                s3_bucket=layer_object.bucket,
                s3_key=layer_object.key,
                source_code_hash=layer.base64_hash,
                compatible_runtimes=[f"python{PYTHON_VERSION}"],
                compatible_architectures=[architecture],
                # functions move to the new version before the old one is deleted
                lifecycle=TerraformResourceLifecycle(create_before_destroy=True),
            ),
            "dependencies",
        )
        self.bucket = code_object.bucket
        self.code_key = code_object.key
        self.code_hash = code.base64_hash
        self.layer_arn = version.arn

    def upload(self, name: str, archive: Archive) -> S3Object:
        """Upload an archive to the bucket, as `{name}.zip`."""
        asset = TerraformAsset(
            self,
            f"{name}-asset",
            path=str(archive.path),
            type=AssetType.FILE,
            asset_hash=archive.hex_hash,
        )
        uploaded = addressed(
            S3Object(
                self,
                name,
                bucket=self._bucket.resource.id,
                key=f"{name}.zip",
                source=asset.path,
                source_hash=archive.hex_hash,
                tags={STACK_TAG_KEY: self._at.stack_tag} if self._at.tags else None,
            ),
            name,
        )
        if self._at.tags:
            # It would get all tags of the config, and an object in S3 has at most ten:
            # https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html
            uploaded.add_override("override_provider.default_tags.tags", {})
        return uploaded
