"""The credentials of a role say whose they are, so that the simulator knows who calls it.

MiniStack gives each function (and we each integration of API Gateway) a session of its role, and
knows callers by their access key; the simulator stands beside it and does not. So the token of a
session begins with its name. AWS's tokens tell it too, though only to AWS.
"""

import base64
import hashlib
import threading
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from botocore.credentials import Credentials

lambda_runtime: Any = import_module("ministack.core.lambda_runtime")
lambda_svc: Any = import_module("ministack.services.lambda_svc")
sts: Any = import_module("ministack.services.sts")

_one_at_a_time = threading.Lock()


def apply() -> None:
    """Make the sessions of roles here."""
    lambda_runtime.execution_credentials = lambda_svc.execution_credentials = _credentials


def credentials_of(role_arn: str, region: str, name: str) -> Credentials:
    """Those of a session, called `name`, in which a service acts for the role."""
    account = role_arn.split(":")[4]
    # The ARN is only there for its account and region.
    caller = {
        "Role": role_arn,
        "FunctionArn": f"arn:aws:lambda:{region}:{account}:function:{name}",
        "FunctionName": name,
    }
    made = _credentials(caller)
    return Credentials(
        made["AWS_ACCESS_KEY_ID"], made["AWS_SECRET_ACCESS_KEY"], made["AWS_SESSION_TOKEN"]
    )


def _credentials(function: Mapping[str, Any]) -> dict[str, str]:
    """Those with which a function runs: the same each time, as its workers share them."""
    account = lambda_runtime._account_region_from_function_config(function)[0]
    role, name = function["Role"].rpartition("/")[2], function["FunctionName"][:64]
    arn = f"arn:aws:sts::{account}:assumed-role/{role}/{name}"
    made = hashlib.sha256(f"{function['FunctionArn']}:{function['Role']}".encode()).hexdigest()
    access_key = f"ASIA{made[:16].upper()}"
    secret = hashlib.sha256(f"secret:{made}".encode()).hexdigest()
    token = f"{base64.urlsafe_b64encode(arn.encode()).decode()}.{made}"
    session = {
        "Arn": arn,
        "UserId": f"{role}:{name}",
        "SecretAccessKey": secret,
        "SessionToken": token,
    }
    with _one_at_a_time:  # it goes through all sessions, which another must not add to meanwhile
        sts.register_session(access_key, session)
    return {
        "AWS_ACCESS_KEY_ID": access_key,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_SESSION_TOKEN": token,
    }
