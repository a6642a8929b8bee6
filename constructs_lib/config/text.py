"""The string types of the config: each has a pattern and the sentence of its error."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from constructs_lib.config.base import as_pydantic_error
from lambdas.core.errors import InvalidField
from lambdas.core.user_pool import DNS_SUFFIXES


@dataclass(frozen=True, slots=True)
class Text:
    """Annotates a `str` that must match the whole `pattern`. If not, `sentence` is the error."""

    pattern: str
    sentence: str
    max_length: int | None = None

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._checked, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        shape: dict[str, Any] = {"type": "string", "pattern": f"^({self.pattern})$"}
        return shape if self.max_length is None else {**shape, "maxLength": self.max_length}

    def problem(self, value: str) -> str:
        """What is wrong with the value; empty if nothing is."""
        if not re.fullmatch(self.pattern, value, re.ASCII):
            return f"{self.sentence}, not {value!r}"
        if self.max_length is not None and len(value) > self.max_length:
            return f"has {len(value)} characters, and at most {self.max_length} go in"
        return ""

    def _checked(self, value: str) -> str:
        if sentence := self.problem(value):
            raise as_pydantic_error(InvalidField("", sentence))
        return value


@dataclass(frozen=True, slots=True)
class S3Text(Text):
    """A place in S3. The name of its bucket has an error of its own."""

    def problem(self, value: str) -> str:
        bucket = re.match(r"s3://([^/]*)", value)
        if bucket and not re.fullmatch(_BUCKET, bucket[1]):
            return (
                "names no bucket: 3 to 63 lowercase letters, digits, '.' or '-', beginning and "
                f"ending with a letter or digit, not {bucket[1]!r}"
            )
        return Text.problem(self, value)


_SUFFIXES = "|".join(re.escape(s) for s in sorted({"amazonaws.com", *DNS_SUFFIXES.values()}))
IMAGE_HOST = rf"\d{{12}}\.dkr\.ecr(-fips)?\.[a-z0-9-]+\.({_SUFFIXES})"
"""The registry of an account, in any partition. FIPS hosts are in
https://docs.aws.amazon.com/general/latest/gr/ecr.html"""
_REPOSITORY, _TAG, _DIGEST = (
    r"[a-z0-9][a-z0-9._/-]*",
    r":[a-zA-Z0-9_][\w.-]*",
    r"@sha256:[0-9a-f]{64}",
)
_BUCKET = r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"

