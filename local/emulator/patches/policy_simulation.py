"""SimulatePrincipalPolicy heeds the ContextEntries, every resource, and permissions boundaries.

MiniStack evaluates the first resource without any context, so that each statement with a condition
on a tag would be refused.
"""

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any
from xml.sax.saxutils import escape

evaluator: Any = import_module("ministack.core.iam_evaluator")
iam: Any = import_module("ministack.services.iam")
responses: Any = import_module("ministack.core.responses")

DECISIONS = {"Allow": "allowed", "Deny": "explicitDeny", "ImplicitDeny": "implicitDeny"}
Parameters = Mapping[str, Sequence[str]]


def apply() -> None:
    """Answer for roles here; leave users and groups to MiniStack."""
    simulate = iam._IAM_HANDLERS["SimulatePrincipalPolicy"]

    def simulate_fully(parameters: Parameters) -> Any:
        principal = iam._p(parameters, "PolicySourceArn")
        if ":role/" not in principal:
            return simulate(parameters)
        return _simulate(principal, parameters)

    iam._IAM_HANDLERS["SimulatePrincipalPolicy"] = simulate_fully


def _simulate(role_arn: str, parameters: Parameters) -> Any:
    account, name = responses.get_account_id(), role_arn.rpartition("/")[2]
    if iam._roles.get_scoped(account, None, name) is None:
        return iam._error(404, "NoSuchEntity", f"The role {name} cannot be found.", ns="iam")
    policies = evaluator._gather_role_policies(name, account)
    limits = evaluator._permissions_boundary(iam._roles, name, account)
    context = _context(parameters)
    results = []
    for action in _members(parameters, "ActionNames.member"):
        for resource in _members(parameters, "ResourceArns.member") or ["*"]:
            asked = evaluator.EvalContext(
                principal_arn=role_arn,
                principal_type="AssumedRole",
                principal_account=account,
                action=action,
                resource_arn=resource,
                region=responses.get_region(),
                service_context=context,
            )
            decision = DECISIONS[evaluator.evaluate(asked, policies, *limits).decision]
            results.append(
                f"<member><EvalActionName>{escape(action)}</EvalActionName>"
                f"<EvalResourceName>{escape(resource)}</EvalResourceName>"
                f"<EvalDecision>{decision}</EvalDecision></member>"
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
    """Condition keys in lower case; a key of several values has a list."""
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
