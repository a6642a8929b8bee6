"""Prints what parliament and the data of policy_sentry find in policies.

It runs in the environment of `audit/requirements.txt`, and so imports nothing of the project. The
input is a JSON object of policies by name. The output is a JSON list of sentences: unknown actions,
conditions that an action does not know, resources that do not fit. (The data of policy_sentry lacks
most conditions: only parliament looks at those.)
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Iterator
from typing import Any

warnings.filterwarnings("ignore")

from parliament import analyze_policy_string  # type: ignore[import-not-found]  # noqa: E402
from policy_sentry.querying.actions import (  # type: ignore[import-not-found]  # noqa: E402
    get_action_data,
)
from policy_sentry.util.arns import ARN  # type: ignore[import-not-found]  # noqa: E402


def main() -> int:
    policies: dict[str, str] = json.load(sys.stdin)
    found = [f"{name}: {each}" for name, text in policies.items() for each in problems(text)]
    sys.stdout.write(json.dumps(found))
    return 0


def problems(text: str) -> Iterator[str]:
    for finding in analyze_policy_string(text).findings:
        yield f"parliament: {finding.issue}: {finding.detail} {finding.location}"
    for statement in json.loads(text)["Statement"]:
        for action in as_list(statement["Action"]):
            yield from of_action(action, statement)


def of_action(action: str, statement: dict[str, Any]) -> Iterator[str]:
    service, _, name = action.partition(":")
    rows = (get_action_data(service, name) or {}).get(service, [])
    if not rows:
        yield f"policy_sentry: {action} is no action"
        return
    formats = {row["resource_arn_format"] for row in rows}
    for resource in as_list(statement["Resource"]):
        if resource != "*" and not any(fits(resource, each) for each in formats - {"*"}):
            yield f"policy_sentry: {action} is not on {resource}"


def fits(resource: str, form: str) -> bool:
    fitting: bool = ARN(resource).same_resource_type(form)
    return fitting


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


if __name__ == "__main__":
    sys.exit(main())
