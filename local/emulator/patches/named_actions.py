"""A role may only do what has one IAM action, and the request must name no other one.

MiniStack lets every caller do what it has no action for: with InvokeWithResponseStream every role
could call every function. And it believes `Action=` and `X-Amz-Target` where the service goes by
something else: with `?Action=UpdateItem`, a role that may update items could scan the table. Such a
request needs an action here that no policy names.
"""

from importlib import import_module
from typing import Any

iam_actions: Any = import_module("ministack.core.iam_actions")

UNNAMED = "Unnamed"
TARGET = "x-amz-target"
FORM = "x-www-form-urlencoded"


def apply() -> None:
    """Ask for an action with every request."""
    extract = iam_actions.extract_iam_action

    def action_of(
        service: str, method: str, path: str, headers: Any, body: bytes, parameters: Any
    ) -> str:
        bare = {name: value for name, value in headers.items() if name != TARGET}
        without = {name: value for name, value in parameters.items() if name != "Action"}
        unread = b"" if FORM in headers.get("content-type", "") else body
        named = {
            extract(service, method, path, headers, body, parameters),
            extract(service, method, path, headers, unread, without),
            extract(service, method, path, bare, body, parameters),
            extract(service, method, path, bare, unread, without),
        } - {None}
        return str(named.pop()) if len(named) == 1 else f"{service}:{UNNAMED}"

    iam_actions.extract_iam_action = action_of
