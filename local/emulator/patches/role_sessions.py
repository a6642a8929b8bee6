"""The credentials of a role's session are derived from the root user's key.

MiniStack gives each function a session of its role (and we do for each integration of API Gateway).
It computes them from the function's name, so everybody could. And it knows callers by their access
key; the simulator is a separate process and does not, but it can derive the same credentials. So
AssumeRole gives derived ones too: those of one role and session name are the same each time.

A function that gets another role would go on in the session of the one before. It starts anew.
"""

import os
import threading
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from functools import partial
from importlib import import_module
from typing import Any

from botocore.credentials import Credentials

from local.key import Key, Session

lambda_runtime: Any = import_module("ministack.core.lambda_runtime")
lambda_svc: Any = import_module("ministack.services.lambda_svc")
sts: Any = import_module("ministack.services.sts")

DERIVED = {
    "_gen_session_access_key": "access_key_id",
    "_gen_secret": "secret_access_key",
    "_gen_session_token": "token",
}
"""What MiniStack makes up for an assumed role, in this order, and what it is of a session."""

_one_at_a_time = threading.Lock()
_assuming: ContextVar[Session | None] = ContextVar("assuming", default=None)


def apply() -> None:
    """Create the sessions of roles here."""
    configure = lambda_svc._update_config

    def configure_anew(function: str, changes: Mapping[str, Any]) -> Any:
        answer = configure(function, changes)
        if "Role" in changes:
            lambda_svc.invalidate_worker(function, qualifier="$LATEST")
        return answer

    lambda_svc._update_config = configure_anew
    lambda_runtime.execution_credentials = lambda_svc.execution_credentials = _credentials
    name = sts._assumed_role_arn

    def name_and_derive(role_arn: str, session_name: str) -> Any:
        arn, error = name(role_arn, session_name)
        _assuming.set(None if error else Key.of(os.environ).session(arn))
        return arn, error

    sts._assumed_role_arn = name_and_derive
    for maker, part in DERIVED.items():
        setattr(sts, maker, partial(_derived, getattr(sts, maker), part))


def _derived(made_up: Callable[[], str], part: str) -> str:
    """A part of the session that this request asks for. Other requests get what is made up."""
    session = _assuming.get()
    if session is None:
        return made_up()
    if part == "token":
        _assuming.set(None)
    return str(getattr(session, part))


def credentials_of(role_arn: str, region: str, name: str) -> Credentials:
    """The credentials of a session `name`, in which a service acts for the role."""
    account = role_arn.split(":")[4]
    # The ARN is only used for its account and region.
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
    """The credentials of a function. They never change, because its workers share them."""
    account = lambda_runtime._account_region_from_function_config(function)[0]
    role, name = function["Role"].rpartition("/")[2], function["FunctionName"][:64]
    arn = f"arn:aws:sts::{account}:assumed-role/{role}/{name}"
    session = Key.of(os.environ).session(arn)
    known = {
        "Arn": arn,
        "UserId": f"{role}:{name}",
        "SecretAccessKey": session.secret_access_key,
        "SessionToken": session.token,
    }
    with _one_at_a_time:  # it iterates over all sessions, so no other thread may add one
        sts.register_session(session.access_key_id, known)
    return {
        "AWS_ACCESS_KEY_ID": session.access_key_id,
        "AWS_SECRET_ACCESS_KEY": session.secret_access_key,
        "AWS_SESSION_TOKEN": session.token,
    }