Region = Annotated[
    str, Text(r"[a-z]{2,4}(-[a-z]+)+-[0-9]", "must be an AWS region such as 'us-east-1'")
]
Bucket = Annotated[str, Text(_BUCKET, "must be the name of a bucket, such as 'our-states'")]
StateKey = Annotated[
    str,
    Text(
        r"[a-zA-Z0-9!_.*'()=+,@:-][a-zA-Z0-9!_.*'()=+,@:/ -]*",
        "must be the key of an object in S3, such as 'meter.tfstate'",
        1024,
    ),
]
CorsOrigin = Annotated[
    str,
    Text(
        r"\*|https?://[a-z0-9.-]+(:[0-9]{1,5})?",
        "must be the origin of a web page, such as 'https://app.example.com', or '*'",
    ),
]
InstanceType = Annotated[
    str,
    Text(r"ml\.[a-z0-9-]+\.[a-z0-9-]+", "must be an instance type such as 'ml.g5.12xlarge'"),
]
ResourceName = Annotated[
    str,
    Text(
        r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}",
        "must be 1 to 63 letters, digits or hyphens, beginning and ending with a letter or digit",
    ),
]
ProjectFolder = Annotated[
    str,
    Text(
        r"[^\x00-\x1f\\]+",
        "must be a folder of the project with '/' between its parts, such as functions/falcon",
        255,
    ),
]
S3Place = Annotated[
    str,
    S3Text(rf"s3://{_BUCKET}/.+", "must be an object or a prefix such as 's3://bucket/key'", 1024),
]
S3Folder = Annotated[
    str,
    S3Text(rf"s3://{_BUCKET}(/.*)?", "must be a place in S3 such as 's3://bucket/folder'", 512),
]
ModelData = Annotated[
    str,
    S3Text(
        rf"s3://{_BUCKET}/(.*/|.+\.tar\.gz)",
        "must be a .tar.gz archive, or a folder that ends with '/', such as "
        "'s3://bucket/model.tar.gz'",
        1024,
    ),
]
Image = Annotated[
    str,
    Text(
        rf"{IMAGE_HOST}/{_REPOSITORY}({_TAG})?({_DIGEST})?",
        "must be an image in ECR such as "
        "'123456789012.dkr.ecr.us-east-1.amazonaws.com/repository:tag'",
        255,
    ),
]
FunctionImage = Annotated[
    str,
    Text(
        rf"{IMAGE_HOST}/{_REPOSITORY}(({_TAG})({_DIGEST})?|{_DIGEST})",
        "must be an image in ECR with its tag or digest, such as "
        "'123456789012.dkr.ecr.us-east-1.amazonaws.com/name:tag'",
    ),
]
ECR_IMAGE: Text = Image.__metadata__[0]  # type: ignore[attr-defined]
AnyImage = Annotated[str, Text(r"\S+", "must be an image such as 'registry/repository:tag'", 255)]
"""An image in ECR, or in a registry of one's own: `hosting_checks` tells which."""
ModelPackageArn = Annotated[
    str,
    Text(
        r"arn:aws[a-z-]*:sagemaker:[a-z0-9-]+:\d{12}:model-package/"
        r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}(/\d{1,9})?",
        "must be the ARN of a model package such as "
        "'arn:aws:sagemaker:us-east-1:123456789012:model-package/name'",
        176,
    ),
]
LambdaArn = Annotated[
    str,
    Text(
        r"arn:aws[a-z-]*:lambda:[a-z0-9-]+:\d{12}:function:[a-zA-Z0-9_-]{1,64}(:[a-zA-Z0-9_-]+)?",
        "must be the ARN of a function such as "
        "'arn:aws:lambda:us-east-1:123456789012:function:name'",
        2048,
    ),
]
ContentType = Annotated[
    str,
    Text(
        r"[a-zA-Z0-9](-*[a-zA-Z0-9])*/[a-zA-Z0-9](-*[a-zA-Z0-9.])*",
        "must be a content type such as 'text/csv', without parameters",
        256,
    ),
]
RoleArn = Annotated[
    str,
    Text(
        r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+",
        "must be the ARN of a role such as 'arn:aws:iam::123456789012:role/name'",
        2048,
    ),
]
PolicyArn = Annotated[
    str,
    Text(
        r"arn:aws[a-z-]*:iam::(\d{12}|aws):policy/[\w+=,.@/-]+",
        "must be the ARN of a policy such as 'arn:aws:iam::123456789012:policy/name'",
        2048,
    ),
]
RolePath = Annotated[
    str,
    Text(
        r"/(?!aws-(service-role|reserved)/)([\w+=,.@-]+/)*",
        "must be a path such as '/team/', of letters, digits or any of _ + = , . @ -, and none "
        "that AWS keeps for itself",
        512,
    ),
]
RoleNamePrefix = Annotated[
    str,
    Text(
        r"[\w+=,.@-]+",
        "must be the beginning of a name such as 'team-', of letters, digits or any of "
        "_ + = , . @ -",
    ),
]
AccountId = Annotated[
    str, Text(r"\d{12}", "must be the 12 digits of an AWS account, such as '123456789012'")
]
ProfileName = Annotated[
    str,
    Text(
        r"[a-zA-Z0-9_.@+=,:/-]+",
        "must be the name of a profile of the AWS configuration, such as 'dev'",
        128,
    ),
]
TopicArn = Annotated[
    str,
    Text(
        r"arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[a-zA-Z0-9_-]{1,256}",
        "must be the ARN of a topic such as 'arn:aws:sns:us-east-1:123456789012:name'; "
        "SageMaker speaks to no FIFO topic",
    ),
]
KmsKeyArn = Annotated[
    str,
    Text(
        r"arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key/[a-zA-Z0-9-]+",
        "must be the ARN of a KMS key such as 'arn:aws:kms:us-east-1:123456789012:key/1234abcd-…'; "
        "tables and logs take neither ids nor aliases",
    ),
]
KmsKey = Annotated[
    str,
    Text(
        r"(arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:)?(key/[a-zA-Z0-9-]+|alias/[a-zA-Z0-9:/_-]+)"
        r"|[0-9a-f-]{36}|mrk-[0-9a-f]{32}",
        "must be a KMS key: its ARN, its id, or its alias such as 'alias/name'",
        2048,
    ),
]
