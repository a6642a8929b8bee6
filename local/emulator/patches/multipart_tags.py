"""An object from a multipart upload gets the tags with which the upload began.

MiniStack drops them. Terraform uploads files of 5 MB or more in parts, such as the layer, and would
find the tags missing at the next plan.
"""

import re
from importlib import import_module
from typing import Any
from urllib.parse import parse_qsl

s3: Any = import_module("ministack.services.s3")


def apply() -> None:
    """Remember the tags when an upload begins, and set them when it is complete."""
    create = s3._create_multipart_upload
    complete = s3._complete_multipart_upload
    tags_of_uploads: dict[str, dict[str, str]] = {}

    def create_remembering(bucket: str, key: str, headers: dict[str, str]) -> Any:
        answer = create(bucket, key, headers)
        named = re.search(rb"<UploadId>(.+?)</UploadId>", answer[2])
        tags = dict(parse_qsl(headers.get("x-amz-tagging", ""), keep_blank_values=True))
        if named and tags:
            tags_of_uploads[named[1].decode()] = tags
        return answer

    def complete_with_tags(
        bucket: str, key: str, body: bytes, query: dict[str, list[str]], headers: Any = None
    ) -> Any:
        answer = complete(bucket, key, body, query, headers)
        if answer[0] == 200:
            tags = tags_of_uploads.pop(s3._qp(query, "uploadId"), None)
            version = s3._ensure_bucket(bucket)["objects"][key].get("version_id")
            if tags:
                s3._object_tags[bucket, key, version] = tags
        return answer

    s3._create_multipart_upload = create_remembering
    s3._complete_multipart_upload = complete_with_tags
