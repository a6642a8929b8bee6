"""SimulatePrincipalPolicy uses ContextEntries, every resource, and permissions boundaries.

MiniStack only evaluates the first resource, without context, so every statement with a condition on
a tag would be denied.
"""

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any
from xml.sax.saxutils import escape

from local.emulator.patches.role_rights import decision, iam_request, role_of

iam: Any = import_module("ministack.services.iam")

DECISIONS = {"Allow": "allowed", "Deny": "explicitDeny", "ImplicitDeny": "implicitDeny"}
Parameters = Mapping[str, Sequence[str]]


def apply() -> None:
    """Answer for roles here; MiniStack answers for users and groups."""
    simulate = iam._IAM_HANDLERS["SimulatePrincipalPolicy"]

    def simulate_fully(parameters: Parameters) -> Any:
        principal = iam._p(parameters, "PolicySourceArn")
        if ":role/" not in principal:
            return simulate(parameters)
        return _simulate(principal, parameters)

    iam._IAM_HANDLERS["SimulatePrincipalPolicy"] = simulate_fully


def _simulate(role_arn: str, parameters: Parameters) -> Any:
    if role_of(role_arn) is None:
        name = role_arn.rpartition("/")[2]
        return iam._error(404, "NoSuchEntity", f"The role {name} cannot be found.", ns="iam")
    context = _context(parameters)
    results = []
    for action in _members(parameters, "ActionNames.member"):
        for resource in _members(parameters, "ResourceArns.member") or ["*"]:
            request = iam_request(role_arn, action, resource, context)
            decided = DECISIONS[decision(role_arn, request)]
            results.append(
                f"<member><EvalActionName>{escape(action)}</EvalActionName>"
                f"<EvalResourceName>{escape(resource)}</EvalResourceName>"
                f"<EvalDecision>{decided}</EvalDecision></member>"
            )
    return iam._xml(
        200,
        "SimulatePrincipalPolicyResponse",
        "<SimulatePrincipalPolicyResult>"
        f"<EvaluationResults>{''.join(results)}</EvaluationResults>"
        "<IsTruncated>false</IsTruncated></SimulatePrincipalPolicyResult>",
        ns="iam",
    )


def _context(parameters: Parameters) -> dict[str, Any]:
    """The condition keys in lower case. A key with several values has a list."""
    context: dict[str, Any] = {"aws:tagkeys": None}
    number = 1
    while key := iam._p(parameters, f"ContextEntries.member.{number}.ContextKeyName"):
        entry = f"ContextEntries.member.{number}"
        values = _members(parameters, f"{entry}.ContextKeyValues.member")
        is_list = iam._p(parameters, f"{entry}.ContextKeyType").endswith("List")
        context[key.lower()] = values if is_list else "".join(values)
        number += 1
    return context


def _members(parameters: Parameters, prefix: str) -> list[str]:
    found: list[str] = []
    while value := iam._p(parameters, f"{prefix}.{len(found) + 1}"):
        found.append(value)
    return found
