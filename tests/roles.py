"""Functions of a role in the embedded AWS, and the credentials that they are given."""

from __future__ import annotations

import io
import json
import uuid
import zipfile
from typing import Any

SESSION = """
import os

def handler(event, context):
    return {
        "aws_access_key_id": os.environ["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": os.environ["AWS_SECRET_ACCESS_KEY"],
        "aws_session_token": os.environ["AWS_SESSION_TOKEN"],
    }
"""


def a_function(functions: Any, role_arn: str, code: str, handler: str = "handler") -> str:
    """The name of a new function of this code; `functions` is Lambda's client."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("code.py", code)
    name = f"{handler}-{uuid.uuid4()}"
    functions.create_function(
        FunctionName=name,
        Runtime="python3.13",
        Role=role_arn,
        Handler=f"code.{handler}",
        Code={"ZipFile": packed.getvalue()},
    )
    return name


def session_of(role_arn: str, functions: Any) -> dict[str, str]:
    """What boto3.client takes, to act in the name of the role as its functions do."""
    name = a_function(functions, role_arn, SESSION)
    try:
        answer = functions.invoke(FunctionName=name)
    finally:
        functions.delete_function(FunctionName=name)
    session: dict[str, str] = json.loads(answer["Payload"].read())
    return session
