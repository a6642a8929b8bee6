"""The log says once of each role what it was asked for: action, resource and decision.

With this a test compares the policy of whoever deploys with what a deploy needs.
"""

import json
import sys
from importlib import import_module
from typing import Any

evaluator: Any = import_module("ministack.core.iam_evaluator")


def apply() -> None:
    """Write a line of JSON for each new question."""
    evaluate = evaluator.evaluate
    written: set[tuple[str, ...]] = set()

    def evaluate_and_tell(request: Any, *policies: Any) -> Any:
        answer = evaluate(request, *policies)
        asked = (
            request.principal_arn,
            request.action,
            str(request.resource_arn),
            answer.decision,
        )
        if asked not in written:
            written.add(asked)
            fields = ("principal", "action", "resource", "decision")
            line = json.dumps({"asked": dict(zip(fields, asked, strict=True))})
            sys.stderr.write(f"{line}\n")  # at once: other threads write, too
        return answer

    evaluator.evaluate = evaluate_and_tell
