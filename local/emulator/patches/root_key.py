"""Only the key in the environment is the root user's.

MiniStack also takes `test`, every number of 12 digits and no key at all for the root user's, and
does not check their signatures. Everybody knows these, so any program could act as the root user.
"""

import os
from importlib import import_module
from typing import Any

app: Any = import_module("ministack.app")
evaluator: Any = import_module("ministack.core.iam_evaluator")
sts: Any = import_module("ministack.services.sts")


def apply() -> None:
    """Compare with the key of this start, in both modules that ask."""
    root = os.environ["AWS_ACCESS_KEY_ID"]
    authorization_type = app._execute_api_authorization_type
    enforce = evaluator.enforce

    def is_root_access_key(access_key_id: str) -> bool:
        return access_key_id == root

    def own_authorization_type(*route: str) -> Any:
        """A request without a route needs no key: API Gateway answers it itself."""
        return authorization_type(*route) or "NONE"

    def enforce_unless_unsigned(
        access_key_id: str, iam_action: str, service: str, *args: Any, **options: Any
    ) -> Any:
        """Signing in needs no key: these calls are unsigned on AWS."""
        if evaluator._anonymous.get() and evaluator._served_unsigned(service, iam_action):
            return None
        return enforce(access_key_id, iam_action, service, *args, **options)

    evaluator.enforce = enforce_unless_unsigned
    # Its signatures are checked like those of others.
    evaluator._is_root_key = lambda _: False
    evaluator.is_root_access_key = sts.is_root_access_key = is_root_access_key
    app._execute_api_authorization_type = own_authorization_type
